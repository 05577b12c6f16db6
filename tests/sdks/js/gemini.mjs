// Google's SDK against a Tollgate server: only the base URL and the key are its own. Runs with both generations.

import {
  ALONE, CALLS, DOT, PARAMETERS, PROVIDERS, SHAPED, TEXT, THOUGHTS, TOKENS_IN, TOKENS_OUT, VECTOR,
  expect, forEachProvider, gathered, holds, main, must, refused, sdk, within, world,
} from "./checks.mjs";

const { ApiError, GoogleGenAI, Type } = sdk;
const SCHEMA = {
  type: Type.OBJECT,
  properties: { city: { type: Type.STRING }, degrees: { type: Type.INTEGER } },
  required: ["city", "degrees"],
};
const TOOLS = { tools: [{ functionDeclarations: [{ name: "weather", description: "of now", parametersJsonSchema: PARAMETERS }] }] };

function client(key = "good", { path = "", ...more } = {}) {
  return new GoogleGenAI({ apiKey: world.keys[key], httpOptions: { baseUrl: world.url + path, ...more } });
}

function ask(model, config = undefined, { contents = "Hello", key = "good" } = {}) {
  return client(key).models.generateContent({ model, contents, config });
}

async function asked(model, config = undefined) {
  return gathered(await client().models.generateContentStream({ model, contents: "Hello", config }));
}

const CHAT = {
  "plain text": async (provider) => {
    const reply = await ask(`${provider}/fake`);
    expect([reply.text, reply.candidates.length], [TEXT, 1]);
    expect([reply.candidates[0].content.role, reply.candidates[0].finishReason], ["model", "STOP"]);
    const usage = reply.usageMetadata;
    expect([usage.promptTokenCount, usage.candidatesTokenCount], [TOKENS_IN, TOKENS_OUT]);
    expect(usage.totalTokenCount, TOKENS_IN + TOKENS_OUT);
    must(reply.modelVersion && reply.responseId, reply);
    return reply.responseId;
  },
  "stream": async (provider) => {
    const chunks = await asked(`${provider}/fake`);
    expect(chunks.map((chunk) => chunk.text ?? "").join(""), TEXT);
    must(chunks.filter((chunk) => chunk.text).length > 3, "it came in one piece");
    expect(chunks.map((chunk) => chunk.candidates?.[0].finishReason).filter(Boolean), ["STOP"]);
    return chunks.length;
  },
  "stream helper": async (provider) => {
    let chat = client().chats.create({ model: `${provider}/fake` });
    const chunks = await gathered(await chat.sendMessageStream({ message: "Hello" }));
    expect(chunks.map((chunk) => chunk.text ?? "").join(""), TEXT);
    chat = client().chats.create({ model: `${provider}/fake-mirror`, history: chat.getHistory() });
    const said = (await chat.sendMessage({ message: "And then-4711?" })).text;
    holds(said, "And then-4711?", "ready ");
    return said.slice(0, 100);
  },
  "tools": async (provider) => {
    const reply = await ask(`${provider}/fake-tools`, TOOLS);
    expect(reply.functionCalls.map((call) => [call.name, call.args]), CALLS);
    return reply.functionCalls.map((call) => call.id);
  },
  "tools in a stream": async (provider) => {
    const calls = (await asked(`${provider}/fake-tools`, TOOLS)).flatMap((chunk) => chunk.functionCalls ?? []);
    expect(calls.map((call) => [call.name, call.args]), CALLS);
    return calls.map((call) => call.id);
  },
  "tool results": async (provider) => {
    const call = { id: "call_17", name: "weather", args: { city: "Berlin" } };
    const answer = { id: "call_17", name: "weather", response: { result: "21 degrees-4711" } };
    const contents = [
      { role: "user", parts: [{ text: "Hello" }] },
      { role: "model", parts: [{ functionCall: call }] },
      { role: "user", parts: [{ functionResponse: answer }] },
    ];
    const config = { systemInstruction: "Be brief-7731.", ...TOOLS };
    const said = (await ask(`${provider}/fake-mirror`, config, { contents })).text;
    holds(said, "21 degrees-4711", "Be brief-7731.", "weather", "Berlin");
    return said.slice(0, 100);
  },
  "structured output": async (provider) => {
    const config = { responseMimeType: "application/json", responseSchema: SCHEMA };
    expect(JSON.parse((await ask(`${provider}/fake-json`, config)).text), SHAPED);
    const said = (await ask(`${provider}/fake-mirror`, config)).text;
    holds(said, '"degrees"');
    return said.slice(0, 100);
  },
  "image": async (provider) => {
    const contents = [{ role: "user", parts: [{ text: "What is it?" }, { inlineData: { mimeType: "image/png", data: DOT } }] }];
    const said = (await ask(`${provider}/fake-mirror`, undefined, { contents })).text;
    holds(said, DOT, "image/png");
    return said.slice(0, 100);
  },
  "error in mid-stream": async (provider) => {
    const seen = [];
    const answer = await client().models.generateContentStream({ model: `${provider}/fake-error-midway`, contents: "Hello" });
    const error = await refused(ApiError, () => gathered(answer, seen));
    must(seen.some((chunk) => chunk.text), "no text before it");
    must(error.status >= 500, error);
    return error.message;
  },
  "agent": async (provider) => {
    // The SDK calls our function by itself and asks again with what it said.
    const cities = [];
    const weather = {
      tool: async () => TOOLS.tools[0],
      callTool: async (calls) =>
        calls.map(({ id, name, args }) => {
          cities.push(args.city);
          return { functionResponse: { id, name, response: { result: "21 degrees" } } };
        }),
    };
    const reply = await ask(`${provider}/fake-agent`, { tools: [weather] });
    expect([reply.text, cities], [TEXT, CALLS.map(([, given]) => given.city)]);
    return cities;
  },
  "thinking": async (provider) => {
    const config = { thinkingConfig: { includeThoughts: true } };
    const reply = await ask(`${provider}/fake-thinking`, config);
    expect(reply.candidates[0].content.parts.map((part) => [part.thought ?? false, part.text]), [[true, THOUGHTS], [false, TEXT]]);
    const parts = (await asked(`${provider}/fake-thinking`, config)).flatMap((chunk) => chunk.candidates[0].content.parts ?? []);
    expect(parts.filter((part) => part.thought).map((part) => part.text).join(""), THOUGHTS);
    expect(parts.filter((part) => !part.thought).map((part) => part.text ?? "").join(""), TEXT);
    return reply.usageMetadata.thoughtsTokenCount;
  },
};

