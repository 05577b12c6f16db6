"""Clients that leave the streams of the vendors' doors at every moment, and what the server holds before and after."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from tests.fakes.provider import FakeProvider
from tests.fakes.server import Server, serving, token
from tests.journeys.money.books import Place, settings_of
from tests.journeys.world import FREE, eventually, until

WATCHED = (sys.executable, "-m", "tests.journeys.vendors.watched")
CLIENTS = 16
"""At the same time."""
SLOTS = 2 * CLIENTS
"""What the plan lets run at the same time: a new call may come a moment before the slot of the one that was left is free."""
MESSAGES = [{"role": "user", "content": "Hi"}]


PIECE = re.compile(rb'"(content|text|delta)":"[^"]')
"""A piece of text in a line of any door's stream."""
DOORS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/v1/chat/completions", {"model": "openai/{}", "messages": MESSAGES, "stream": True}),
    ("/v1/chat/completions", {"model": "anthropic/{}", "messages": MESSAGES, "stream": True}),
    ("/v1/messages", {"model": "anthropic/{}", "max_tokens": 90, "messages": MESSAGES, "stream": True}),
    ("/v1/messages", {"model": "google/{}", "max_tokens": 90, "messages": MESSAGES, "stream": True}),
    ("/v1/responses", {"model": "native/{}", "input": "Hi", "stream": True}),
    ("/v1/responses", {"model": "google/{}", "input": "Hi", "stream": True}),
    ("/v1beta/models/google/{}:streamGenerateContent?alt=sse", {"contents": [{"parts": [{"text": "Hi"}]}]}),
    ("/v1/models/openai/{}:streamGenerateContent?alt=sse", {"contents": [{"parts": [{"text": "Hi"}]}]}),
)
"""Path and body of a stream; the model's name comes into one of them."""
PIECES = (0, 1, 3, 8, None)
"""Pieces of text that a client reads before it leaves; None: it leaves before the answer's head, of a silent vendor."""
ROUND = len(DOORS) * len(PIECES)
"""Every door at every moment."""
PATIENCE_SECONDS = 30.0
FILES = 3
"""Descriptors that the database may open late; a call that leaves one behind would leave hundreds."""


@dataclass(frozen=True)
class State:
    """What could be left behind."""

    descriptors: int
    tasks: int
    in_flight: int
    upstream: int
    """Connections that the vendor has open."""
    holds: int
    windows_held: int


