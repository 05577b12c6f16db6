"""A repeated key: one run, one answer, one charge; also across a restart."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from monetization.replays import ATTEMPTS_MAX, Replays
from monetization.tab import Tab
from storage.errors import IdempotencyConflict
from storage.records.commands import Keep, Settle
from storage.records.kept import ANSWER, KeptRow
from storage.records.money import NEVER_US
from storage.records.usage import Usage
from tests.monetization.tab.world import (
    HOLD_SECONDS,
    MOST,
    TARGET,
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

TIERS = ("allowance", "overage", "tokens", "credits", "own")


class Counting:
    """A handler that counts its runs."""

    def __init__(self, play: Any = None) -> None:
        self.runs = 0
        self.play = play or done()

    def __call__(self, tab: Tab) -> Any:
        self.runs += 1
        return self.play(tab)


@pytest.mark.parametrize("tier", TIERS)
async def test_a_repeated_key_gives_the_first_answer_and_its_figures_without_a_second_run(
    world: World, tier: str
) -> None:
    await world.fund(tier)
    play = Counting()
    receipts = [await world.run(tier, play, call=world.call(key="k")) for _ in range(3)]
    assert play.runs == 1
    assert receipts[0] is not None
    assert receipts[0] == receipts[1] == receipts[2]
    async with world.tabs.open(world.call(key="k"), world.quote(tier)) as tab:
        assert (tab.answer, tab.is_replay) == ({"content": "the answer"}, True)  # type: ignore[attr-defined]  # HeldTab
    assert len(await world.rows()) == 1
    other = await world.run(tier, play, call=world.call(key="other"))
    assert other is not None
    assert other.amount == receipts[0].amount
    assert play.runs == 2


@pytest.mark.parametrize("tier", TIERS)
async def test_a_key_in_flight_says_so(world: World, tier: str) -> None:
    await world.fund(tier)
    await _fill_quota(world, tier)

    async def play(tab: Tab) -> None:
        with pytest.raises(IdempotencyConflict) as refused:
            await world.run(tier, _never, call=world.call(key="k"))
        assert (refused.value.slug, refused.value.retry_after_seconds) == ("in_progress", 1)
        done()(tab)

    await world.run(tier, play, call=world.call(key="k"))
    assert await world.run(tier, _never, call=world.call(key="k")) is not None


async def _fill_quota(world: World, tier: str) -> None:
    """So that overage pays, in another asset than the one that is tried first."""
    if tier == "overage":
        await world.run(tier, done(usage=Usage(input=1_000)))


async def test_a_key_with_another_body_is_refused(world: World) -> None:
    await world.run("allowance", done(), call=world.call(key="k", params={"content": "one"}))
    with pytest.raises(IdempotencyConflict) as refused:
        await world.run("allowance", _never, call=world.call(key="k", params={"content": "two"}))
    assert refused.value.slug == "key_reused"


async def test_a_key_belongs_to_its_caller(world: World) -> None:
    play = Counting()
    await world.run("allowance", play, call=world.call(key="k"))
    quote = world.quotes.quote(world.caller("allowance", "bob"), MOST)
    async with world.tabs.open(world.call(key="k"), quote) as tab:
        assert tab.answer is None


@pytest.mark.parametrize(
    "first", [cut(0), cut(0, error=asyncio.CancelledError), cut(40)], ids=["failed", "cancelled", "partial"]
)
async def test_a_key_whose_first_call_came_to_nothing_runs_again(world: World, first: Any) -> None:
    play = Counting()
    with pytest.raises((Cut, asyncio.CancelledError)):
        await world.run("allowance", first, call=world.call(key="k"))
    await world.run("allowance", play, call=world.call(key="k"))
    await world.run("allowance", play, call=world.call(key="k"))
    assert play.runs == 1


async def test_a_key_under_which_nothing_ever_succeeds_is_worn_out(world: World) -> None:
    play = Counting(cut(0))
    for _ in range(ATTEMPTS_MAX):
        with pytest.raises(Cut):
            await world.run("allowance", play, call=world.call(key="k"))
    with pytest.raises(IdempotencyConflict) as refused:
        await world.run("allowance", play, call=world.call(key="k"))
    assert (refused.value.slug, play.runs) == ("key_worn_out", ATTEMPTS_MAX)


async def test_a_refused_call_leaves_its_key_unused(world: World) -> None:
    from monetization.errors import PaymentRequired  # noqa: PLC0415  # only here

    with pytest.raises(PaymentRequired):
        await world.run("tokens", _never, call=world.call(key="k"))
    await world.fund("tokens")
    play = Counting()
    await world.run("tokens", play, call=world.call(key="k"))
    assert play.runs == 1


async def test_a_restart_does_not_break_a_key(tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "tollgate.db"
    async with world_at(path, clock) as world:
        await world.fund("tokens")
        first = await world.run("tokens", done(), call=world.call(key="done"))
        await world.doomed("tokens", call=world.call(key="cut"))
    async with world_at(path, clock) as world:
        assert await world.run("tokens", _never, call=world.call(key="done")) == first
        with pytest.raises(IdempotencyConflict) as refused:
            await world.run("tokens", _never, call=world.call(key="cut"))
        assert refused.value.slug == "in_progress"
    clock.advance(HOLD_SECONDS + 1)
    async with world_at(path, clock) as world:
        play = Counting()
        await world.run("tokens", play, call=world.call(key="cut"))
        assert play.runs == 1
        assert await world.run("tokens", _never, call=world.call(key="done")) == first
        await world.assert_sound()


async def test_twenty_calls_with_one_key_are_one_run(world: World) -> None:
    await world.fund("tokens")
    gate = asyncio.Event()

    async def wait(tab: Tab) -> None:
        await gate.wait()
        done()(tab)

    play = Counting(wait)
    calls = [asyncio.ensure_future(world.run("tokens", play, call=world.call(key="k"))) for _ in range(20)]

    async def is_refused() -> bool:
        return sum(call.done() for call in calls) == 19

    await until(is_refused)
    gate.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert play.runs == 1
    assert [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)] == [IdempotencyConflict] * 19
    assert await world.available("TOKEN") == 1_000 - 63
    again = await asyncio.gather(*(world.run("tokens", _never, call=world.call(key="k")) for _ in range(20)))
    assert len({repr(receipt) for receipt in again}) == 1
    assert await world.available("TOKEN") == 1_000 - 63


def _never(tab: Tab) -> None:
    raise AssertionError("the first answer is kept")


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_first_answer_and_its_repetitions_show_the_balance_as_it_was_settled(
    world: World, *, is_late: bool
) -> None:
    """What was foreseen when the call was held may be wrong by then: others spend and are granted meanwhile."""
    await world.grant("TOKEN", 1_000)

    async def play(tab: Tab) -> None:
        await world.grant("TOKEN", 500)
        await world.run("tokens", done())
        if is_late:
            world.clock.advance(HOLD_SECONDS + 1)
            await world.store.sweep()
        done()(tab)

    first = await world.run("tokens", play, call=world.call(key="k"))
    await world.grant("TOKEN", 7)
    again = await world.run("tokens", play, call=world.call(key="k"))
    assert first is not None
    assert (first.amount, first.balance, first.posted) == (63, 1_500 - 2 * 63, 1_500 - 2 * 63)
    assert again == first


async def test_what_is_shown_of_a_quota_is_what_was_settled_for_a_key_too(world: World) -> None:
    async def play(tab: Tab) -> None:
        await world.run("allowance", done())
        done()(tab)

    first = await world.run("allowance", play, call=world.call(key="k"))
    again = await world.run("allowance", play, call=world.call(key="k"))
    assert first is not None
    assert first.quota_remaining == 1_000 - 2 * 50
    assert again == first


async def test_a_settling_with_a_key_whose_answer_was_lost_shows_what_it_came_to(world: World) -> None:
    await world.grant("TOKEN", 1_000)
    losses = [True]

    def loses_once(commands: Any) -> bool:
        return isinstance(commands, list) and isinstance(commands[0], Settle) and bool(losses) and losses.pop()

    async def play(tab: Tab) -> None:
        await world.grant("TOKEN", 500)
        done()(tab)

    losing = through(world, Failing(world.store, loses_once, is_lost=True))
    first = await losing.run("tokens", play, call=world.call(key="k"))
    assert first is not None
    assert (first.amount, first.balance) == (63, 1_500 - 63)
    assert await world.run("tokens", play, call=world.call(key="k")) == first
    assert len(await world.rows()) == 1


async def outlive(world: World, tab: Tab, noted: int) -> None:
    """Note what was delivered, and let the hold expire."""
    sink = tab.watch(_nowhere)
    assert sink is not None
    world.clock.advance(2)
    tab.meter.target, tab.meter.bytes_delivered = TARGET, noted
    await sink([1])
    world.clock.advance(HOLD_SECONDS + 1)
    await world.store.sweep()


async def _nowhere(items: Any) -> None:
    """A client that reads everything at once."""


@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize("used", [Usage(input=10, output=5), Usage(input=100, output=50)], ids=["less", "more"])
async def test_a_late_end_whose_answer_was_lost_is_an_answer_and_charged_once(
    world: World, key: str | None, used: Usage
) -> None:
    await world.fund("tokens")
    losses = [True]

    def loses_once(commands: Any) -> bool:
        return isinstance(commands, list) and isinstance(commands[0], Settle) and bool(losses) and losses.pop()

    async def play(tab: Tab) -> None:
        await outlive(world, tab, 40)
        done(usage=used)(tab)

    losing = through(world, Failing(world.store, loses_once, is_lost=True))
    receipt = await losing.run("tokens", play, call=world.call(key=key))
    assert receipt is not None
    charged = -(-used.tokens_total * 5 // 4)
    assert (losses, receipt.amount) == ([], charged)
    assert await world.available("TOKEN") == 1_000 - charged
    assert [row.charge_amount for row in await world.rows()] == [charged]
    if key:
        assert await world.run("tokens", play, call=world.call(key=key)) == receipt


async def test_looking_for_a_first_answer_changes_nothing_where_its_settling_is_forgotten(world: World) -> None:
    await world.fund("tokens")
    tab = await world.doomed("tokens")
    await outlive(world, tab, 40)
    before = await world.store.balance(account("TOKEN"))
    assert before.posted < 1_000
    body = json.dumps({"answer": "a", "receipt": {"usage": {}, "charge": None}})
    await world.store.submit(Keep(KeptRow("default", ANSWER, str(tab._held.id), body, expires_us=NEVER_US)))
    assert await Replays(world.store, world.clock).find(tab._held.id) is not None
    assert await world.store.balance(account("TOKEN")) == before
