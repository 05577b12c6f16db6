"""Thresholds are told of once in the commit that reaches them; what a month leaves goes into the next, up to the cap, once."""

import asyncio
import sqlite3
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.ledger.evaluate import evaluate
from storage.ledger.marks import TOPIC
from storage.ledger.state import State
from storage.records.commands import (
    Carry,
    Charge,
    Checkpoint,
    Claim,
    Done,
    Event,
    Expire,
    Hold,
    Idempotency,
    Refusal,
    Release,
    Settle,
)
from storage.records.ledger import CREDITS, AccountKey, WindowKey
from storage.sql.sqlite.store import open_sqlite

ADA = AccountKey("t", "user", "ada", CREDITS, "TOKEN")
MAY, JUNE, JULY = (WindowKey("t", "user:ada", "tokens", "monthly", start) for start in (0, 1_000_000, 2_000_000))
LATE_US = 10**15
MARKS = (80, 95, 100)


def claim(amount: int, limit: int | None = 100, window: WindowKey = MAY, **more: Any) -> Claim:
    return Claim(window, amount, limit, **{"thresholds": MARKS, **more})


def hold(amount: int, limit: int | None = 100, window: WindowKey = MAY, **more: Any) -> Hold:
    return Hold(account=ADA, amount=0, expires_us=LATE_US, claims=(claim(amount, limit, window, **more),))


def settle(held: Done, amount: int, **more: Any) -> Settle:
    return Settle(tenant="t", hold_id=held.id, amount=0, quota={"tokens": amount}, **more)


class Books:
    """The ledger's rules over rows in memory."""

    def __init__(self) -> None:
        self.state = State()
        self.told: list[dict[str, Any]] = []

    def do(self, command: Any) -> Any:
        [outcome] = evaluate([command], self.state, 5_000_000)
        self.told += [orjson.loads(event.payload) for _, event in self.state.changes.events if event.topic == TOPIC]
        self.state.end()
        return outcome

    def use(self, amount: int, *, window: WindowKey = MAY, limit: int | None = 100, **more: Any) -> Any:
        held = self.do(hold(amount, limit, window, **more))
        return self.do(settle(held, amount)) if isinstance(held, Done) else held

    def percents(self) -> list[int]:
        return [told["thresholdPercent"] for told in self.told]


def test_the_commit_that_reaches_a_threshold_tells_of_it_with_what_is_needed_to_act() -> None:
    books = Books()
    books.use(79)
    assert books.told == []
    books.use(1)
    assert books.told == [
        {
            "type": "quota_warning", "subject": "user:ada", "resource": "tokens", "period": "monthly",
            "periodStart": "1970-01-01T00:00:00Z", "thresholdPercent": 80, "quotaUsed": 80, "quotaLimit": 100,
            "occurredAt": "1970-01-01T00:00:05Z",
        }
    ]  # fmt: skip
    books.use(20)
    assert books.percents() == [80, 95, 100]
    assert books.told[-1]["type"] == "quota_exceeded"


def test_a_soft_limit_lets_through_and_tells() -> None:
    books = Books()
    assert isinstance(books.use(500, is_hard=False), Done)
    assert isinstance(books.use(500, is_hard=False), Done)
    assert books.percents() == [80, 95, 100]


def test_a_hold_that_is_released_and_one_that_is_refused_tell_nothing() -> None:
    books = Books()
    held = books.do(hold(100))
    books.do(Release(tenant="t", hold_id=held.id))
    assert isinstance(books.do(hold(101)), Refusal)
    assert books.told == []


def test_a_limit_that_moves_repeats_no_threshold_of_the_period() -> None:
    books = Books()
    books.use(90)
    books.use(70, limit=200)
    assert books.percents() == [80]
    books.use(40, limit=200)
    assert books.percents() == [80, 95, 100]


def test_a_limit_that_is_lowered_below_the_use_is_told_of_with_the_next_claim() -> None:
    books = Books()
    books.use(50)
    books.do(hold(0, limit=40, is_hard=False))
    assert books.percents() == [80, 95, 100]


def test_another_period_tells_anew() -> None:
    books = Books()
    books.use(90)
    books.use(90, window=JUNE)
    assert [(told["thresholdPercent"], told["periodStart"]) for told in books.told] == [
        (80, "1970-01-01T00:00:00Z"),
        (80, "1970-01-01T00:00:01Z"),
    ]


