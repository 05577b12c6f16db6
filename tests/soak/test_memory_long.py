"""Memory over 200,000 calls of which each tenth is a stream that its client leaves. Only `make soak` runs it; see the conftest.

The server runs on SQLite with every commercial step on; what it holds is read after each round, from the end of a warm-up on.
It is the resident set: the proportional one rises by 8 MB and more when another process that maps the same libraries ends.
"""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.bench import shots
from tests.bench.load import drive
from tests.bench.machine import memory_of
from tests.bench.provider import MODEL, PACED_MODEL
from tests.bench.stand import Stand, standing

ROUND_CALLS = 20_000
ROUND_ABORTED = ROUND_CALLS // 10
ROUNDS = 10
WARM_ROUNDS = 1
CLIENTS = 16
GROWTH_PERCENT = 5


async def leave(stand: Stand, request: bytes, times: int) -> None:
    """Begin streams one after the other and leave each one after its first words."""
    for _ in range(times):
        reader, writer = await asyncio.open_connection("127.0.0.1", stand.ports["tollgate"])
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        words = await reader.readline()
        while b"$/progress" not in words:
            assert words, "a stream ended without a word"
            assert b'"error"' not in words, words
            words = await reader.readline()
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def round_of(stand: Stand) -> None:
    plain = shots.tollgate(MODEL)
    stream = shots.tollgate(PACED_MODEL, is_stream=True).wire(stand.token)
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(leave(stand, stream, ROUND_ABORTED // CLIENTS))
        told = await drive(
            stand.ports["tollgate"],
            plain.wire(stand.token),
            plain.must_hold.encode(),
            connections=CLIENTS,
            seconds=600,
            count=ROUND_CALLS - ROUND_ABORTED,
        )
    assert (told["calls"], told["failures"]) == (ROUND_CALLS - ROUND_ABORTED, 0), told["first_failure"]


def held(stand: Stand) -> float:
    memory = memory_of(stand.pids["tollgate"])
    assert memory is not None
    return memory.rss_mb


@pytest.mark.timeout(3600)
async def test_two_hundred_thousand_calls_leave_no_more_memory_than_the_first_ones(tmp_path: Path) -> None:
    with standing(tmp_path, starts=1) as stand:
        for _ in range(WARM_ROUNDS):
            await round_of(stand)
        sizes = [held(stand)]
        for _ in range(ROUNDS):
            await round_of(stand)
            sizes.append(held(stand))
        sys.stderr.write(f"MB after the warm-up and after each round: {sizes}\n")
        assert max(sizes[1:]) * 100 < sizes[0] * (100 + GROWTH_PERCENT), sizes