/** What every refusal has: status, the vendor's word for it, our reason and the request's id. The SDK keeps the body as text. */
async function refusal(status, word, call, within = 1) {
  const error = await refused(ApiError, call, within);
  expect(error.status, status, error.message);
  const body = JSON.parse(error.message).error;
  expect([body.code, body.status], [status, word]);
  const details = Object.fromEntries(body.details.map((detail) => [detail["@type"].split(".").at(-1), detail]));
  must(details.ErrorInfo.reason && details.RequestInfo.requestId, details);
  return details;
}

const told = async (...asked) => JSON.stringify(await refusal(...asked));

async function embedded(model) {
  const reply = await client().models.embedContent({ model, contents: ["one", "two"] });
  expect(reply.embeddings.map((item) => item.values), [VECTOR, VECTOR]);
  return reply.embeddings.length;
}

const CHECKS = {
  ...forEachProvider(CHAT),
  "no credential that holds": () => told(401, "UNAUTHENTICATED", () => ask("google/fake", undefined, { key: "unknown" })),
  "no money": () => told(403, "PERMISSION_DENIED", () => ask("google/fake", undefined, { key: "poor" })),
  "quota used up": () => told(429, "RESOURCE_EXHAUSTED", () => ask("google/fake", undefined, { key: "spent" }), 6),
  "too fast": async () => {
    const details = await refusal(429, "RESOURCE_EXHAUSTED", () => ask("google/fake", undefined, { key: "hasty" }), 6);
    must(details.RetryInfo.retryDelay.endsWith("s"), details);
    return JSON.stringify(details);
  },
  "model outside the plan": () => told(403, "PERMISSION_DENIED", () => ask("google/fake", undefined, { key: "narrow" })),
  "unknown model": () => told(404, "NOT_FOUND", () => ask("google/none-such")),
  "bad request": () => told(400, "INVALID_ARGUMENT", () => ask("google/fake", { temperature: "hot" })),
  "provider's own refusal": () => told(400, "INVALID_ARGUMENT", () => ask("google/fake-error-400")),
  "provider failed": () => told(503, "UNAVAILABLE", () => ask("google/fake-error-500")),
  "provider did not let us in": () => told(502, "INTERNAL", () => ask("google/fake-error-401")),
  "provider is busy": () => told(429, "RESOURCE_EXHAUSTED", () => ask("google/fake-error-429")),
  "provider is silent": () => told(504, "DEADLINE_EXCEEDED", () => asked("impatient/fake-silent")),
  "settings from the environment": async () =>
    within({ GOOGLE_GEMINI_BASE_URL: world.url, GEMINI_API_KEY: world.keys.good }, async () => {
      const said = [];
      for (const apiVersion of ["v1", "v1beta"]) {
        const caller = new GoogleGenAI({ apiVersion });
        said.push((await caller.models.generateContent({ model: "google/fake", contents: "Hello" })).text);
      }
      expect(said, [TEXT, TEXT]);
      return "both versions";
    }),
  "repeated key": async () => {
    const keyed = client("good", { headers: { "Idempotency-Key": `gemini-${process.pid}` } });
    const call = (contents) => keyed.models.generateContent({ model: "google/fake", contents });
    const [first, again] = [await call("Hello"), await call("Hello")];
    expect([again.responseId, again.text], [first.responseId, TEXT]);
    return told(422, "INVALID_ARGUMENT", () => call("Bye"));
  },
  "repeated key at the same time": async () => {
    // While the first call runs the second is refused with 409; this SDK leaves it to its caller to ask again.
    const keyed = client("good", { headers: { "Idempotency-Key": `gemini-${process.pid}-at-once` } });
    const call = () => keyed.models.generateContent({ model: "google/fake-slower", contents: "Hello" });
    const ends = await Promise.allSettled([call(), call()]);
    const refusals = ends.filter((end) => end.status === "rejected").map((end) => end.reason);
    expect(refusals.length, 1);
    return told(409, "ABORTED", async () => Promise.reject(refusals[0]));
  },
  "gives up by itself": async () => {
    const call = client("good", { timeout: 300 }).models.generateContent({ model: "google/fake-silent", contents: "Hello" });
    const gaveUp = await call.then(() => null, (error) => error);
    must(gaveUp !== null && /abort/i.test(`${gaveUp.name} ${gaveUp.message} ${gaveUp.cause}`), String(gaveUp));
    return gaveUp.name;
  },
  "waits as long as it is told": async () => {
    // This SDK tries again only where it is told to, and at its own pace.
    const started = performance.now();
    const caller = client("good", { retryOptions: { attempts: 3 } });
    const reply = await caller.models.generateContent({ model: "google/fake-busy-then-good", contents: ALONE });
    expect(reply.text, TEXT);
    return performance.now() - started;
  },
  "token instead of a key": async () => (await ask("google/fake", undefined, { key: "token" })).text,
  "own vendor key beside ours": async () => {
    const headers = { "X-Tollgate-Key": world.keys.good, "X-OM-Feature-Id": "own-key" };
    const byok = new GoogleGenAI({ apiKey: world.own_vendor_key, httpOptions: { baseUrl: world.url, headers } });
    const reply = await byok.models.generateContent({ model: "google/fake", contents: "Hello" });
    expect(reply.text, TEXT);
    return reply.sdkHttpResponse.headers["x-request-id"];
  },
  "path of its own": async () => {
    const caller = client("good", { path: "/gemini" });
    return (await caller.models.generateContent({ model: "openai/fake", contents: "Hello" })).text;
  },
  "models": async () => {
    const listed = await gathered(await client().models.list({ config: { pageSize: 5 } }));
    const names = listed.map((model) => model.name);
    must(names.every((name) => name.startsWith("models/")) && names.some((name) => name.endsWith("fake-tools")), names);
    expect(new Set(names).size, names.length, "a model stands on two pages");
    must(listed.every((model) => model.supportedActions.includes("generateContent")), listed);
    for (const model of [names[0], "models/google/fake"]) expect((await client().models.get({ model })).name, model);
    return names.length;
  },
  "usage of a stream": async () => {
    for (const provider of PROVIDERS) {
      const usage = (await asked(`${provider}/fake`)).at(-1).usageMetadata;
      expect([usage.promptTokenCount, usage.candidatesTokenCount], [TOKENS_IN, TOKENS_OUT], provider);
    }
    return "told";
  },
  "unserved surface": () => told(404, "NOT_FOUND", async () => gathered(await client().files.list())),
  "left midway": async () => {
    const answer = await client().models.generateContentStream({ model: "google/fake-endless", contents: "Hello" });
    let at = 0;
    let id;
    for await (const chunk of answer) {
      id = chunk.sdkHttpResponse.headers["x-request-id"];
      if ((at += 1) === 8) break;
    }
    return id;
  },
  "count of tokens": async () => {
    const counted = await client().models.countTokens({ model: "google/fake", contents: "Hello" });
    expect(counted.totalTokens, TOKENS_IN);
    const estimated = await client().models.countTokens({ model: "openai/fake", contents: "Hello" });
    must(estimated.totalTokens > 0, estimated);
    return `${counted.totalTokens} ${estimated.totalTokens}`;
  },
  "embeddings": () => embedded("google/fake"),
  "embeddings from openai": () => embedded("openai/fake"),
};

await main(CHECKS);
