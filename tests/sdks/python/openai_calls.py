"""OpenAI's SDK against a Tollgate server: only the base URL and the key are its own. Runs with both generations."""

import json
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import openai

from tests.sdks.python.checks import (
    ALONE,
    CALLS,
    DOT,
    PARAMETERS,
    PROVIDERS,
    SCHEMA,
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

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "weather", "description": "of now", "parameters": PARAMETERS}}
]
FORMAT: Any = {"type": "json_schema", "json_schema": {"name": "weather", "schema": SCHEMA, "strict": True}}


def client(world: World, key: str = "good", *, path: str = "/v1", **more: Any) -> openai.OpenAI:
    return kept(openai.OpenAI, api_key=world.keys[key], base_url=world.url + path, **more)


def plain(world: World, provider: str) -> str:
    reply = client(world).chat.completions.create(model=f"{provider}/fake", messages=HELLO)
    expect(reply.object, "chat.completion")
    [choice] = reply.choices
    expect((choice.message.content, choice.message.role, choice.finish_reason), (TEXT, "assistant", "stop"))
    assert reply.usage is not None
    expect((reply.usage.prompt_tokens, reply.usage.completion_tokens), (TOKENS_IN, TOKENS_OUT))
    expect(reply.usage.total_tokens, TOKENS_IN + TOKENS_OUT)
    assert reply.id
    assert reply.created > 0
    assert reply._request_id
    return reply.id


def stream(world: World, provider: str) -> int:
    chunks = list(client(world).chat.completions.create(model=f"{provider}/fake", messages=HELLO, stream=True))
    expect({chunk.object for chunk in chunks}, {"chat.completion.chunk"})
    expect(len({chunk.id for chunk in chunks}), 1, "ids")
    expect(chunks[0].choices[0].delta.role, "assistant")
    deltas = [choice for chunk in chunks for choice in chunk.choices]
    expect("".join(choice.delta.content or "" for choice in deltas), TEXT)
    expect([choice.finish_reason for choice in deltas if choice.finish_reason], ["stop"])
    assert len([choice for choice in deltas if choice.delta.content]) > 3, "it came in one piece"
    expect([chunk for chunk in chunks if chunk.usage], [], "usage that nobody asked for")
    return len(chunks)


def stream_helper(world: World, provider: str) -> str:
    with client(world).chat.completions.stream(model=f"{provider}/fake", messages=HELLO) as events:
        kinds = {event.type for event in events}
        final = events.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds, kinds
    expect(final.choices[0].message.content, TEXT)
    return final.id


