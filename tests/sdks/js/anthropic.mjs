// Anthropic's SDK against a Tollgate server: only the base URL and the key are its own. Runs with both generations.

import {
  ALONE, CALLS, DOT, PARAMETERS, PROVIDERS, SCHEMA, SHAPED, TEXT, THOUGHTS, TOKENS_IN, TOKENS_OUT,
  counting, expect, forEachProvider, gathered, holds, main, must, refusals, refused, sdk, within, world,
} from "./checks.mjs";

const Anthropic = sdk.default;
const IS_NEWEST = process.argv[2].endsWith("newest");
// Whether it speaks API version 2026-10-21 and shows its key as a bearer.
const HELLO = [{ role: "user", content: "Hello" }];
const TOOLS = [{ name: "weather", description: "of now", input_schema: PARAMETERS }];

function client(key = "good", { path = "", ...more } = {}) {
  return new Anthropic({ apiKey: world.keys[key], baseURL: world.url + path, ...more });
}

function ask(model, more = {}, caller = client()) {
  return caller.messages.create({ model, max_tokens: 200, messages: HELLO, ...more });
}

const textOf = (message) => message.content.filter((block) => block.type === "text").map((block) => block.text).join("");
const usesOf = (message) => message.content.filter((block) => block.type === "tool_use");

