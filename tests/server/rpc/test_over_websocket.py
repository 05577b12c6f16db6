"""JSON-RPC over real WebSockets."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from methods.dialects.canonical import TextDelta
from methods.method import Answer
from methods.progress import ProgressSink
from monetization.calls import Call
from tests.fakes.pace import within
from tests.server.rpc.conftest import World
from tests.server.rpc.served import served


async def _say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps({"jsonrpc": "2.0", **message}))


async def _hear(socket: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(socket.recv(), 30))


async def _closed(socket: ClientConnection) -> int | None:
    async with asyncio.timeout(30):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed as closed:
            return None if closed.rcvd is None else closed.rcvd.code


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110  # what is waited for is a state without an event
            await asyncio.sleep(0.005)


async def test_a_call_is_answered_with_its_own_id_and_the_credential_of_the_handshake(world: World) -> None:
    async with served(world.door()) as at, connect(at.ws, additional_headers={"authorization": "Bearer ada"}) as socket:
        await _say(socket, id="1", method="subtract", params=[5, 3])
        assert await _hear(socket) == {"jsonrpc": "2.0", "id": "1", "result": {"value": 2}}
        assert world.calls[0].credential.value == "ada"
        assert (world.calls[0].door, world.calls[0].credential.address) == ("websocket", "127.0.0.1")
        await _say(socket, method="ping")
        await _say(socket, id=2, method="ping")
        assert (await _hear(socket))["id"] == 2
        assert [call.is_notification for call in world.calls] == [False, True, False]
        assert len({call.request_id for call in world.calls}) == 3


async def test_the_first_message_may_carry_the_token_and_no_later_one_may(world: World) -> None:
    async with served(world.door()) as at, connect(at.ws) as socket:
        await _say(socket, id=0, method="authenticate", params={"token": "ben"})
        assert await _hear(socket) == {"jsonrpc": "2.0", "id": 0, "result": {"accepted": True}}
        await _say(socket, id=1, method="ping")
        assert (await _hear(socket))["result"] == {"pong": True}
        await _say(socket, id=2, method="authenticate", params={"token": "eve"})
        assert (await _hear(socket))["error"]["data"]["reason"] == "invalid_authenticate"
        await _say(socket, id=3, method="ping")
        await _hear(socket)
        assert [call.credential.value for call in world.calls] == ["ben", "ben"]


async def test_calls_of_one_socket_run_beside_each_other(world: World) -> None:
    async with served(world.door()) as at, connect(at.ws) as socket:
        await _say(socket, id=1, method="wait")
        await asyncio.wait_for(world.started.wait(), 30)
        await _say(socket, id=2, method="ping")
        assert (await _hear(socket))["id"] == 2
        assert not world.left.is_set()


async def test_progress_comes_as_messages_before_the_one_final_reply(world: World) -> None:
    async with served(world.door()) as at, connect(at.ws) as socket:
        await _say(socket, id="r", method="talk", params={"stream": True, "_meta": {"progressToken": 7}})
        said = [await _hear(socket) for _ in range(4)]
        assert [one["params"]["token"] for one in said[:3]] == [7, 7, 7]
        assert [one["params"]["value"]["seq"] for one in said[:3]] == [0, 1, 2]
        assert said[3] == {"jsonrpc": "2.0", "id": "r", "result": {"content": "done"}}


async def test_a_failure_after_the_start_says_partial(world: World) -> None:
    async with served(world.door()) as at, connect(at.ws) as socket:
        await _say(socket, id=1, method="partial", params={"stream": True})
        said = [await _hear(socket) for _ in range(4)]
        assert said[3]["error"]["data"]["partial"] is True


async def test_cancel_is_answered_and_the_id_keeps_its_type(world: World) -> None:
    async with served(world.door()) as at, connect(at.ws) as socket:
        await _say(socket, id=1, method="wait")
        await asyncio.wait_for(world.started.wait(), 30)
        for other in ("1", True, None, [1], 2):
            await _say(socket, method="$/cancelRequest", params={"id": other})
        await _say(socket, id=9, method="ping")
        assert (await _hear(socket))["id"] == 9
        await _say(socket, id=10, method="ping")
        assert (await _hear(socket))["id"] == 10
        assert not world.left.is_set()
        await _say(socket, method="$/cancelRequest", params={"id": 1})
        said = await _hear(socket)
        assert (said["id"], said["error"]["code"], said["error"]["data"]["reason"]) == (1, -32800, "cancelled")
        assert world.left.is_set()


async def test_a_cancel_right_behind_its_request_is_answered_too(world: World) -> None:
    async with served(world.door()) as at, connect(at.ws) as socket:
        for number in range(20):
            # Both frames in one write, so that the server reads them in one turn.
            async with asyncio.timeout(30):
                socket.protocol.send_text(json.dumps({"jsonrpc": "2.0", "id": number, "method": "wait"}).encode())
                cancel = {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": number}}
                await socket.send(json.dumps(cancel))
            said = await _hear(socket)
            assert (said["id"], said["error"]["code"]) == (number, -32800)


async def test_a_cancel_reaches_only_its_own_socket(world: World) -> None:
    async with served(world.door()) as at, connect(at.ws) as mine, connect(at.ws) as other:
        await _say(mine, id=3, method="wait")
        await asyncio.wait_for(world.started.wait(), 30)
        await _say(other, method="$/cancelRequest", params={"id": 3})
        await _say(other, id=4, method="ping")
        await _hear(other)
        assert not world.left.is_set()


async def test_an_id_that_runs_twice_is_not_cancelled(world: World) -> None:
    async with served(world.door()) as at, connect(at.ws) as socket:
        for _ in range(2):
            await _say(socket, id=1, method="wait")
        await _say(socket, method="$/cancelRequest", params={"id": 1})
        await _say(socket, id=2, method="ping")
        assert (await _hear(socket))["id"] == 2
        assert not world.left.is_set()


@pytest.mark.parametrize(
    ("text", "code", "rpc_id"),
    [
        ("{", -32700, None),
        ("", -32700, None),
        ("[]", -32600, None),
        ('[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600, None),
        ('{"jsonrpc":"2.0","id":5,"method":1}', -32600, 5),
        ('{"jsonrpc":"2.0","id":6,"method":"nothing"}', -32601, 6),
        ('{"jsonrpc":"2.0","id":7,"method":"$/cancelRequest","params":{"id":1}}', -32601, 7),
        ('{"jsonrpc":"2.0","id":8,"method":"ping","params":{"_meta":1,"stream":true}}', -32602, 8),
    ],
)
async def test_what_is_wrong_is_answered_and_the_socket_stays_open(
    world: World, text: str, code: int, rpc_id: int | None
) -> None:
    async with served(world.door()) as at, connect(at.ws) as socket:
        await socket.send(text)
        said = await _hear(socket)
        assert (said["error"]["code"], said["id"]) == (code, rpc_id)
        await _say(socket, id=1, method="ping")
        assert (await _hear(socket))["result"] == {"pong": True}


async def test_notifications_of_editors_are_ignored(world: World) -> None:
    async with served(world.door()) as at, connect(at.ws) as socket:
        await _say(socket, method="$/setTrace", params={"value": "off"})
        await _say(socket, method="$/cancelRequest", params={"id": 99})
        await _say(socket, method="nothing", params={})
        await _say(socket, id=0, method="ping")
        assert await _hear(socket) == {"jsonrpc": "2.0", "id": 0, "result": {"pong": True}}


async def test_a_binary_frame_ends_the_socket_and_what_runs_on_it(world: World) -> None:
    async with served(world.door()) as at, connect(at.ws) as socket:
        await _say(socket, id=1, method="wait")
        await asyncio.wait_for(world.started.wait(), 30)
        await socket.send(b"{}")
        assert await _closed(socket) == 1003
        await asyncio.wait_for(world.left.wait(), 30)


async def test_a_message_above_the_limit_ends_the_socket(world: World) -> None:
    async with served(world.door(body_bytes_max=2048), body_bytes_max=2048) as at:
        for fragments in ("x" * 4096, ["x" * 1024] * 4):
            async with connect(at.ws) as socket:
                await socket.send(fragments)
                assert await _closed(socket) == 1009
        # The door keeps the limit itself, whatever the server in front of it allows.
    async with served(world.door(body_bytes_max=2048)) as at, connect(at.ws) as socket:
        await socket.send("x" * 4096)
        assert await _closed(socket) == 1009


async def test_more_calls_than_fit_are_refused_and_the_others_run(world: World) -> None:
    async with served(world.door(socket_calls_max=2)) as at, connect(at.ws) as socket:
        for number in range(3):
            await _say(socket, id=number, method="wait")
        said = await _hear(socket)
        assert (said["id"], said["error"]["code"]) == (2, -32010)
        await _say(socket, method="$/cancelRequest", params={"id": 0})
        assert (await _hear(socket))["id"] == 0
        await _say(socket, id=3, method="ping")
        assert (await _hear(socket))["id"] == 3


@pytest.mark.parametrize("manner", ["close", "abort"])
async def test_closing_cancels_everything_on_the_socket_within_100_ms(world: World, manner: str) -> None:
    async with served(world.door()) as at:

        async def closing() -> float:
            world.calls.clear()
            world.left.clear()
            socket = await connect(at.ws)
            for number in range(5):
                await _say(socket, id=number, method="wait", params={"stream": number % 2 == 0})
            await _until(lambda: len(world.calls) == 5)
            left = asyncio.get_running_loop().time()
            if manner == "abort":
                socket.transport.abort()
            else:
                await socket.close()
            await asyncio.wait_for(world.left.wait(), 30)
            await _until(lambda: not world.running._running)
            assert world.crashed == []
            return world.left_at - left

        await within(0.1, closing)


async def test_a_client_that_does_not_read_holds_its_calls_back_and_is_ended_in_time(world: World) -> None:
    sent = 0

    async def flood(call: Call, sink: ProgressSink | None) -> Answer:
        nonlocal sent
        assert sink is not None
        try:
            while True:
                await sink([TextDelta("x" * 50_000)])
                sent += 1
                await asyncio.sleep(0)
        finally:
            world.left.set()

    world.handlers["flood"] = flood
    async with served(world.door(write_timeout_seconds=0.5)) as at:
        socket = await connect(at.ws, max_queue=1, compression=None)
        await _say(socket, id=1, method="flood", params={"stream": True})
        await asyncio.wait_for(world.left.wait(), 30)
        assert 0 < sent < 1000  # what fits into the buffers of two sockets, and no more
        socket.transport.abort()


async def test_a_process_that_leaves_lets_running_calls_finish_and_then_closes(world: World) -> None:
    release = asyncio.Event()

    async def slow(call: Call, sink: ProgressSink | None) -> Answer:
        world.started.set()
        await release.wait()
        return {"finished": True}

    world.handlers["slow"] = slow
    async with served(world.door()) as at, connect(at.ws) as idle, connect(at.ws) as busy:
        await _say(busy, id=1, method="slow")
        await asyncio.wait_for(world.started.wait(), 30)
        world.is_draining = True
        assert await _closed(idle) == 1012
        await _say(busy, id=2, method="ping")
        said = await _hear(busy)
        assert (said["error"]["code"], said["error"]["data"]["reason"]) == (-32010, "draining")
        release.set()
        assert (await _hear(busy))["result"] == {"finished": True}
        assert await _closed(busy) == 1012


async def test_a_process_that_leaves_takes_no_new_sockets(world: World) -> None:
    world.is_draining = True
    async with served(world.door()) as at:
        with pytest.raises(InvalidStatus) as refused:
            await connect(at.ws)
        assert refused.value.response.status_code == 503
        assert json.loads(refused.value.response.body)["error"]["code"] == -32010


async def test_the_server_pings_an_idle_socket_and_drops_one_that_is_dead(world: World) -> None:
    async with served(world.door(), ping_seconds=0.6) as at:
        reader, writer = await at.raw()
        writer.write(
            b"GET /rpc HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        assert (await asyncio.wait_for(reader.readexactly(6), 30))[:2] == b"\x89\x04"  # a ping frame with four bytes
        writer.close()
        dead = await connect(at.ws, ping_interval=None)
        await _say(dead, id=1, method="wait")
        await asyncio.wait_for(world.started.wait(), 30)
        dead.transport.pause_reading()
        await asyncio.wait_for(world.left.wait(), 30)
        dead.transport.abort()


async def test_a_client_that_is_gone_while_we_speak_is_no_mistake_of_ours(world: World) -> None:
    inbox = [{"type": "websocket.connect"}]
    inbox.append(
        {"type": "websocket.receive", "text": '{"jsonrpc":"2.0","id":1,"method":"wait","params":{"stream":true}}'}
    )

    async def receive() -> Any:
        if not inbox:
            await asyncio.wait_for(world.started.wait(), 30)
            return {"type": "websocket.disconnect", "code": 1006}
        return inbox.pop(0)

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            raise OSError("the client is gone")

    scope: Any = {"type": "websocket", "path": "/rpc", "headers": [], "client": ("127.0.0.9", 1)}
    await asyncio.wait_for(world.door()(scope, receive, send), 30)
    assert world.left.is_set()
    assert world.crashed == []


async def test_a_cancel_that_comes_while_the_reply_is_on_its_way_changes_nothing(world: World) -> None:
    sending, release = asyncio.Event(), asyncio.Event()
    cancel = '{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}'
    said: list[Any] = []
    inbox = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": '{"jsonrpc":"2.0","id":1,"method":"ping"}'},
        {"type": "websocket.receive", "text": cancel},
        {"type": "websocket.receive", "text": cancel},
    ]

    async def receive() -> Any:
        if len(inbox) == 2:
            await asyncio.wait_for(sending.wait(), 30)
        if inbox:
            return inbox.pop(0)
        asyncio.get_running_loop().call_later(0.02, release.set)  # the cancellation has had its chance by then
        await asyncio.wait_for(release.wait(), 30)
        while not said:  # noqa: ASYNC110  # bounded by the test's own deadline
            await asyncio.sleep(0)
        return {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            sending.set()
            await release.wait()  # a client that reads slowly
            said.append(json.loads(message["text"]))

    scope: Any = {"type": "websocket", "path": "/rpc", "headers": [], "client": ("127.0.0.9", 1)}
    await asyncio.wait_for(world.door()(scope, receive, send), 30)
    assert said == [{"jsonrpc": "2.0", "id": 1, "result": {"pong": True}}]


async def test_a_call_that_is_cancelled_twice_is_answered_once(world: World) -> None:
    async with served(world.door()) as at, connect(at.ws) as socket:
        await _say(socket, id=1, method="wait", params={"stream": True})
        for _ in range(3):
            await _hear(socket)
        for _ in range(2):
            await _say(socket, method="$/cancelRequest", params={"id": 1})
        await _say(socket, id=2, method="ping")
        said = [await _hear(socket), await _hear(socket)]
        assert sorted(one["id"] for one in said) == [1, 2]
        error = next(one["error"] for one in said if one["id"] == 1)
        assert (error["code"], error["data"]["partial"], error["data"]["usage"]["totalTokens"]) == (-32800, True, 0)
