/**
 * A client for an editor extension: typed calls, answers as they are written, and cancelling when the person types on.
 * It uses `fetch` alone, so it runs in the extension host of VS Code and its relatives, in Node 20 and in browsers.
 *
 *   TOLLGATE_TOKEN=... node examples/03_editor_client.ts      (Node 22.18 or newer; for an older one, compile it with tsc)
 */

export interface Usage {
  inputTokens: number;
  outputTokens: number;
  totalTokens: number;
}

export interface ToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

export interface Answer {
  content: string;
  success: true;
  usage?: Usage;
  requestId: string;
  model: string;
  provider: string;
  finishReason: string;
  toolCalls?: ToolCall[];
}

export interface Request {
  content: string;
  systemPrompt?: string;
  promptId?: string;
  promptContext?: Record<string, string>;
  options?: { provider?: string; model?: string; maxTokens?: number; temperature?: number };
  metadata?: Record<string, string>;
}

type Delta =
  | { type: "text"; text: string }
  | { type: "reasoning"; text: string }
  | { type: "tool_call"; id?: string; name?: string; argumentsDelta: string };

type Progress =
  | { kind: "start"; model: string; provider: string; requestId: string }
  | { kind: "delta"; seq: number; index: number; delta: Delta }
  | { kind: "usage" }
  | { kind: "notice"; text: string };

interface RpcFailure {
  code: number;
  message: string;
  data?: { reason?: string; requestId?: string };
}

type Message =
  | { method: "$/progress"; params: { token: string | number; value: Progress } }
  | { id: string | number | null; result: unknown }
  | { id: string | number | null; error: RpcFailure };

/** The server's refusal. `reason` is stable: switch on it, not on the message. */
export class RpcError extends Error {
  readonly code: number;
  readonly reason: string;

  constructor(failure: RpcFailure) {
    super(failure.message);
    this.code = failure.code;
    this.reason = failure.data?.reason ?? "";
  }
}

export class Tollgate {
  readonly #url: string;
  readonly #token: () => string | Promise<string>;
  #nextId = 1;

  constructor(url: string, token: () => string | Promise<string>) {
    this.#url = url;
    this.#token = token;
  }

  /** One call, one result. */
  async call<Result>(method: string, params: object, signal?: AbortSignal): Promise<Result> {
    const response = await this.#post(method, params, "application/json", signal);
    return resultOf<Result>((await response.json()) as Message);
  }

  /** An answer as it is written; the return value is the complete answer. Aborting stops the model as well. */
  async *stream(request: Request, signal?: AbortSignal): AsyncGenerator<Delta, Answer> {
    const params = { ...request, stream: true };
    const response = await this.#post("executeAIRequest", params, "application/json, text/event-stream", signal);
    if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
      return resultOf<Answer>((await response.json()) as Message); // refused before the first word
    }
    for await (const message of messages(response)) {
      if (!("method" in message)) return resultOf<Answer>(message);
      const value = message.params.value;
      if (value.kind === "delta") yield value.delta;
    }
    throw new Error("the connection ended before the answer did");
  }

  async #post(method: string, params: object, accept: string, signal?: AbortSignal): Promise<Response> {
    return fetch(`${this.#url}/rpc`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${await this.#token()}`,
        "content-type": "application/json",
        accept,
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: this.#nextId++, method, params }),
      signal: signal ?? null,
    });
  }
}

function resultOf<Result>(message: Message): Result {
  if ("error" in message) throw new RpcError(message.error);
  if ("result" in message) return message.result as Result;
  throw new Error("not a JSON-RPC response");
}

/** The messages of an event stream: each event is one line `data: {...}`. */
async function* messages(response: Response): AsyncGenerator<Message> {
  if (response.body === null) throw new Error("the reply has no body");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line.startsWith("data:")) yield JSON.parse(line.slice(5)) as Message;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined); // leaving early closes the connection, which cancels the call
  }
}

// What an extension does with it: complete a comment, then throw an answer away because the person typed on.
declare const process: { env: Record<string, string | undefined>; exitCode?: number };

// The brackets slow the demo's simulator down, so that there is something to cancel; a real model needs no such help.
const STORY = "Write a long story. [simulate slow-stream long]";

async function main(): Promise<void> {
  const token = process.env["TOLLGATE_TOKEN"];
  if (!token) throw new Error("set TOLLGATE_TOKEN to a token (make serve prints one)");
  const server = new Tollgate(process.env["TOLLGATE_URL"] ?? "http://127.0.0.1:8000", () => token);

  const { models } = await server.call<{ models: string[] }>("listAllowedModels", {});
  console.log("models:", models.join(", "));

  const answer = server.stream({ content: "Explain this line: const x = 1;", metadata: { feature: "explain" } });
  let shown = "";
  for (let step = await answer.next(); ; step = await answer.next()) {
    if (step.done) {
      console.log("streamed:", shown);
      console.log("complete:", step.value.content === shown, "tokens:", step.value.usage?.totalTokens);
      break;
    }
    if (step.value.type === "text") shown += step.value.text;
  }

  const typing = new AbortController();
  try {
    for await (const delta of server.stream({ content: STORY }, typing.signal)) {
      if (delta.type === "text") typing.abort(); // the person typed on after the first words
    }
    console.log("complete before it could be cancelled");
  } catch (reason) {
    if (!typing.signal.aborted) throw reason;
    console.log("cancelled");
  }

  try {
    await server.call("executeAIRequest", { content: "Hello", options: { model: "no-such-model" } });
  } catch (refused) {
    if (!(refused instanceof RpcError)) throw refused;
    console.log("refused:", refused.code, refused.reason);
  }
}

main().catch((reason: unknown) => {
  console.error(reason);
  process.exitCode = 1;
});
