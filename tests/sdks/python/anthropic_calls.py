"""Anthropic's SDK against a Tollgate server: only the base URL and the key are its own. Runs with three generations."""

import json
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import anthropic

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
TOOLS: list[Any] = [{"name": "weather", "description": "of now", "input_schema": PARAMETERS}]
IS_NEWEST = int(anthropic.__version__.partition(".")[0]) >= 2
"""Whether it speaks API version 2026-10-21 and shows its key as a bearer."""


def client(world: World, key: str = "good", *, path: str = "", **more: Any) -> anthropic.Anthropic:
    return kept(anthropic.Anthropic, api_key=world.keys[key], base_url=world.url + path, **more)


def ask(world: World, model: str = "anthropic/fake", key: str = "good", *, retries: int = 2, **more: Any) -> Any:
    said = {"max_tokens": 200, "messages": HELLO, **more}
    return client(world, key, max_retries=retries).messages.create(model=model, **said)


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def plain(world: World, provider: str) -> str:
    message = ask(world, f"{provider}/fake")
    expect((message.type, message.role, message.stop_reason), ("message", "assistant", "end_turn"))
    expect(text_of(message), TEXT)
    expect((message.usage.input_tokens, message.usage.output_tokens), (TOKENS_IN, TOKENS_OUT))
    assert message.id
    assert message._request_id
    return str(message.id)


def stream(world: World, provider: str) -> str:
    events: list[Any] = list(ask(world, f"{provider}/fake", stream=True))
    kinds = [event.type for event in events if event.type != "ping"]
    expect((kinds[0], kinds[1]), ("message_start", "content_block_start"))
    expect(kinds[-3:], ["content_block_stop", "message_delta", "message_stop"])
    expect(set(kinds[2:-3]), {"content_block_delta"})
    assert len(kinds) > 8, "it came in one piece"
    begun, ended = events[0].message, events[-2]
    expect((begun.content, begun.stop_reason, begun.role), ([], None, "assistant"))
    expect("".join(event.delta.text for event in events if event.type == "content_block_delta"), TEXT)
    expect((ended.delta.stop_reason, ended.usage.output_tokens), ("end_turn", TOKENS_OUT))
    return str(kinds)


def stream_helper(world: World, provider: str) -> str:
    with client(world).messages.stream(model=f"{provider}/fake", max_tokens=200, messages=HELLO) as answer:
        expect("".join(answer.text_stream), TEXT)
        message = answer.get_final_message()
    expect(text_of(message), TEXT)
    expect((message.stop_reason, message.usage.output_tokens), ("end_turn", TOKENS_OUT))
    return message.id


def usage_of_stream(world: World) -> str:
    """Input tokens are known at the end at the latest, also from vendors that tell them only there."""
    seen = []
    for provider in PROVIDERS:
        with client(world).messages.stream(model=f"{provider}/fake", max_tokens=200, messages=HELLO) as answer:
            usage = answer.get_final_message().usage
        expect((usage.input_tokens, usage.output_tokens), (TOKENS_IN, TOKENS_OUT), provider)
        seen.append(usage.output_tokens)
    return str(seen)


def tools(world: World, provider: str) -> str:
    message = ask(world, f"{provider}/fake-tools", tools=TOOLS)
    expect(message.stop_reason, "tool_use")
    uses = [block for block in message.content if block.type == "tool_use"]
    expect([(use.name, use.input) for use in uses], CALLS)
    expect(len({use.id for use in uses}), 2, "ids")
    return str([use.id for use in uses])


def tools_streamed(world: World, provider: str) -> str:
    with client(world).messages.stream(
        model=f"{provider}/fake-tools", max_tokens=200, messages=HELLO, tools=TOOLS
    ) as answer:
        events: list[Any] = list(answer)
        message = answer.get_final_message()
    deltas = [
        event for event in events if event.type == "content_block_delta" and event.delta.type == "input_json_delta"
    ]
    pieces = ["".join(delta.delta.partial_json for delta in deltas if delta.index == at) for at in _tool_blocks(events)]
    expect([json.loads(text) for text in pieces], [arguments for _, arguments in CALLS])
    uses: Any = [block for block in message.content if block.type == "tool_use"]
    expect([(use.name, use.input) for use in uses], CALLS)
    expect(message.stop_reason, "tool_use")
    return str([use.id for use in uses])


def _tool_blocks(events: list[Any]) -> list[int]:
    """Where the tools stand among the blocks."""
    starts = [event for event in events if event.type == "content_block_start"]
    return [start.index for start in starts if start.content_block.type == "tool_use"]


