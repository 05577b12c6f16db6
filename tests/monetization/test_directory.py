"""The directory in memory: known by a look-up, read on a miss, forgotten with every change, and never revived."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import orjson
import pytest

from monetization.directory import AUDIT, CHANGES_MAX, Act, Directory, Profile, putting
from storage.errors import StorageUnavailable, VersionChanged
from storage.store import open_store
from tests.fakes.postgres import Server
from tests.monetization.slow_store import Seconds, Slow
from tests.storage.conftest import Clock, postgres

__all__ = ["postgres"]  # a fixture

U = "user:u"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def slow(clock: Clock) -> AsyncIterator[Slow]:
    async with open_store("sqlite://", clock_us=clock) as store:
        yield Slow(store)


@pytest.fixture
async def directory(slow: Slow, clock: Clock) -> Directory:
    return await Directory.opened(slow, clock_us=clock, monotonic=Seconds())


async def rpm_of(directory: Directory) -> int | None:
    found = (await directory.of(U)).one("limits")
    return None if found is None else int(found.body["rpm"])


async def test_an_owner_is_read_once_and_then_known_even_without_entries(directory: Directory, slow: Slow) -> None:
    assert directory.known(U) is None
    profile = await directory.of(U)
    assert profile.one("limits") is None
    assert profile.all("api_key") == ()
    assert directory.known(U) is profile
    assert await directory.of(U) is profile
    assert slow.reads == 1


async def test_an_own_write_is_seen_at_once_with_another_stamp(directory: Directory) -> None:
    before = await directory.of(U)
    await directory.put(None, [putting("limits", U, U, {"rpm": 5}), putting("member", "o/u", U, {"role": "admin"})])
    after = await directory.of(U)
    assert after.stamp != before.stamp
    assert (await rpm_of(directory), after.one("limits", "x")) == (5, None)
    member = after.one("member", "o/u")
    assert member is not None
    assert (member.body, member.version, member.owner) == ({"role": "admin"}, 1, U)
    await directory.put(None, [putting("limits", U, U, None, expect=1)])
    assert await rpm_of(directory) is None


async def test_a_refused_write_says_what_stands_and_leaves_nothing(directory: Directory, slow: Slow) -> None:
    act = Act("root", "setLimits", U, "asked", {"rpm": 5})
    with pytest.raises(VersionChanged) as refused:
        await directory.put(act, [putting("limits", U, U, {"rpm": 5}, expect=3)])
    assert refused.value.data == {"version": 0}
    assert (await slow.kept_page("default", AUDIT)).rows == ()
    await directory.put(act, [putting("limits", U, U, {"rpm": 5}, expect=0)])
    (row,) = (await slow.kept_page("default", AUDIT, key=U)).rows
    assert (row.actor, row.reason, orjson.loads(row.body)) == ("root", "asked", {"action": "setLimits", "rpm": 5})


async def test_a_poll_forgets_whoever_changed_elsewhere_and_nobody_else(
    directory: Directory, slow: Slow, clock: Clock
) -> None:
    other = await Directory.opened(slow, clock_us=clock, monotonic=Seconds())
    await directory.of(U)
    kept = await directory.of("user:v")
    await other.put(None, [putting("limits", U, U, {"rpm": 7})])
    assert await rpm_of(directory) is None
    await directory.poll()
    assert directory.known(U) is None
    assert directory.known("user:v") is kept
    assert await rpm_of(directory) == 7


async def test_a_poll_reads_however_many_changes_there_are(directory: Directory, slow: Slow, clock: Clock) -> None:
    other = await Directory.opened(slow, clock_us=clock, monotonic=Seconds())
    owners = [f"user:{number}" for number in range(CHANGES_MAX + 1)]
    for owner in (owners[0], owners[-1]):
        await directory.of(owner)
    await other.put(None, [putting("limits", owner, owner, {"rpm": 1}) for owner in owners])
    await directory.poll()
    assert [directory.known(owner) for owner in (owners[0], owners[-1])] == [None, None]


async def test_a_reading_that_a_change_overlaps_is_never_kept(directory: Directory, slow: Slow, clock: Clock) -> None:
    """The reader has read the old state and is slow; the change is heard of; then the old state arrives."""
    other = await Directory.opened(slow, clock_us=clock, monotonic=Seconds())
    await other.put(None, [putting("limits", U, U, {"rpm": 1})])
    for change in ("elsewhere", "here"):
        await directory.poll()
        directory.evict(U)
        slow.may_answer.clear()
        slow.has_read.clear()
        reading = asyncio.create_task(directory.of(U))
        await slow.has_read.wait()
        writer = other if change == "elsewhere" else directory
        await writer.put(None, [putting("limits", U, U, {"rpm": 2 if change == "elsewhere" else 3})])
        await directory.poll()
        slow.may_answer.set()
        old = await reading
        assert isinstance(old, Profile)
        assert directory.known(U) is None
        assert await rpm_of(directory) == (2 if change == "elsewhere" else 3)


async def test_of_readings_at_once_those_that_nothing_overlapped_are_kept(directory: Directory, slow: Slow) -> None:
    slow.may_answer.clear()
    first, second = (asyncio.create_task(directory.of(U)) for _ in range(2))
    await slow.has_read.wait()
    await asyncio.sleep(0)
    directory.evict(U)
    third = asyncio.create_task(directory.of(U))
    await asyncio.sleep(0)
    slow.may_answer.set()
    await asyncio.gather(first, second)
    assert directory.known(U) is await third


async def test_an_expired_entry_is_absent_from_its_instant_on(directory: Directory, slow: Slow, clock: Clock) -> None:
    await directory.put(None, [putting("limits", U, U, {"rpm": 5}, expires_us=clock.later(10))])
    assert await rpm_of(directory) == 5
    clock.now = clock.later(10) - 1
    assert directory.known(U) is not None
    clock.now += 1
    assert directory.known(U) is None
    assert await rpm_of(directory) is None
    assert directory.known(U) is not None


async def test_of_more_owners_than_fit_those_not_asked_for_longest_go(slow: Slow, clock: Clock) -> None:
    directory = Directory(slow, seq=0, clock_us=clock, monotonic=Seconds(), owners_max=2)
    a, _ = await directory.of("a"), await directory.of("b")
    assert directory.known("a") is a
    await directory.of("c")
    assert directory.known("a") is a
    assert directory.known("b") is None


async def test_without_news_for_five_seconds_it_says_once_that_it_may_be_old(slow: Slow, clock: Clock) -> None:
    seconds = Seconds()
    told: list[bool] = []
    directory = await Directory.opened(slow, clock_us=clock, monotonic=seconds, on_stale=told.append)
    slow.is_away = True
    for is_current in (True, True, False, False):
        with pytest.raises(StorageUnavailable):
            await directory.poll()
        assert directory.is_current is is_current
        seconds.now += 2.6
    assert told == [True]
    slow.is_away = False
    await directory.poll()
    assert (directory.is_current, told) == (True, [True, False])


async def test_a_stopped_process_knows_that_it_may_be_old_before_its_next_poll(slow: Slow, clock: Clock) -> None:
    seconds = Seconds()
    directory = await Directory.opened(slow, clock_us=clock, monotonic=seconds)
    seconds.now += 60
    assert not directory.is_current


async def test_nothing_old_is_known_after_a_poll_however_reads_writes_and_polls_mix(
    tmp_path: Path, clock: Clock, postgres: Server
) -> None:
    url = await asyncio.to_thread(postgres.fresh)
    async with open_store(url, clock_us=clock) as here, open_store(url, clock_us=clock) as there:
        reader = await Directory.opened(here, clock_us=clock, monotonic=Seconds())
        writer = await Directory.opened(there, clock_us=clock, monotonic=Seconds())
        is_over = False

        async def read() -> None:
            while not is_over:
                await reader.of(U)
                await asyncio.sleep(0)

        tasks: Sequence[asyncio.Task[None]] = [asyncio.create_task(read()) for _ in range(3)]
        for number in range(60):
            await writer.put(None, [putting("limits", U, U, {"rpm": number})])
            await reader.poll()
            found = reader.known(U) or await reader.of(U)
            limits = found.one("limits")
            assert limits is not None
            assert limits.body["rpm"] == number
        is_over = True
        await asyncio.gather(*tasks)