def usage_of_stream(world: World) -> str:
    for provider in (*PROVIDERS, "compatible"):
        *others, last = client(world).chat.completions.create(
            model=f"{provider}/fake", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        expect([chunk.usage for chunk in others if chunk.usage], [], provider)
        expect(last.choices, [], provider)
        assert last.usage is not None, provider
        expect((last.usage.prompt_tokens, last.usage.completion_tokens), (TOKENS_IN, TOKENS_OUT), provider)
    return "told"


def stream_without_usage(world: World) -> str:
    """The provider is asked for it all the same; the client never sees a chunk without a choice."""
    for provider in ("openai", "anthropic", "google"):
        for chunk in client(world).chat.completions.create(model=f"{provider}/fake", messages=HELLO, stream=True):
            assert chunk.choices, provider
            assert chunk.usage is None, provider
    return "none"


def tools(world: World, provider: str) -> str:
    reply = client(world).chat.completions.create(model=f"{provider}/fake-tools", messages=HELLO, tools=TOOLS)
    [choice] = reply.choices
    expect(choice.finish_reason, "tool_calls")
    calls: Any = choice.message.tool_calls or []
    expect([(call.function.name, json.loads(call.function.arguments)) for call in calls], CALLS)
    expect({call.type for call in calls}, {"function"})
    expect(len({call.id for call in calls}), 2, "ids")
    return str([call.id for call in calls])


def tools_streamed(world: World, provider: str) -> str:
    gathered: dict[int, dict[str, str]] = {}
    finishes = []
    for chunk in client(world).chat.completions.create(
        model=f"{provider}/fake-tools", messages=HELLO, tools=TOOLS, stream=True
    ):
        for choice in chunk.choices:
            finishes += [choice.finish_reason] if choice.finish_reason else []
            for call in choice.delta.tool_calls or []:
                one = gathered.setdefault(call.index, {"id": "", "name": "", "arguments": ""})
                one["id"] += call.id or ""
                assert call.function is not None
                one["name"] += call.function.name or ""
                one["arguments"] += call.function.arguments or ""
    expect(finishes, ["tool_calls"])
    expect(sorted(gathered), [0, 1])
    expect([(one["name"], json.loads(one["arguments"])) for one in gathered.values()], CALLS)
    assert all(one["id"] for one in gathered.values())
    return str(gathered)


def tool_results(world: World, provider: str) -> str:
    """The model that repeats its request shows that the result came through, and to which call it belongs."""
    asked = {"id": "call_17", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Berlin"}'}}
    messages: list[Any] = [
        {"role": "system", "content": "Be brief-7731."},
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": "call_17", "content": "21 degrees-4711"},
    ]
    reply = client(world).chat.completions.create(model=f"{provider}/fake-mirror", messages=messages, tools=TOOLS)
    said = reply.choices[0].message.content or ""
    for needle in ("21 degrees-4711", "Be brief-7731.", "weather", "Berlin"):
        assert needle in said, (needle, said)
    return said[:100]


def structured(world: World, provider: str) -> str:
    reply = client(world).chat.completions.create(model=f"{provider}/fake-json", messages=HELLO, response_format=FORMAT)
    expect(json.loads(reply.choices[0].message.content or ""), SHAPED)
    reply = client(world).chat.completions.create(
        model=f"{provider}/fake-mirror", messages=HELLO, response_format=FORMAT
    )
    said = reply.choices[0].message.content or ""
    assert '"degrees"' in said, said
    return said[:100]


def image(world: World, provider: str) -> str:
    content = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DOT}"}},
    ]
    reply = client(world).chat.completions.create(
        model=f"{provider}/fake-mirror",
        messages=[{"role": "user", "content": content}],  # type: ignore[misc, list-item]  # plain JSON is what users write
    )
    said = reply.choices[0].message.content or ""
    assert DOT in said, said
    assert "image/png" in said, said
    return said[:100]


def mid_stream_error(world: World, provider: str) -> str:
    seen: list[Any] = []
    model = f"{provider}/fake-error-midway"
    answer = client(world).chat.completions.create(model=model, messages=HELLO, stream=True)
    error = refused(openai.APIError, lambda: gathered(answer, seen))
    assert any(choice.delta.content for chunk in seen for choice in chunk.choices), "no text before it"
    assert error.type, error
    return f"{error.type} {error.code}"


def once(world: World, model: str = "openai/fake", key: str = "good", **more: Any) -> Any:
    return client(world, key).chat.completions.create(model=model, messages=HELLO, **more)


def told(error: Any, status: int, *, is_final: bool = True) -> str:
    """What every refusal has: status, a request id, a code, and no second try where a wait cannot help."""
    expect(error.status_code, status, str(error))
    assert error.request_id, "no request id"
    assert error.code, error.body
    assert error.type, error.body
    if is_final:
        expect(error.request.headers["x-stainless-retry-count"], "0", "tried again")
    return f"{status} {error.type} {error.code}: {error.message}"


def unknown_key(world: World) -> str:
    return told(refused(openai.AuthenticationError, lambda: once(world, key="unknown")), 401)


def no_money(world: World) -> str:
    """OpenAI's own word for it, and its own status."""
    error = refused(openai.RateLimitError, lambda: once(world, key="poor"))
    expect((error.type, error.response.headers["x-should-retry"]), ("insufficient_quota", "false"))
    return told(error, 429)


def quota_used_up(world: World) -> str:
    error = refused(openai.RateLimitError, lambda: once(world, key="spent"), within=6)
    expect(error.type, "insufficient_quota")
    expect(error.response.headers["x-should-retry"], "false")
    return told(error, 429)


def too_fast(world: World) -> str:
    impatient = client(world, "hasty", max_retries=0)
    error = refused(
        openai.RateLimitError,
        lambda: impatient.chat.completions.create(model="openai/fake", messages=HELLO),
        within=6,
    )
    headers = error.response.headers
    assert 1 <= int(headers["retry-after"]) <= 61, headers
    expect(headers["x-ratelimit-remaining-requests"], "0")
    assert headers["x-ratelimit-limit-requests"], headers
    assert headers.get("x-should-retry") != "false", headers
    return told(error, 429)


