"""Google's SDK against a Tollgate server: only the base URL and the key are its own. Runs with both generations."""

import json
import os
import time
from base64 import b64decode
from collections.abc import Callable
from functools import partial
from typing import Any

from google import genai
from google.genai import errors, types

from tests.sdks.python.checks import (
    ALONE,
    CALLS,
    DOT,
    PARAMETERS,
    PROVIDERS,
    SHAPED,
    TEXT,
    THOUGHTS,
    TOKENS_IN,
    TOKENS_OUT,
    VECTOR,
    Check,
    World,
    at_once,
    expect,
    gathered,
    kept,
    main,
    refused,
)

SCHEMA: dict[str, Any] = {
    "type": "OBJECT",
    "properties": {"city": {"type": "STRING"}, "degrees": {"type": "INTEGER"}},
    "required": ["city", "degrees"],
}
TOOL: dict[str, Any] = {
    "function_declarations": [{"name": "weather", "description": "of now", "parameters_json_schema": PARAMETERS}]
}
TOOLS: dict[str, Any] = {"tools": [TOOL], "automatic_function_calling": {"disable": True}}


def client(world: World, key: str = "good", *, path: str = "", **more: Any) -> genai.Client:
    options: Any = {"base_url": world.url + path, **more}
    return kept(genai.Client, api_key=world.keys[key], http_options=options)


def ask(world: World, model: str = "google/fake", key: str = "good", *, contents: Any = "Hello", **config: Any) -> Any:
    return client(world, key).models.generate_content(model=model, contents=contents, config=config or None)  # type: ignore[arg-type]  # a plain table


def asked_in_a_stream(world: World, model: str, **config: Any) -> list[Any]:
    caller = client(world)
    return list(caller.models.generate_content_stream(model=model, contents="Hello", config=config or None))  # type: ignore[arg-type]  # a plain table


def plain(world: World, provider: str) -> str:
    reply = ask(world, f"{provider}/fake")
    expect(reply.text, TEXT)
    [candidate] = reply.candidates
    expect((candidate.content.role, candidate.finish_reason.name), ("model", "STOP"))
    usage = reply.usage_metadata
    expect((usage.prompt_token_count, usage.candidates_token_count), (TOKENS_IN, TOKENS_OUT))
    expect(usage.total_token_count, TOKENS_IN + TOKENS_OUT)
    assert reply.model_version
    assert reply.response_id
    return str(reply.response_id)


def stream(world: World, provider: str) -> str:
    chunks = asked_in_a_stream(world, f"{provider}/fake")
    expect("".join(chunk.text or "" for chunk in chunks), TEXT)
    assert len([chunk for chunk in chunks if chunk.text]) > 3, "it came in one piece"
    finishes = [chunk.candidates[0].finish_reason for chunk in chunks if chunk.candidates]
    expect([finish.name for finish in finishes if finish], ["STOP"])
    return str(len(chunks))


def stream_helper(world: World, provider: str) -> str:
    """A chat keeps the turns by itself; the second one shows the first."""
    chat = client(world).chats.create(model=f"{provider}/fake")
    expect("".join(chunk.text or "" for chunk in chat.send_message_stream("Hello")), TEXT)
    chat = client(world).chats.create(model=f"{provider}/fake-mirror", history=list(chat.get_history()))
    said = chat.send_message("And then-4711?").text or ""
    for needle in ("And then-4711?", "ready "):
        assert needle in said, (needle, said)
    return said[:100]


def usage_of_stream(world: World) -> str:
    for provider in PROVIDERS:
        last = asked_in_a_stream(world, f"{provider}/fake")[-1].usage_metadata
        expect((last.prompt_token_count, last.candidates_token_count), (TOKENS_IN, TOKENS_OUT), provider)
    return "told"


def tools(world: World, provider: str) -> str:
    reply = ask(world, f"{provider}/fake-tools", **TOOLS)
    expect([(call.name, call.args) for call in reply.function_calls], CALLS)
    return str([call.id for call in reply.function_calls])


def tools_streamed(world: World, provider: str) -> str:
    chunks = asked_in_a_stream(world, f"{provider}/fake-tools", **TOOLS)
    calls = [call for chunk in chunks for call in chunk.function_calls or ()]
    expect([(call.name, call.args) for call in calls], CALLS)
    return str([call.id for call in calls])


