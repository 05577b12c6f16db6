"""Two load tools in a process of their own: batches of events of which no two are alike, and requests at a fixed pace.

Bounded in time; they only ever talk to a loopback address, and print what they saw as one JSON line.
"""

import argparse
import asyncio
import math
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count, cycle
from pathlib import Path

import orjson
import uvloop

from tests.bench.load import Connection, Tally, summed

USERS = 200
BETWEEN = b"\0"
"""Between the requests of a file."""
_EVENT = (
    b'{"event_id":"%%b-%%09d","customer_id":"bench","user_id":"user-%%03d","event_type":"TOKEN_USAGE","feature_id":"chat",'
    b'"provider":"SIMULATOR","model":"simulator","input_tokens":1000,"output_tokens":500,"timestamp":"%b"}'
)
_END_SECONDS = 30
_TICK_SECONDS = 0.001
"""The loop's timers count whole milliseconds: half of one is no sleep at all, and a tool that never sleeps takes a core from a
database that has no other, and is itself held up by whoever shares it."""


def batches(head: bytes, size: int) -> Iterator[bytes]:
    """Requests with so many new events each. `head`: the request's lines without its length."""
    now = datetime.now(UTC)
    name = f"{time.time_ns():x}".encode()
    event = _EVENT % now.isoformat(timespec="milliseconds").encode()
    numbers = count()
    while True:
        told = b",".join(event % (name, number, number % USERS) for number in (next(numbers) for _ in range(size)))
        body = b'{"events":[' + told + b"]}"
        yield head + b"content-length: %d\r\n\r\n" % len(body) + body


class Changing(Connection):
    """Sends another request each time."""

    def __init__(self, requests: Iterator[bytes], must_hold: bytes, tally: Tally) -> None:
        super().__init__(b"", must_hold, tally)
        self._requests = requests

    def _send(self) -> None:
        self._request = next(self._requests)
        super()._send()


class Standing(Connection):
    """Sends the next of the requests when it is told to, whatever others wait for."""

    def __init__(
        self, requests: Iterator[bytes], must_hold: bytes, tally: Tally, *, idle: list["Standing"], late: deque[float]
    ) -> None:
        super().__init__(b"", must_hold, tally)
        self._requests = requests
        self._idle = idle
        self._late = late

    def _send(self) -> None:
        if self._late:  # its time counts from when it was due
            self.shoot(self._late.popleft())
        elif time.perf_counter() >= self._tally.deadline:
            self.leave()
        else:
            self._idle.append(self)

    def shoot(self, due: float) -> None:
        """Send what was due then."""
        assert self._transport is not None
        self._sent = due
        self._is_waiting = True
        self._transport.write(next(self._requests))

    def leave(self) -> None:
        """Close."""
        assert self._transport is not None
        self._transport.close()


async def press(port: int, head: bytes, size: int, *, connections: int, seconds: float) -> dict[str, object]:
    """Batches as fast as they are taken. Raises: OSError, TimeoutError."""
    loop, requests, must_hold = asyncio.get_running_loop(), batches(head, size), b'"accepted":%d' % size
    started = time.perf_counter()
    tally = Tally(started + seconds, sys.maxsize)
    made = [
        await loop.create_connection(lambda: Changing(requests, must_hold, tally), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.wait_for(asyncio.gather(*[protocol.done for _, protocol in made]), seconds + _END_SECONDS)
    return summed(tally, time.perf_counter() - started)


async def pace(
    port: int, requests: Sequence[bytes], must_hold: bytes, *, rate: int, connections: int, seconds: float
) -> dict[str, object]:
    """These in turn, so many a second, however long the answers take. Raises: OSError, TimeoutError."""
    loop, turns = asyncio.get_running_loop(), cycle(requests)
    tally, idle, late = Tally(math.inf, 0), list[Standing](), deque[float]()
    made = [
        await loop.create_connection(lambda: Standing(turns, must_hold, tally, idle=idle, late=late), "127.0.0.1", port)
        for _ in range(connections)
    ]
    started, sent = time.perf_counter(), 0
    while (now := time.perf_counter()) < started + seconds:
        for _ in range(int((now - started) * rate) - sent):
            if idle:
                idle.pop().shoot(time.perf_counter())
            else:
                late.append(now)
            sent += 1
        await asyncio.sleep(_TICK_SECONDS)
    tally.deadline = 0.0  # who is answered now has no more to do
    for protocol in idle:
        protocol.leave()
    await asyncio.wait_for(asyncio.gather(*[protocol.done for _, protocol in made]), _END_SECONDS)
    return summed(tally, time.perf_counter() - started)


def main() -> None:
    """`python -m tests.bench.metering.pressing PORT FILE --batch 100` or `... --rate 1000 --must-hold WORDS`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("request", type=Path, help="whole requests, or, for batches, one's lines without the length")
    parser.add_argument("--batch", type=int, default=0, help="events of one request")
    parser.add_argument("--rate", type=int, default=0, help="requests a second")
    parser.add_argument("--must-hold", default="")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3)
    given = parser.parse_args()
    lines, seconds = given.request.read_bytes(), min(given.seconds, 120)
    told = (
        press(given.port, lines, given.batch, connections=given.connections, seconds=seconds)
        if given.batch
        else pace(
            given.port, lines.split(BETWEEN), given.must_hold.encode(),
            rate=given.rate, connections=given.connections, seconds=seconds,
        )
    )  # fmt: skip
    sys.stdout.buffer.write(orjson.dumps(uvloop.run(told)) + b"\n")


if __name__ == "__main__":
    main()