def outside_the_plan(world: World) -> str:
    """Nor does the list show it."""
    listed = [(model.id, model.owned_by) for model in client(world, "narrow").models.list()]
    expect(listed, [("fake-json", "google")])
    return told(refused(openai.PermissionDeniedError, lambda: once(world, key="narrow")), 403)


def unknown_model(world: World) -> str:
    return told(refused(openai.NotFoundError, lambda: once(world, "openai/none-such")), 404)


def bad_request(world: World) -> str:
    error = refused(openai.BadRequestError, lambda: once(world, temperature="hot"))
    expect(error.param, "temperature")
    return told(error, 400)


def providers_refusal(world: World) -> str:
    error = refused(openai.BadRequestError, lambda: once(world, "openai/fake-error-400"))
    assert "wants nothing of this" in str(error), error
    return told(error, 400)


def provider_failed(world: World) -> str:
    hurried = client(world, max_retries=0)
    error = refused(
        openai.InternalServerError,
        lambda: hurried.chat.completions.create(model="openai/fake-error-500", messages=HELLO),
    )
    return told(error, 503)


def provider_locked(world: World) -> str:
    hurried = client(world, max_retries=0)
    error = refused(
        openai.InternalServerError,
        lambda: hurried.chat.completions.create(model="openai/fake-error-401", messages=HELLO),
    )
    return told(error, 502)


def provider_silent(world: World) -> str:
    hurried = client(world, max_retries=0).chat.completions
    error = refused(
        openai.InternalServerError,
        lambda: hurried.create(model="impatient/fake-silent", messages=HELLO, stream=True),
    )
    return told(error, 504)


def provider_busy(world: World) -> str:
    hurried = client(world, max_retries=0)
    error = refused(
        openai.RateLimitError,
        lambda: hurried.chat.completions.create(model="openai/fake-error-429", messages=HELLO),
    )
    assert int(error.response.headers["retry-after"]) >= 1
    return told(error, 429)


def waits(world: World) -> str:
    """The provider is busy once and says for how long; the SDK waits and the second try succeeds."""
    started = time.monotonic()
    raw = client(world, max_retries=1).chat.completions.with_raw_response.create(
        model="openai/fake-busy-then-good", messages=[{"role": "user", "content": ALONE}]
    )
    took = time.monotonic() - started
    expect(raw.retries_taken, 1)
    expect(raw.parse().choices[0].message.content, TEXT)
    assert 0.9 <= took < 30, took
    return f"{took:.2f} s"


def with_token(world: World) -> str:
    return str(once(world, key="token").choices[0].message.content)


def own_vendor_key(world: World) -> str:
    """The client's own vendor key where the SDK puts it, our key in a header beside it: nothing is charged."""
    byok = openai.OpenAI(
        api_key=world.own_vendor_key,
        base_url=world.url + "/v1",
        default_headers={"X-Tollgate-Key": world.keys["good"], "X-OM-Feature-Id": "own-key"},
    )
    reply = byok.chat.completions.create(model="openai/fake", messages=HELLO)
    expect(reply.choices[0].message.content, TEXT)
    return str(reply._request_id)


def own_path(world: World) -> str:
    reply = client(world, path="/openai/v1").chat.completions.create(model="anthropic/fake", messages=HELLO)
    expect(reply.choices[0].message.content, TEXT)
    return reply.id


def from_environment(world: World) -> str:
    os.environ.update(OPENAI_BASE_URL=f"{world.url}/v1", OPENAI_API_KEY=world.keys["good"])
    reply = openai.OpenAI().chat.completions.create(model="openai/fake", messages=HELLO)
    expect(reply.choices[0].message.content, TEXT)
    return reply.id


def repeated_key(world: World) -> str:
    """The same key gives the first answer without a second call; for another request it is refused."""
    keyed = {"Idempotency-Key": ALONE.replace(" ", "-")}
    first, again = (once(world, extra_headers=keyed) for _ in range(2))
    expect((again.id, again.choices), (first.id, first.choices))
    error = refused(openai.UnprocessableEntityError, lambda: once(world, "openai/fake-tools", extra_headers=keyed))
    return told(error, 422)


