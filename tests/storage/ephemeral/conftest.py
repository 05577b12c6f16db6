"""One world per kind of store: memory with an injected clock, a real Valkey, a real cluster."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count

import pytest

from storage.ephemeral.limiter import STEP_US, Bound, Limiter, Standing
from storage.ephemeral.memory import MemoryLimiter
from storage.ephemeral.redis import RedisLimiter
from tests.fakes.valkey import Cluster, Valkey, valkey_cluster, valkey_server
from tests.storage.ephemeral.ageing import age

__all__ = ["valkey_cluster", "valkey_server"]

PATIENT_SECONDS = 5.0
"""For a store that shares this machine with everything else; how little a caller waits is measured where it matters."""


@dataclass
class World:
    """A limiter, and time that can be moved."""

    limiter: Limiter
    advance: Callable[[int], None]
    """Let so many steps pass."""
    another: Callable[[], Limiter]
    """The limiter of another process over the same counters; in memory there is none but this."""
    is_shared: bool
    changes: list[str | None] = field(default_factory=list)

    async def standing(self, bound: Bound) -> Standing:
        found = await self.limiter.look((bound,))
        assert found is not None
        return found[0]


@dataclass
class Clock:
    now_us: int = 1_000 * STEP_US + 7

    def __call__(self) -> int:
        return self.now_us

    def advance(self, steps: int) -> None:
        self.now_us += steps * STEP_US


def redis_limiter(url: str, changes: list[str | None], numbers: "count[int]", **more: float) -> RedisLimiter:
    """A limiter over a store, as another process would make it."""
    return RedisLimiter(
        url,
        prefix="test",
        lease_seconds=int(more.get("lease_seconds", 15)),
        answer_seconds=more.get("answer_seconds", PATIENT_SECONDS),
        new_id=lambda: f"process-{next(numbers)}",
        on_change=changes.append,
    )


@pytest.fixture(params=["memory", "valkey", "cluster"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Each kind of store, empty."""
    if request.param == "memory":
        clock = Clock()
        limiter = MemoryLimiter(clock)
        yield World(limiter, clock.advance, lambda: limiter, is_shared=False)
        return
    store: Valkey | Cluster = request.getfixturevalue(f"valkey_{'server' if request.param == 'valkey' else 'cluster'}")
    await asyncio.to_thread(store.flush)
    numbers, changes = count(1), list[str | None]()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(redis_limiter(store.url, changes, numbers).open())
        second = await stack.enter_async_context(redis_limiter(store.url, changes, numbers).open())
        client = stack.enter_context(store.client())
        yield World(first, lambda steps: age(client, steps), lambda: second, is_shared=True, changes=changes)
    assert changes == []