def test_an_expiry_tells_of_what_it_counts() -> None:
    books = Books()
    held = books.do(Hold(account=ADA, amount=0, expires_us=1, claims=(claim(90),)))
    books.do(Checkpoint(tenant="t", hold_id=held.id, used=0, quota={"tokens": 85}))
    books.do(Expire(tenant="t", hold_id=held.id))
    assert books.percents() == [80]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.booleans(), st.integers(50, 150)), max_size=30))
def test_whatever_happens_each_threshold_is_told_of_once_and_only_if_it_was_reached(
    history: list[tuple[int, int, bool, int]],
) -> None:
    books, open_holds, reached = Books(), [], 0
    for amount, used, is_closed, limit in history:
        outcome = books.do(hold(amount, limit, is_hard=False))
        assert isinstance(outcome, Done)
        open_holds.append((outcome, used))
        if is_closed:
            held, wanted = open_holds.pop(0)
            books.do(settle(held, wanted))
        window = books.state.windows[MAY]
        reached = max(reached, window.used * 100 // limit)
    told = books.percents()
    assert told == sorted(set(told))
    assert set(told) == {mark for mark in MARKS if reached >= mark}


async def test_racing_and_repeated_commands_tell_of_each_threshold_once(tmp_path: Any) -> None:
    async with open_sqlite(str(tmp_path / "books.db"), clock_us=lambda: 5_000_000) as store:

        async def use(number: int) -> None:
            charge = Charge(
                account=ADA, amount=0, claims=(claim(1),), idempotency=Idempotency("s", str(number % 100), "h"),
                events=(Event("other", "{}"),),
            )  # fmt: skip
            assert isinstance(await store.submit(charge), Done)

        await asyncio.gather(*(use(number) for number in range(300)))
        assert (await store.window(MAY)).used == 100
        assert [check for check in await store.verify() if not check.is_ok] == []
    with sqlite3.connect(tmp_path / "books.db") as reader:
        told = [orjson.loads(row[0]) for row in reader.execute("SELECT payload FROM outbox WHERE topic=?", (TOPIC,))]
    reader.close()
    assert [one["thresholdPercent"] for one in told] == [80, 95, 100]


@pytest.mark.parametrize(("used", "cap", "carried"), [(30, 50, 50), (30, 500, 70), (100, 50, 0), (0, 20, 20)])
def test_what_a_month_leaves_goes_into_the_next_up_to_the_cap(used: int, cap: int, carried: int) -> None:
    books = Books()
    books.use(used)
    carry = Carry(MAY, cap)
    assert isinstance(books.use(100 + carried, window=JUNE, carry=carry), Done)
    refused = books.use(1, window=JUNE, carry=carry)
    assert isinstance(refused, Refusal)
    assert (refused.data["limit"], refused.data["used"]) == (100 + carried, 100 + carried)
    assert books.state.windows[JUNE].carried == carried


def test_what_was_carried_is_decided_once_and_leftovers_of_two_months_stay_under_the_cap() -> None:
    books = Books()
    books.use(40)
    books.use(10, window=JUNE, carry=Carry(MAY, 50))
    books.use(60)  # a late call of May
    assert books.state.windows[JUNE].carried == 50
    books.use(10, window=JULY, carry=Carry(JUNE, 50))
    assert books.state.windows[JULY].carried == 50


def test_a_month_that_nothing_was_claimed_in_leaves_nothing() -> None:
    books = Books()
    books.use(10, window=JULY, carry=Carry(JUNE, 50))
    assert books.state.windows[JULY].carried == 0


async def test_a_file_that_is_opened_again_knows_what_was_told_and_carried(tmp_path: Any) -> None:
    path = str(tmp_path / "books.db")
    for amount in (90, 10):
        async with open_sqlite(path, clock_us=lambda: 5_000_000) as store:
            for window, carry in ((MAY, None), (JUNE, Carry(MAY, 7))):
                held = await store.submit(hold(amount, window=window, carry=carry))
                assert isinstance(held, Done)
                assert isinstance(await store.submit(settle(held, amount)), Done)
    async with open_sqlite(path, clock_us=lambda: 5_000_000) as store:
        assert (await store.window(JUNE))[1:] == (100, 0, 7, 100)