const CHAT = {
  "plain text": async (provider) => {
    const message = await ask(`${provider}/fake`);
    expect([message.type, message.role, message.stop_reason], ["message", "assistant", "end_turn"]);
    expect(textOf(message), TEXT);
    expect([message.usage.input_tokens, message.usage.output_tokens], [TOKENS_IN, TOKENS_OUT]);
    must(message.id && message._request_id, message);
    return message.id;
  },
  "stream": async (provider) => {
    const events = await gathered(await ask(`${provider}/fake`, { stream: true }));
    const kinds = events.map((event) => event.type).filter((kind) => kind !== "ping");
    expect(kinds.slice(0, 2), ["message_start", "content_block_start"]);
    expect(kinds.slice(-3), ["content_block_stop", "message_delta", "message_stop"]);
    must(kinds.length > 8 && kinds.slice(2, -3).every((kind) => kind === "content_block_delta"), kinds);
    const { message } = events[0];
    expect([message.content, message.stop_reason, message.role], [[], null, "assistant"]);
    const words = events.filter((event) => event.type === "content_block_delta").map((event) => event.delta.text);
    expect(words.join(""), TEXT);
    const ended = events.at(-2);
    expect([ended.delta.stop_reason, ended.usage.output_tokens], ["end_turn", TOKENS_OUT]);
    return kinds.length;
  },
  "stream helper": async (provider) => {
    const words = [];
    const answer = client().messages.stream({ model: `${provider}/fake`, max_tokens: 200, messages: HELLO });
    answer.on("text", (text) => words.push(text));
    const message = await answer.finalMessage();
    expect([words.join(""), textOf(message), message.stop_reason], [TEXT, TEXT, "end_turn"]);
    return message.id;
  },
  "tools": async (provider) => {
    const message = await ask(`${provider}/fake-tools`, { tools: TOOLS });
    expect(message.stop_reason, "tool_use");
    expect(usesOf(message).map((use) => [use.name, use.input]), CALLS);
    expect(new Set(usesOf(message).map((use) => use.id)).size, 2, "ids");
    return usesOf(message).map((use) => use.id);
  },
  "tools in a stream": async (provider) => {
    const asked = { model: `${provider}/fake-tools`, max_tokens: 200, messages: HELLO, tools: TOOLS };
    const answer = client().messages.stream(asked);
    const events = await gathered(answer);
    const message = await answer.finalMessage();
    expect(usesOf(message).map((use) => [use.name, use.input]), CALLS);
    const blocks = events.filter((event) => event.type === "content_block_start" && event.content_block.type === "tool_use");
    const pieces = blocks.map(({ index }) =>
      events
        .filter((event) => event.index === index && event.delta?.type === "input_json_delta")
        .map((event) => event.delta.partial_json)
        .join(""),
    );
    expect(pieces.map((piece) => JSON.parse(piece)), CALLS.map(([, given]) => given));
    expect(message.stop_reason, "tool_use");
    return usesOf(message).map((use) => use.id);
  },
  "tool results": async (provider) => {
    const use = { type: "tool_use", id: "toolu_17", name: "weather", input: { city: "Berlin" } };
    const result = { type: "tool_result", tool_use_id: "toolu_17", content: "21 degrees-4711" };
    const messages = [...HELLO, { role: "assistant", content: [use] }, { role: "user", content: [result] }];
    const said = textOf(await ask(`${provider}/fake-mirror`, { messages, tools: TOOLS, system: "Be brief-7731." }));
    holds(said, "21 degrees-4711", "Be brief-7731.", "weather", "Berlin");
    return said.slice(0, 100);
  },
  "structured output": async (provider) => {
    const output_config = { format: { type: "json_schema", schema: SCHEMA } };
    expect(JSON.parse(textOf(await ask(`${provider}/fake-json`, { output_config }))), SHAPED);
    const said = textOf(await ask(`${provider}/fake-mirror`, { output_config }));
    holds(said, '"degrees"');
    return said.slice(0, 100);
  },
  "image": async (provider) => {
    const source = { type: "base64", media_type: "image/png", data: DOT };
    const content = [{ type: "text", text: "What is it?" }, { type: "image", source }];
    const said = textOf(await ask(`${provider}/fake-mirror`, { messages: [{ role: "user", content }] }));
    holds(said, DOT, "image/png");
    return said.slice(0, 100);
  },
  "error in mid-stream": async (provider) => {
    const seen = [];
    let raised;
    try {
      await gathered(await ask(`${provider}/fake-error-midway`, { stream: true }), seen);
    } catch (error) {
      raised = error;
    }
    must(raised instanceof Anthropic.APIError, String(raised));
    must(seen.some((event) => event.type === "content_block_delta"), "no text before it");
    const body = raised.error;
    expect(body.type, "error");
    must(body.error.type.endsWith("_error"), body);
    return body.error.type;
  },
  "agent": async (provider) => {
    // The SDK's tool runner asks on the beta path, calls our function and goes on until there is no tool to run.
    const cities = [];
    const run = ({ city }) => {
      cities.push(city);
      return "21 degrees";
    };
    const asked = { model: `${provider}/fake-agent`, max_tokens: 200, messages: HELLO, tools: [{ ...TOOLS[0], run, parse: (given) => given }] };
    const message = await client().beta.messages.toolRunner(asked).runUntilDone();
    expect(textOf(message), TEXT);
    expect(cities, CALLS.map(([, given]) => given.city));
    return message.id;
  },
  "thinking": async (provider) => {
    const thinks = { max_tokens: 4000, thinking: { type: "enabled", budget_tokens: 1024 } };
    const asked = { model: `${provider}/fake-thinking`, messages: HELLO, ...thinks };
    const { content } = await client().messages.stream(asked).finalMessage();
    expect(content.map((block) => [block.type, block.thinking ?? block.text]), [["thinking", THOUGHTS], ["text", TEXT]]);
    expect(Boolean(content[0].signature), provider === "anthropic");
    const messages = [...HELLO, { role: "assistant", content }, { role: "user", content: "And then?" }];
    const said = textOf(await ask(`${provider}/fake-mirror`, { ...thinks, messages }));
    expect(said.includes(`"${content[0].signature}"`), provider === "anthropic", said);
    return content[0].signature;
  },
};

/** What every refusal has: status, a request id, a type and our code. */
function told(error, status) {
  expect(error.status, status, error.message);
  const body = error.error;
  expect([body.type, body.request_id], ["error", error.requestID]);
  must(body.error.type.endsWith("_error") && body.error.details.error_code, body);
  return `${status} ${body.error.type}: ${error.message}`;
}

const { refusedOnce, refusedInAHurry } = refusals({ client, ask, told, model: "anthropic/fake" });

