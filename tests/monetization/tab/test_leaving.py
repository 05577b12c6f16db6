"""Callers that leave, processes that die, stores that fail: a tab is closed exactly once, and nothing is free."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monetization.alarms import Alarms
from monetization.finishing import PATIENCE_SECONDS, Arrears
from monetization.tab import Receipt, Tab
from storage.errors import StorageUnavailable
from storage.records.commands import Checkpoint, Hold, Release, Settle
from storage.records.usage import Usage
from tests.monetization.tab.world import (
    HOLD_SECONDS,
    TARGET,
    USED,
    Clock,
    Cut,
    Failing,
    World,
    account,
    cut,
    done,
    through,
    until,
    world_at,
)


class Slow:
    """A store that answers only when it is told to, so that a caller can leave while it writes."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.asked: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def _wait(self) -> None:
        gate = asyncio.Event()
        self.asked.put_nowait(gate)
        await gate.wait()

    async def submit(self, command: Any) -> Any:
        await self._wait()
        answer = await self._store.submit(command)
        await self._wait()
        return answer

    async def submit_together(self, commands: Any) -> Any:
        await self._wait()
        answer = await self._store.submit_together(commands)
        await self._wait()
        return answer


@pytest.mark.parametrize("ending", ["done", "failed", "partial"])
@pytest.mark.parametrize("leaves_at", [(0,), (1,), (2,), (3,), (0, 1, 2, 3), (2, 3), (2, 2, 3)])
async def test_a_caller_may_leave_while_anything_is_written(
    world: World, ending: str, leaves_at: tuple[int, ...]
) -> None:
    """Steps 0 and 1 are before and after the hold is on disk, 2 and 3 before and after the settling is."""
    await world.fund("tokens")
    slow = Slow(world.store)
    ran: list[bool] = []
    play = {"done": done(), "failed": cut(0), "partial": cut(40, Usage(input=40))}[ending]

    def once(tab: Tab) -> None:
        ran.append(True)
        play(tab)

    call = asyncio.ensure_future(through(world, slow).run("tokens", once))
    for step in range(4):
        gate = await asyncio.wait_for(slow.asked.get(), 30)
        for _ in range(leaves_at.count(step)):
            call.cancel()
            await asyncio.sleep(0)
        gate.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call, 30)
    assert ran == ([] if min(leaves_at) < 2 else [True])
    [row] = await world.rows()
    charged = 63 if ran and ending != "failed" else 0
    assert (row.charge_amount or 0) == charged
    assert (await world.available("TOKEN"), await world.open_holds()) == (1_000 - charged, 0)


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_hold_that_takes_too_long_refuses_its_call_and_is_given_back_when_it_is_made(
    world: World, *, leaves: bool
) -> None:
    await world.fund("tokens")
    slow = Slow(world.store)
    there = through(world, slow)
    arrears = Arrears(lambda _: asyncio.sleep(0))
    there = replace(there, tabs=replace(there.tabs, hold_wait_seconds=0.05, arrears=arrears))
    ran: list[Tab] = []
    call = asyncio.ensure_future(there.run("tokens", ran.append))
    gate = await asyncio.wait_for(slow.asked.get(), 30)
    if leaves:
        call.cancel()
    with pytest.raises(asyncio.CancelledError if leaves else StorageUnavailable) as refused:
        await asyncio.wait_for(call, 30)
    assert leaves or refused.value.retry_after_seconds  # type: ignore[attr-defined]  # only the second one has it
    assert (await world.rows(), await world.open_holds()) == ([], 0)
    for _ in range(3):
        gate.set()
        gate = await asyncio.wait_for(slow.asked.get(), 30)
    gate.set()

    async def is_given_back() -> bool:
        return len(arrears) == 0

    await until(is_given_back)
    [row] = await world.rows()
    assert (ran, row.outcome, row.charge_amount) == ([], "failed", None)
    assert (await world.available("TOKEN"), await world.open_holds()) == (1_000, 0)


