"""A socket that is flooded with small frames is read piece by piece, and everybody else has a turn in between."""

import asyncio

import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from methods.method import Answer
from methods.progress import ProgressSink
from monetization.calls import Call, Credential
from server.paced_sockets import PIECE_BYTES, PacedSockets
from server.rpc_calls import RpcLimits, Runner
from server.rpc_session import RpcSession
from tests.fakes.turns import Others

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
PING = b"\x89\x80\0\0\0\0"


class Pipe(asyncio.Transport):
    """A connection that notes whether it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.is_read = True

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def is_closing(self) -> bool:
        return False

    def write(self, data: object) -> None:
        pass

    def close(self) -> None:
        pass


async def _takes(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept", "headers": []})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def test_a_large_piece_is_the_last_one_of_its_turn_and_a_small_one_is_not() -> None:
    config = uvicorn.Config(_takes, ws=PacedSockets, ws_ping_interval=None, log_config=None)
    config.load()
    socket, pipe = PacedSockets(config, ServerState(), app_state={}), Pipe()
    socket.connection_made(pipe)
    socket.data_received(HANDSHAKE)
    for _ in range(10):
        await asyncio.sleep(0)
    socket.data_received(PING)
    assert pipe.is_read
    socket.data_received(PING * (PIECE_BYTES // len(PING) + 1))
    assert not pipe.is_read
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert pipe.is_read
    socket.connection_lost(None)
    await asyncio.gather(*socket.tasks)


async def test_messages_that_have_arrived_together_leave_everybody_else_a_turn() -> None:
    others = Others()
    left = 320
    said: list[Message] = []

    async def receive() -> Message:
        nonlocal left
        left -= 1
        return {"type": "websocket.receive", "text": ""} if left >= 0 else {"type": "websocket.disconnect"}

    async def send(message: Message) -> None:
        said.append(message)

    async def serve(call: Call, sink: ProgressSink | None) -> Answer:
        raise AssertionError((call, sink))

    limits = RpcLimits()
    runner = Runner(serve, limits, lambda _, __: None)
    session = RpcSession(
        runner, limits, send, Credential("none"), "req_1", is_draining=lambda: False, monotonic=lambda: 0.0
    )
    async with others:
        await session.read(receive)
    assert len(said) == 320
    assert others.turns >= 10