const CHECKS = {
  ...forEachProvider(CHAT),
  "no credential that holds": async () => (await refusedOnce(Anthropic.AuthenticationError, 401, "unknown"))[1],
  "no money": async () => {
    const kind = Anthropic.PaymentRequiredError ?? Anthropic.APIError;
    const [error, seen] = await refusedOnce(kind, 402, "poor");
    expect(error.error.error.type, "billing_error");
    return seen;
  },
  "quota used up": async () => {
    const [error, seen] = await refusedOnce(Anthropic.RateLimitError, 429, "spent", "anthropic/fake", {}, 6);
    expect(error.headers.get("x-should-retry"), "false");
    return seen;
  },
  "too fast": async () => {
    const [error, seen] = await refusedInAHurry(Anthropic.RateLimitError, 429, "hasty", "anthropic/fake", 6);
    const after = Number(error.headers.get("retry-after"));
    must(after >= 1 && after <= 61, after);
    expect(error.headers.get("anthropic-ratelimit-requests-remaining"), "0");
    must(error.headers.get("anthropic-ratelimit-requests-reset").includes("T"), seen);
    must(error.headers.get("x-should-retry") !== "false", seen);
    return seen;
  },
  "model outside the plan": async () => (await refusedOnce(Anthropic.PermissionDeniedError, 403, "narrow"))[1],
  "unknown model": async () => (await refusedOnce(Anthropic.NotFoundError, 404, "good", "anthropic/none-such"))[1],
  "bad request": async () => {
    const [error, seen] = await refusedOnce(Anthropic.BadRequestError, 400, "good", "anthropic/fake", { stop_sequences: 5 });
    holds(error.message, "stop_sequences");
    return seen;
  },
  "provider's own refusal": async () => {
    const [error, seen] = await refusedOnce(Anthropic.BadRequestError, 400, "good", "anthropic/fake-error-400");
    holds(error.message, "wants nothing of this");
    return seen;
  },
  "provider failed": async () =>
    (await refusedInAHurry(Anthropic.OverloadedError ?? Anthropic.InternalServerError, 529, "good", "anthropic/fake-error-500"))[1],
  "provider did not let us in": async () =>
    (await refusedInAHurry(Anthropic.InternalServerError, 502, "good", "anthropic/fake-error-401"))[1],
  "provider is busy": async () => {
    const [error, seen] = await refusedInAHurry(Anthropic.RateLimitError, 429, "good", "anthropic/fake-error-429");
    must(Number(error.headers.get("retry-after")) >= 1, seen);
    return seen;
  },
  "provider is silent": async () => {
    const caller = client("good", { maxRetries: 0 });
    const kind = Anthropic.GatewayTimeoutError ?? Anthropic.InternalServerError;
    return told(await refused(kind, () => ask("impatient/fake-silent", { stream: true }, caller)), 504);
  },
  "settings from the environment": async () =>
    within({ ANTHROPIC_BASE_URL: world.url, ANTHROPIC_API_KEY: world.keys.good }, async () => {
      const message = await ask("anthropic/fake", {}, new Anthropic());
      expect(textOf(message), TEXT);
      return message.id;
    }),
  "repeated key": async () => {
    const options = { headers: { "Idempotency-Key": `anthropic-${process.pid}` } };
    const call = (model) => client().messages.create({ model, max_tokens: 200, messages: HELLO }, options);
    const [first, again] = [await call("anthropic/fake"), await call("anthropic/fake")];
    expect([again.id, again.content], [first.id, first.content]);
    return told(await refused(Anthropic.UnprocessableEntityError, () => call("anthropic/fake-tools")), 422);
  },
  "repeated key at the same time": async () => {
    // While the first call runs the second is refused with 409; the SDK asks again by itself until it has the same answer.
    const call = (key, caller = client(), name = "fake-slow") =>
      caller.messages.create(
        { model: `anthropic/${name}`, max_tokens: 200, messages: HELLO },
        { headers: { "Idempotency-Key": `anthropic-${process.pid}-${key}` } },
      );
    const [first, second] = await Promise.all([call("a"), call("a")]);
    expect([second.id, second.content], [first.id, first.content]);
    const hurried = client("good", { maxRetries: 0 });
    const ends = await Promise.allSettled([1, 2].map(() => call("b", hurried, "fake-slower")));
    const refusals = ends.filter((end) => end.status === "rejected").map((end) => end.reason);
    expect(refusals.map((error) => error.constructor), [Anthropic.ConflictError]);
    return told(refusals[0], 409);
  },
  "gives up by itself": async () => {
    const caller = client("good", { maxRetries: 0, timeout: 300 });
    await refused(Anthropic.APIConnectionTimeoutError, () => ask("anthropic/fake-silent", {}, caller));
    const leaving = new AbortController();
    const asked = { model: "anthropic/fake-silent", max_tokens: 200, messages: HELLO };
    const call = client().messages.create(asked, { signal: leaving.signal });
    setTimeout(() => leaving.abort(), 100);
    await refused(Anthropic.APIUserAbortError, () => call);
    return "gave up";
  },
  "waits as long as it is told": async () => {
    const fetch = counting();
    const started = performance.now();
    const message = await ask("anthropic/fake-busy-then-good", { messages: [{ role: "user", content: ALONE }] }, client("good", { fetch, maxRetries: 1 }));
    const took = performance.now() - started;
    expect([fetch.times, textOf(message)], [2, TEXT]);
    must(took >= 900 && took < 30000, took);
    return took;
  },
  "token instead of a key": async () => {
    const caller = new Anthropic({ apiKey: null, authToken: world.keys.token, baseURL: world.url });
    return textOf(await ask("anthropic/fake", {}, caller));
  },
  "own vendor key beside ours": async () => {
    const defaultHeaders = { "X-Tollgate-Key": world.keys.good, "X-OM-Feature-Id": "own-key" };
    const byok = new Anthropic({ apiKey: world.own_vendor_key, baseURL: world.url, defaultHeaders });
    const message = await ask("anthropic/fake", {}, byok);
    expect(textOf(message), TEXT);
    return message._request_id;
  },
  "path of its own": async () => textOf(await ask("google/fake", {}, client("good", { path: "/anthropic" }))),
  "models": async () => {
    const page = await client().models.list({ limit: 5 });
    must(page.data.length <= 5, page.data.length);
    const listed = await gathered(page);
    const ids = listed.map((model) => model.id);
    must(ids.some((id) => id.endsWith("fake-tools")), ids);
    expect(new Set(ids).size, ids.length, "a model stands on two pages");
    must(listed.every((model) => model.type === "model" && model.display_name && Date.parse(model.created_at) >= 0), listed);
    if (IS_NEWEST) must(listed.every((model) => ["active", "deprecated", "retired"].includes(model.lifecycle)), listed);
    for (const name of [ids[0], "google/fake"]) expect((await client().models.retrieve(name)).id, name);
    return ids.length;
  },
  "usage of a stream": async () => {
    for (const provider of PROVIDERS) {
      const asked = { model: `${provider}/fake`, max_tokens: 200, messages: HELLO };
      const { usage } = await client().messages.stream(asked).finalMessage();
      expect([usage.input_tokens, usage.output_tokens], [TOKENS_IN, TOKENS_OUT], provider);
    }
    return "told";
  },
  "unserved surface": async () => told(await refused(Anthropic.NotFoundError, () => client().messages.batches.list()), 404),
  "left midway": async () => {
    const { data, response } = await ask("anthropic/fake-endless", { stream: true }).withResponse();
    let at = 0;
    for await (const _ of data) if ((at += 1) === 8) break;
    return response.headers.get("request-id");
  },
  "count of tokens": async () => {
    const counted = await client().messages.countTokens({ model: "anthropic/fake", messages: HELLO, system: "Be brief." });
    expect(counted.input_tokens, TOKENS_IN);
    const estimated = await client().messages.countTokens({ model: "openai/fake", messages: HELLO });
    must(estimated.input_tokens > 0, estimated);
    return `${counted.input_tokens} ${estimated.input_tokens}`;
  },
  "sampling settings of the version": async () => {
    if (IS_NEWEST) {
      const more = { temperature: 0.5 };
      const [error, seen] = await refusedOnce(Anthropic.BadRequestError, 400, "good", "anthropic/fake", more);
      holds(error.message, "temperature");
      return seen;
    }
    const said = textOf(await ask("openai/fake-mirror", { temperature: 0.5 }));
    holds(said, '"temperature":0.5');
    return said.slice(0, 100);
  },
};

await main(CHECKS);
