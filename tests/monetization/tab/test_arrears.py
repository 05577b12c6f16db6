"""A store that stays away for longer than a caller waits: what was delivered is charged once it is back, and nothing else is."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from monetization.errors import ChargedLater
from monetization.finishing import PATIENCE_SECONDS, Arrears
from monetization.tab import Tab
from storage.errors import StorageUnavailable, StoreClosed
from storage.records.commands import Settle
from tests.monetization.tab.world import HOLD_SECONDS, Failing, World, done, through, until


@dataclass
class Away:
    """A store that cannot settle, and arrears that try again when the test says so."""

    world: World
    is_down: bool = True
    tries: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    def __post_init__(self) -> None:
        self.arrears = Arrears(self._sleep)
        failing = through(self.world, Failing(self.world.store, self._fails))
        self.there = replace(failing, tabs=replace(failing.tabs, arrears=self.arrears))

    async def _sleep(self, seconds: float) -> None:
        del seconds
        await self.tries.acquire()

    def _fails(self, command: Any) -> bool:
        return self.is_down and isinstance((command if isinstance(command, list) else [command])[0], Settle)

    async def answer(self, *, is_sent: bool) -> None:
        """One call whose answer came, and went on to the caller or did not."""

        async def play(tab: Tab) -> None:
            sink = tab.watch(_nowhere)
            assert sink is not None
            if is_sent:
                await sink([1])
            done()(tab)

        with pytest.raises(StorageUnavailable) as told:
            await self.there.run("tokens", play)
        assert isinstance(told.value, ChargedLater) == is_sent
        assert (told.value.retry_after_seconds, told.value.slug) == (None, "storage_unavailable")

    async def is_paid_up(self) -> bool:
        return len(self.arrears) == 0


async def _nowhere(items: Any) -> None:
    del items


@pytest.mark.parametrize("is_expired", [False, True], ids=["the hold still lives", "the hold has expired"])
async def test_what_was_delivered_is_charged_when_the_store_comes_back_however_late(
    world: World, *, is_expired: bool
) -> None:
    await world.fund("tokens")
    away = Away(world)
    await away.answer(is_sent=True)
    for _ in range(3):
        away.tries.release()
    assert len(away.arrears) == 1
    if is_expired:
        world.clock.advance(HOLD_SECONDS + 1)
        await world.store.sweep()
        assert await world.available("TOKEN") == 1_000
    away.is_down = False
    away.tries.release()
    await until(away.is_paid_up)
    [row] = await world.rows()
    assert row.charge_amount == 63
    assert (await world.available("TOKEN"), await world.open_holds()) == (1_000 - 63, 0)


async def test_an_answer_that_nobody_got_is_not_charged_when_the_store_comes_back(world: World) -> None:
    await world.fund("tokens")
    away = Away(world)
    await away.answer(is_sent=False)
    assert len(away.arrears) == 0
    world.clock.advance(HOLD_SECONDS + 1)
    await world.store.sweep()
    assert await world.available("TOKEN") == 1_000


async def test_a_store_that_hangs_is_not_waited_for_anew_at_every_attempt(world: World) -> None:
    await world.fund("tokens")

    def hangs(command: Any) -> bool:
        is_settling = isinstance(command, list) and isinstance(command[0], Settle)
        world.clock.advance(10 if is_settling else 0)
        return is_settling

    with pytest.raises(StorageUnavailable):
        await through(world, Failing(world.store, hangs)).run("tokens", done())
    assert world.waited == list(PATIENCE_SECONDS[:2]), "the attempt of the call itself, and two more"


async def test_a_process_that_leaves_waits_a_moment_for_its_arrears_and_not_for_ever(world: World) -> None:
    await world.fund("tokens")
    away = Away(world)
    await away.answer(is_sent=True)
    await away.arrears.close(0.01)
    assert len(away.arrears) == 0


async def test_arrears_end_with_their_store() -> None:
    async def closed() -> None:
        raise StoreClosed

    arrears = Arrears(lambda _: asyncio.sleep(0))
    arrears.take(closed)
    await arrears.close(5)
    assert len(arrears) == 0