def tool_results(world: World, provider: str) -> str:
    call = types.Part(function_call=types.FunctionCall(id="call_17", name="weather", args={"city": "Berlin"}))
    answer = types.FunctionResponse(id="call_17", name="weather", response={"result": "21 degrees-4711"})
    contents = [
        types.Content(role="user", parts=[types.Part(text="Hello")]),
        types.Content(role="model", parts=[call]),
        types.Content(role="user", parts=[types.Part(function_response=answer)]),
    ]
    reply = ask(world, f"{provider}/fake-mirror", contents=contents, system_instruction="Be brief-7731.", **TOOLS)
    for needle in ("21 degrees-4711", "Be brief-7731.", "weather", "Berlin"):
        assert needle in reply.text, (needle, reply.text)
    return str(reply.text[:100])


def structured(world: World, provider: str) -> str:
    shape: Any = {"response_mime_type": "application/json", "response_schema": SCHEMA}
    reply = ask(world, f"{provider}/fake-json", **shape)
    expect(json.loads(reply.text), SHAPED)
    said = ask(world, f"{provider}/fake-mirror", **shape).text
    assert '"degrees"' in said, said
    return str(said[:100])


def image(world: World, provider: str) -> str:
    picture = types.Part.from_bytes(data=b64decode(DOT), mime_type="image/png")
    said = ask(world, f"{provider}/fake-mirror", contents=["What is it?", picture]).text
    # This SDK writes base64 for URLs; every vendor reads its own.
    assert DOT.replace("+", "-").replace("/", "_") in said.replace("+", "-").replace("/", "_"), said
    assert "image/png" in said, said
    return str(said[:100])


def mid_stream_error(world: World, provider: str) -> str:
    seen: list[Any] = []
    answer = client(world).models.generate_content_stream(model=f"{provider}/fake-error-midway", contents="Hello")
    error = refused(errors.ServerError, lambda: gathered(answer, seen))
    assert any(chunk.text for chunk in seen), "no text before it"
    assert error.status, error
    return f"{error.code} {error.status}"


def agent(world: World, provider: str) -> str:
    """The SDK calls our function by itself and asks again with what it said."""
    cities = []

    def weather(city: str) -> str:
        """Tell the weather of now."""
        cities.append(city)
        return "21 degrees"

    chat = client(world).chats.create(model=f"{provider}/fake-agent", config={"tools": [weather]})
    expect(chat.send_message("Hello").text, TEXT)
    expect(cities, [arguments["city"] for _, arguments in CALLS])
    return str(len(chat.get_history()))


def thinking(world: World, provider: str) -> str:
    asked: Any = {"thinking_config": {"include_thoughts": True}}
    reply = ask(world, f"{provider}/fake-thinking", **asked)
    parts = reply.candidates[0].content.parts
    expect([(part.thought, part.text) for part in parts], [(True, THOUGHTS), (None, TEXT)])
    expect(reply.text, TEXT)
    chunks = asked_in_a_stream(world, f"{provider}/fake-thinking", **asked)
    pieces = [part for chunk in chunks for part in chunk.candidates[0].content.parts or ()]
    expect("".join(part.text for part in pieces if part.thought), THOUGHTS)
    expect("".join(part.text or "" for part in pieces if not part.thought), TEXT)
    return str(reply.usage_metadata.thoughts_token_count)


def told(error: Any, status: int, word: str) -> str:
    """What every refusal has: status, the vendor's word for it, our reason and the request's id."""
    expect((error.code, error.status), (status, word), str(error))
    details = {detail["@type"].rpartition(".")[2]: detail for detail in error.details["error"]["details"]}
    assert details["ErrorInfo"]["reason"], details
    expect(details["RequestInfo"]["requestId"], error.response.headers["x-request-id"])
    return f"{status} {word}: {error.message}"


def unknown_key(world: World) -> str:
    return told(refused(errors.ClientError, lambda: ask(world, key="unknown")), 401, "UNAUTHENTICATED")


def no_money(world: World) -> str:
    return told(refused(errors.ClientError, lambda: ask(world, key="poor")), 403, "PERMISSION_DENIED")


def quota_used_up(world: World) -> str:
    error = refused(errors.ClientError, lambda: ask(world, key="spent"), within=6)
    return told(error, 429, "RESOURCE_EXHAUSTED")


def too_fast(world: World) -> str:
    error = refused(errors.ClientError, lambda: ask(world, key="hasty"), within=6)
    assert 1 <= int(error.response.headers["retry-after"]) <= 61
    details = {detail["@type"].rpartition(".")[2]: detail for detail in error.details["error"]["details"]}
    assert details["RetryInfo"]["retryDelay"].endswith("s"), details
    return told(error, 429, "RESOURCE_EXHAUSTED")


def outside_the_plan(world: World) -> str:
    """Nor does the list show it."""
    expect([model.name for model in client(world, "narrow").models.list()], ["models/fake-json"])
    return told(refused(errors.ClientError, lambda: ask(world, key="narrow")), 403, "PERMISSION_DENIED")


