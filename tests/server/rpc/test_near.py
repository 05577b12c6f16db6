"""What the server tells a door itself: the body when it is whole, and that the client has left, once and at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import uvicorn
from starlette.types import Receive, Scope, Send

from methods.deadlines import Deadlines
from monetization.alarms import Alarms
from server.near import Near, near
from server.rpc_calls import RpcLimits
from server.rpc_reading import Departure, read_body
from server.slow_heads import BoundedHeads

HEAD = b"POST /rpc HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n"
Door = Callable[[Near, Receive], Awaitable[None]]


@asynccontextmanager
async def serving(door: Door) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server whose only app is this."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            offered = near(scope)
            assert offered is not None
            await door(offered, receive)
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    config = uvicorn.Config(
        app,
        port=0,
        http=partial(BoundedHeads, head_seconds=5),  # type: ignore[arg-type]  # it only calls it
        lifespan="off",
        log_config=None,
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname()[:2])
    try:
        yield reader, writer
    finally:
        writer.close()
        await server.shutdown()


async def test_a_body_that_came_with_its_head_is_read_without_waiting() -> None:
    found: list[bytes | None] = []

    async def door(offered: Near, receive: Receive) -> None:
        del receive
        found.append(offered.body())

    async with serving(door) as (reader, writer):
        writer.write((HEAD + b"\r\nbody") * 2)
        for _ in range(2):
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    assert found == [b"body", b"body"]


async def test_a_body_in_pieces_and_one_that_is_waited_for_are_received() -> None:
    found: list[bytes] = []
    begun = asyncio.Event()

    async def door(offered: Near, receive: Receive) -> None:
        begun.set()
        found.append(await read_body(receive, RpcLimits(), Deadlines(5), offered))

    async with serving(door) as (reader, writer):
        writer.write(HEAD + b"\r\nbo")
        await asyncio.wait_for(begun.wait(), 30)
        writer.write(b"dy")
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        writer.write(HEAD + b"expect: 100-continue\r\n\r\n")
        assert b"100 Continue" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        writer.write(b"body")
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    assert found == [b"body", b"body"]


async def test_a_client_that_leaves_is_told_of_to_whoever_watches_then_and_later() -> None:
    told: list[str] = []
    begun, over = asyncio.Event(), asyncio.Event()

    async def door(offered: Near, receive: Receive) -> None:
        del receive
        offered.body()
        offered.watch(lambda: told.append("nobody asks any more"))
        offered.watch(None)
        first = asyncio.get_running_loop().create_future()
        offered.watch(lambda: first.set_result(None))
        begun.set()
        await first
        offered.watch(lambda: told.append("later"))
        over.set()

    async with serving(door) as (_, writer):
        writer.write(HEAD + b"\r\nbody")
        await asyncio.wait_for(begun.wait(), 30)
        writer.transport.abort()
        await asyncio.wait_for(over.wait(), 30)
    assert told == ["later"]


async def test_leaving_cancels_the_call_and_no_task_waits_beside_it() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()
    beside: list[int] = []

    async def door(offered: Near, receive: Receive) -> None:
        offered.body()
        before = len(asyncio.all_tasks())
        alarms = Alarms(0)
        departure = Departure(receive, alarms, offered)
        try:
            begun.set()
            beside.append(len(alarms) + len(asyncio.all_tasks()) - before)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert departure.is_over()
            ended.set()
        finally:
            departure.stop()

    async with serving(door) as (_, writer):
        writer.write(HEAD + b"\r\nbody")
        await asyncio.wait_for(begun.wait(), 30)
        writer.transport.abort()
        await asyncio.wait_for(ended.wait(), 30)
    assert beside == [0]
