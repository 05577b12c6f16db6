import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from billing import accounts, expiry, grants, holds, refunds
from billing.errors import (
    AccountSuspended,
    HoldClosed,
    InsufficientFunds,
    InvalidAmount,
    NotRefundable,
    QuotaUsedUp,
)
from storage.errors import IdempotencyConflict, NotFound
from storage.records.commands import Claim, Idempotency
from storage.records.ledger import REVENUE_USAGE, WindowKey
from storage.records.money import TOKEN
from storage.store import Store, open_store
from tests.storage.conftest import Clock

ADA = accounts.credits_of("ada", TOKEN)
TEAM = accounts.pool_of("blue", TOKEN)
MONTH = WindowKey("default", "ada", "requests", "monthly", 0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(clock: Clock, tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path / 'ledger.db'}", clock_us=clock) as opened:
        yield opened
        assert [check for check in await opened.verify() if not check.is_ok] == []


async def buy(store: Store, amount: int = 100, ref: str = "pay_1") -> None:
    await grants.grant_purchase(store, ADA, amount=amount, source="stripe", source_ref=ref, paid_nano=1000)


async def test_a_call_is_held_settled_and_seen_in_revenue(store: Store, clock: Clock) -> None:
    await buy(store)
    held = await holds.place(store, ADA, amount=60, expires_us=clock.later(60))
    assert await accounts.spendable(store, ADA) == 40
    await holds.settle(store, "default", held.id, amount=25, quota={})
    assert await accounts.spendable(store, ADA) == 75
    assert (await accounts.system_balances(store, TOKEN))[REVENUE_USAGE] == 25


async def test_a_hold_that_is_not_covered_says_what_was_needed(store: Store, clock: Clock) -> None:
    await buy(store)
    with pytest.raises(InsufficientFunds) as refused:
        await holds.place(store, ADA, amount=101, expires_us=clock.later(60))
    assert refused.value.data == {"needed": "101", "available": "100", "asset": TOKEN}


async def test_a_used_up_quota_says_its_figures(store: Store, clock: Clock) -> None:
    claim = (Claim(MONTH, 1, 1),)
    await holds.place(store, ADA, amount=0, expires_us=clock.later(60), claims=claim)
    with pytest.raises(QuotaUsedUp) as refused:
        await holds.place(store, ADA, amount=0, expires_us=clock.later(60), claims=claim)
    assert (refused.value.data["quotaHeld"], refused.value.data["quotaLimit"]) == (1, 1)


async def test_the_allowance_of_a_period_comes_with_its_first_hold_and_only_once(store: Store, clock: Clock) -> None:
    await buy(store, 10)
    month = grants.allowance(ADA, amount=50, plan="starter", start_us=0, expires_us=clock.later(1000))
    first = await holds.place(store, ADA, amount=55, expires_us=clock.later(60), before=(month,))
    await holds.settle(store, "default", first.id, amount=55, quota={})
    with pytest.raises(InsufficientFunds):
        await holds.place(store, ADA, amount=6, expires_us=clock.later(60), before=(month,))
    second = await holds.place(store, ADA, amount=5, expires_us=clock.later(60), before=(month,))
    assert second.available == 0
    included, bought = await store.lots(ADA, with_empty=True)
    assert (included.category, included.remaining, bought.category, bought.remaining) == ("included", 0, "paid", 5)


async def test_a_refused_first_hold_leaves_the_allowance_ungranted(store: Store, clock: Clock) -> None:
    month = grants.allowance(ADA, amount=50, plan="starter", start_us=0, expires_us=clock.later(1000))
    with pytest.raises(InsufficientFunds):
        await holds.place(store, ADA, amount=51, expires_us=clock.later(60), before=(month,))
    assert await store.lots(ADA, with_empty=True) == ()


async def test_a_suspended_account_is_refused_until_it_is_resumed(store: Store, clock: Clock) -> None:
    await buy(store)
    await refunds.suspend(store, ADA)
    with pytest.raises(AccountSuspended):
        await holds.place(store, ADA, amount=1, expires_us=clock.later(60))
    await refunds.resume(store, ADA)
    await holds.place(store, ADA, amount=1, expires_us=clock.later(60))


async def test_a_closed_hold_is_named_as_such(store: Store, clock: Clock) -> None:
    held = await holds.place(store, ADA, amount=0, expires_us=clock.later(60))
    await holds.release(store, "default", held.id)
    with pytest.raises(HoldClosed) as refused:
        await holds.settle(store, "default", held.id, amount=1, quota={})
    assert refused.value.data == {"state": "released"}


async def test_a_stream_extends_and_notes_its_progress(store: Store, clock: Clock) -> None:
    await buy(store)
    held = await holds.place(store, ADA, amount=10, expires_us=clock.later(60))
    await holds.checkpoint(store, "default", held.id, used=8, quota={})
    assert (await holds.extend(store, "default", held.id, amount=90)).amount == 100
    with pytest.raises(InsufficientFunds):
        await holds.extend(store, "default", held.id, amount=1)


async def test_refunds_say_what_cannot_go_back(store: Store) -> None:
    await buy(store)
    charge = await holds.charge(store, ADA, amount=30)
    with pytest.raises(NotRefundable) as refused:
        await refunds.refund_purchase(store, "default", source="stripe", source_ref="pay_1", amount=71)
    assert refused.value.data == {"refundable": "70"}
    assert (await refunds.refund_charge(store, "default", charge.id, amount=10)).available == 80
    assert (await refunds.refund_purchase(store, "default", source="stripe", source_ref="pay_1")).value_nano == 800
    with pytest.raises(NotFound):
        await refunds.refund_charge(store, "default", 424_242)


async def test_units_move_to_a_team_and_adjustments_need_cover(store: Store) -> None:
    await buy(store)
    await refunds.move(store, source=ADA, target=TEAM, amount=40)
    await grants.adjust(store, TEAM, amount=-40, reason="closed", actor="root")
    with pytest.raises(InsufficientFunds):
        await grants.adjust(store, TEAM, amount=-1, reason="closed", actor="root")
    with pytest.raises(InvalidAmount):
        await refunds.move(store, source=ADA, target=ADA, amount=1)


async def test_a_key_used_for_another_body_is_a_conflict(store: Store) -> None:
    await grants.grant_promotion(
        store, ADA, amount=5, source="welcome", source_ref="ada", idempotency=Idempotency("admin", "k", "a")
    )
    with pytest.raises(IdempotencyConflict):
        await grants.adjust(store, ADA, amount=5, reason="r", actor="a", idempotency=Idempotency("admin", "k", "b"))


async def test_the_sweeper_expires_holds_while_it_runs(store: Store, clock: Clock) -> None:
    await buy(store)
    await holds.place(store, ADA, amount=60, expires_us=clock.later(10))
    clock.forward(11)
    sweeper = asyncio.create_task(expiry.keep_sweeping(store, every_seconds=0.001))
    try:
        async with asyncio.timeout(30):
            while await store.holds(ADA):  # noqa: ASYNC110  # the sweeper announces nothing; the store is the only witness
                await asyncio.sleep(0.001)
    finally:
        sweeper.cancel()
    assert await accounts.spendable(store, ADA) == 100
