// OpenAI's SDK against a Tollgate server: only the base URL and the key are its own. Runs with both generations.

import {
  ALONE, CALLS, DOT, PARAMETERS, PROVIDERS, SCHEMA, SHAPED, TEXT, THOUGHTS, TOKENS_IN, TOKENS_OUT, VECTOR,
  counting, expect, forEachProvider, gathered, holds, main, must, refusals, refused, sdk, within, world,
} from "./checks.mjs";

const OpenAI = sdk.default;
const HELLO = [{ role: "user", content: "Hello" }];
const TOOLS = [{ type: "function", function: { name: "weather", description: "of now", parameters: PARAMETERS } }];
const FORMAT = { type: "json_schema", json_schema: { name: "weather", schema: SCHEMA, strict: true } };

function client(key = "good", { path = "/v1", ...more } = {}) {
  return new OpenAI({ apiKey: world.keys[key], baseURL: world.url + path, ...more });
}

function ask(model, more = {}, caller = client()) {
  return caller.chat.completions.create({ model, messages: HELLO, ...more });
}

const CHAT = {
  "plain text": async (provider) => {
    const reply = await ask(`${provider}/fake`);
    expect(reply.object, "chat.completion");
    const [choice] = reply.choices;
    expect([choice.message.content, choice.message.role, choice.finish_reason], [TEXT, "assistant", "stop"]);
    const { prompt_tokens, completion_tokens, total_tokens } = reply.usage;
    expect([prompt_tokens, completion_tokens, total_tokens], [TOKENS_IN, TOKENS_OUT, TOKENS_IN + TOKENS_OUT]);
    must(reply.id && reply.created > 0 && reply._request_id, reply);
    return reply.id;
  },
  "stream": async (provider) => {
    const chunks = await gathered(await ask(`${provider}/fake`, { stream: true }));
    expect([...new Set(chunks.map((chunk) => chunk.object))], ["chat.completion.chunk"]);
    expect(new Set(chunks.map((chunk) => chunk.id)).size, 1, "ids");
    expect(chunks[0].choices[0].delta.role, "assistant");
    const deltas = chunks.flatMap((chunk) => chunk.choices);
    expect(deltas.map((choice) => choice.delta.content ?? "").join(""), TEXT);
    expect(deltas.map((choice) => choice.finish_reason).filter(Boolean), ["stop"]);
    must(deltas.filter((choice) => choice.delta.content).length > 3, "it came in one piece");
    expect(chunks.filter((chunk) => chunk.usage), [], "usage that nobody asked for");
    return chunks.length;
  },
  "stream helper": async (provider) => {
    const final = await client().chat.completions.stream({ model: `${provider}/fake`, messages: HELLO }).finalChatCompletion();
    expect(final.choices[0].message.content, TEXT);
    return final.id;
  },
  "tools": async (provider) => {
    const reply = await ask(`${provider}/fake-tools`, { tools: TOOLS });
    const [choice] = reply.choices;
    expect(choice.finish_reason, "tool_calls");
    const calls = choice.message.tool_calls;
    expect(calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]), CALLS);
    expect(new Set(calls.map((call) => call.id)).size, 2, "ids");
    return calls.map((call) => call.id);
  },
  "tools in a stream": async (provider) => {
    const chunks = await gathered(await ask(`${provider}/fake-tools`, { tools: TOOLS, stream: true }));
    const deltas = chunks.flatMap((chunk) => chunk.choices);
    expect(deltas.map((choice) => choice.finish_reason).filter(Boolean), ["tool_calls"]);
    const calls = [];
    for (const call of deltas.flatMap((choice) => choice.delta.tool_calls ?? [])) {
      const one = (calls[call.index] ??= { id: "", name: "", arguments: "" });
      one.id += call.id ?? "";
      one.name += call.function?.name ?? "";
      one.arguments += call.function?.arguments ?? "";
    }
    expect(calls.map((call) => [call.name, JSON.parse(call.arguments)]), CALLS);
    must(calls.every((call) => call.id), calls);
    return JSON.stringify(calls);
  },
  "tool results": async (provider) => {
    const asked = { id: "call_17", type: "function", function: { name: "weather", arguments: '{"city":"Berlin"}' } };
    const messages = [
      { role: "system", content: "Be brief-7731." },
      ...HELLO,
      { role: "assistant", content: null, tool_calls: [asked] },
      { role: "tool", tool_call_id: "call_17", content: "21 degrees-4711" },
    ];
    const said = (await ask(`${provider}/fake-mirror`, { messages, tools: TOOLS })).choices[0].message.content;
    holds(said, "21 degrees-4711", "Be brief-7731.", "weather", "Berlin");
    return said.slice(0, 100);
  },
  "structured output": async (provider) => {
    const reply = await client().chat.completions.parse({
      model: `${provider}/fake-json`, messages: HELLO, response_format: FORMAT,
    });
    expect(JSON.parse(reply.choices[0].message.content), SHAPED);
    const said = (await ask(`${provider}/fake-mirror`, { response_format: FORMAT })).choices[0].message.content;
    holds(said, '"degrees"');
    return said.slice(0, 100);
  },
  "image": async (provider) => {
    const content = [
      { type: "text", text: "What is it?" },
      { type: "image_url", image_url: { url: `data:image/png;base64,${DOT}` } },
    ];
    const said = (await ask(`${provider}/fake-mirror`, { messages: [{ role: "user", content }] })).choices[0].message.content;
    holds(said, DOT, "image/png");
    return said.slice(0, 100);
  },
  "error in mid-stream": async (provider) => {
    const seen = [];
    const answer = await ask(`${provider}/fake-error-midway`, { stream: true });
    const error = await refused(OpenAI.APIError, () => gathered(answer, seen));
    must(seen.some((chunk) => chunk.choices.some((choice) => choice.delta.content)), "no text before it");
    must(error.type, error);
    return `${error.type} ${error.code}`;
  },
  "agent": async (provider) => {
    // The SDK's own runner calls our function and asks again until there is no tool to run.
    const cities = [];
    const run = ({ city }) => {
      cities.push(city);
      return "21 degrees";
    };
    const tools = [{ type: "function", function: { ...TOOLS[0].function, function: run, parse: JSON.parse } }];
    const said = [];
    for (const stream of [false, true]) {
      const asked = { model: `${provider}/fake-agent`, messages: HELLO, tools, stream };
      said.push(await client().chat.completions.runTools(asked).finalContent());
    }
    expect(said, [TEXT, TEXT]);
    const wanted = CALLS.map(([, given]) => given.city);
    expect(cities, [...wanted, ...wanted]);
    return cities;
  },
  "thinking": async (provider) => {
    const asked = { reasoning_effort: "low" };
    const { message } = (await ask(`${provider}/fake-thinking`, asked)).choices[0];
    expect([message.content, message.reasoning_content], [TEXT, THOUGHTS]);
    const chunks = await gathered(await ask(`${provider}/fake-thinking`, { ...asked, stream: true }));
    const deltas = chunks.flatMap((chunk) => chunk.choices).map((choice) => choice.delta);
    expect(deltas.map((delta) => delta.reasoning_content ?? "").join(""), THOUGHTS);
    expect(deltas.map((delta) => delta.content ?? "").join(""), TEXT);
    return message.reasoning_content;
  },
};

