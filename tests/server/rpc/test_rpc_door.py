import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from methods.errors import Cancelled, Forbidden, InvalidParams, MethodNotFound, ProviderFailed, UnknownModel, code_of
from methods.method import Answer
from methods.progress import ProgressSink
from monetization.calls import Call
from monetization.errors import (
    NotEntitled,
    Overloaded,
    PaymentRequired,
    QuotaExceeded,
    RateLimited,
    Unauthenticated,
)
from storage.errors import Fault
from tests.server.rpc.client import JSON, assert_conforming, post
from tests.server.rpc.conftest import World

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())["vectors"]
PING = b'{"jsonrpc":"2.0","method":"ping","id":1}'
SSE = (JSON, (b"accept", b"application/json, text/event-stream"))


def _expected(reply: Any) -> Any:
    """A reply without the members that the specification leaves to the server."""
    if isinstance(reply, list):
        return [_expected(one) for one in reply]
    if "error" in reply:
        return {**reply, "error": {"code": reply["error"]["code"]}}
    return reply


@pytest.mark.parametrize("vector", VECTORS, ids=[v["id"] for v in VECTORS])
async def test_every_rule_of_json_rpc_holds(world: World, vector: dict[str, Any]) -> None:
    body = base64.b64decode(vector["request_base64"]) if "request_base64" in vector else vector["request"].encode()
    status, _, said = await post(world.door(), body)
    assert_conforming(status, said)
    assert status == vector["status"]
    if vector["reply"] is not None:
        # repr tells 1 from 1.0 and True, which == does not.
        assert repr(_expected(json.loads(said))) == repr(vector["reply"])


@given(
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda s: st.lists(s) | st.dictionaries(st.sampled_from(["jsonrpc", "method", "id", "params"]), s),
    ).map(lambda v: json.dumps(v).replace('"jsonrpc": ', '"jsonrpc": "2.0", "x": ').encode())
)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_the_answer_conforms(body: bytes) -> None:
    status, _, said = asyncio.run(post(World().door(), body))
    assert_conforming(status, said)


async def test_nothing_of_a_crash_reaches_the_caller_and_it_is_reported_once(world: World) -> None:
    _, _, said = await post(world.door(), b'{"jsonrpc":"2.0","method":"crash","id":1}')
    assert orjson.loads(said)["error"] == {
        "code": -32603,
        "message": "Internal error",
        "data": {"reason": "internal_error", "requestId": "req_made"},
    }
    assert world.crashed == ["req_made"]


@pytest.mark.parametrize(
    ("headers", "method", "status"),
    [
        ((JSON,), "GET", 405),
        (((b"content-type", b"text/plain"),), "POST", 415),
        ((), "POST", 415),
        (((b"content-type", b"application/json; charset=latin-1"),), "POST", 415),
        ((JSON, (b"content-encoding", b"gzip")), "POST", 415),
        ((JSON, (b"accept", b"text/html")), "POST", 406),
        ((JSON, (b"content-length", b"5000000")), "POST", 413),
        (((b"content-type", b"application/vnd.x+json;charset=UTF-8"),), "POST", 200),
        (((b"content-type", b'Application/JSON ; Charset="UTF-8"'),), "POST", 200),
        (((b"content-type", b"application/json-rpc"),), "POST", 200),
        (((b"content-type", b"application/jsonp"),), "POST", 415),
        ((JSON, (b"accept", b"application/json"), (b"accept", b"text/html")), "POST", 200),
        ((JSON, (b"accept", b"text/html"), (b"accept", b"image/png")), "POST", 406),
    ],
)
async def test_what_comes_before_json_rpc_has_a_status(world: World, headers: Any, method: str, status: int) -> None:
    got, said, body = await post(world.door(), PING, headers=headers, method=method)
    assert got == status
    assert orjson.loads(body)["jsonrpc"] == "2.0"
    assert said[b"cache-control"] == b"no-store"


async def test_a_body_without_a_length_is_counted_while_it_is_read(world: World) -> None:
    status, _, _ = await post(world.door(body_bytes_max=20), PING, chunk=8)
    assert status == 413
    assert world.calls == []


async def test_a_leaving_server_refuses_with_retry_after(world: World) -> None:
    world.is_draining = True
    status, headers, _ = await post(world.door(), PING)
    assert (status, headers[b"retry-after"]) == (503, b"5")


async def test_mapped_mode_shows_refusals_of_single_calls_only(world: World) -> None:
    call = b'{"jsonrpc":"2.0","method":"private","id":1}'
    status, headers, _ = await post(world.door(is_mapped=True), call)
    assert (status, headers[b"retry-after"]) == (401, b"2")
    assert b"www-authenticate" in headers
    assert (await post(world.door(is_mapped=True), b"[" + call + b"]"))[0] == 200
    assert (await post(world.door(), call))[0] == 200


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Unauthenticated(), 401),
        (QuotaExceeded(), 402),
        (PaymentRequired(), 402),
        (Forbidden(), 403),
        (NotEntitled(), 403),
        (RateLimited(retry_after_seconds=3), 429),
        (Overloaded(retry_after_seconds=3), 503),
        (MethodNotFound(), 200),
        (InvalidParams(), 200),
        (ProviderFailed(), 200),
        (UnknownModel(), 200),
        (Cancelled(), 200),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Fault) else str(value),
)
async def test_mapped_mode_has_a_status_for_each_refusal_by_policy_and_for_nothing_else(
    world: World, fault: Fault, status: int
) -> None:
    async def refuse(call: Call, sink: ProgressSink | None) -> Answer:
        raise fault

    world.handlers["refuse"] = refuse
    body = b'{"jsonrpc":"2.0","method":"refuse","id":1}'
    got, headers, said = await post(world.door(is_mapped=True), body)
    assert (got, orjson.loads(said)["error"]["code"]) == (status, code_of(fault))
    assert (b"retry-after" in headers) is (fault.retry_after_seconds is not None)
    assert (await post(world.door(is_mapped=True), b"[" + body + b"]"))[0] == 200
    assert (await post(world.door(is_mapped=True), body.replace(b',"id":1', b"")))[0] == 204
    assert (await post(world.door(), body))[0] == 200


