"""A reply in one write is the reply that two messages are, and nobody else's headers are left out for it."""

import asyncio
import time

import pytest
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from server.metrics import Metrics
from server.middleware import transport
from server.whole_replies import WHOLE, offered
from tests.server.rpc.conftest import World
from tests.server.rpc.served import request, served

PING = b'{"jsonrpc":"2.0","method":"ping","id":1}'


async def reply_to(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers by name and body."""
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:-2])
    assert len(headers) == len(head) - 3, "a header is sent twice"
    return head[0], headers, await reader.readexactly(int(headers["content-length"]))


async def test_it_is_the_reply_that_two_messages_are(world: World) -> None:
    async with served(world.door()) as at:
        reader, writer = await at.raw()
        writer.write(request(PING, "x-request-id: one") + request(PING, "x-request-id: one", "connection: close"))
        at_once, in_two = await reply_to(reader), await reply_to(reader)
        assert in_two[1].pop("connection") == "close"
        in_two[1]["date"] = at_once[1]["date"]
        assert at_once == in_two
        assert at_once[1]["x-request-id"] == "one"
        assert at_once[1]["cache-control"] == "no-store"
        assert await reader.read() == b""


async def test_many_replies_on_one_connection_keep_their_order(world: World) -> None:
    async with served(world.door()) as at:
        reader, writer = await at.raw()
        for number in range(5):
            writer.write(request(PING.replace(b"1}", b"%d}" % number)))
        for number in range(5):
            assert b'"id":%d' % number in (await reply_to(reader))[2]


@pytest.mark.parametrize("origins", [(), ("https://app.example.com",)])
async def test_it_is_counted_and_is_not_offered_past_middleware_that_adds_headers(origins: tuple[str, ...]) -> None:
    written: list[tuple[int, bytes, bytes]] = []
    has_offer: list[bool] = []

    def write(status: int, lines: bytes, body: bytes) -> bool:
        written.append((status, lines, body))
        return True

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        whole = offered(scope)
        has_offer.append(whole is not None)
        assert whole is None or whole(207, b"a: b\r\n", b"body")

    async def nobody() -> Message:
        raise AssertionError("nothing is read")

    async def told(message: Message) -> None:
        raise AssertionError(f"{message} is sent beside the whole reply")

    metrics = Metrics()
    app = transport(
        Starlette(),
        metrics=metrics,
        monotonic=time.monotonic,
        body_bytes_max=100,
        cors_origins=origins,
        direct={"/rpc": door},
    )
    headers = [(b"origin", b"https://app.example.com"), (b"x-request-id", b"mine")]
    scope = {"type": "http", "method": "POST", "path": "/rpc", "headers": headers, "extensions": {WHOLE: write}}
    await app(scope, nobody, told)
    counted = metrics.registry.get_sample_value(
        "tollgate_http_requests_total", {"method": "POST", "route": "/rpc", "status": "207"}
    )
    assert has_offer == [not origins]
    assert counted == (None if origins else 1)
    assert [status for status, _, _ in written] == ([] if origins else [207])
    for _, lines, body in written:
        assert body == b"body"
        assert lines.startswith(b"a: b\r\n")
        assert b"x-request-id: mine\r\n" in lines
        assert b"x-content-type-options: nosniff\r\n" in lines
