"""The ledger's promises about lots, refunds and quota windows, one example each, on every backend."""

from dataclasses import replace

from storage.records.commands import (
    Adjust,
    Charge,
    Claim,
    Command,
    Extend,
    Idempotency,
    Move,
    RefundCharge,
    RefundPurchase,
    Refusal,
    RequireEmpty,
)
from storage.records.ledger import (
    BREAKAGE,
    AccountKey,
    Balance,
)
from storage.records.money import NEVER_US, TOKEN
from storage.store import Store
from tests.storage.conftest import Clock
from tests.storage.ledger_cases import ADA, BOB, HOUR_US, MONTH, TEAM, done, grant, hold, refused, settle


async def test_an_overdraft_is_used_and_paid_back_by_the_next_grant(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 10, paid_nano=1000))
    held = await done(store, hold(clock, 30, overdraft=20))
    assert (await done(store, settle(held, 30))).posted == -20
    await done(store, grant(ADA, 50, "2", paid_nano=500))
    assert (await store.balance(ADA)).posted == 30
    first, second = await store.lots(ADA, with_empty=True)
    assert (first.remaining, first.recognised_nano) == (0, 1000)
    assert (second.remaining, second.recognised_nano, second.deferred_nano) == (30, 200, 300)


async def test_lots_are_spent_by_priority_then_expiry_then_age(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 10, "late"))
    await done(store, grant(ADA, 10, "soon", expires_us=clock.later(100)))
    await done(store, grant(ADA, 10, "first", priority=1))
    await done(store, grant(ADA, 10, "later"))
    held = await done(store, hold(clock, 25))
    await done(store, settle(held, 25))
    assert {lot.source_ref: lot.remaining for lot in await store.lots(ADA, with_empty=True)} == {
        "first": 0,
        "soon": 0,
        "late": 5,
        "later": 10,
    }


async def test_a_lot_that_expires_while_the_work_runs_still_pays_for_it(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100, paid_nano=900, expires_us=clock.later(10)))
    held = await done(store, hold(clock, 60))
    clock.forward(11)
    await store.sweep()
    assert await store.balance(ADA) == Balance(posted=60, held=60)
    await done(store, settle(held, 50))
    (lot,) = await store.lots(ADA, with_empty=True)
    assert (lot.remaining, lot.recognised_nano, lot.breakage_nano) == (0, 450, 450)
    assert await store.system_balance(AccountKey("t", "system", "", BREAKAGE, TOKEN)) == 50


async def test_the_expiry_of_one_lot_never_eats_another(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100, "old", expires_us=clock.later(10)))
    held = await done(store, hold(clock, 100))
    clock.forward(11)
    await done(store, grant(ADA, 50, "new"))
    await store.sweep()
    assert (await store.balance(ADA)).available == 50
    await done(store, settle(held, 100))
    assert [lot.remaining for lot in await store.lots(ADA)] == [50]


async def test_an_expired_lot_cannot_be_held_even_before_the_sweep(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100, expires_us=clock.later(10)))
    clock.forward(10)
    assert (await store.balance(ADA)).available == 0
    assert (await refused(store, hold(clock, 1))).reason == "insufficient"


async def test_a_quota_is_refused_with_its_figures_and_holds_no_money(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100))
    await done(store, hold(clock, 10, claims=(Claim(MONTH, 7, 10),)))
    refusal = await refused(store, hold(clock, 10, claims=(Claim(MONTH, 4, 10),)))
    assert refusal.reason == "quota_exceeded"
    wanted = {"subject": "ada", "resource": "tokens", "period": "monthly", "startUs": 0, "used": 0, "held": 7}
    assert refusal.data == wanted | {"limit": 10, "amount": 4}
    assert (await store.balance(ADA)).held == 10
    soft = await done(store, hold(clock, 0, claims=(Claim(MONTH, 4, 10, is_hard=False),)))
    assert [(view.used, view.held) for view in soft.windows] == [(0, 11)]


async def test_a_hold_settles_in_the_windows_it_was_made_in(store: Store, clock: Clock) -> None:
    first, second = (MONTH._replace(period="hourly", start_us=start) for start in (0, HOUR_US))
    held = await done(store, hold(clock, 0, claims=(Claim(first, 10, 10),)))
    clock.forward(3600)
    await done(store, hold(clock, 0, claims=(Claim(second, 10, 10),)))
    await done(store, settle(held, 0, quota={"tokens": 6}))
    assert (await store.window(first))[1:3] == (6, 0)
    assert (await store.window(second))[1:3] == (0, 10)


async def test_an_extension_raises_the_hold_and_its_window_or_nothing(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100))
    held = await done(store, hold(clock, 60, claims=(Claim(MONTH, 5, 10),)))
    more = Extend(tenant="t", hold_id=held.id, amount=30, expires_us=clock.later(90), claims=(Claim(MONTH, 5, 10),))
    assert (await done(store, more)).amount == 90
    assert (await refused(store, more)).reason == "insufficient"
    assert (await refused(store, replace(more, amount=1))).reason == "quota_exceeded"
    (open_hold,) = await store.holds(ADA)
    assert (open_hold.amount, open_hold.expires_us) == (90, clock.later(90))