def repeated_at_once(world: World) -> str:
    """While the first call runs the second is refused with 409; the SDK asks again by itself until it has the same answer."""
    keyed = {"Idempotency-Key": ALONE.replace(" ", "-") + "-at-once"}
    first, second = at_once(lambda: once(world, "openai/fake-slow", extra_headers=keyed))
    expect((second.id, second.created), (first.id, first.created))
    hurried = client(world, max_retries=0).chat.completions
    other = {"Idempotency-Key": keyed["Idempotency-Key"] + "-2"}

    def call() -> Any:
        try:
            return hurried.create(model="openai/fake-slower", messages=HELLO, extra_headers=other)
        except openai.ConflictError as error:
            return error

    refusals = [seen for seen in at_once(call) if isinstance(seen, openai.ConflictError)]
    expect(len(refusals), 1)
    return told(refusals[0], 409)


def gives_up(world: World) -> str:
    """The SDK's own bound: the call ends here too."""
    hurried = client(world, max_retries=0, timeout=0.3)
    refused(
        openai.APITimeoutError,
        lambda: hurried.chat.completions.create(model="openai/fake-silent", messages=HELLO),
    )
    return "gave up"


def models(world: World) -> str:
    listed = list(client(world).models.list())
    ids = [model.id for model in listed]
    assert any(id_.endswith("fake-tools") for id_ in ids), ids
    assert all(model.owned_by and model.created >= 0 for model in listed), listed
    one = client(world).models.retrieve(ids[0])
    expect(one.id, ids[0])
    expect(client(world).models.retrieve("google/fake").owned_by, "google")
    return str(ids[:3])


def unserved(world: World) -> str:
    error = refused(openai.NotFoundError, client(world).files.list)
    return told(error, 404)


def left_midway(world: World) -> str:
    """The stream never ends by itself; the caller leaves after a few words. The harness looks what it was charged."""
    answer = client(world).chat.completions.create(model="openai/fake-endless", messages=HELLO, stream=True)
    for at, _ in enumerate(answer):
        if at == 8:
            break
    answer.close()
    return str(answer.response.headers["x-request-id"])


def embeddings(world: World) -> str:
    reply = client(world).embeddings.create(model="openai/fake", input=["one", "two"])
    expect([item.embedding for item in reply.data], [VECTOR, VECTOR])
    expect([item.index for item in reply.data], [0, 1])
    expect(reply.usage.prompt_tokens, 10)
    return reply.model


def embeddings_as_numbers(world: World) -> str:
    reply = client(world).embeddings.create(model="openai/fake", input="one", encoding_format="float")
    expect([item.embedding for item in reply.data], [VECTOR])
    expect(reply.object, "list")
    return reply.model


def embeddings_from_google(world: World) -> str:
    reply = client(world).embeddings.create(model="google/fake", input=["one", "two", "three"])
    expect([item.embedding for item in reply.data], [VECTOR] * 3)
    return reply.model


def agent(world: World, provider: str) -> str:
    """The model asks for tools until it has a result; the SDK's own messages go back as they came."""
    messages: list[Any] = [*HELLO]
    asked: Any = {"model": f"{provider}/fake-agent", "messages": messages, "tools": TOOLS}
    first = client(world).chat.completions.create(**asked).choices[0].message
    messages.append(first)
    calls = first.tool_calls or []
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "21"} for call in calls]
    expect(len(messages), 4)
    with client(world).chat.completions.stream(**asked) as events:
        final = events.get_final_completion()
    expect(final.choices[0].message.content, TEXT)
    return final.id


def thinking(world: World, provider: str) -> str:
    """What compatible vendors call `reasoning_content` comes before the text."""
    asked: Any = {"model": f"{provider}/fake-thinking", "messages": HELLO, "reasoning_effort": "low"}
    message: Any = client(world).chat.completions.create(**asked).choices[0].message
    expect((message.content, message.reasoning_content), (TEXT, THOUGHTS))
    deltas: list[Any] = [
        choice.delta
        for chunk in client(world).chat.completions.create(**asked, stream=True)
        for choice in chunk.choices
    ]
    expect("".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas), THOUGHTS)
    expect("".join(delta.content or "" for delta in deltas), TEXT)
    return str(message.reasoning_content)


def response(world: World, provider: str) -> str:
    reply = client(world).responses.create(model=f"{provider}/fake", input="Hello", instructions="Be brief.")
    expect((reply.output_text, reply.status, reply.object), (TEXT, "completed", "response"))
    assert reply.usage is not None
    expect((reply.usage.input_tokens, reply.usage.output_tokens), (TOKENS_IN, TOKENS_OUT))
    expect(reply.usage.input_tokens_details.cached_tokens, 0)
    expect(reply.usage.output_tokens_details.reasoning_tokens, 0)
    return reply.id