def tool_results(world: World, provider: str) -> str:
    use = {"type": "tool_use", "id": "toolu_17", "name": "weather", "input": {"city": "Berlin"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_17", "content": "21 degrees-4711"}
    messages = [*HELLO, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    message = ask(world, f"{provider}/fake-mirror", messages=messages, tools=TOOLS, system="Be brief-7731.")
    said = text_of(message)
    for needle in ("21 degrees-4711", "Be brief-7731.", "weather", "Berlin"):
        assert needle in said, (needle, said)
    return said[:100]


def structured(world: World, provider: str) -> str:
    shape = {"format": {"type": "json_schema", "schema": SCHEMA}}
    message = ask(world, f"{provider}/fake-json", output_config=shape)
    expect(json.loads(text_of(message)), SHAPED)
    said = text_of(ask(world, f"{provider}/fake-mirror", output_config=shape))
    assert '"degrees"' in said, said
    return said[:100]


def image(world: World, provider: str) -> str:
    source = {"type": "base64", "media_type": "image/png", "data": DOT}
    content = [{"type": "text", "text": "What is it?"}, {"type": "image", "source": source}]
    said = text_of(ask(world, f"{provider}/fake-mirror", messages=[{"role": "user", "content": content}]))
    assert DOT in said, said
    assert "image/png" in said, said
    return said[:100]


def mid_stream_error(world: World, provider: str) -> str:
    """The status is 200 by then; this SDK raises its class for that status, or for the error's type where it knows it."""
    seen: list[Any] = []
    answer = ask(world, f"{provider}/fake-error-midway", stream=True)
    raised: anthropic.APIStatusError | None = None
    try:
        gathered(answer, seen)
    except anthropic.APIStatusError as error:
        raised = error
    assert raised is not None, f"nothing was raised after {len(seen)} events"
    assert any(event.type == "content_block_delta" for event in seen), "no text before it"
    body: Any = raised.body
    expect(body["type"], "error")
    assert body["error"]["type"].endswith("_error"), body
    return str(body["error"]["type"])


def agent(world: World, provider: str) -> str:
    """The SDK's tool runner: it asks on the beta path, calls our function and goes on until there is no tool to run."""
    cities = []

    @anthropic.beta_tool
    def weather(city: str) -> str:
        """Tell the weather of now.

        Args:
            city: Where.
        """
        cities.append(city)
        return "21 degrees"

    runner = client(world).beta.messages.tool_runner(
        model=f"{provider}/fake-agent", max_tokens=200, messages=HELLO, tools=[weather]
    )
    final = runner.until_done()
    expect(text_of(final), TEXT)
    expect(cities, [arguments["city"] for _, arguments in CALLS])
    return final.id


def thinking(world: World, provider: str) -> str:
    """Thinking stands before the text, and goes back with its seal to the vendor that sealed it."""
    thinks: Any = {"max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    with client(world).messages.stream(model=f"{provider}/fake-thinking", messages=HELLO, **thinks) as answer:
        content: Any = answer.get_final_message().content
    expect([block.type for block in content], ["thinking", "text"])
    expect((content[0].thinking, content[1].text), (THOUGHTS, TEXT))
    whole = ask(world, f"{provider}/fake-thinking", **thinks).content
    expect(
        [(block.type, getattr(block, "signature", None)) for block in whole],
        [("thinking", content[0].signature), ("text", None)],
    )
    expect(bool(content[0].signature), provider == "anthropic")
    messages = [*HELLO, {"role": "assistant", "content": whole}, {"role": "user", "content": "And then?"}]
    said = text_of(ask(world, f"{provider}/fake-mirror", **{**thinks, "messages": messages}))
    assert (f'"{content[0].signature}"' in said) is (provider == "anthropic"), said
    return str(content[0].signature)


def told(error: Any, status: int) -> str:
    """What every refusal has: status, a request id, a type and our code, and no second try where a wait cannot help."""
    expect(error.status_code, status, str(error))
    body: Any = error.body
    expect(body["type"], "error")
    assert body["error"]["type"].endswith("_error"), body
    assert body["error"]["details"]["error_code"], body
    assert body["request_id"] == error.request_id, (body, error.request_id)
    expect(error.request.headers["x-stainless-retry-count"], "0", "tried again")
    return f"{status} {body['error']['type']}: {error}"


def unknown_key(world: World) -> str:
    return told(refused(anthropic.AuthenticationError, lambda: ask(world, key="unknown")), 401)


def no_money(world: World) -> str:
    kind = getattr(anthropic, "PaymentRequiredError", anthropic.APIStatusError)
    error = refused(kind, lambda: ask(world, key="poor"))
    expect(error.body["error"]["type"], "billing_error")
    return told(error, 402)


def quota_used_up(world: World) -> str:
    error = refused(anthropic.RateLimitError, lambda: ask(world, key="spent"), within=6)
    expect(error.response.headers["x-should-retry"], "false")
    return told(error, 429)


def too_fast(world: World) -> str:
    error = refused(anthropic.RateLimitError, lambda: ask(world, key="hasty", retries=0), within=6)
    headers = error.response.headers
    assert 1 <= int(headers["retry-after"]) <= 61, headers
    expect(headers["anthropic-ratelimit-requests-remaining"], "0")
    assert "T" in headers["anthropic-ratelimit-requests-reset"], headers
    assert headers.get("x-should-retry") != "false", headers
    return told(error, 429)


def outside_the_plan(world: World) -> str:
    """Nor does the list show it."""
    expect([model.id for model in client(world, "narrow").models.list()], ["fake-json"])
    return told(refused(anthropic.PermissionDeniedError, lambda: ask(world, key="narrow")), 403)


def unknown_model(world: World) -> str:
    return told(refused(anthropic.NotFoundError, lambda: ask(world, "anthropic/none-such")), 404)


def bad_request(world: World) -> str:
    error = refused(anthropic.BadRequestError, lambda: ask(world, extra_body={"max_tokens": "many"}))
    assert "max_tokens" in str(error), error
    return told(error, 400)


def providers_refusal(world: World) -> str:
    error = refused(anthropic.BadRequestError, lambda: ask(world, "anthropic/fake-error-400"))
    assert "wants nothing of this" in str(error), error
    return told(error, 400)


def provider_failed(world: World) -> str:
    kind = anthropic.OverloadedError
    return told(refused(kind, lambda: ask(world, "anthropic/fake-error-500", retries=0)), 529)


def provider_locked(world: World) -> str:
    kind = anthropic.InternalServerError
    return told(refused(kind, lambda: ask(world, "anthropic/fake-error-401", retries=0)), 502)


def provider_silent(world: World) -> str:
    kind = getattr(anthropic, "GatewayTimeoutError", anthropic.InternalServerError)
    return told(refused(kind, lambda: ask(world, "impatient/fake-silent", retries=0, stream=True)), 504)


def provider_busy(world: World) -> str:
    error = refused(anthropic.RateLimitError, lambda: ask(world, "anthropic/fake-error-429", retries=0))
    assert int(error.response.headers["retry-after"]) >= 1
    return told(error, 429)


def waits(world: World) -> str:
    """The provider is busy once and says for how long; the SDK waits and the second try succeeds."""
    started = time.monotonic()
    raw = client(world, max_retries=1).messages.with_raw_response.create(
        model="anthropic/fake-busy-then-good", max_tokens=200, messages=[{"role": "user", "content": ALONE}]
    )
    took = time.monotonic() - started
    expect(raw.retries_taken, 1)
    expect(text_of(raw.parse()), TEXT)
    assert 0.9 <= took < 30, took
    return f"{took:.2f} s"


def with_token(world: World) -> str:
    """As the bearer, which this SDK calls auth_token."""
    caller = anthropic.Anthropic(auth_token=world.keys["token"], api_key=None, base_url=world.url)
    return text_of(caller.messages.create(model="anthropic/fake", max_tokens=200, messages=HELLO))


def own_vendor_key(world: World) -> str:
    byok = anthropic.Anthropic(
        api_key=world.own_vendor_key,
        base_url=world.url,
        default_headers={"X-Tollgate-Key": world.keys["good"], "X-OM-Feature-Id": "own-key"},
    )
    message = byok.messages.create(model="anthropic/fake", max_tokens=200, messages=HELLO)
    expect(text_of(message), TEXT)
    return str(message._request_id)


def own_path(world: World) -> str:
    caller = client(world, path="/anthropic")
    return text_of(caller.messages.create(model="google/fake", max_tokens=200, messages=HELLO))


def from_environment(world: World) -> str:
    os.environ.update(ANTHROPIC_BASE_URL=world.url, ANTHROPIC_API_KEY=world.keys["good"])
    message = anthropic.Anthropic().messages.create(model="anthropic/fake", max_tokens=200, messages=HELLO)
    expect(text_of(message), TEXT)
    return message.id


def repeated_key(world: World) -> str:
    """The same key gives the first answer without a second call; for another request it is refused."""
    keyed = {"Idempotency-Key": ALONE.replace(" ", "-") + "-anthropic"}
    first, again = (ask(world, extra_headers=keyed) for _ in range(2))
    expect((again.id, again.content), (first.id, first.content))
    kind = anthropic.UnprocessableEntityError
    return told(refused(kind, lambda: ask(world, "anthropic/fake-tools", extra_headers=keyed)), 422)


def repeated_at_once(world: World) -> str:
    """While the first call runs the second is refused with 409; the SDK asks again by itself until it has the same answer."""
    keyed = {"Idempotency-Key": ALONE.replace(" ", "-") + "-anthropic-at-once"}
    first, second = at_once(lambda: ask(world, "anthropic/fake-slow", extra_headers=keyed))
    expect((second.id, second.content), (first.id, first.content))
    other = {"Idempotency-Key": keyed["Idempotency-Key"] + "-2"}

    def call() -> Any:
        try:
            return ask(world, "anthropic/fake-slower", retries=0, extra_headers=other)
        except anthropic.ConflictError as error:
            return error

    refusals = [seen for seen in at_once(call) if isinstance(seen, anthropic.ConflictError)]
    expect(len(refusals), 1)
    return told(refusals[0], 409)


def gives_up(world: World) -> str:
    """The SDK's own bound: the call ends here too."""
    hurried = client(world, max_retries=0, timeout=0.3)
    refused(
        anthropic.APITimeoutError,
        lambda: hurried.messages.create(model="anthropic/fake-silent", max_tokens=200, messages=HELLO),
    )
    return "gave up"


def models(world: World) -> str:
    page = client(world).models.list(limit=5)
    assert len(page.data) <= 5
    listed: list[Any] = list(page)
    ids = [model.id for model in listed]
    assert any(id_.endswith("fake-tools") for id_ in ids), ids
    expect(len(set(ids)), len(ids), "a model stands on two pages")
    assert all(model.type == "model" and model.display_name and model.created_at for model in listed), listed
    if IS_NEWEST:
        assert all(model.lifecycle in ("active", "deprecated", "retired") for model in listed), listed
    for name in (ids[0], "google/fake"):
        expect(client(world).models.retrieve(name).id, name)
    return str(ids[:3])


def unserved(world: World) -> str:
    error = refused(anthropic.NotFoundError, client(world).messages.batches.list)
    return told(error, 404)


def left_midway(world: World) -> str:
    """The stream never ends by itself; the caller leaves after a few words. The harness looks what it was charged."""
    answer = ask(world, "anthropic/fake-endless", stream=True)
    for at, _ in enumerate(answer):
        if at == 8:
            break
    answer.close()
    return str(answer.response.headers["request-id"])


def count(world: World) -> str:
    counted = client(world).messages.count_tokens(model="anthropic/fake", messages=HELLO, system="Be brief.")
    expect(counted.input_tokens, TOKENS_IN)
    estimated = client(world).messages.count_tokens(model="openai/fake", messages=HELLO)
    assert estimated.input_tokens > 0
    return f"{counted.input_tokens} {estimated.input_tokens}"


def sampling(world: World) -> str:
    """API version 2026-10-21 refuses sampling settings, 2023-06-01 takes them."""
    warm: Any = {"extra_body": {"temperature": 0.5}}
    if IS_NEWEST:
        error = refused(anthropic.BadRequestError, lambda: ask(world, **warm))
        assert "temperature" in str(error), error
        return told(error, 400)
    said = text_of(ask(world, "openai/fake-mirror", **warm))
    assert '"temperature":0.5' in said, said
    return said[:100]


async def asynchronously(world: World) -> str:
    """The asynchronous client is the same code on another transport; one call of each kind says that it works too."""
    async with anthropic.AsyncAnthropic(api_key=world.keys["good"], base_url=world.url) as caller:
        message = await caller.messages.create(model="openai/fake", max_tokens=200, messages=HELLO)
        expect(text_of(message), TEXT)
        async with caller.messages.stream(model="openai/fake", max_tokens=200, messages=HELLO) as answer:
            expect("".join([text async for text in answer.text_stream]), TEXT)
    return message.id


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
    "sampling settings of the version": sampling,
    "asynchronous client": asynchronously,
}

if __name__ == "__main__":
    main(CHECKS)
