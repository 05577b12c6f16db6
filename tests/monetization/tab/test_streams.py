"""Streams that cost more than was held: the hold is raised first, or the stream ends with a typed error and its bill."""

from dataclasses import replace
from typing import Any

import pytest

from monetization.errors import PaymentRequired, QuotaExceeded
from monetization.settling import MARGIN, STEP_BYTES
from monetization.tab import Tab
from monetization.tiers import Tiers
from storage.errors import Fault, StorageUnavailable
from storage.records.commands import Extend
from storage.records.usage import Usage
from tests.monetization.tab.world import MOST, TARGET, TIERS, Failing, World, through


class Flood:
    """A provider that does not stop where it was told to. It sends in pieces of a size and stops after `total` bytes."""

    def __init__(self, piece: int, total: int, usage: Usage | None = None) -> None:
        self.piece = piece
        self.total = total
        self.usage = usage
        self.sent = 0

    async def __call__(self, tab: Tab) -> None:
        sink = tab.watch(self._take)
        assert sink is not None
        tab.meter.target, tab.meter.usage = TARGET, self.usage
        while self.sent < self.total:
            tab.meter.bytes_delivered += self.piece
            await sink([self.piece])
        tab.meter.is_complete = True

    async def _take(self, items: Any) -> None:
        self.sent += sum(items)


async def test_a_stream_that_passes_its_hold_raises_it_first(world: World) -> None:
    await world.grant("TOKEN", 100_000)
    flood = Flood(400, 40_000)
    receipt = await world.run("tokens", flood)
    assert receipt is not None
    assert receipt.usage == Usage(input=80, output=10_000)
    assert receipt.amount == 10_080 + 2_520
    assert await world.available("TOKEN") == 100_000 - 12_600


async def test_a_stream_that_nobody_can_pay_for_ends_with_a_typed_error_and_what_was_sent_is_billed(
    world: World,
) -> None:
    await world.grant("TOKEN", 2_000)
    flood = Flood(400, 40_000)
    with pytest.raises(PaymentRequired) as refused:
        await world.run("tokens", flood)
    assert refused.value.slug == "insufficient_tokens"
    assert flood.sent < 40_000
    [row] = await world.rows()
    assert (row.outcome, row.is_partial, row.is_estimated) == ("partial", True, True)
    assert row.usage.output == flood.sent // 4
    sent = (row.usage.tokens_total * 5 + 3) // 4
    left = await world.available("TOKEN")
    assert 2_000 - left == row.charge_amount == sent
    assert 2_000 - STEP_BYTES < sent <= 2_000, "it ended before it passed what could be held, and not much before"


async def test_a_stream_that_passes_a_hard_quota_ends_with_the_quotas_error(world: World) -> None:
    flood = Flood(400, 40_000)
    with pytest.raises(QuotaExceeded) as refused:
        await world.run("allowance", flood)
    assert refused.value.data["quotaLimit"] == 1_000
    [row] = await world.rows()
    assert row.usage.output == flood.sent // 4
    assert flood.sent < 8_000
    assert (await world.window("tokens")).used == row.usage.tokens_total


async def test_a_stream_past_an_open_quota_raises_its_claim(world: World) -> None:
    tiers = Tiers([replace(TIERS[0], monthly_token_quota=20_000)], default="allowance")
    rich = replace(world, quotes=replace(world.quotes, tiers=lambda: tiers))
    seen: list[tuple[int, int]] = []

    class Watching(Flood):
        async def _take(self, items: Any) -> None:
            await super()._take(items)
            seen.append((await world.window("tokens"))[1:3])

    await rich.run("allowance", Watching(400, 40_000))
    assert [used for used, _ in seen] == [0] * len(seen)
    assert max(held for _, held in seen) > 9_000
    assert (await world.window("tokens"))[1:3] == (10_080, 0)


async def test_a_provider_that_counts_more_than_was_held_is_noticed_while_it_streams(world: World) -> None:
    await world.grant("TOKEN", 1_000)

    async def play(tab: Tab) -> None:
        async def slow(items: Any) -> None:
            world.clock.advance(3)

        sink = tab.watch(slow)
        assert sink is not None
        tab.meter.target, tab.meter.usage, tab.meter.bytes_delivered = TARGET, Usage(input=900), 40
        await sink([1])
        raise AssertionError("1138 tokens cannot be paid with 1000")

    with pytest.raises(PaymentRequired):
        await world.run("tokens", play)
    [row] = await world.rows()
    assert row.usage.input == 900
    assert (await world.available("TOKEN"), row.charge_amount) == (0, 1_000)


async def test_a_stream_that_needs_more_while_the_store_is_down_ends(world: World) -> None:
    await world.grant("TOKEN", 100_000)
    failing = Failing(world.store, lambda commands: isinstance(commands, list) and isinstance(commands[0], Extend))
    flood = Flood(400, 40_000)
    with pytest.raises(StorageUnavailable):
        await through(world, failing).run("tokens", flood)
    assert flood.sent == MARGIN * MOST.tokens_output, "it ended where the hold may have been used up"
    [row] = await world.rows()
    assert row.usage.output == MOST.tokens_output


async def test_an_account_suspended_meanwhile_settles_what_was_granted_but_gets_no_more(world: World) -> None:
    from storage.records.commands import Configure  # noqa: PLC0415  # only here
    from tests.monetization.tab.world import account, done  # noqa: PLC0415  # same

    await world.grant("TOKEN", 100_000)

    async def play(tab: Tab) -> None:
        await world.store.submit(Configure(account=account("TOKEN"), state="suspended"))
        done()(tab)

    assert await world.run("tokens", play) is not None
    with pytest.raises(Fault) as refused:
        await world.run("tokens", done())
    assert refused.value.slug == "account_suspended"


async def test_an_estimate_never_passes_what_the_provider_was_told_to_stop_at(world: World) -> None:
    """Some texts have six bytes a token: taking four for granted would bill tokens that were never there."""
    await world.grant("TOKEN", 188)
    receipt = await world.run("tokens", Flood(100, 300))
    assert receipt is not None
    assert receipt.usage == Usage(input=80, output=50)