async def test_a_dead_process_leaves_the_last_note_as_the_charge(tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "tollgate.db"
    async with world_at(path, clock) as world:
        await world.fund("tokens")
        tab = await world.doomed("tokens")
        sink = tab.watch(_nowhere)
        assert sink is not None
        tab.meter.target, tab.meter.bytes_delivered = TARGET, 40
        await sink([1])
        assert [hold.used for hold in await world.store.holds(_key("TOKEN"))] == [0]
        clock.advance(2)
        tab.meter.bytes_delivered = 80
        await sink([1])
        assert [hold.used for hold in await world.store.holds(_key("TOKEN"))] == [125]
        tab.meter.bytes_delivered = 120  # the process dies here
    clock.advance(HOLD_SECONDS - 1)
    async with world_at(path, clock) as world:
        assert await world.open_holds() == 1
    clock.advance(2)
    async with world_at(path, clock) as world:
        assert await world.open_holds() == 0
        assert await world.expiries("TOKEN") == [-125]
        assert await world.available("TOKEN") == 1_000 - 125
        assert (await world.window("tokens"))[1:3] == (100, 0)
        assert (await world.window("requests"))[1:3] == (1, 0)
        [row] = await world.rows()
        assert (row.outcome, row.is_partial, row.is_estimated) == ("expired", True, True)
        assert (row.charge_amount, row.charge_asset, row.usage) == (125, "TOKEN", Usage(input=80, output=20))
        assert (row.user_id, row.method, row.model, row.price_version) == ("ada", "executeAIRequest", "plain", "test:1")
        await world.assert_sound()


async def test_a_stream_that_has_just_begun_is_noted_and_what_follows_before_a_silence_too(world: World) -> None:
    await world.fund("tokens")
    tabs = replace(world.tabs, first_note_seconds=0.01)
    object.__setattr__(tabs, "notes", Alarms(0.01))
    tab = await replace(world, tabs=tabs).doomed("tokens")
    sink = tab.watch(_nowhere)
    assert sink is not None
    tab.meter.target = TARGET
    for delivered, noted in ((40, 113), (80, 125)):
        tab.meter.bytes_delivered = delivered
        await sink([1])  # and then the provider is silent

        async def is_noted(noted: int = noted) -> bool:
            return [hold.used for hold in await world.store.holds(_key("TOKEN"))] == [noted]

        await until(is_noted)


async def test_a_stream_that_ends_leaves_no_note_to_be_made(world: World) -> None:
    await world.fund("tokens")

    async def play(tab: Tab) -> None:
        sink = tab.watch(_nowhere)
        assert sink is not None
        tab.meter.bytes_delivered = 40
        await sink([1])
        done()(tab)

    await world.run("tokens", play)
    assert (len(world.tabs.first_notes), len(world.tabs.notes), len(world.tabs.heartbeats)) == (0, 0, 0)


async def test_a_process_that_dies_before_any_output_charges_nothing(tmp_path: Path) -> None:
    clock = Clock()
    async with world_at(tmp_path / "tollgate.db", clock) as world:
        await world.fund("tokens")
        await world.doomed("tokens")
    clock.advance(HOLD_SECONDS + 1)
    async with world_at(tmp_path / "tollgate.db", clock) as world:
        assert (await world.available("TOKEN"), await world.open_holds()) == (1_000, 0)
        assert (await world.window("tokens"))[1:3] == (0, 0)


async def test_a_new_call_ends_the_dead_holds_that_stand_in_its_way(world: World) -> None:
    await world.grant("TOKEN", 188)
    await world.doomed("tokens")
    world.clock.advance(HOLD_SECONDS + 1)
    receipt = await world.run("tokens", done())
    assert receipt is not None
    assert receipt.balance == 125


async def _outlived(world: World, used: Usage) -> Receipt:
    """A call whose hold has expired, charged with 102 as noted, before it ends with what it really used."""

    async def play(tab: Tab) -> None:
        sink = tab.watch(_nowhere)
        assert sink is not None
        world.clock.advance(2)
        tab.meter.bytes_delivered = 4
        await sink([1])
        world.clock.advance(HOLD_SECONDS + 1)
        await world.store.sweep()
        assert await world.expiries("TOKEN") == [-102]
        done(usage=used)(tab)

    receipt = await world.run("tokens", play)
    assert receipt is not None
    return receipt


async def test_a_call_that_outlives_its_hold_is_charged_late_and_once(world: World) -> None:
    await world.fund("tokens")

    receipt = await _outlived(world, Usage(input=100, output=50))
    assert receipt.amount == 188
    [row] = await world.rows()
    assert (row.outcome, row.charge_amount, row.is_estimated, row.usage) == ("done", 188, False, Usage(100, output=50))
    assert await world.available("TOKEN") == 1_000 - 188
    assert (await world.window("tokens"))[1:3] == (150, 0)
    codes = [transfer.code for transfer in (await world.store.transfers(_key("TOKEN"))).rows]
    assert codes[:2] == ["late_usage", "expire"]


async def test_a_call_that_outlived_its_hold_and_used_less_than_was_noted_gets_the_difference_back(
    world: World,
) -> None:
    await world.fund("tokens")

    receipt = await _outlived(world, Usage(input=10, output=5))
    assert (receipt.amount, receipt.balance) == (19, 1_000 - 19)
    [row] = await world.rows()
    assert (row.outcome, row.charge_amount, row.is_estimated, row.usage) == ("done", 19, False, Usage(10, output=5))
    assert await world.available("TOKEN") == 1_000 - 19
    assert (await world.window("tokens"))[1:3] == (15, 0)
    codes = [transfer.code for transfer in (await world.store.transfers(_key("TOKEN"))).rows]
    assert codes[:2] == ["late_refund", "expire"]


async def test_a_release_after_its_hold_has_expired_still_tells_of_the_call(world: World) -> None:
    await world.fund("tokens")

    async def play(tab: Tab) -> None:
        world.clock.advance(HOLD_SECONDS + 1)
        await world.store.sweep()
        raise Cut

    with pytest.raises(Cut):
        await world.run("tokens", play)
    assert [row.outcome for row in await world.rows()] == ["failed"]
    assert await world.available("TOKEN") == 1_000


async def test_a_running_call_keeps_its_hold_alive(tmp_path: Path) -> None:
    """By the loop's own time, as nothing is streamed: only the pulse can do it."""
    clock = Clock()
    async with world_at(tmp_path / "tollgate.db", clock) as world:
        await world.fund("tokens")
        object.__setattr__(world.tabs, "hold_seconds", 0.05)
        object.__setattr__(world.tabs, "heartbeats", Alarms(0.025))

        async def play(tab: Tab) -> None:
            before = clock.now_us
            for beat in range(3):
                clock.advance(1)
                await until(_lives_past(world, before + (beat + 1) * 1_000_000))
            await world.store.sweep()
            assert await world.open_holds() == 1
            done()(tab)

        await world.run("tokens", play)
        assert await world.available("TOKEN") == 1_000 - 63
        await world.assert_sound()


def _lives_past(world: World, past_us: int) -> Any:
    async def found() -> bool:
        return (await world.store.holds(_key("TOKEN")))[0].expires_us > past_us

    return found


async def test_a_hold_that_cannot_be_written_stops_the_call(world: World) -> None:
    await world.fund("tokens")
    with pytest.raises(StorageUnavailable):
        await through(world, Failing(world.store, _is(Hold))).run("tokens", _never)
    assert await world.available("TOKEN") == 1_000


class Held:
    """A store whose own futures a caller waits on, as SQLite's are: whoever leaves must not cancel them."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.futures: list[asyncio.Future[Any]] = []
        self.asked: asyncio.Queue[None] = asyncio.Queue()
        self.fails_once = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def _answer(self, answering: Any, future: asyncio.Future[Any]) -> None:
        answer = await answering
        for _ in range(5):
            await asyncio.sleep(0)
        if self.fails_once:
            self.fails_once = False
            future.set_exception(StorageUnavailable("lost"))
        else:
            future.set_result(answer)

    def submit(self, command: Any) -> asyncio.Future[Any]:
        return self._given(self._store.submit(command))

    def submit_together(self, commands: Any) -> asyncio.Future[Any]:
        return self._given(self._store.submit_together(commands))

    def _given(self, answering: Any) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        self.asked.put_nowait(None)
        self.answering = asyncio.ensure_future(self._answer(answering, future))
        return future


@pytest.mark.parametrize("is_lost", [False, True], ids=["it is written", "its answer is lost"])
async def test_a_caller_who_leaves_while_the_settling_is_written_pays_once_and_cancels_nothing(
    world: World, *, is_lost: bool
) -> None:
    await world.fund("tokens")
    held = Held(world.store)

    def play(tab: Tab) -> None:
        done()(tab)
        held.fails_once = is_lost

    call = asyncio.ensure_future(through(world, held).run("tokens", play))
    for _ in ("hold", "settling"):
        await asyncio.wait_for(held.asked.get(), 30)
    for _ in range(2):
        call.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call, 30)
    assert not any(future.cancelled() for future in held.futures)
    [row] = await world.rows()
    assert row.charge_amount == 63
    assert (await world.available("TOKEN"), await world.open_holds()) == (1_000 - 63, 0)


@pytest.mark.parametrize("is_lost", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize(
    "play", [done(), cut(0), cut(40, Usage(input=40))], ids=["whole answer", "no answer", "half an answer"]
)
async def test_a_settling_that_fails_for_a_while_is_repeated_and_charges_once(
    world: World, play: Any, *, is_lost: bool
) -> None:
    await world.fund("tokens")
    failures = iter([True, True, True, False]) if not is_lost else iter([True, False])
    closing = _is(Settle, Release)
    failing = Failing(world.store, lambda command: closing(command) and next(failures, False), is_lost=is_lost)
    try:
        receipt = await through(world, failing).run("tokens", play)
    except Cut:
        receipt = None
    charged = (await world.rows())[0].charge_amount or 0
    assert charged in (0, 63)
    assert receipt is None or (receipt.amount, receipt.balance) == (63, 1_000 - 63)
    assert (await world.available("TOKEN"), await world.open_holds()) == (1_000 - charged, 0)
    assert world.waited == list(PATIENCE_SECONDS[: 1 if is_lost else 3])
    assert len(await world.rows()) == 1


async def test_a_settling_that_fails_for_good_gives_no_answer_and_the_hold_ends_by_itself(world: World) -> None:
    await world.fund("tokens")
    failing = Failing(world.store, _is(Settle))

    async def play(tab: Tab) -> None:
        sink = tab.watch(_nowhere)
        assert sink is not None
        world.clock.advance(2)
        tab.meter.bytes_delivered = 40
        await sink([1])
        done()(tab)

    with pytest.raises(StorageUnavailable):
        await through(world, failing).run("tokens", play)
    assert world.waited == list(PATIENCE_SECONDS)
    assert await world.open_holds() == 1
    world.clock.advance(HOLD_SECONDS + 1)
    await world.store.sweep()
    assert await world.expiries("TOKEN") == [-113]  # the note: 80 tokens likely in, 10 out


async def test_what_ended_a_call_is_told_although_its_release_fails(world: World) -> None:
    await world.fund("tokens")
    failing = Failing(world.store, _is(Release))
    with pytest.raises(Cut):
        await through(world, failing).run("tokens", cut(0))
    with pytest.raises(asyncio.CancelledError):
        await through(world, failing).run("tokens", cut(0, error=asyncio.CancelledError))
    world.clock.advance(HOLD_SECONDS + 1)
    await world.store.sweep()
    assert await world.available("TOKEN") == 1_000


async def test_a_note_that_cannot_be_written_does_not_end_a_stream_that_is_covered(world: World) -> None:
    await world.fund("tokens")

    async def play(tab: Tab) -> None:
        sink = tab.watch(_nowhere)
        assert sink is not None
        world.clock.advance(2)
        tab.meter.bytes_delivered = 40
        await sink([1])
        done()(tab)

    receipt = await through(world, Failing(world.store, _is(Checkpoint))).run("tokens", play)
    assert receipt is not None
    assert (receipt.amount, receipt.usage) == (63, USED)


def _is(*kinds: type) -> Any:
    def found(commands: Any) -> bool:
        many = commands if isinstance(commands, list | tuple) else [commands]
        return any(isinstance(command, kinds) for command in many)

    return found


def _never(tab: Tab) -> None:
    raise AssertionError("no provider may be asked")


async def _nowhere(items: Any) -> None:
    """A client that reads everything at once."""


def _key(asset: str) -> Any:
    return account(asset)