const RESPONSES = {
  "response": async (provider) => {
    const reply = await client().responses.create({ model: `${provider}/fake`, input: "Hello", instructions: "Be brief." });
    expect([reply.output_text, reply.status, reply.object], [TEXT, "completed", "response"]);
    expect([reply.usage.input_tokens, reply.usage.output_tokens], [TOKENS_IN, TOKENS_OUT]);
    expect(reply.usage.input_tokens_details.cached_tokens, 0);
    expect(reply.usage.output_tokens_details.reasoning_tokens, 0);
    return reply.id;
  },
  "response stream": async (provider) => {
    const events = await gathered(
      await client().responses.create({ model: `${provider}/fake`, input: "Hello", stream: true }),
    );
    const kinds = events.map((event) => event.type.replace("response.", ""));
    expect(kinds.slice(0, 4), ["created", "in_progress", "output_item.added", "content_part.added"]);
    expect(kinds.slice(-4), ["output_text.done", "content_part.done", "output_item.done", "completed"]);
    expect(events.map((event) => event.sequence_number), [...events.keys()]);
    const words = events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta);
    expect(words.join(""), TEXT);
    expect(events.at(-1).response.usage.output_tokens, TOKENS_OUT);
    const helper = client().responses.stream({ model: `${provider}/fake`, input: "Hello" });
    const final = await helper.finalResponse();
    expect(final.output_text, TEXT);
    return final.id;
  },
  "response that fails midway": async (provider) => {
    const seen = [];
    const answer = await client().responses.create({ model: `${provider}/fake-error-midway`, input: "Hello", stream: true });
    const error = await refused(OpenAI.APIError, () => gathered(answer, seen));
    expect(seen[0].type, "response.created");
    expect(seen.map((event) => event.sequence_number), [...seen.keys()]);
    must(error.type && error.code, error);
    return `${error.type} ${error.code}`;
  },
  "response tools": async (provider) => {
    const tools = [{ type: "function", name: "weather", parameters: PARAMETERS, strict: false }];
    const model = `${provider}/fake-tools`;
    const reply = await client().responses.create({ model, input: "Hello", tools });
    const calls = reply.output.filter((item) => item.type === "function_call");
    expect(calls.map((call) => [call.name, JSON.parse(call.arguments)]), CALLS);
    const events = await gathered(await client().responses.create({ model, input: "Hello", tools, stream: true }));
    const done = events.filter((event) => event.type === "response.function_call_arguments.done");
    expect(done.map((event) => JSON.parse(event.arguments)), CALLS.map(([, given]) => given));
    const input = [
      ...HELLO,
      { type: "function_call", call_id: "call_9", name: "weather", arguments: '{"city":"Berlin"}' },
      { type: "function_call_output", call_id: "call_9", output: "21 degrees-4711" },
    ];
    const said = (await client().responses.create({ model: `${provider}/fake-mirror`, input, tools })).output_text;
    holds(said, "21 degrees-4711");
    return calls.map((call) => call.call_id);
  },
};