async def test_a_stream_is_gapless_progress_and_one_final_reply(world: World) -> None:
    body = b'{"jsonrpc":"2.0","method":"talk","params":{"stream":true,"_meta":{"progressToken":"50%"}},"id":"r"}'
    _, headers, said = await post(world.door(), body, headers=SSE)
    assert headers[b"content-type"] == b"text/event-stream"
    events = [orjson.loads(e.removeprefix(b"event: message\ndata: ")) for e in said.split(b"\n\n")[:-1]]
    assert [e["params"]["value"]["seq"] for e in events[:-1]] == [0, 1, 2]
    assert events[1]["params"] == {
        "token": "50%",
        "value": {"kind": "delta", "seq": 1, "index": 0, "delta": {"type": "text", "text": "100% ü"}},
    }
    assert events[-1] == {"jsonrpc": "2.0", "id": "r", "result": {"content": "done"}}
    assert world.calls[0].params == {"stream": True}


async def test_a_stream_needs_its_media_type_which_may_stand_on_a_line_of_its_own(world: World) -> None:
    body = b'{"jsonrpc":"2.0","method":"talk","params":{"stream":true},"id":"r"}'
    both = (JSON, (b"accept", b"text/event-stream"), (b"accept", b"application/json"))
    assert (await post(world.door(), body, headers=both))[1][b"content-type"] == b"text/event-stream"

    async def tell(call: Call, sink: ProgressSink | None) -> Answer:
        return {"sink": sink is not None}

    world.handlers["plain"] = tell
    plain = body.replace(b"talk", b"plain")
    for accept in (b"application/json", b"*/*", b"application/json, text/event-stream;q=0"):
        _, headers, said = await post(world.door(), plain, headers=(JSON, (b"accept", accept)))
        assert (headers[b"content-type"], orjson.loads(said)["result"]) == (b"application/json", {"sink": False})


@pytest.mark.parametrize(
    ("token", "shown"), [(None, "r"), ("", ""), (0, 0), ("t" * 256, "t" * 256), ("t" * 257, -32602), (True, -32602)]
)
async def test_the_token_is_the_callers_or_the_id_and_is_bounded(world: World, token: Any, shown: Any) -> None:
    message = {"jsonrpc": "2.0", "method": "talk", "id": "r", "params": {"stream": True}}
    message["params"] |= {"_meta": {"progressToken": token}}  # type: ignore[operator]  # it is a dict
    _, _, said = await post(world.door(), orjson.dumps(message), headers=SSE)
    if shown == -32602:
        assert orjson.loads(said)["error"]["code"] == shown
    else:
        assert orjson.loads(said.split(b"\n\n")[0].split(b"data: ")[1])["params"]["token"] == shown


async def test_a_failure_after_the_start_is_the_final_message_and_says_partial(world: World) -> None:
    body = b'{"jsonrpc":"2.0","method":"partial","params":{"stream":true},"id":1}'
    _, _, said = await post(world.door(is_mapped=True), body, headers=SSE)
    last = orjson.loads(said.split(b"data: ")[-1])
    assert last["error"]["data"]["partial"] is True


async def test_a_refusal_before_the_first_item_is_an_ordinary_answer(world: World) -> None:
    body = b'{"jsonrpc":"2.0","method":"private","params":{"stream":true},"id":1}'
    status, headers, _ = await post(world.door(is_mapped=True), body, headers=SSE)
    assert (status, headers[b"content-type"]) == (401, b"application/json")


async def test_cancel_by_id_is_answered_and_only_for_the_same_principal(world: World) -> None:
    door = world.door()
    alice = (JSON, (b"authorization", b"Bearer alice"))
    running = asyncio.create_task(post(door, b'{"jsonrpc":"2.0","method":"wait","id":"1"}', headers=alice))
    await asyncio.wait_for(world.started.wait(), 30)
    cancel = b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"1"}}'
    await post(door, cancel, headers=(JSON, (b"authorization", b"Bearer bob")))
    await post(door, cancel.replace(b'"1"', b"1"), headers=alice)
    assert not running.done()
    assert (await post(door, cancel, headers=alice))[0] == 204
    _, _, said = await asyncio.wait_for(running, 30)
    assert orjson.loads(said)["error"]["code"] == -32800


@pytest.mark.parametrize(("sent", "key"), [(b'"a\\"b"', 'a"b'), (b"bare", "bare"), (b'"a"b"', None), (b"", None)])
async def test_idempotency_keys_are_quoted_or_bare(world: World, sent: bytes, key: str | None) -> None:
    _, _, said = await post(world.door(), PING, headers=(JSON, (b"idempotency-key", sent)))
    assert (world.calls[0].idempotency_key if world.calls else None) == key
    assert ("error" in orjson.loads(said)) == (key is None)
