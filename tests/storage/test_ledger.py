"""The ledger's promises about holds, charges and keys, one example each, on every backend."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from storage.errors import InvalidCursor
from storage.records.commands import (
    Adjust,
    Charge,
    Checkpoint,
    Claim,
    Command,
    Configure,
    Done,
    Event,
    Expire,
    Extend,
    Idempotency,
    Move,
    RecordUsage,
    Refusal,
    Release,
    Settle,
)
from storage.records.ledger import (
    CASH_CLEARING,
    REVENUE_USAGE,
    SYSTEM_KINDS,
    WRITE_OFF,
    AccountKey,
    Balance,
)
from storage.records.money import AMOUNT_MAX, CREDIT, TOKEN
from storage.records.usage import Usage
from storage.store import Store
from tests.storage.conftest import Clock
from tests.storage.ledger_cases import ADA, BOB, MONTH, done, grant, hold, refused, settle, usage_row


async def test_a_balance_of_an_unknown_customer_is_zero(store: Store) -> None:
    assert await store.balance(ADA) == Balance()
    assert (await store.transfers(ADA)).rows == ()


async def test_a_grant_shows_in_its_own_answer_and_in_the_next_read(store: Store) -> None:
    assert (await done(store, grant(ADA, 100))).posted == 100
    assert (await store.balance(ADA)).available == 100


async def test_a_purchase_is_granted_once_whatever_the_number_of_webhooks(store: Store) -> None:
    answers = await asyncio.gather(*(store.submit(grant(ADA, 100)) for _ in range(5)))
    assert sum(isinstance(answer, Done) and not answer.is_replay for answer in answers) == 1
    assert (await store.balance(ADA)).posted == 100
    assert (await refused(store, grant(ADA, 101))).reason == "key_reused"


async def test_a_hold_reserves_and_a_settle_charges_what_was_used(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100))
    held = await done(store, hold(clock, 60))
    assert (held.posted, held.held, held.available) == (100, 60, 40)
    settled = await done(store, settle(held, 25))
    assert (settled.amount, settled.posted, settled.held) == (25, 75, 0)
    assert await store.system_balance(AccountKey("t", "system", "", REVENUE_USAGE, TOKEN)) == 25
    assert await store.system_balance(AccountKey("t", "system", "", CASH_CLEARING, TOKEN)) == -100


async def test_two_hundred_concurrent_holds_on_a_balance_worth_fifty_give_exactly_fifty(
    store: Store, clock: Clock
) -> None:
    await done(store, grant(ADA, 50 * 7))
    outcomes = await asyncio.gather(*(store.submit(hold(clock, 7)) for _ in range(200)))
    assert sum(isinstance(outcome, Done) for outcome in outcomes) == 50
    assert {outcome.reason for outcome in outcomes if isinstance(outcome, Refusal)} == {"insufficient"}
    assert (await store.balance(ADA)).available == 0


async def test_a_refused_hold_says_what_was_needed_and_changes_nothing(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 10))
    refusal = await refused(store, hold(clock, 11))
    assert refusal == Refusal("insufficient", {"needed": 11, "available": 10, "asset": TOKEN})
    assert (await store.holds(ADA)) == ()


async def test_a_hold_is_settled_once(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100))
    held = await done(store, hold(clock, 60))
    await done(store, settle(held, 10))
    assert (await refused(store, settle(held, 10))).data == {"state": "settled"}
    assert (await refused(store, Release(tenant="t", hold_id=held.id))).data == {"state": "settled"}
    assert (await refused(store, settle(Done(123_456), 1))).data == {"state": "unknown"}


async def test_another_tenant_cannot_touch_a_hold(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100))
    held = await done(store, hold(clock, 60))
    other = Settle(tenant="other", hold_id=held.id, amount=1)
    assert (await refused(store, other)).data == {"state": "unknown"}
    await done(store, settle(held, 1))
    assert (await refused(store, other)).data == {"state": "unknown"}


async def test_a_released_hold_gives_everything_back(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100))
    held = await done(store, hold(clock, 60, claims=(Claim(MONTH, 9, 10),)))
    await done(store, Release(tenant="t", hold_id=held.id))
    assert (await store.balance(ADA)).available == 100
    assert (await store.window(MONTH))[1:3] == (0, 0)


async def test_the_same_key_gives_the_first_answer_and_another_body_is_refused(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100))
    key = Idempotency("call", "k1", "body-1")
    first = await done(store, hold(clock, 60, idempotency=key, claims=(Claim(MONTH, 5),)))
    again = await done(store, hold(clock, 60, idempotency=key, claims=(Claim(MONTH, 5),)))
    assert again == replace(first, is_replay=True)
    other = await refused(store, hold(clock, 60, idempotency=replace(key, request_hash="body-2")))
    assert other.reason == "key_reused"
    assert len(await store.holds(ADA)) == 1


async def test_a_refused_command_leaves_its_key_unused(store: Store, clock: Clock) -> None:
    key = Idempotency("call", "k1", "body")
    await refused(store, hold(clock, 60, idempotency=key))
    await done(store, grant(ADA, 100))
    assert not (await done(store, hold(clock, 60, idempotency=key))).is_replay


async def test_an_expired_hold_charges_its_checkpoint_not_zero_and_not_the_maximum(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100))
    held = await done(store, hold(clock, 60, seconds=10, claims=(Claim(MONTH, 60),)))
    await done(store, Checkpoint(tenant="t", hold_id=held.id, used=33, quota={"tokens": 30}))
    assert (await refused(store, Expire(tenant="t", hold_id=held.id))).reason == "hold_not_due"
    clock.forward(10)
    assert await store.sweep() == 1
    assert (await store.balance(ADA)).posted == 67
    assert (await store.window(MONTH))[1:3] == (30, 0)
    expiry = (await store.transfers(ADA)).rows[0]
    assert (expiry.id, expiry.amount, expiry.code) == (held.id + 1, -33, "expire")


async def test_a_hold_that_would_fail_first_expires_the_dead_ones(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100))
    await done(store, hold(clock, 100, seconds=10, claims=(Claim(MONTH, 10, 10),)))
    clock.forward(11)
    assert (await done(store, hold(clock, 100))).held == 100
    await done(store, hold(clock, 0, seconds=10, claims=(Claim(MONTH, 10, 10),)))
    clock.forward(11)
    await done(store, hold(clock, 0, claims=(Claim(MONTH, 10, 10),)))


async def test_a_late_settle_is_charged_beside_the_expiry_and_the_rest_is_written_off(
    store: Store, clock: Clock
) -> None:
    await done(store, grant(ADA, 50))
    held = await done(store, hold(clock, 40, seconds=10, claims=(Claim(MONTH, 40),)))
    await done(store, Checkpoint(tenant="t", hold_id=held.id, used=5, quota={"tokens": 5}))
    clock.forward(11)
    await store.sweep()
    late = await done(store, settle(held, 60, quota={"tokens": 60}))
    assert (late.is_late, late.amount, late.written_off, late.posted) == (True, 45, 10, 0)
    assert (await store.window(MONTH))[1:3] == (60, 0)
    assert await store.system_balance(AccountKey("t", "system", "", WRITE_OFF, TOKEN)) == -10
    assert await store.system_balance(AccountKey("t", "system", "", REVENUE_USAGE, TOKEN)) == 60
    assert (await refused(store, settle(held, 60))).data == {"state": "settled"}


async def test_a_settle_above_its_hold_takes_what_is_free_and_writes_off_the_rest(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100))
    await done(store, hold(clock, 50))
    held = await done(store, hold(clock, 30, overdraft=5))
    settled = await done(store, settle(held, 70))
    assert (settled.amount, settled.written_off, settled.posted, settled.held) == (55, 15, 45, 50)


async def test_a_hold_lives_a_day_at_most(store: Store, clock: Clock) -> None:
    held = await done(store, hold(clock, 0, seconds=10**9))
    assert held.expires_us == clock.later(24 * 3600)


async def test_a_suspended_account_makes_no_hold_but_settles_the_ones_it_has(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100))
    held = await done(store, hold(clock, 10))
    await done(store, Configure(account=ADA, state="suspended"))
    assert (await refused(store, hold(clock, 1))).reason == "account_suspended"
    assert (await refused(store, Extend(tenant="t", hold_id=held.id, amount=1))).reason == "account_suspended"
    assert (await done(store, settle(held, 10))).amount == 10


async def test_a_group_is_applied_whole_or_not_at_all(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 10))
    refusal = await store.submit_together([grant(ADA, 5, "2"), Move(source=ADA, target=BOB, amount=12), hold(clock, 4)])
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.index) == ("insufficient", 2)
    assert (await store.balance(ADA), await store.balance(BOB)) == (Balance(posted=10), Balance())
    done_all = await store.submit_together(
        [grant(ADA, 5, "2"), Move(source=ADA, target=BOB, amount=12), hold(clock, 3)]
    )
    assert isinstance(done_all, tuple)
    assert (await store.balance(BOB)).posted == 12


async def test_a_settle_keeps_its_usage_row_in_the_same_commit_and_a_refused_one_keeps_none(
    store: Store, clock: Clock
) -> None:
    row = usage_row("use_1", "ada", clock())
    await done(store, grant(ADA, 100))
    held = await done(store, hold(clock, 10))
    await done(store, settle(held, 7, usage=row, events=(Event("usage.recorded", "{}"),)))
    await refused(store, settle(held, 7, usage=replace(row, id="use_2")))
    assert (await store.usage("t", "ada")).rows == (row,)


async def test_tokens_that_nobody_has_priced_are_no_usage_row_unless_the_bill_is_the_caller_s_own(
    store: Store, clock: Clock
) -> None:
    await done(store, grant(ADA, 100))
    held = await done(store, hold(clock, 10))
    unpriced = replace(usage_row("use_1", "ada", clock()), cost_nano=None)
    commands: list[Command] = [
        settle(held, 7, usage=unpriced),
        Release(tenant="t", hold_id=held.id, usage=unpriced),
        Checkpoint(tenant="t", hold_id=held.id, used=7, quota={}, usage=unpriced),
        Charge(account=ADA, amount=7, usage=unpriced, on_short="write_off"),
        RecordUsage(unpriced),
    ]
    for command in commands:
        assert (await refused(store, command)).reason == "invalid", command
    assert (await store.balance(ADA)) == Balance(posted=100, held=10)
    assert (await store.usage("t", None)).rows == ()
    for row in (
        replace(unpriced, id="free", cost_nano=0),
        replace(unpriced, id="own key", caller_kind="byok"),
        replace(unpriced, id="no tokens", usage=Usage()),
    ):
        await done(store, RecordUsage(row))
    assert len((await store.usage("t", None)).rows) == 3


async def test_a_charge_that_already_happened_is_booked_and_its_shortfall_written_off(store: Store) -> None:
    await done(store, grant(ADA, 10))
    claim = (Claim(MONTH, 25, 20),)
    assert (await refused(store, Charge(account=ADA, amount=25, claims=claim))).reason == "quota_exceeded"
    assert (await refused(store, Charge(account=ADA, amount=25))).reason == "insufficient"
    charged = await done(store, Charge(account=ADA, amount=25, claims=claim, on_short="write_off"))
    assert (charged.amount, charged.written_off) == (10, 15)
    assert (await store.window(MONTH)).used == 25


@pytest.mark.parametrize("amount", [-1, AMOUNT_MAX + 1, 2**80])
async def test_an_amount_past_the_range_is_refused_never_wrapped(store: Store, clock: Clock, amount: int) -> None:
    credits_ = ADA._replace(asset=CREDIT)
    await done(store, grant(credits_, AMOUNT_MAX - 5))
    for command in (
        grant(credits_, amount, "2"),
        grant(credits_, 6, "3"),
        hold(clock, amount, credits_),
        hold(clock, 1, credits_, claims=(Claim(MONTH, amount),)),
        Charge(account=credits_, amount=amount),
        Adjust(account=credits_, amount=6, reason="r", actor="a"),
        Configure(account=credits_, overdraft=amount),
    ):
        assert (await refused(store, command)).reason == "out_of_range", command
    held = await done(store, hold(clock, 1, credits_))
    assert (await refused(store, settle(held, amount))).reason == "out_of_range"
    assert (await store.balance(credits_)).posted == AMOUNT_MAX - 5


async def test_sums_past_sixty_four_bits_are_still_verified(store: Store) -> None:
    for number in range(4):
        await done(store, grant(ADA._replace(owner_id=str(number), asset=CREDIT), AMOUNT_MAX, str(number)))
    cash = AccountKey("t", "system", "", CASH_CLEARING, CREDIT)
    assert await store.system_balance(cash) == -4 * AMOUNT_MAX


async def test_one_command_that_cannot_be_stored_does_not_harm_its_neighbours(store: Store) -> None:
    lone_surrogate = grant(ADA, 1, "\ud800")
    outcomes = await asyncio.gather(
        *(store.submit(command) for command in (grant(ADA, 5, "a"), lone_surrogate, grant(ADA, 7, "b"))),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], ValueError | TypeError)
    assert [isinstance(outcome, Done) for outcome in outcomes] == [True, False, True]
    assert (await store.balance(ADA)).posted == 12


async def test_pages_of_transfers_are_complete_and_are_not_shifted_by_new_ones(store: Store) -> None:
    for number in range(7):
        await done(store, grant(ADA, number + 1, str(number)))
    first = await store.transfers(ADA, limit=3)
    await done(store, grant(ADA, 100, "new"))
    amounts = [view.amount for view in first.rows]
    cursor = first.next_cursor
    while cursor:
        page = await store.transfers(ADA, limit=3, cursor=cursor)
        amounts += [view.amount for view in page.rows]
        cursor = page.next_cursor
    assert amounts == [7, 6, 5, 4, 3, 2, 1]


async def test_accounts_are_listed_with_their_balances_and_never_the_system_s(store: Store) -> None:
    await done(store, grant(ADA, 1))
    await done(store, grant(BOB, 2, "2"))
    page = await store.accounts("t", limit=1)
    rest = await store.accounts("t", limit=10, cursor=page.next_cursor)
    assert [(key.owner_id, balance.posted) for key, balance in (*page.rows, *rest.rows)] == [("ada", 1), ("bob", 2)]
    assert len(SYSTEM_KINDS) == 8


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.2.3", "1.-2", "9" * 30 + ".1", "\u0661.1"])
async def test_a_cursor_that_is_not_ours_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        await store.transfers(ADA, cursor=cursor)


async def test_usage_is_paged_by_time_for_one_user_and_for_all(store: Store) -> None:
    for second, user in ((5, "ada"), (3, "bob"), (9, "ada"), (7, "ada"), (7, "bob")):
        await store.record_usage(usage_row(f"{user}-{second}", user, second))

    async def ids(user: str | None, **more: Any) -> list[str]:
        found: list[str] = []
        cursor = None
        while True:
            page = await store.usage("t", user, limit=2, cursor=cursor, **more)
            found += [row.id for row in page.rows]
            cursor = page.next_cursor
            if cursor is None:
                return found

    assert await ids("ada") == ["ada-9", "ada-7", "ada-5"]
    assert await ids(None) == ["ada-9", "bob-7", "ada-7", "ada-5", "bob-3"]
    assert await ids(None, since_us=5, until_us=9) == ["bob-7", "ada-7", "ada-5"]