def response_stream(world: World, provider: str) -> str:
    events: list[Any] = list(client(world).responses.create(model=f"{provider}/fake", input="Hello", stream=True))
    kinds = [event.type for event in events]
    expect(
        kinds[:4],
        [f"response.{name}" for name in ("created", "in_progress", "output_item.added", "content_part.added")],
    )
    ends = ("output_text.done", "content_part.done", "output_item.done", "completed")
    expect(kinds[-4:], [f"response.{name}" for name in ends])
    expect([event.sequence_number for event in events], list(range(len(events))))
    expect("".join(event.delta for event in events if event.type == "response.output_text.delta"), TEXT)
    expect(events[-1].response.output_text, TEXT)
    expect(events[-1].response.usage.output_tokens, TOKENS_OUT)
    with client(world).responses.stream(model=f"{provider}/fake", input="Hello") as helper:
        final = helper.get_final_response()
    expect(final.output_text, TEXT)
    return final.id


def response_failing_midway(world: World, provider: str) -> str:
    seen: list[Any] = []
    answer = client(world).responses.create(model=f"{provider}/fake-error-midway", input="Hello", stream=True)
    error = refused(openai.APIError, lambda: gathered(answer, seen))
    expect(seen[0].type, "response.created")
    expect([event.sequence_number for event in seen], list(range(len(seen))))
    assert error.type, error
    assert error.code, error
    return f"{error.type} {error.code}"


def response_tools(world: World, provider: str) -> str:
    tool: Any = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}
    reply = client(world).responses.create(model=f"{provider}/fake-tools", input="Hello", tools=[tool])
    calls: Any = [item for item in reply.output if item.type == "function_call"]
    expect([(call.name, json.loads(call.arguments)) for call in calls], CALLS)
    events: list[Any] = list(
        client(world).responses.create(model=f"{provider}/fake-tools", input="Hello", tools=[tool], stream=True)
    )
    done = [event.arguments for event in events if event.type == "response.function_call_arguments.done"]
    expect([json.loads(arguments) for arguments in done], [arguments for _, arguments in CALLS])
    answer: Any = [
        {"role": "user", "content": "Hello"},
        {"type": "function_call", "call_id": "call_9", "name": "weather", "arguments": '{"city":"Berlin"}'},
        {"type": "function_call_output", "call_id": "call_9", "output": "21 degrees-4711"},
    ]
    said = client(world).responses.create(model=f"{provider}/fake-mirror", input=answer, tools=[tool]).output_text
    assert "21 degrees-4711" in said, said
    return str([call.call_id for call in calls])


def response_tokens(world: World) -> str:
    counted = client(world).responses.input_tokens.count(model="openai/fake", input="Hello")
    expect(counted.object, "response.input_tokens")
    expect(counted.input_tokens, TOKENS_IN)
    return str(counted.input_tokens)


async def asynchronously(world: World) -> str:
    """The asynchronous client is the same code on another transport; one call of each kind says that it works too."""
    async with openai.AsyncOpenAI(api_key=world.keys["good"], base_url=world.url + "/v1") as caller:
        reply = await caller.chat.completions.create(model="google/fake", messages=HELLO)
        expect(reply.choices[0].message.content, TEXT)
        said = [
            choice.delta.content or ""
            async for chunk in await caller.chat.completions.create(model="google/fake", messages=HELLO, stream=True)
            for choice in chunk.choices
        ]
        expect("".join(said), TEXT)
    return reply.id


CHAT: dict[str, Callable[..., str | int]] = {
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
RESPONSES: dict[str, Callable[..., str]] = {
    "response": response,
    "response stream": response_stream,
    "response that fails midway": response_failing_midway,
    "response tools": response_tools,
}
CHECKS: dict[str, Check] = (
    {
        f"{name} from {provider}": partial(call, provider=provider)
        for name, call in CHAT.items()
        for provider in PROVIDERS
    }
    | {
        f"{name} from {provider}": partial(call, provider=provider)
        for name, call in RESPONSES.items()
        for provider in (*PROVIDERS, "compatible")
    }
    | {
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
        "stream without usage": stream_without_usage,
        "unserved surface": unserved,
        "left midway": left_midway,
        "embeddings as the SDK asks for them": embeddings,
        "embeddings as numbers": embeddings_as_numbers,
        "embeddings from google": embeddings_from_google,
        "response token count": response_tokens,
        "asynchronous client": asynchronously,
    }
)

if __name__ == "__main__":
    main(CHECKS)
