"""Every way past sixty-four bits is refused before anything changes, and what was noted never goes down."""

from storage.records.commands import Charge, Checkpoint, Claim, Configure, Extend, Move, RefundCharge
from storage.records.money import AMOUNT_MAX, CREDIT
from storage.store import Store
from tests.storage.conftest import Clock
from tests.storage.ledger_cases import ADA, BOB, MONTH, done, grant, hold, refused, settle

RICH = ADA._replace(asset=CREDIT)
POOR = BOB._replace(asset=CREDIT)


async def test_holds_past_the_range_are_refused_whatever_the_overdraft(store: Store, clock: Clock) -> None:
    await done(store, grant(RICH, AMOUNT_MAX - 5))
    await done(store, Configure(account=RICH, overdraft=AMOUNT_MAX))
    held = await done(store, hold(clock, AMOUNT_MAX - 10, RICH))
    assert (await refused(store, hold(clock, 11, RICH))).reason == "out_of_range"
    assert (await refused(store, Extend(tenant="t", hold_id=held.id, amount=11))).reason == "out_of_range"
    await done(store, Extend(tenant="t", hold_id=held.id, amount=10))
    assert (await store.balance(RICH)).held == AMOUNT_MAX


async def test_counters_past_the_range_are_refused(store: Store, clock: Clock) -> None:
    await done(store, Charge(account=RICH, amount=0, claims=(Claim(MONTH, AMOUNT_MAX - 5),)))
    assert (await refused(store, hold(clock, 0, RICH, claims=(Claim(MONTH, 6),)))).reason == "out_of_range"
    held = await done(store, hold(clock, 0, RICH, claims=(Claim(MONTH, 1),)))
    assert (await refused(store, settle(held, 0, quota={"tokens": 6}))).reason == "out_of_range"
    note = Checkpoint(tenant="t", hold_id=held.id, used=0, quota={"tokens": 6})
    assert (await refused(store, note)).reason == "out_of_range"
    await done(store, settle(held, 0, quota={"tokens": 1}))
    assert (await store.window(MONTH))[1:3] == (AMOUNT_MAX - 4, 0)


async def test_what_goes_back_or_over_cannot_pass_the_range(store: Store) -> None:
    await done(store, grant(RICH, 10))
    charged = await done(store, Charge(account=RICH, amount=10))
    await done(store, grant(RICH, AMOUNT_MAX - 5, "2"))
    assert (await refused(store, RefundCharge(tenant="t", transfer_id=charged.id))).reason == "out_of_range"
    await done(store, grant(POOR, 10, "3"))
    assert (await refused(store, Move(source=POOR, target=RICH, amount=6))).reason == "out_of_range"
    await done(store, Move(source=POOR, target=RICH, amount=5))
    assert (await store.balance(RICH)).posted == AMOUNT_MAX


async def test_a_note_never_goes_down(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100))
    held = await done(store, hold(clock, 60, seconds=10, claims=(Claim(MONTH, 60),)))
    for used in (33, 20):
        await done(store, Checkpoint(tenant="t", hold_id=held.id, used=used, quota={"tokens": used}))
    clock.forward(10)
    await store.sweep()
    assert (await store.balance(ADA)).posted == 67
    assert (await store.window(MONTH))[1:3] == (33, 0)