def unknown_model(world: World) -> str:
    return told(refused(errors.ClientError, lambda: ask(world, "google/none-such")), 404, "NOT_FOUND")


def bad_request(world: World) -> str:
    options: Any = {"base_url": world.url, "extra_body": {"generationConfig": {"temperature": "hot"}}}
    caller = genai.Client(api_key=world.keys["good"], http_options=options)
    error = refused(errors.ClientError, lambda: caller.models.generate_content(model="google/fake", contents="Hello"))
    assert "temperature" in str(error), error
    return told(error, 400, "INVALID_ARGUMENT")


def providers_refusal(world: World) -> str:
    error = refused(errors.ClientError, lambda: ask(world, "google/fake-error-400"))
    assert "wants nothing of this" in str(error), error
    return told(error, 400, "INVALID_ARGUMENT")


def provider_failed(world: World) -> str:
    return told(refused(errors.ServerError, lambda: ask(world, "google/fake-error-500")), 503, "UNAVAILABLE")


def provider_locked(world: World) -> str:
    return told(refused(errors.ServerError, lambda: ask(world, "google/fake-error-401")), 502, "INTERNAL")


def provider_silent(world: World) -> str:
    kind = errors.ServerError
    return told(refused(kind, lambda: asked_in_a_stream(world, "impatient/fake-silent")), 504, "DEADLINE_EXCEEDED")


def provider_busy(world: World) -> str:
    error = refused(errors.ClientError, lambda: ask(world, "google/fake-error-429"))
    assert int(error.response.headers["retry-after"]) >= 1
    return told(error, 429, "RESOURCE_EXHAUSTED")


def waits(world: World) -> str:
    """This SDK tries again only where it is told to, and at its own pace."""
    started = time.monotonic()
    caller = client(world, retry_options={"attempts": 3, "initial_delay": 1.0, "jitter": 0.0})
    reply = caller.models.generate_content(model="google/fake-busy-then-good", contents=ALONE)
    expect(reply.text, TEXT)
    took = time.monotonic() - started
    assert 0.9 <= took < 30, took
    return f"{took:.2f} s"


def with_token(world: World) -> str:
    return str(ask(world, key="token").text)


def own_vendor_key(world: World) -> str:
    headers = {"X-Tollgate-Key": world.keys["good"], "X-OM-Feature-Id": "own-key"}
    byok = genai.Client(api_key=world.own_vendor_key, http_options={"base_url": world.url, "headers": headers})
    reply = byok.models.generate_content(model="google/fake", contents="Hello")
    expect(reply.text, TEXT)
    assert reply.sdk_http_response is not None
    headers = reply.sdk_http_response.headers or {}
    return headers["x-request-id"]


def own_path(world: World) -> str:
    caller = client(world, path="/gemini")
    return str(caller.models.generate_content(model="openai/fake", contents="Hello").text)


def from_environment(world: World) -> str:
    os.environ.update(GOOGLE_GEMINI_BASE_URL=world.url, GEMINI_API_KEY=world.keys["good"])
    said = []
    for version in ("v1", "v1beta"):
        os.environ["GOOGLE_GENAI_API_VERSION"] = version
        said.append(kept(genai.Client, vertexai=False).models.generate_content(model="google/fake", contents="Hi").text)
    del os.environ["GOOGLE_GENAI_API_VERSION"]
    expect(said, [TEXT, TEXT])
    return "both versions"


def repeated_key(world: World) -> str:
    """The same key gives the first answer without a second call; for another request it is refused."""
    keyed = client(world, headers={"Idempotency-Key": ALONE.replace(" ", "-") + "-gemini"}).models
    first, again = (keyed.generate_content(model="google/fake", contents="Hello") for _ in range(2))
    expect((again.response_id, again.text), (first.response_id, TEXT))
    kind = errors.ClientError
    return told(
        refused(kind, lambda: keyed.generate_content(model="google/fake", contents="Bye")), 422, "INVALID_ARGUMENT"
    )


def repeated_at_once(world: World) -> str:
    """While the first call runs the second is refused with 409; this SDK leaves it to its caller to ask again."""
    keyed = client(world, headers={"Idempotency-Key": ALONE.replace(" ", "-") + "-gemini-at-once"}).models

    def call() -> Any:
        try:
            return keyed.generate_content(model="google/fake-slower", contents="Hello")
        except errors.ClientError as error:
            return error

    refusals = [seen for seen in at_once(call) if isinstance(seen, errors.ClientError)]
    expect(len(refusals), 1)
    return told(refusals[0], 409, "ABORTED")


