// Runs the checks of one SDK in one process and prints one JSON line for each. Knows no SDK.
// node FILE.mjs PACKAGE WORLD [NAME ...]: the package to import, where the server is and who may call it, and which checks.

import { isDeepStrictEqual } from "node:util";

export const PROVIDERS = ["openai", "anthropic", "google"];
export const TEXT = "Grüße, ready when you are ✓ 世界 done.";
export const TOKENS_IN = 11;
export const TOKENS_OUT = 7;
export const CALLS = [
  ["weather", { city: "Berlin" }],
  ["weather", { city: "世界" }],
];
// What the fake provider says, written down once more: the SDK must give exactly this.
export const VECTOR = [0.25, -1.5, 3.0, 0.0];
export const DOT =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
// A picture of one point, as a PNG in base64.
export const PARAMETERS = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
export const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" }, degrees: { type: "integer" } },
  required: ["city", "degrees"],
  additionalProperties: false,
};
export const THOUGHTS = "First I think.";
export const SHAPED = { city: "Berlin", degrees: 21 };

// A text that no other run sends.
export const ALONE = `Hello from ${process.pid}`;

export const sdk = await import(process.argv[2]);
export const world = JSON.parse(process.argv[3]);

/** Compare, and show both sides when they differ. */
export function expect(got, wanted, what = "") {
  if (!isDeepStrictEqual(got, wanted)) {
    throw new Error(`${what}: got ${JSON.stringify(got)}, expected ${JSON.stringify(wanted)}`);
  }
}

/** Complain unless it holds. */
export function must(holds, ...seen) {
  if (!holds) throw new Error(`it does not hold: ${seen.map((one) => JSON.stringify(one)).join(", ")}`);
}

/** All of them must stand in the text. */
export function holds(text, ...needles) {
  for (const needle of needles) must(text.includes(needle), needle, text);
}

/** The error that the call throws, at the latest when it is made `within` times; it must be exactly of this class. */
export async function refused(kind, call, within = 1) {
  const got = [];
  for (let at = 0; at < within; at += 1) {
    try {
      got.push(await call());
    } catch (error) {
      if (error?.constructor !== kind) throw new Error(`expected ${kind.name}: ${error?.constructor?.name} ${error}`);
      return error;
    }
  }
  throw new Error(`expected ${kind.name}, got ${JSON.stringify(got).slice(0, 300)}`);
}

/** Run with these in the environment. */
export async function within(environment, call) {
  Object.assign(process.env, environment);
  try {
    return await call();
  } finally {
    for (const name of Object.keys(environment)) delete process.env[name];
  }
}

/** Read a stream to its end; what came before an error is kept. */
export async function gathered(answer, into = []) {
  for await (const item of answer) into.push(item);
  return into;
}

/** A fetch that counts, for the option of that name that all three SDKs have or that stands in for the global one. */
export function counting() {
  const counted = async (...asked) => {
    counted.times += 1;
    return fetch(...asked);
  };
  counted.times = 0;
  return counted;
}

/** How an SDK with retries of its own is refused: where no wait can help it must not try again, elsewhere it is told not to. */
export function refusals({ client, ask, told, model: usual }) {
  return {
    refusedOnce: async (kind, status, key, model = usual, more = {}, within = 1) => {
      const fetch = counting();
      const caller = client(key, { fetch });
      let before = 0;
      const call = () => {
        before = fetch.times;
        return ask(model, more, caller);
      };
      const error = await refused(kind, call, within);
      expect(fetch.times - before, 1, "tried again");
      return [error, told(error, status)];
    },
    refusedInAHurry: async (kind, status, key, model, within = 1) => {
      const error = await refused(kind, () => ask(model, {}, client(key, { maxRetries: 0 })), within);
      return [error, told(error, status)];
    },
  };
}

/** One check for each provider, by name. */
export function forEachProvider(chat, providers = PROVIDERS) {
  return Object.fromEntries(
    Object.entries(chat).flatMap(([name, call]) =>
      providers.map((provider) => [`${name} from ${provider}`, () => call(provider)]),
    ),
  );
}

/** Run the checks and print a line for each. */
export async function main(checks) {
  const named = process.argv.slice(4);
  for (const name of named.length > 0 ? named : Object.keys(checks)) {
    const started = performance.now();
    let line;
    try {
      line = { name, ok: true, seen: String(await checks[name]()) };
    } catch (problem) {
      line = { name, ok: false, seen: problem?.stack?.split("\n").slice(0, 6).join("\n") ?? String(problem) };
    }
    line.took_ms = Math.round(performance.now() - started);
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}
