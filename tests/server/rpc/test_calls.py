"""What a request becomes on its way in, and what its progress and replies look like on their way out."""

import asyncio
from collections import Counter
from typing import Any

import orjson
import pytest

from methods.dialects.canonical import ReasoningDelta, TextDelta, ToolCallDelta, UsageSeen
from methods.method import Answer
from methods.progress import Notice, ProgressSink, RunStarted
from monetization.calls import Call
from server.rpc_wire import ProgressWire
from storage.records.usage import Usage
from tests.fakes.turns import Others
from tests.server.rpc.client import JSON, post
from tests.server.rpc.conftest import World

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-" + "1" * 32 + "-" + "2" * 16 + "-00"


def _request(method: str = "ping", **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, **more}


async def _reply(world: World, message: Any, *headers: tuple[bytes, bytes], **limits: Any) -> Any:
    _, _, said = await post(world.door(**limits), orjson.dumps(message), headers=(JSON, *headers))
    return orjson.loads(said) if said else None


async def test_no_more_elements_of_a_batch_run_together_than_allowed_and_replies_keep_their_order(world: World) -> None:
    at_once = most = 0

    async def count(call: Call, sink: ProgressSink | None) -> Answer:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        for _ in range(20 - int(call.rpc_id or 0)):  # later ones end sooner
            await asyncio.sleep(0)
        at_once -= 1
        return {}

    world.handlers["count"] = count
    replies = await _reply(world, [_request("count", id=number) for number in range(20)], batch_concurrency=3)
    assert [one["id"] for one in replies] == list(range(20))
    assert most == 3
    assert len({call.request_id for call in world.calls}) == 20
    assert all(call.request_id.startswith("req_made-") for call in world.calls)


async def test_a_batch_whose_calls_wait_for_nothing_gives_everybody_else_a_turn_between_them(world: World) -> None:
    others = Others()
    seen: list[int] = []

    async def note(call: Call, sink: ProgressSink | None) -> Answer:
        seen.append(others.turns)
        return {"method": call.method, "is_stream": sink is not None}

    world.handlers["note"] = note
    async with others:
        await _reply(world, [_request("note", id=number) for number in range(20)], batch_concurrency=4)
    assert max(Counter(seen).values()) <= 4


async def test_one_crash_in_a_batch_leaves_its_neighbours_alone(world: World) -> None:
    replies = await _reply(world, [_request(id=1), _request("crash", id=2), _request(id=3)])
    assert ["result" in one for one in replies] == [True, False, True]
    assert world.crashed == ["req_made-2"]
    assert replies[1]["error"]["data"]["requestId"] == "req_made-2"


async def test_the_headers_of_a_batch_name_no_key_and_no_trace_for_its_elements(world: World) -> None:
    meta = {"_meta": {"idempotencyKey": "own", "traceparent": OTHER}}
    headers = ((b"idempotency-key", b"k"), (b"traceparent", TRACE.encode()))
    await _reply(world, [_request(id=1, params=meta), _request(id=2)], *headers)
    assert [(call.idempotency_key, call.traceparent) for call in world.calls] == [("own", OTHER), (None, None)]


async def test_r31_a_stream_inside_a_batch_is_refused_alone(world: World) -> None:
    for params in ({"stream": True}, {"options": {"stream": True}}):
        replies = await _reply(world, [_request(id=1, params=params), _request(id=2)])
        assert replies[0]["error"]["data"]["reason"] == "stream_in_batch"
        assert replies[0]["error"]["code"] == -32602
        assert "result" in replies[1]


async def test_a_notification_runs_and_says_nothing_whatever_happens(world: World) -> None:
    for method in ("ping", "crash", "private", "nothing"):
        assert await _reply(world, _request(method)) is None
    assert [call.method for call in world.calls] == ["ping", "crash", "private", "nothing"]
    assert all(call.is_notification for call in world.calls)


async def test_a_result_above_the_limit_is_our_mistake_and_never_sent(world: World) -> None:
    async def large(call: Call, sink: ProgressSink | None) -> Answer:
        return {"text": "x" * 600}

    world.handlers["large"] = large
    one = await _reply(world, _request("large", id=1), response_bytes_max=500)
    assert one["error"]["code"] == -32603
    two = await _reply(world, [_request("large", id=1), _request("large", id=2)], response_bytes_max=1000)
    assert ["result" in each for each in two] == [True, False]
    assert two[1]["id"] == 2


