"""A load tool: keeps N connections busy with one prepared request each and prints what came back as one JSON line.

Bounded in time and count; it only ever talks to a loopback address. Runs as a process of its own, on a core of its own, and does
as little as it can per reply, so that the server is what is measured.
"""

import argparse
import asyncio
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import uvloop

_HEAD_END = b"\r\n\r\n"
_CHUNKED_END = b"\r\n0\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_UNKNOWN = -1
_TAKEN = (b"HTTP/1.1 200", b"HTTP/1.1 202")


@dataclass(slots=True)
class Tally:
    """What all connections saw."""

    deadline: float
    remaining: int
    latencies: list[float] = field(default_factory=list)
    """Seconds from the request to the last byte."""
    first_bytes: list[float] = field(default_factory=list)
    """Seconds from the request to the first byte."""
    bytes_read: int = 0
    failures: int = 0
    first_failure: str = ""

    def fail(self, what: str) -> None:
        """Count a failure and keep the first one's words."""
        self.failures += 1
        self.first_failure = self.first_failure or what


class Connection(asyncio.Protocol):
    """Sends the request, waits for the whole reply, sends it again."""

    def __init__(self, request: bytes, must_hold: bytes, tally: Tally) -> None:
        self._request = request
        self._must_hold = must_hold
        self._tally = tally
        self._pieces: list[bytes] = []
        self._missing: int | None = _UNKNOWN
        """Bytes of the reply still to come; None: it is chunked; `_UNKNOWN`: its head has not come."""
        self._sent = 0.0
        self._is_waiting = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a TCP connection gives a Transport
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        now = time.perf_counter()
        if now >= self._tally.deadline or self._tally.remaining <= 0:
            self._transport.close()
            return
        self._tally.remaining -= 1
        self._sent = now
        self._is_waiting = True
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._pieces:
            self._tally.first_bytes.append(time.perf_counter() - self._sent)
        self._pieces.append(data)
        if self._missing == _UNKNOWN:
            self._read_head()
        elif self._missing is not None:
            self._missing -= len(data)
        if self._ends_chunked(data) if self._missing is None else self._missing == 0:
            self._finish()

    def _read_head(self) -> None:
        start = b"".join(self._pieces)
        end = start.find(_HEAD_END)
        if end < 0:
            return
        length = _LENGTH.search(start, 0, end)
        self._missing = None if length is None else end + len(_HEAD_END) + int(length.group(1)) - len(start)

    def _ends_chunked(self, data: bytes) -> bool:
        if len(data) < len(_CHUNKED_END):
            data = b"".join(self._pieces[-len(_CHUNKED_END) :])
        return data.endswith(_CHUNKED_END)

    def _finish(self) -> None:
        tally = self._tally
        tally.latencies.append(time.perf_counter() - self._sent)
        reply = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        tally.bytes_read += len(reply)
        if not reply.startswith(_TAKEN) or self._must_hold not in reply:
            tally.fail(reply[:2000].decode("utf-8", "replace"))
        self._pieces.clear()
        self._missing = _UNKNOWN
        self._is_waiting = False
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None or self._is_waiting:
            self._tally.fail(f"connection lost: {exc!r}")
        if not self.done.done():
            self.done.set_result(None)


async def drive(
    port: int, request: bytes, must_hold: bytes, *, connections: int, seconds: float, count: int
) -> dict[str, object]:
    """Run the load against 127.0.0.1 and sum it up. Latencies are in milliseconds. Raises: OSError, TimeoutError."""
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    tally = Tally(started + seconds, count)
    made = [
        await loop.create_connection(lambda: Connection(request, must_hold, tally), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.wait_for(asyncio.gather(*[protocol.done for _, protocol in made]), seconds + 30)
    return summed(tally, time.perf_counter() - started)


def summed(tally: Tally, elapsed: float) -> dict[str, object]:
    """What was seen in so many seconds. Latencies are in milliseconds."""
    ordered = sorted(tally.latencies)
    return {
        "calls": len(ordered),
        "per_second": round(len(ordered) / elapsed, 1),
        "p50_ms": round(_at(ordered, 50), 3),
        "p99_ms": round(_at(ordered, 99), 3),
        "first_byte_p50_ms": round(_at(sorted(tally.first_bytes), 50), 3),
        "bytes": tally.bytes_read,
        "failures": tally.failures,
        "first_failure": tally.first_failure,
    }


def _at(ordered: list[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000 if ordered else 0.0


def main() -> None:
    """`python -m tests.bench.load PORT REQUEST_FILE --connections 32 --seconds 3`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("request", type=Path)
    parser.add_argument("--must-hold", default="")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--count", type=int, default=1_000_000)
    given = parser.parse_args()
    outcome = uvloop.run(
        drive(
            given.port,
            given.request.read_bytes(),
            given.must_hold.encode(),
            connections=min(given.connections, 1024),
            seconds=min(given.seconds, 120),
            count=given.count,
        )
    )
    sys.stdout.buffer.write(orjson.dumps(outcome) + b"\n")


if __name__ == "__main__":
    main()
