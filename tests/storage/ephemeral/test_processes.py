"""Several processes over one store, with real concurrency and real deaths."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO

import pytest

from storage.ephemeral.limiter import STEPS, Bound, Refused
from storage.ephemeral.redis import RedisLimiter
from tests.fakes.valkey import Cluster, Valkey
from tests.storage.ephemeral.ageing import age
from tests.storage.ephemeral.conftest import redis_limiter

WORKER = Path(__file__).with_name("worker.py")
ROOT = WORKER.parents[3]
LEASE_SECONDS = 3
"""A busy machine renews a lease of one second too late."""


class Worker:
    """One process."""

    def __init__(self, url: str, lease_seconds: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), url, str(lease_seconds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    def say(self, line: str) -> None:
        self._pipe(self._process.stdin).write(f"{line}\n")
        self._pipe(self._process.stdin).flush()

    def hear(self) -> str:
        return self._pipe(self._process.stdout).readline().strip()

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe

    def kill(self) -> None:
        """Once or twice."""
        self._process.kill()
        self._process.wait(30)
        for pipe in (self._process.stdin, self._process.stdout):
            self._pipe(pipe).close()


@contextmanager
def workers(url: str, number: int, lease_seconds: int = 15) -> Iterator[list[Worker]]:
    made = [Worker(url, lease_seconds) for _ in range(number)]
    try:
        assert [worker.hear() for worker in made] == ["ready"] * number
        yield made
    finally:
        for worker in made:
            worker.kill()


@pytest.mark.parametrize("kind", ["server", "cluster"])
def test_four_processes_admit_exactly_the_limit_window_after_window_at_three_times_the_load(
    kind: str, request: pytest.FixtureRequest
) -> None:
    store: Valkey | Cluster = request.getfixturevalue(f"valkey_{kind}")
    store.flush()
    limit, windows = 400, 10
    with workers(store.url, 4) as processes, store.client() as client:
        admitted = []
        for _ in range(windows):
            for worker in processes:
                worker.say(f"take {{user:busy}} {limit} {3 * limit // 4}")
            admitted.append(sum(int(worker.hear()) for worker in processes))
            age(client, STEPS + 1)
    assert admitted == [limit] * windows


async def test_the_slots_of_killed_processes_come_back_when_their_leases_end_and_no_others(
    valkey_server: Valkey,
) -> None:
    valkey_server.flush()
    bound = Bound("user", "{user:slots}", concurrent=40)
    changes: list[str | None] = []
    async with redis_limiter(valkey_server.url, changes, count(1), lease_seconds=LEASE_SECONDS).open() as limiter:
        with workers(valkey_server.url, 2, lease_seconds=LEASE_SECONDS) as processes:
            for worker in processes:
                worker.say("hold {user:slots} 40 20")
            assert [int(await asyncio.to_thread(worker.hear)) for worker in processes] == [20, 20]
            # Their owners live, so the leases are renewed: more than a life later all slots are still held.
            end = asyncio.get_running_loop().time() + 1.4 * LEASE_SECONDS
            while asyncio.get_running_loop().time() < end:
                assert isinstance(await limiter.take([bound], 1), Refused)
                await asyncio.sleep(0.05)
            processes[0].kill()
            await falls_to(limiter, bound, 20)
        await falls_to(limiter, bound, 0)
        assert not isinstance(await limiter.take([bound], 1), Refused)
    assert changes == []


async def falls_to(limiter: RedisLimiter, bound: Bound, running: int) -> None:
    """Wait until only so many slots are held."""
    async with asyncio.timeout(12):  # and not after the 15 seconds of a lease that nobody shortens
        while True:
            found = await limiter.look([bound])
            assert found is not None
            assert found[0].running >= running
            if found[0].running == running:
                return
            await asyncio.sleep(0.02)