@dataclass(frozen=True)
class Stage:
    """A server that tells its tasks, a vendor, and a caller whose plan has SLOTS slots."""

    server: Server
    vendor: FakeProvider
    http: aiohttp.ClientSession
    bearer: str

    async def state(self) -> State:
        """What is there now."""
        held = "SELECT count(*) AS n FROM {}"
        return State(
            self.server.descriptors(),
            int(await self._text("/tasks")),
            int(float(re.findall(r"^tollgate_calls_in_flight (\S+)$", await self._text("/metrics"), re.MULTILINE)[0])),
            len(self.vendor.connections),
            self.server.rows(held.format("hold"))[0]["n"],
            self.server.rows(held.format("quota_window WHERE held <> 0"))[0]["n"],
        )

    async def _text(self, path: str) -> str:
        async with self.http.get(self.server.url + path) as reply:
            return await reply.text()

    def request(self, number: int) -> tuple[int | None, bytes]:
        """The pieces to read and the whole request of the call with this number."""
        (path, asked), pieces = DOORS[number % len(DOORS)], PIECES[number // len(DOORS) % len(PIECES)]
        model = "fake-silent" if pieces is None else "fake-endless"
        body = orjson.dumps(asked).replace(b"{}", model.encode())
        lines = (
            f"POST {path.format(model)} HTTP/1.1",
            "host: 127.0.0.1",
            f"authorization: Bearer {self.bearer}",
            "content-type: application/json",
            f"x-request-id: left-{number}",
            f"content-length: {len(body)}",
        )
        return pieces, "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    async def leave(self, number: int) -> None:
        """Ask, read as much as this number says, and go: every second one by a reset, the others by an end."""
        pieces, request = self.request(number)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            writer.write(request)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await (self._arrived(number) if pieces is None else self._read(reader, pieces))
            if number % 2:
                writer.transport.abort()
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader, pieces: int) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        for _ in range(pieces):
            while PIECE.search(line := await reader.readline()) is None:
                assert line, "the stream ended"

    async def _arrived(self, number: int) -> None:
        name = f"left-{number}"
        await eventually(lambda: any(seen.headers.get("x-request-id") == name for seen in self.vendor.seen[-64:]))

    async def leave_all(self, numbers: range) -> None:
        """All of them, by CLIENTS clients, one after the other each."""
        turns, booked = iter(numbers), set[str]()

        async def client() -> None:
            for number in turns:
                await self.leave(number)
                await eventually(lambda name=f"left-{number}": name in booked, seconds=PATIENCE_SECONDS)

        watching = asyncio.create_task(self._watch(booked))
        try:
            async with asyncio.TaskGroup() as clients:
                for _ in range(CLIENTS):
                    clients.create_task(client())
        finally:
            watching.cancel()

    async def _watch(self, booked: set[str]) -> None:
        """Note the calls that have their row: then nothing of them runs any more."""
        last = 0
        while True:
            for row in self.server.rows("SELECT seq, request_id FROM usage WHERE seq > ? ORDER BY seq", last):
                booked.add(row["request_id"])
                last = row["seq"]
            await asyncio.sleep(0.01)

    async def assert_slots_are_free(self) -> None:
        """As many calls as the plan lets run do run, and one more does not."""
        _, request = self.request(len(DOORS))
        opened, statuses = [], []
        for _ in range(
            SLOTS + 1
        ):  # each when it is its turn: who has connected and asks nothing is not waited for long
            reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
            opened.append(writer)
            writer.write(request)
            async with asyncio.timeout(PATIENCE_SECONDS):
                statuses.append((await reader.readuntil(b"\r\n"))[9:12])
        for writer in opened:
            writer.transport.abort()
        assert statuses == [b"200"] * SLOTS + [b"429"]

    def assert_booked(self, calls: int) -> None:
        """Each call that was left has one row: partial and charged where its client had read a piece of text."""
        rows = self.server.rows("SELECT * FROM usage WHERE request_id GLOB 'left-*'")
        named = {row["request_id"]: row for row in rows}
        assert len(rows) == len(named) == calls
        for number in range(calls):
            row, pieces = named[f"left-{number}"], self.request(number)[0]
            if pieces:
                assert (row["outcome"], row["is_partial"]) == ("partial", 1), row
                assert row["tokens_output"] > 0, row
                assert row["cost_nano"] > 0, row
            elif pieces is None:
                assert row["outcome"] == "cancelled", row

    async def settled(self, before: State) -> State:
        """The state once nothing more goes; it is compared by the caller."""
        found = before

        async def is_quiet() -> bool:
            nonlocal found
            found = await self.state()
            return (
                found.in_flight == found.holds == found.windows_held == found.upstream == 0
                and found.tasks <= before.tasks
                and found.descriptors <= before.descriptors + FILES
            )

        with suppress(AssertionError):
            await until(is_quiet, seconds=PATIENCE_SECONDS)
        return found


@asynccontextmanager
async def staged(folder: Path, private_key: str) -> AsyncIterator[Stage]:
    """Everything runs inside the block."""
    place = Place(f"sqlite:///{folder / 'tollgate.db'}", 1, folder)
    async with FakeProvider() as vendor:
        settings = settings_of(place, vendor, private_key)
        settings["providers"]["native"] = {**settings["providers"]["openai"], "speaks_responses": True}
        settings["prices"] |= {
            f"native/{model}": {"input": "1", "output": "2"} for model in settings["providers"]["native"]["models"]
        }
        narrow = {**FREE, "concurrent": SLOTS, "monthly_token_quota": 10**15, "features": ["basic_ai"]}
        settings["tiers"]["narrow"] = narrow
        with serving(settings, folder, command=WATCHED) as server:
            bearer = await asyncio.to_thread(token, server, "leaver", "narrow")
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            async with aiohttp.ClientSession(connector=connector) as http:
                yield Stage(server, vendor, http, bearer)
            await asyncio.sleep(0)


async def assert_nothing_is_left(calls: int, folder: Path, private_key: str) -> None:
    """So many streams that are left, after a first round that everything is compared with, leave no more than it did."""
    async with staged(folder, private_key) as stage:
        await stage.leave_all(range(ROUND))
        before = await stage.settled(await stage.state())
        await stage.leave_all(range(ROUND, ROUND + calls))
        after = await stage.settled(before)
        assert after.tasks <= before.tasks, (before, after)
        assert after.descriptors <= before.descriptors + FILES, (before, after)
        assert (after.in_flight, after.upstream, after.holds, after.windows_held) == (0, 0, 0, 0)
        await stage.assert_slots_are_free()
        stage.assert_booked(ROUND + calls)
