"""JSON-RPC over real HTTP connections: clients that leave, dawdle, send too much, or send oddly."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from methods.dialects.canonical import TextDelta
from methods.method import Answer
from methods.progress import ProgressSink
from monetization.calls import Call
from tests.fakes.pace import within
from tests.server.rpc.conftest import World
from tests.server.rpc.served import answer, request, served

PING = b'{"jsonrpc":"2.0","method":"ping","id":1}'
WAIT = b'{"jsonrpc":"2.0","method":"wait","id":1,"params":{}}'
STREAM = b'{"jsonrpc":"2.0","method":"wait","id":1,"params":{"stream":true}}'
SSE = "accept: text/event-stream"


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110  # what is waited for is a state without an event
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("moment", ["at once", "within the first 30 ms", "later"])
@pytest.mark.parametrize(
    ("body", "accept"), [(WAIT, "accept: */*"), (STREAM, SSE), (b"[" + WAIT + b"," + WAIT + b"]", "accept: */*")]
)
async def test_a_client_that_leaves_ends_its_call_within_100_ms(
    world: World, caplog: pytest.LogCaptureFixture, body: bytes, accept: str, moment: str
) -> None:
    async with served(world.door()) as at:

        async def leaving() -> float:
            world.started.clear()
            world.left.clear()
            _, writer = await at.raw()
            writer.write(request(body, accept))
            await asyncio.wait_for(world.started.wait(), 30)
            if moment != "at once":
                await asyncio.sleep(0.01 if moment.startswith("within") else 0.08)
            left = asyncio.get_running_loop().time()
            writer.close()
            await asyncio.wait_for(world.left.wait(), 30)
            await _until(lambda: not world.running._running)
            return world.left_at - left

        await within(0.1, leaving)
    assert world.crashed == []
    assert "Exception in ASGI application" not in caplog.text


async def test_a_client_that_leaves_a_connection_it_has_used_before_ends_its_call(world: World) -> None:
    async with served(world.door()) as at:
        reader, writer = await at.raw()
        for _ in range(3):
            writer.write(request(PING))
            assert (await answer(reader))[0] == 200
        writer.write(request(WAIT))
        await asyncio.wait_for(world.started.wait(), 30)
        writer.close()
        await asyncio.wait_for(world.left.wait(), 30)


async def test_a_call_that_outlasts_the_watchers_start_is_answered_and_the_connection_goes_on(world: World) -> None:
    release = asyncio.Event()

    async def slow(call: Call, sink: ProgressSink | None) -> Answer:
        world.started.set()
        await release.wait()
        return {}

    world.handlers["slow"] = slow
    async with served(world.door()) as at:
        reader, writer = await at.raw()
        for _ in range(2):
            release.clear()
            writer.write(request(b'{"jsonrpc":"2.0","method":"slow","id":1}'))
            await asyncio.wait_for(world.started.wait(), 30)
            asyncio.get_running_loop().call_later(0.08, release.set)  # the watcher is at its work by then
            assert (await answer(reader))[0] == 200
            writer.write(request(PING))
            assert (await answer(reader))[0] == 200


async def test_requests_that_are_sent_ahead_are_answered_in_order(world: World) -> None:
    async with served(world.door()) as at:
        reader, writer = await at.raw()
        writer.write(b"".join(request(PING.replace(b"1}", b"%d}" % number)) for number in range(10, 20)))
        assert [orjson.loads((await answer(reader))[2])["id"] for _ in range(10)] == list(range(10, 20))


@pytest.mark.parametrize("moment", ["at once", "while it runs"])
@pytest.mark.parametrize("ahead", [1, 5])
@pytest.mark.parametrize(("body", "accept"), [(WAIT, "accept: */*"), (STREAM, SSE)])
async def test_a_client_that_leaves_after_it_sent_requests_ahead_ends_the_one_that_runs(
    world: World, caplog: pytest.LogCaptureFixture, body: bytes, accept: str, ahead: int, moment: str
) -> None:
    async with served(world.door()) as at:

        async def leaving() -> float:
            world.calls.clear()
            world.started.clear()
            world.left.clear()
            _, writer = await at.raw()
            first, behind = request(body, accept), request(PING) * ahead
            writer.write(first + behind if moment == "at once" else first)
            await asyncio.wait_for(world.started.wait(), 30)
            if moment != "at once":
                await asyncio.sleep(0.08)  # the watcher is at its work by then
                writer.write(behind)
                await writer.drain()
            left = asyncio.get_running_loop().time()
            writer.close()
            await asyncio.wait_for(world.left.wait(), 30)
            await _until(lambda: not world.running._running)
            return world.left_at - left

        await within(0.1, leaving)
    assert [call.method for call in world.calls] == ["wait"]
    assert world.crashed == []
    assert "Exception in ASGI application" not in caplog.text


async def test_a_body_without_a_length_is_read_and_bounded(world: World) -> None:
    async with served(world.door(body_bytes_max=2000)) as at:
        head = b"POST /rpc HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        reader, writer = await at.raw()
        writer.write(head + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (PING[:7], PING[7:9], PING[9:])))
        writer.write(b"0\r\n\r\n")
        assert orjson.loads((await answer(reader))[2])["result"] == {"pong": True}
        writer.write(head + b"".join(b"3e8\r\n%b\r\n" % (b" " * 1000) for _ in range(4)))
        status, said, body = await answer(reader)
        assert (status, orjson.loads(body)["error"]["data"]["reason"]) == (413, "body_too_large")
        assert b"connection: close" in said
        assert len(world.calls) == 1


async def test_a_refused_body_is_taken_so_that_the_answer_is_read(world: World) -> None:
    async with served(world.door(body_bytes_max=2000)) as at:
        reader, writer = await at.raw()
        writer.write(request(b" " * 3_000_000))
        async with asyncio.timeout(30):
            await writer.drain()  # a client that writes all before it reads
            status, _, _ = await answer(reader)
            assert status == 413
            assert await reader.read() == b""  # closed in order, not reset


async def test_a_body_that_does_not_arrive_in_time_is_refused(world: World) -> None:
    async with served(world.door(read_timeout_seconds=0.1)) as at:
        reader, writer = await at.raw()
        writer.write(request(PING)[:-3])
        status, said, body = await answer(reader)
        assert (status, orjson.loads(body)["error"]["data"]["reason"]) == (408, "request_timeout")
        assert b"connection: close" in said
        assert await asyncio.wait_for(reader.read(), 30) == b""
        assert world.calls == []


async def test_a_client_that_leaves_while_it_sends_leaves_nothing(world: World) -> None:
    async with served(world.door()) as at:
        _, writer = await at.raw()
        writer.write(request(PING)[:-3])
        await writer.drain()
        writer.close()
        reader, writer = await at.raw()
        writer.write(request(PING))
        assert (await answer(reader))[0] == 200
        assert len(world.calls) == 1


async def test_a_client_that_waits_for_a_continue_gets_it_or_the_refusal_instead(world: World) -> None:
    async with served(world.door(body_bytes_max=2000)) as at:
        reader, writer = await at.raw()
        whole = request(PING, "expect: 100-continue")
        writer.write(whole[: -len(PING)])
        assert b"100 Continue" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        writer.write(PING)
        assert (await answer(reader))[0] == 200
        head = request(b" " * 3000, "expect: 100-continue")[:-3000]
        writer.write(head)
        assert (await answer(reader))[0] == 413


@pytest.mark.parametrize(
    "oddity",
    [
        "content-length: 41\r\ncontent-length: 40",
        "content-length: 40\r\ntransfer-encoding: chunked",
        "content-length: x",
    ],
)
async def test_two_answers_to_how_long_a_body_is_are_refused(world: World, oddity: str) -> None:
    async with served(world.door()) as at:
        reader, writer = await at.raw()
        head = f"POST /rpc HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{oddity}\r\n\r\n"
        writer.write(head.encode() + PING)
        assert (await answer(reader))[0] == 400
        assert world.calls == []


async def _events(world: World, handler: Any, **limits: Any) -> bytes:
    world.handlers["handler"] = handler
    async with served(world.door(**limits)) as at:
        reader, writer = await at.raw()
        writer.write(
            request(b'{"jsonrpc":"2.0","method":"handler","id":1,"params":{"stream":true}}', SSE, "connection: close")
        )
        said = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        return said


async def test_a_silent_stream_is_kept_open_by_comments_even_before_its_first_item(world: World) -> None:
    async def thinking(call: Call, sink: ProgressSink | None) -> Answer:
        assert sink is not None
        await asyncio.sleep(0.25)
        await sink([TextDelta("a")])
        await asyncio.sleep(0.25)
        return {"content": "a"}

    said = await _events(world, thinking, ping_seconds=0.1)
    before, _, after = said.partition(b'"text":"a"')
    assert b" 200 OK" in before
    assert before.count(b": ping\n\n") >= 1
    assert after.count(b": ping\n\n") >= 1
    assert after.count(b'"result"') == 1
    assert b"ping" not in after.partition(b'"result"')[2]


async def test_a_fault_after_a_comment_is_the_final_event(world: World) -> None:
    async def failing(call: Call, sink: ProgressSink | None) -> Answer:
        await asyncio.sleep(0.15)
        raise ValueError("insides")

    said = await _events(world, failing, ping_seconds=0.05)
    assert b"event: message\ndata: " in said
    assert b"-32603" in said
    assert b"insides" not in said


async def test_a_stream_whose_client_does_not_read_is_held_back_and_ended_in_time(world: World) -> None:
    sent = 0

    async def flood(call: Call, sink: ProgressSink | None) -> Answer:
        nonlocal sent
        assert sink is not None
        try:
            while True:
                await sink([TextDelta("x" * 50_000)])
                sent += 1
        finally:
            world.left.set()

    world.handlers["flood"] = flood
    async with served(world.door(ping_seconds=0.1, write_timeout_seconds=0.4)) as at:
        _, writer = await at.raw()
        writer.write(request(b'{"jsonrpc":"2.0","method":"flood","id":1,"params":{"stream":true}}', SSE))
        await asyncio.wait_for(world.left.wait(), 30)
        assert 0 < sent < 1000
