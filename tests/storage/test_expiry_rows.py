"""What an expired hold is charged is told of: its usage row comes in the same commit, and a late end takes its place."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from storage.records.commands import Checkpoint, Claim, Done, Expire, Idempotency, RefundCharge, Release
from storage.records.ledger import REVENUE_USAGE, WRITE_OFF, AccountKey
from storage.records.money import TOKEN
from storage.records.usage import Usage, UsageRow
from storage.store import Store, open_store
from tests.storage.conftest import Clock
from tests.storage.ledger_cases import ADA, MONTH, done, grant, hold, refused, settle, usage_row


def noted(clock: Clock, held: Done, used: int, **more: Any) -> Checkpoint:
    """A note of a running call with the row that its expiry writes."""
    return Checkpoint(tenant="t", hold_id=held.id, used=used, quota={"tokens": used}, usage=draft(clock, used, **more))


def draft(clock: Clock, charge: int, **more: Any) -> UsageRow:
    row = usage_row("use_1", "ada", clock())
    row = replace(row, outcome="expired", is_partial=True, is_estimated=True, metadata={"project": "é\ud800"})
    return replace(row, request_id="req", charge_amount=charge, charge_asset="TOKEN", **more)


async def held_for(store: Store, clock: Clock, amount: int = 60) -> Done:
    await done(store, grant(ADA, 100))
    return await done(store, hold(clock, amount, seconds=10, ref="req", claims=(Claim(MONTH, 60),)))


async def rows(store: Store) -> list[UsageRow]:
    return list((await store.usage("t", "ada")).rows)


@pytest.mark.parametrize("way", ["sweep", "lazy", "command"])
async def test_an_expiry_writes_the_row_of_its_last_note_whatever_brings_it_about(
    store: Store, clock: Clock, way: str
) -> None:
    held = await held_for(store, clock)
    await done(store, noted(clock, held, 20))
    last = noted(clock, held, 33, usage=Usage(input=30, output=3))
    await done(store, last)
    clock.forward(10)
    if way == "sweep":
        await store.sweep()
    elif way == "lazy":
        await done(store, hold(clock, 67))
    else:
        await done(store, Expire(tenant="t", hold_id=held.id))
    assert last.usage is not None
    assert await rows(store) == [replace(last.usage, occurred_us=clock())]
    expiry = next(view for view in (await store.transfers(ADA)).rows if view.code == "expire")
    assert (expiry.amount, expiry.ref) == (-33, "req")


async def test_a_row_tells_what_was_paid_where_the_balance_did_not_cover_it(store: Store, clock: Clock) -> None:
    held = await held_for(store, clock, 100)
    await done(store, noted(clock, held, 130))
    clock.forward(10)
    await store.sweep()
    assert [row.charge_amount for row in await rows(store)] == [100]


async def test_a_hold_without_a_note_and_one_that_pays_nothing_leave_no_row(store: Store, clock: Clock) -> None:
    await held_for(store, clock)
    free = await done(store, hold(clock, 10, seconds=10, on_expire="void"))
    await done(store, noted(clock, free, 5))
    clock.forward(10)
    await store.sweep()
    assert await rows(store) == []


async def test_a_late_end_takes_the_place_of_the_expirys_row(store: Store, clock: Clock) -> None:
    held = await held_for(store, clock)
    await done(store, noted(clock, held, 33))
    clock.forward(10)
    await store.sweep()
    whole = replace(draft(clock, 50), outcome="done", is_partial=False, is_estimated=False)
    late = await done(store, settle(held, 50, usage=whole, ref="req", quota={"tokens": 50}))
    assert (late.is_late, late.amount) == (True, 17)
    assert await rows(store) == [whole]


async def test_a_late_end_that_used_less_gets_the_difference_back_in_lots_windows_and_row(
    store: Store, clock: Clock
) -> None:
    held = await held_for(store, clock)
    await done(store, noted(clock, held, 33))
    clock.forward(10)
    await store.sweep()
    real = replace(draft(clock, 20), outcome="done", is_partial=False, is_estimated=False)
    command = settle(held, 20, usage=real, ref="req", quota={"tokens": 20}, idempotency=Idempotency("end", "k", "h"))
    late = await done(store, command)
    assert (late.is_late, late.amount, late.posted) == (True, -13, 80)
    assert await rows(store) == [real]
    assert [lot.remaining for lot in await store.lots(ADA)] == [80]
    assert (await store.window(MONTH))[1:3] == (20, 0)
    back = (await store.transfers(ADA)).rows[0]
    assert (back.code, back.amount, back.ref) == ("late_refund", 13, "req")
    assert back.note == "less was used than the expiry charged"
    assert (await done(store, command)).is_replay
    assert (await refused(store, settle(held, 5))).data == {"state": "settled"}
    assert (await refused(store, RefundCharge(tenant="t", transfer_id=held.id + 1, amount=21))).data == {
        "refundable": 20
    }
    assert (await store.balance(ADA)).posted == 80


@pytest.mark.parametrize(("refunded", "back"), [(10, 3), (13, 0), (30, 0)])
async def test_what_an_operator_gave_back_of_an_expiry_is_not_given_back_again(
    store: Store, clock: Clock, refunded: int, back: int
) -> None:
    held = await held_for(store, clock)
    await done(store, noted(clock, held, 33))
    clock.forward(10)
    await store.sweep()
    await done(store, RefundCharge(tenant="t", transfer_id=held.id + 1, amount=refunded))
    real = replace(draft(clock, 20), outcome="done")
    late = await done(store, settle(held, 20, usage=real, ref="req", quota={"tokens": 20}))
    assert (late.amount, late.posted) == (-back, 100 - 33 + refunded + back)
    assert [row.charge_amount for row in await rows(store)] == [33 - back]


async def test_units_that_expired_meanwhile_go_back_to_their_lot_and_lapse_with_it(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 30, "old", expires_us=clock.later(20), priority=1, paid_nano=300))
    held = await held_for(store, clock)
    await done(store, noted(clock, held, 33))
    clock.forward(20)
    await store.sweep()
    real = replace(draft(clock, 20), outcome="done")
    late = await done(store, settle(held, 20, usage=real, ref="req", quota={"tokens": 20}))
    assert (late.amount, late.posted) == (-13, 100)
    old, new = await store.lots(ADA, with_empty=True)
    assert (old.remaining, old.recognised_nano, old.breakage_nano, new.remaining) == (0, 200, 100, 100)


async def test_units_that_go_back_to_an_expired_lot_stay_for_the_open_holds_that_may_draw_them(
    store: Store, clock: Clock
) -> None:
    await done(store, grant(ADA, 30, "old", expires_us=clock.later(20), priority=1))
    held = await held_for(store, clock)
    other = await done(store, hold(clock, 20, ref="other"))
    await done(store, noted(clock, held, 33))
    clock.forward(10)
    await store.sweep()
    clock.forward(10)
    real = replace(draft(clock, 20), outcome="done")
    late = await done(store, settle(held, 20, usage=real, ref="req", quota={"tokens": 20}))
    assert late.posted == 110
    await done(store, settle(other, 4))
    assert (await store.balance(ADA)).posted == 100, "it drew from the old lot, and the rest of that has lapsed"


@pytest.mark.parametrize(
    ("real", "posted", "lost"), [(0, 100, 0), (60, 40, 0), (100, 0, 0), (120, 0, 20), (130, 0, 30)]
)
async def test_an_expirys_write_off_stands_only_for_what_was_really_used_and_not_paid(
    store: Store, clock: Clock, real: int, posted: int, lost: int
) -> None:
    held = await held_for(store, clock, 100)
    await done(store, noted(clock, held, 130))
    clock.forward(10)
    await store.sweep()
    late = await done(store, settle(held, real, usage=replace(draft(clock, real), outcome="done"), ref="req"))
    assert (late.posted, late.written_off) == (posted, lost)
    assert [row.charge_amount for row in await rows(store)] == [100 - posted]
    assert await store.system_balance(AccountKey("t", "system", "", WRITE_OFF, TOKEN)) == -lost
    assert await store.system_balance(AccountKey("t", "system", "", REVENUE_USAGE, TOKEN)) == real


async def test_an_expiry_and_a_smaller_end_in_one_commit_charge_the_end(store: Store, clock: Clock) -> None:
    held = await held_for(store, clock)
    await done(store, noted(clock, held, 33))
    clock.forward(10)
    real = replace(draft(clock, 20), outcome="done")
    await asyncio.gather(
        store.submit(Expire(tenant="t", hold_id=held.id)),
        store.submit(settle(held, 20, usage=real, ref="req", quota={"tokens": 20})),
    )
    assert await rows(store) == [real]
    assert (await store.balance(ADA)).posted == 80
    assert (await store.window(MONTH))[1:3] == (20, 0)


async def test_an_expiry_and_a_late_end_in_one_commit_leave_one_row(store: Store, clock: Clock) -> None:
    held = await held_for(store, clock)
    await done(store, noted(clock, held, 33))
    clock.forward(10)
    whole = replace(draft(clock, 50), outcome="done")
    outcomes = await asyncio.gather(
        store.submit(Expire(tenant="t", hold_id=held.id)), store.submit(settle(held, 50, usage=whole, ref="req"))
    )
    assert all(isinstance(outcome, Done) for outcome in outcomes), outcomes
    assert await rows(store) == [whole]


async def test_a_settled_and_a_released_hold_forget_their_notes(store: Store, clock: Clock) -> None:
    held = await held_for(store, clock)
    await done(store, noted(clock, held, 33))
    whole = replace(draft(clock, 40), outcome="done")
    await done(store, settle(held, 40, usage=whole, ref="req", quota={"tokens": 40}))
    other = await done(store, hold(clock, 10, seconds=10, ref="req2"))
    await done(store, noted(clock, other, 5))
    await done(store, Release(tenant="t", hold_id=other.id))
    clock.forward(20)
    await store.sweep()
    assert await rows(store) == [whole]


async def test_a_note_outlives_its_process(tmp_path: Path, clock: Clock) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    async with open_store(url, clock_us=clock) as store:
        held = await held_for(store, clock)
        note = noted(clock, held, 33)
        await done(store, note)
    clock.forward(10)
    async with open_store(url, clock_us=clock) as store:
        assert note.usage is not None
        assert await rows(store) == [replace(note.usage, occurred_us=clock())]


@pytest.mark.parametrize(
    "forgery",
    [
        "DELETE FROM usage; DELETE FROM usage_slot; DELETE FROM usage_weight",
        "UPDATE usage SET charge_amount=32; UPDATE usage_slot SET charge_amount_rest=32",
        "UPDATE usage SET request_id='other'",
    ],
)
async def test_verify_misses_a_row_that_does_not_tell_what_was_charged(
    tmp_path: Path, clock: Clock, forgery: str
) -> None:
    path = tmp_path / "ledger.db"
    async with open_store(f"sqlite:///{path}", clock_us=clock) as store:
        held = await held_for(store, clock)
        await done(store, noted(clock, held, 33))
        clock.forward(10)
        await store.sweep()
        assert all(check.is_ok for check in await store.verify())
        with closing(sqlite3.connect(path, isolation_level=None)) as forger:
            forger.executescript(forgery)
        broken = [check.name for check in await store.verify() if not check.is_ok]
        assert broken == ["usage rows tell what calls were charged"]