/** What every refusal has: status, a request id, a code and a type. */
function told(error, status) {
  expect(error.status, status, error.message);
  must(error.requestID && error.code && error.type, error.error);
  return `${status} ${error.type} ${error.code}: ${error.message}`;
}

const { refusedOnce, refusedInAHurry } = refusals({ client, ask, told, model: "openai/fake" });

async function embedded(model, input, more = {}) {
  const reply = await client().embeddings.create({ model, input, ...more });
  expect(reply.data.map((item) => item.embedding), [].concat(input).map(() => VECTOR));
  expect(reply.data.map((item) => item.index), [...[].concat(input).keys()]);
  return reply;
}

const CHECKS = {
  ...forEachProvider(CHAT),
  ...forEachProvider(RESPONSES, [...PROVIDERS, "compatible"]),
  "no credential that holds": async () => (await refusedOnce(OpenAI.AuthenticationError, 401, "unknown"))[1],
  "no money": async () => {
    const [error, seen] = await refusedOnce(OpenAI.RateLimitError, 429, "poor");
    expect([error.type, error.headers.get("x-should-retry")], ["insufficient_quota", "false"]);
    return seen;
  },
  "quota used up": async () => {
    const [error, seen] = await refusedOnce(OpenAI.RateLimitError, 429, "spent", "openai/fake", {}, 6);
    expect([error.type, error.headers.get("x-should-retry")], ["insufficient_quota", "false"]);
    return seen;
  },
  "too fast": async () => {
    const [error, seen] = await refusedInAHurry(OpenAI.RateLimitError, 429, "hasty", "openai/fake", 6);
    const after = Number(error.headers.get("retry-after"));
    must(after >= 1 && after <= 61, after);
    expect(error.headers.get("x-ratelimit-remaining-requests"), "0");
    must(error.headers.get("x-should-retry") !== "false", seen);
    return seen;
  },
  "model outside the plan": async () => (await refusedOnce(OpenAI.PermissionDeniedError, 403, "narrow"))[1],
  "unknown model": async () => (await refusedOnce(OpenAI.NotFoundError, 404, "good", "openai/none-such"))[1],
  "bad request": async () => {
    const [error, seen] = await refusedOnce(OpenAI.BadRequestError, 400, "good", "openai/fake", { temperature: "hot" });
    expect(error.param, "temperature");
    return seen;
  },
  "provider's own refusal": async () => {
    const [error, seen] = await refusedOnce(OpenAI.BadRequestError, 400, "good", "openai/fake-error-400");
    holds(error.message, "wants nothing of this");
    return seen;
  },
  "provider failed": async () => (await refusedInAHurry(OpenAI.InternalServerError, 503, "good", "openai/fake-error-500"))[1],
  "provider did not let us in": async () =>
    (await refusedInAHurry(OpenAI.InternalServerError, 502, "good", "openai/fake-error-401"))[1],
  "provider is busy": async () => {
    const [error, seen] = await refusedInAHurry(OpenAI.RateLimitError, 429, "good", "openai/fake-error-429");
    must(Number(error.headers.get("retry-after")) >= 1, seen);
    return seen;
  },
  "provider is silent": async () => {
    const caller = client("good", { maxRetries: 0 });
    const error = await refused(OpenAI.InternalServerError, () => ask("impatient/fake-silent", { stream: true }, caller));
    return told(error, 504);
  },
  "settings from the environment": async () =>
    within({ OPENAI_BASE_URL: `${world.url}/v1`, OPENAI_API_KEY: world.keys.good }, async () => {
      const reply = await ask("openai/fake", {}, new OpenAI());
      expect(reply.choices[0].message.content, TEXT);
      return reply.id;
    }),
  "repeated key": async () => {
    const options = { headers: { "Idempotency-Key": `openai-${process.pid}` } };
    const call = (model) => client().chat.completions.create({ model, messages: HELLO }, options);
    const [first, again] = [await call("openai/fake"), await call("openai/fake")];
    expect([again.id, again.choices], [first.id, first.choices]);
    return told(await refused(OpenAI.UnprocessableEntityError, () => call("openai/fake-tools")), 422);
  },
  "repeated key at the same time": async () => {
    // While the first call runs the second is refused with 409; the SDK asks again by itself until it has the same answer.
    const call = (key, caller = client(), name = "fake-slow") =>
      caller.chat.completions.create(
        { model: `openai/${name}`, messages: HELLO },
        { headers: { "Idempotency-Key": `openai-${process.pid}-${key}` } },
      );
    const [first, second] = await Promise.all([call("a"), call("a")]);
    expect([second.id, second.created], [first.id, first.created]);
    const hurried = client("good", { maxRetries: 0 });
    const ends = await Promise.allSettled([1, 2].map(() => call("b", hurried, "fake-slower")));
    const refusals = ends.filter((end) => end.status === "rejected").map((end) => end.reason);
    expect(refusals.map((error) => error.constructor), [OpenAI.ConflictError]);
    return told(refusals[0], 409);
  },
  "gives up by itself": async () => {
    const caller = client("good", { maxRetries: 0, timeout: 300 });
    await refused(OpenAI.APIConnectionTimeoutError, () => ask("openai/fake-silent", {}, caller));
    const leaving = new AbortController();
    const asked = { model: "openai/fake-silent", messages: HELLO };
    const call = client().chat.completions.create(asked, { signal: leaving.signal });
    setTimeout(() => leaving.abort(), 100);
    await refused(OpenAI.APIUserAbortError, () => call);
    return "gave up";
  },
  "waits as long as it is told": async () => {
    const fetch = counting();
    const started = performance.now();
    const reply = await ask("openai/fake-busy-then-good", { messages: [{ role: "user", content: ALONE }] }, client("good", { fetch, maxRetries: 1 }));
    const took = performance.now() - started;
    expect([fetch.times, reply.choices[0].message.content], [2, TEXT]);
    must(took >= 900 && took < 30000, took);
    return took;
  },
  "token instead of a key": async () => (await ask("openai/fake", {}, client("token"))).choices[0].message.content,
  "own vendor key beside ours": async () => {
    const defaultHeaders = { "X-Tollgate-Key": world.keys.good, "X-OM-Feature-Id": "own-key" };
    const byok = new OpenAI({ apiKey: world.own_vendor_key, baseURL: `${world.url}/v1`, defaultHeaders });
    const reply = await ask("openai/fake", {}, byok);
    expect(reply.choices[0].message.content, TEXT);
    return reply._request_id;
  },
  "path of its own": async () => {
    const reply = await ask("anthropic/fake", {}, client("good", { path: "/openai/v1" }));
    expect(reply.choices[0].message.content, TEXT);
    return reply.id;
  },
  "models": async () => {
    const listed = await gathered(client().models.list());
    must(listed.some((model) => model.id.endsWith("fake-tools")), listed);
    must(listed.every((model) => model.object === "model" && model.owned_by && model.created >= 0), listed);
    for (const name of [listed[0].id, "google/fake"]) expect((await client().models.retrieve(name)).id, name);
    return listed.length;
  },
  "usage of a stream": async () => {
    for (const provider of [...PROVIDERS, "compatible"]) {
      const more = { stream: true, stream_options: { include_usage: true } };
      const chunks = await gathered(await ask(`${provider}/fake`, more));
      const last = chunks.pop();
      expect(chunks.filter((chunk) => chunk.usage), [], provider);
      expect([last.choices, last.usage.prompt_tokens, last.usage.completion_tokens], [[], TOKENS_IN, TOKENS_OUT], provider);
    }
    return "told";
  },
  "stream without usage": async () => {
    for (const provider of PROVIDERS) {
      for (const chunk of await gathered(await ask(`${provider}/fake`, { stream: true }))) {
        must(chunk.choices.length === 1 && !chunk.usage, provider, chunk);
      }
    }
    return "none";
  },
  "unserved surface": async () => {
    const error = await refused(OpenAI.NotFoundError, () => client().files.list());
    return told(error, 404);
  },
  "left midway": async () => {
    const { data, response } = await ask("openai/fake-endless", { stream: true }).withResponse();
    let at = 0;
    for await (const _ of data) if ((at += 1) === 8) break;
    return response.headers.get("x-request-id");
  },
  "embeddings as the SDK asks for them": async () => {
    const reply = await embedded("openai/fake", ["one", "two"]);
    expect(reply.usage.prompt_tokens, 10);
    return reply.model;
  },
  "embeddings as numbers": async () => (await embedded("openai/fake", "one", { encoding_format: "float" })).model,
  "embeddings from google": async () => (await embedded("google/fake", ["one", "two", "three"])).model,
  "response token count": async () => {
    const counted = await client().responses.inputTokens.count({ model: "openai/fake", input: "Hello" });
    expect([counted.object, counted.input_tokens], ["response.input_tokens", TOKENS_IN]);
    return counted.input_tokens;
  },
};

await main(CHECKS);