def gives_up(world: World) -> str:
    """The SDK's own bound, in milliseconds: the call ends here too."""
    hurried = client(world, timeout=300)
    raised: Exception | None = None
    try:
        hurried.models.generate_content(model="google/fake-silent", contents="Hello")
    except Exception as error:  # noqa: BLE001  # this SDK shows its HTTP client's own class
        raised = error
    assert "timeout" in type(raised).__name__.lower(), raised
    return type(raised).__name__


def models(world: World) -> str:
    listed = list(client(world).models.list(config={"page_size": 5}))
    names = [model.name or "" for model in listed]
    assert all(name.startswith("models/") for name in names), names
    assert any(name.endswith("fake-tools") for name in names), names
    expect(len(set(names)), len(names), "a model stands on two pages")
    assert all("generateContent" in (model.supported_actions or ()) for model in listed), listed[0]
    for name in (names[0], "models/google/fake"):
        expect(client(world).models.get(model=name).name, name)
    return str(names[:3])


def unserved(world: World) -> str:
    return told(refused(errors.ClientError, lambda: list(client(world).files.list())), 404, "NOT_FOUND")


def left_midway(world: World) -> str:
    """The stream never ends by itself; the caller leaves after a few words. The harness looks what it was charged."""
    answer = client(world).models.generate_content_stream(model="google/fake-endless", contents="Hello")
    for at, chunk in enumerate(answer):
        assert chunk.sdk_http_response is not None
        headers = chunk.sdk_http_response.headers or {}
        if at == 8:
            break
    answer.close()  # type: ignore[attr-defined]  # it is a generator
    return headers["x-request-id"]


def count(world: World) -> str:
    counted = client(world).models.count_tokens(model="google/fake", contents="Hello")
    expect(counted.total_tokens, TOKENS_IN)
    estimated = client(world).models.count_tokens(model="openai/fake", contents="Hello")
    assert (estimated.total_tokens or 0) > 0
    return f"{counted.total_tokens} {estimated.total_tokens}"


def embeddings(world: World) -> str:
    return _embedded(world, "google/fake")


def embeddings_from_openai(world: World) -> str:
    return _embedded(world, "openai/fake")


def _embedded(world: World, model: str) -> str:
    reply = client(world).models.embed_content(model=model, contents=["one", "two"])
    expect([item.values for item in reply.embeddings or ()], [VECTOR, VECTOR])
    return str(len(reply.embeddings or ()))


async def asynchronously(world: World) -> str:
    """The asynchronous client is the same code on another transport; one call of each kind says that it works too."""
    caller = client(world).aio
    reply = await caller.models.generate_content(model="anthropic/fake", contents="Hello")
    expect(reply.text, TEXT)
    answer = await caller.models.generate_content_stream(model="anthropic/fake", contents="Hello")
    expect("".join([chunk.text or "" async for chunk in answer]), TEXT)
    await caller.aclose()
    return str(reply.response_id)


CHAT: dict[str, Callable[..., str]] = {
    "plain text": plain,
    "stream": stream,
    "stream helper": stream_helper,
    "tools": tools,
    "tools in a stream": tools_streamed,
    "tool results": tool_results,
    "structured output": structured,
    "image": image,
    "error in mid-stream": mid_stream_error,
    "agent": agent,
    "thinking": thinking,
}
CHECKS: dict[str, Check] = {
    f"{name} from {provider}": partial(call, provider=provider) for name, call in CHAT.items() for provider in PROVIDERS
} | {
    "no credential that holds": unknown_key,
    "no money": no_money,
    "quota used up": quota_used_up,
    "too fast": too_fast,
    "model outside the plan": outside_the_plan,
    "unknown model": unknown_model,
    "bad request": bad_request,
    "provider's own refusal": providers_refusal,
    "provider failed": provider_failed,
    "provider did not let us in": provider_locked,
    "provider is busy": provider_busy,
    "provider is silent": provider_silent,
    "settings from the environment": from_environment,
    "repeated key": repeated_key,
    "repeated key at the same time": repeated_at_once,
    "gives up by itself": gives_up,
    "waits as long as it is told": waits,
    "token instead of a key": with_token,
    "own vendor key beside ours": own_vendor_key,
    "path of its own": own_path,
    "models": models,
    "usage of a stream": usage_of_stream,
    "unserved surface": unserved,
    "left midway": left_midway,
    "count of tokens": count,
    "embeddings": embeddings,
    "embeddings from openai": embeddings_from_openai,
    "asynchronous client": asynchronously,
}

if __name__ == "__main__":
    main(CHECKS)
