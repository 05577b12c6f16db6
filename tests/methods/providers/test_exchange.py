"""One POST over raw sockets: what is sent byte for byte, what of the answer is read, and when a connection is used again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from yarl import URL

from methods.providers.exchange import Exchange, Exchanges

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BODY = b'{"model":"m"}'
HEADERS = {"content-type": "application/json", "x-request-id": "req-1"}


class Vendor:
    """Answers each request on each of its connections with the next bytes, and keeps what it was asked."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []
        self.connections = 0
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.asked.append(head + await reader.readexactly(len(BODY)))
                writer.write(self.answers.pop(0))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        finally:
            writer.close()


@asynccontextmanager
async def standing(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[tuple[Exchanges, URL]]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, aiohttp.ClientSession() as session:
        yield Exchanges(session, connect_seconds=2), URL(f"http://127.0.0.1:{port}/v1/ask?beta=1")


async def whole(exchange: Exchange) -> bytes:
    try:
        return await exchange.read()
    finally:
        exchange.end()


async def test_what_is_sent_is_one_complete_request() -> None:
    vendor = Vendor(OK)
    async with standing(vendor.serve) as (exchanges, url):
        answer = await exchanges.post(url, HEADERS, BODY)
        assert (answer.status, await whole(answer)) == (200, b"ok")
    head = (
        f"POST /v1/ask?beta=1 HTTP/1.1\r\nHost: 127.0.0.1:{url.port}\r\ncontent-type: application/json\r\n"
        f"x-request-id: req-1\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    assert vendor.asked == [head.encode() + BODY]


async def test_an_answer_that_was_read_to_its_end_gives_its_connection_to_the_next() -> None:
    vendor = Vendor(OK, OK, OK)
    async with standing(vendor.serve) as (exchanges, url):
        for _ in range(3):
            assert await whole(await exchanges.post(url, HEADERS, BODY)) == b"ok"
    assert vendor.connections == 1


async def test_an_answer_in_pieces_is_read_to_its_end_and_one_that_breaks_off_is_none() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"
    begun = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for rest in (b"od", b"o"):
            begun.clear()
            await reader.readuntil(BODY)
            writer.write(head + b"go")
            await begun.wait()
            writer.write(rest)
        writer.close()

    async with standing(slow) as (exchanges, url):
        answer = await exchanges.post(url, HEADERS, BODY)
        begun.set()
        assert await whole(answer) == b"good"
        answer = await exchanges.post(url, HEADERS, BODY)
        begun.set()
        with pytest.raises(aiohttp.ClientPayloadError):
            await whole(answer)


async def test_an_answer_that_was_not_read_closes_its_connection() -> None:
    vendor = Vendor(b"HTTP/1.1 500 Oh\r\ncontent-length: 1000000\r\n\r\nhalf", OK)
    async with standing(vendor.serve) as (exchanges, url):
        (await exchanges.post(url, HEADERS, BODY)).end()
        await asyncio.wait_for(vendor.left.wait(), 30)
        assert await whole(await exchanges.post(url, HEADERS, BODY)) == b"ok"
    assert vendor.connections == 2


async def test_an_answer_that_came_before_the_request_was_sent_closes_its_connection() -> None:
    left = asyncio.Event()

    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        try:
            while await reader.read(2**20):
                pass
        except ConnectionError:
            pass
        finally:
            left.set()
            writer.close()

    async with standing(hasty) as (exchanges, url):
        answer = await exchanges.post(url, HEADERS, b"x" * 2**25)
        assert answer.status == 413
        answer.end()
        await asyncio.wait_for(left.wait(), 30)


async def test_interim_answers_are_passed_over() -> None:
    vendor = Vendor(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK)
    async with standing(vendor.serve) as (exchanges, url):
        answer = await exchanges.post(url, HEADERS, BODY)
        assert (answer.status, await whole(answer)) == (200, b"ok")


@pytest.mark.parametrize("headers", [{"x-key": "a\r\nx-other: b"}, {"x-key": "a\nb"}, {"x\r\n": "a"}, {"x-key": "\0"}])
async def test_a_header_cannot_begin_another_line(headers: dict[str, str]) -> None:
    vendor = Vendor(OK)
    async with standing(vendor.serve) as (exchanges, url):
        with pytest.raises(ValueError, match="control characters"):
            await exchanges.post(url, headers, BODY)
    assert vendor.connections == 0


async def test_what_is_no_http_is_told_as_such() -> None:
    vendor = Vendor(b"EHLO there\r\n\r\n")
    async with standing(vendor.serve) as (exchanges, url):
        with pytest.raises(aiohttp.ClientResponseError):
            await exchanges.post(url, HEADERS, BODY)
        await asyncio.wait_for(vendor.left.wait(), 30)


async def test_a_closed_session_asks_nobody() -> None:
    session = aiohttp.ClientSession()
    await session.close()
    with pytest.raises(aiohttp.ClientConnectionError):
        await Exchanges(session, connect_seconds=1).post(URL("http://127.0.0.1:9/"), HEADERS, BODY)
