"""A store that dies, hangs, forgets or comes back; callers that leave. Nobody waits, and it heals by itself."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Self

import pytest

from storage.ephemeral.limiter import Bound, Refused
from storage.ephemeral.redis import RedisLimiter
from tests.fakes.pace import within
from tests.fakes.valkey import Cluster, Valkey, hole, running
from tests.storage.ephemeral.conftest import redis_limiter

ADA = Bound("user", "{user:ada}", requests=1_000_000, concurrent=1_000_000)
ADDED_SECONDS_MAX = 0.05


async def until(holds: Callable[[], bool] | Callable[[], Awaitable[bool]], *, seconds_max: float = 30) -> None:
    end = asyncio.get_running_loop().time() + seconds_max
    while True:
        held = holds()
        if held if isinstance(held, bool) else await held:
            return
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.01)


async def timed(limiter: RedisLimiter) -> tuple[object, float]:
    """What one check answers, and how long it took."""
    began = asyncio.get_running_loop().time()
    taken = await limiter.take([ADA], 1)
    return taken, asyncio.get_running_loop().time() - began


class Lateness:
    """How late this process itself was while the block ran: what a busy machine adds is not the store's doing."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.002
            await asyncio.sleep(0.002)
            self.seconds += max(0.0, loop.time() - due - 0.0015)

    async def __aenter__(self) -> Self:
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *ended: object) -> None:
        self._ticking.cancel()
        await asyncio.gather(self._ticking, return_exceptions=True)


async def test_a_black_hole_costs_one_answer_time_and_then_nothing_and_heals_by_itself(valkey_server: Valkey) -> None:
    async def swallowed() -> float:
        """How much of what may be waited was: for the first answer, and for those after it, which cost next to nothing."""
        changes: list[str | None] = []
        async with (
            hole(valkey_server.port) as way,
            redis_limiter(way.url, changes, count(1), answer_seconds=0.04).open() as limiter,
        ):
            await until(lambda: limiter.is_up)
            way.swallow()
            async with Lateness() as late:
                taken, seconds = await timed(limiter)
            assert taken is None
            later = [await timed(limiter) for _ in range(200)]
            assert {taken for taken, _ in later} == {None}
            way.restore()

            async def has_healed() -> bool:
                return (await timed(limiter))[0] is not None

            await until(has_healed)
        # A busy machine may be late with more answers than those that were swallowed.
        assert (set(changes[::2]), set(changes[1::2])) == ({"TimeoutError"}, {None})
        first = (seconds - late.seconds) / ADDED_SECONDS_MAX
        return max(first, sorted(seconds for _, seconds in later)[190] / 0.005)

    await within(1, swallowed)


async def test_checks_that_wait_together_are_let_go_together(valkey_server: Valkey) -> None:
    async def swallowed() -> float:
        async with (
            hole(valkey_server.port) as way,
            redis_limiter(way.url, [], count(1), answer_seconds=0.04).open() as limiter,
        ):
            await until(lambda: limiter.is_up)
            way.swallow()
            async with Lateness() as late:
                crowd = await asyncio.gather(*(timed(limiter) for _ in range(300)))
            assert {taken for taken, _ in crowd} == {None}
            return max(seconds for _, seconds in crowd) - late.seconds

    await within(ADDED_SECONDS_MAX, swallowed)


async def test_a_killed_server_is_noticed_and_found_again_empty() -> None:
    changes: list[str | None] = []
    with running() as server:
        async with redis_limiter(server.url, changes, count(1)).open() as limiter:
            taken, _ = await timed(limiter)
            assert taken is not None
            server.kill()
            await until(lambda: not limiter.is_up or timed_out(limiter))
            assert (await timed(limiter))[0] is None
            await asyncio.to_thread(server.start)
            await until(lambda: limiter.is_up)
            assert (await timed(limiter))[0] is not None
    assert len(changes) == 2
    assert changes[1] is None


def timed_out(limiter: RedisLimiter) -> bool:
    """Ask without waiting, so that a dead connection is noticed."""
    asyncio.ensure_future(limiter.take([ADA], 1)).add_done_callback(lambda asked: asked.exception())
    return False


async def test_a_server_that_is_not_there_at_the_start_stops_nothing() -> None:
    changes: list[str | None] = []
    with running() as server:
        server.kill()
        async with redis_limiter(server.url, changes, count(1)).open() as limiter:
            assert (await timed(limiter))[0] is None
            await asyncio.to_thread(server.start)
            await until(lambda: limiter.is_up)
            assert (await timed(limiter))[0] is not None
    assert changes == ["ConnectionError", None]


@pytest.mark.parametrize("kind", ["server", "cluster"])
async def test_scripts_that_a_server_has_forgotten_are_told_again(kind: str, request: pytest.FixtureRequest) -> None:
    store: Valkey | Cluster = request.getfixturevalue(f"valkey_{kind}")
    changes: list[str | None] = []
    async with redis_limiter(store.url, changes, count(1)).open() as limiter:
        for _ in range(2):
            await asyncio.to_thread(store.flush)
            taken, _ = await timed(limiter)
            assert taken is not None
            assert not isinstance(taken, Refused)
            taken.settle(5)  # type: ignore[attr-defined]  # it is a pass
            found = await limiter.look([ADA])
            assert found is not None
            assert (found[0].requests, found[0].tokens, found[0].running) == (1, 5, 0)
    assert changes == []


async def test_a_caller_who_leaves_while_it_is_asked_for_leaves_nothing_behind(valkey_server: Valkey) -> None:
    valkey_server.flush()
    async with redis_limiter(valkey_server.url, [], count(1)).open() as limiter:
        asked = [asyncio.create_task(limiter.take([ADA], 9)) for _ in range(300)]
        for turn in range(6):
            await asyncio.sleep(0)
            for task in asked[turn::6]:
                task.cancel()
        ended = await asyncio.gather(*asked, return_exceptions=True)
        for one in ended:
            if not isinstance(one, BaseException) and one is not None and not isinstance(one, Refused):
                one.undo()

        async def nothing_is_left() -> bool:
            found = await limiter.look([ADA])
            return found is not None and (found[0].requests, found[0].tokens, found[0].running) == (0, 0, 0)

        await until(nothing_is_left)


async def test_one_check_of_three_subjects_is_one_command(valkey_server: Valkey) -> None:
    valkey_server.flush()
    bounds = [Bound(kind, f"{{org:o}}{kind}", 100, 1_000, 10) for kind in ("user", "organization", "key")]
    async with redis_limiter(valkey_server.url, [], count(1)).open() as limiter:
        with valkey_server.client() as client:
            before = client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
            assert not isinstance(await limiter.take(bounds, 5), Refused)
            assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1


async def test_nothing_stays_in_the_store_for_longer_than_it_counts(valkey_server: Valkey) -> None:
    valkey_server.flush()
    async with redis_limiter(valkey_server.url, [], count(1)).open() as limiter:
        assert await limiter.take([ADA], 5) is not None
        with valkey_server.client() as client:
            keys = list(client.scan_iter("*"))
            assert len(keys) == 2
            assert all(0 < client.pttl(key) <= 60_200 for key in keys)