@pytest.mark.parametrize(
    "shown", ["garbage", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "ff" + TRACE[2:], TRACE.upper()]
)
async def test_a_trace_is_taken_from_the_header_then_from_meta_and_never_if_invalid(world: World, shown: str) -> None:
    meta = {"_meta": {"traceparent": OTHER}}
    await _reply(world, _request(id=1, params=meta), (b"traceparent", TRACE.encode()))
    await _reply(world, _request(id=1, params=meta), (b"traceparent", shown.encode()))
    await _reply(world, _request(id=1, params={"_meta": {"traceparent": shown}}))
    assert [call.traceparent for call in world.calls] == [TRACE, OTHER, None]


async def test_meta_is_not_a_parameter_and_must_be_usable(world: World) -> None:
    assert "result" in await _reply(world, _request(id=1, params={"_meta": {"progressToken": "t"}}))
    assert world.calls[0].params == {}
    bad: list[Any] = [1, [], {"idempotencyKey": ""}, {"idempotencyKey": 5}, {"idempotencyKey": "a b"}]
    for meta in bad:
        assert (await _reply(world, _request(id=1, params={"_meta": meta})))["error"]["code"] == -32602
    assert len(world.calls) == 1


async def test_the_key_in_the_header_wins_over_meta(world: World) -> None:
    await _reply(world, _request(id=1, params={"_meta": {"idempotencyKey": "m"}}), (b"idempotency-key", b'"h"'))
    assert world.calls[0].idempotency_key == "h"


async def test_a_cancel_carries_the_id_and_the_key_that_proves_whose_it_is(world: World) -> None:
    await _reply(world, _request("$/cancelRequest", params={"id": 4, "apiKey": "k", "other": 1}))
    assert (world.calls[0].method, world.calls[0].params) == ("cancelRequest", {"id": 4, "apiKey": "k"})
    assert (await _reply(world, _request("$/cancelRequest", id=1, params={"id": 4})))["error"]["code"] == -32601


def _values(*items: Any, token: Any = 0) -> list[Any]:
    wire = ProgressWire(token, "req_1")
    messages = [orjson.loads(message) for message in wire.render(items)]
    assert all(m["jsonrpc"] == "2.0" and m["method"] == "$/progress" and "id" not in m for m in messages)
    assert all(m["params"]["token"] == token for m in messages)
    return [m["params"]["value"] for m in messages]


def test_every_kind_of_progress_has_its_form() -> None:
    usage = Usage(input=10, cache_read=5, output=7)
    assert _values(
        RunStarted("m", "p"),
        TextDelta("Hel", 2),
        ReasoningDelta("hm", 1, signature="s"),
        ReasoningDelta("", 0, is_redacted=True),
        ToolCallDelta(0, "call_1", "find", ""),
        ToolCallDelta(0, arguments='{"a":'),
        UsageSeen(usage),
        Notice("fell back"),
    ) == [
        {"kind": "start", "seq": 0, "model": "m", "provider": "p", "requestId": "req_1"},
        {"kind": "delta", "seq": 1, "index": 2, "delta": {"type": "text", "text": "Hel"}},
        {"kind": "delta", "seq": 2, "index": 1, "delta": {"type": "reasoning", "text": "hm", "signature": "s"}},
        {"kind": "delta", "seq": 3, "index": 0, "delta": {"type": "reasoning", "text": "", "redacted": True}},
        {
            "kind": "delta",
            "seq": 4,
            "index": 0,
            "delta": {"type": "tool_call", "id": "call_1", "name": "find", "argumentsDelta": ""},
        },
        {"kind": "delta", "seq": 5, "index": 0, "delta": {"type": "tool_call", "argumentsDelta": '{"a":'}},
        {
            "kind": "usage",
            "seq": 6,
            "usage": {"inputTokens": 15, "outputTokens": 7, "cachedInputTokens": 5, "totalTokens": 22},
        },
        {"kind": "notice", "seq": 7, "message": "fell back"},
    ]


@pytest.mark.parametrize("token", ["50%d", 0, -1, 1.5, "", 'quote"', "ü"])
def test_any_token_comes_back_as_it_was(token: Any) -> None:
    assert len(_values(TextDelta("%s %d \n\u2028"), RunStarted("m%", "p"), token=token)) == 2


def test_half_a_character_never_breaks_a_message() -> None:
    values = _values(TextDelta("a\ud83d"), Notice("b\udc00"), ToolCallDelta(0, arguments="\ud83d"))
    assert [value["seq"] for value in values] == [0, 1, 2]
    assert values[0]["delta"]["text"] == "a?"