async def test_a_refunded_purchase_takes_only_what_is_left_and_says_its_worth(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100, paid_nano=1000))
    await done(store, Charge(account=ADA, amount=30))
    held = await done(store, hold(clock, 20))
    refund = RefundPurchase(tenant="t", source="shop", source_ref="1", idempotency=Idempotency("webhook", "evt_1", "x"))
    assert (await refused(store, replace(refund, amount=51, idempotency=None))).data == {"refundable": 50}
    given = await done(store, refund)
    assert (given.amount, given.value_nano, given.posted) == (50, 500, 20)
    assert (await done(store, refund)).is_replay
    await done(store, settle(held, 20))
    assert (await store.balance(ADA)).posted == 0
    missing = RefundPurchase(tenant="t", source="shop", source_ref="nothing")
    assert (await refused(store, missing)).reason == "not_found"


async def test_a_refunded_charge_returns_to_its_lots_last_used_first(store: Store) -> None:
    await done(store, grant(ADA, 10, "a", paid_nano=100, priority=1))
    await done(store, grant(ADA, 10, "b", paid_nano=50, priority=2))
    charge = await done(store, Charge(account=ADA, amount=15))
    await done(store, RefundCharge(tenant="t", transfer_id=charge.id, amount=7))
    assert [(lot.remaining, lot.recognised_nano) for lot in await store.lots(ADA)] == [(2, 80), (10, 0)]
    await done(store, RefundCharge(tenant="t", transfer_id=charge.id))
    assert [(lot.remaining, lot.recognised_nano) for lot in await store.lots(ADA)] == [(10, 0), (10, 0)]
    assert (await refused(store, RefundCharge(tenant="t", transfer_id=charge.id))).data == {"refundable": 0}
    assert (await refused(store, RefundCharge(tenant="other", transfer_id=charge.id))).reason == "not_found"


async def test_an_adjustment_keeps_its_reason_and_actor(store: Store) -> None:
    await done(store, Adjust(account=ADA, amount=30, reason="goodwill", actor="root"))
    await done(store, Adjust(account=ADA, amount=-10, reason="mistake", actor="root"))
    assert (await store.balance(ADA)).posted == 20
    assert (await store.transfers(ADA)).rows[0].note == '{"reason": "mistake", "actor": "root"}'
    assert (await refused(store, Adjust(account=ADA, amount=-21, reason="r", actor="a"))).reason == "insufficient"


async def test_units_moved_to_a_team_keep_their_expiry_and_cost(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100, paid_nano=1000, expires_us=clock.later(100)))
    await done(store, Move(source=ADA, target=TEAM, amount=40))
    (lot,) = await store.lots(TEAM)
    assert (lot.remaining, lot.paid_nano, lot.expires_us, lot.category) == (40, 400, clock.later(100), "paid")
    (left,) = await store.lots(ADA)
    assert (left.remaining, left.moved_nano, left.deferred_nano) == (60, 400, 600)
    assert (await refused(store, Move(source=ADA, target=TEAM, amount=61))).reason == "insufficient"
    other = ADA._replace(tenant="other")
    assert (await refused(store, Move(source=ADA, target=other, amount=1))).reason == "invalid"


async def test_a_group_that_requires_an_empty_account_is_applied_only_while_it_has_and_holds_nothing(
    store: Store, clock: Clock
) -> None:
    def group(ref: str) -> list[Command]:
        return [grant(BOB, 1, ref), RequireEmpty(account=ADA)]

    assert isinstance(await store.submit_together(group("a")), tuple)  # nobody has ever touched the account
    await done(store, grant(ADA, 10, expires_us=clock.later(100)))
    held = await done(store, hold(clock, 10))
    full = await store.submit_together(group("b"))
    assert isinstance(full, Refusal)
    assert (full.reason, full.index, full.data) == ("not_empty", 1, {"posted": 10, "held": 10, "asset": TOKEN})
    await done(store, settle(held, 4))
    clock.forward(101)  # what is left has expired, though nobody has swept it away
    assert isinstance(await store.submit_together(group("c")), tuple)
    assert (await store.balance(BOB)).posted == 2
    owing = await done(store, hold(clock, 5, overdraft=5))
    assert (await refused(store, RequireEmpty(account=ADA))).data == {"posted": 0, "held": 5, "asset": TOKEN}
    await done(store, settle(owing, 5))
    assert (await refused(store, RequireEmpty(account=ADA))).data["posted"] == -5


async def test_a_lot_cannot_be_granted_after_its_expiry(store: Store, clock: Clock) -> None:
    assert (await refused(store, grant(ADA, 1, expires_us=clock()))).reason == "invalid"
    assert (await done(store, grant(ADA, 1))).expires_us == NEVER_US


async def test_work_begun_after_a_lot_expired_never_spends_it(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100, "old", priority=1, expires_us=clock.later(10)))
    held = await done(store, hold(clock, 100))
    clock.forward(11)
    await done(store, grant(ADA, 50, "new", priority=2))
    younger = await done(store, hold(clock, 50))
    await done(store, settle(younger, 50))
    assert {lot.source_ref: lot.remaining for lot in await store.lots(ADA)} == {"old": 100}
    await done(store, settle(held, 100))
    assert (await store.balance(ADA)).posted == 0


async def test_an_overdraft_in_use_is_not_taken_away_by_a_smaller_one(store: Store, clock: Clock) -> None:
    held = await done(store, hold(clock, 10, overdraft=20))
    await done(store, settle(held, 10))
    assert (await done(store, hold(clock, 0, overdraft=0))).overdraft == 10
    assert (await refused(store, hold(clock, 1, overdraft=0))).reason == "insufficient"
    await done(store, grant(ADA, 15))
    assert (await done(store, hold(clock, 0, overdraft=0))).overdraft == 0
