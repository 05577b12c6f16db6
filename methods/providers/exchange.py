"""One POST and its answer over the session's own connections: the way of every call that is not streamed. It knows no vendor.

`ClientSession.post` makes a request, a response, a writer with a task and a timer for each call: 60 us more than writing head and
body at once costs. Connections, names, TLS and the parser stay aiohttp's. No redirect, no cookie, no proxy, no middleware.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy
from yarl import URL

_PLACES_KEPT: Final = 256
_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""What no line of a head may hold beside a line end of its own (RFC 9110, section 5.5)."""
_INTERIM: Final = range(100, 200)
_SWITCHED: Final = 101


ERROR_BYTES_MAX: Final = 64 * 1024


async def beginning_of(content: aiohttp.StreamReader) -> bytes:
    """As much of a body as an error may have."""
    pieces = bytearray()
    while len(pieces) < ERROR_BYTES_MAX and (piece := await content.readany()):
        pieces += piece
    return bytes(pieces[:ERROR_BYTES_MAX])


class Exchange:
    """An answer whose head has come. Leave it with `end`, however it went."""

    __slots__ = ("_connection", "content", "headers", "status")

    def __init__(
        self,
        connection: aiohttp.connector.Connection,
        status: int,
        headers: CIMultiDictProxy[str],
        content: aiohttp.StreamReader,
    ) -> None:
        self._connection = connection
        self.status = status
        self.headers = headers
        self.content = content

    async def read(self) -> bytes:
        """The rest of the answer, which has mostly come with its head. Raises: aiohttp.ClientPayloadError where it breaks off."""
        content = self.content
        return content.read_nowait() if content.is_eof() else await content.read()

    def end(self) -> None:
        """Give the connection back; it is closed where the answer was not read to its end, or the request not sent to its."""
        connection = self._connection
        transport = connection.transport
        if transport is not None and transport.get_write_buffer_size():
            connection.close()
        else:
            connection.release()


class Exchanges:
    """Asks over the connections of one session."""

    def __init__(self, session: aiohttp.ClientSession, *, connect_seconds: float) -> None:
        """`connect_seconds`: for name look-up, TCP and TLS together; the rest is the caller's to bound, by cancelling."""
        self._session = session
        self._bounds = aiohttp.ClientTimeout(total=None, connect=connect_seconds)
        self._places: dict[URL, tuple[aiohttp.ClientRequest, str]] = {}

    async def post(self, url: URL, headers: Mapping[str, str], body: bytes) -> Exchange:
        """Send a body and wait for the head of the answer. Cancelling closes the connection.

        Raises: aiohttp.ClientError, TimeoutError; ValueError for a header that is none.
        """
        place, start = self._places.get(url) or self._place(url)
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        # Whoever gets a line end into a header writes the next one, so each has exactly its own.
        count = len(headers)
        if _FORBIDDEN.search(lines) or lines.count("\n") != count or lines.count("\r") != count:
            raise ValueError("a header may hold no control characters")
        head = f"{start}{lines}Content-Length: {len(body)}\r\n\r\n".encode()
        connection = await self._connection(place)
        try:
            return await _answer(connection, place, head + body)
        except BaseException:
            connection.close()
            raise

    async def _connection(self, place: aiohttp.ClientRequest) -> aiohttp.connector.Connection:
        connector = self._session.connector
        if connector is None:
            raise aiohttp.ClientConnectionError("the session is closed")
        try:
            return await connector.connect(place, traces=[], timeout=self._bounds)
        except TimeoutError as slow:
            raise aiohttp.ConnectionTimeoutError(f"no connection to {place.url.host} in time") from slow

    def _place(self, url: URL) -> tuple[aiohttp.ClientRequest, str]:
        """Where a request goes, as a connector wants to be told of it, and how its head begins. It is used again and again."""
        request = aiohttp.ClientRequest("POST", url, loop=asyncio.get_running_loop(), session=self._session)
        found = (request, f"POST {url.raw_path_qs} HTTP/1.1\r\nHost: {request.headers['Host']}\r\n")
        if len(self._places) >= _PLACES_KEPT:
            self._places.clear()
        self._places[url] = found
        return found


async def _answer(connection: aiohttp.connector.Connection, place: aiohttp.ClientRequest, sent: bytes) -> Exchange:
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or transport.is_closing():
        raise aiohttp.ClientConnectionResetError("the connection was lost")
    protocol.set_response_params(read_until_eof=True)
    transport.write(sent)
    try:
        while True:
            message, content = await protocol.read()
            if message.code not in _INTERIM or message.code == _SWITCHED:
                return Exchange(connection, message.code, message.headers, content)
    except HttpProcessingError as wrong:
        raise aiohttp.ClientResponseError(
            place.request_info, (), status=wrong.code, message=wrong.message, headers=wrong.headers
        ) from wrong
