"""Many commands of one waiter: each by itself, in few commits, and counted once for all in each quota window."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from storage.errors import StorageUnavailable
from storage.ledger.evaluate import Each, Group, evaluate
from storage.ledger.state import State
from storage.records.commands import Charge, Claim, Configure, Done, Idempotency, RefundCharge, Refusal
from storage.sql.each import EACH_MAX, each
from storage.sql.sqlite.store import open_sqlite
from storage.sql.waiting import fitting
from storage.store import Store
from tests.storage.conftest import Clock
from tests.storage.ledger_cases import ADA, BOB, MONTH, done, grant

# Any: outcomes are of every kind.

NOW = 1_000_000


def charge(number: int, amount: int = 1, **more: Any) -> Charge:
    key = Idempotency("event:api", f"e{number}", more.pop("said", "same"))
    claims = (Claim(MONTH, amount, more.pop("limit", None)),)
    return Charge(account=ADA, amount=amount, claims=claims, is_brief=True, idempotency=key, **more)


async def test_each_is_applied_or_refused_by_itself_and_answered_in_its_place(store: Store) -> None:
    await done(store, grant(ADA, 10))
    first, again, other, group, refused, empty, last = await store.submit_each(
        [
            charge(1, 4),
            charge(1, 4),
            charge(1, 4, said="other"),
            [Configure(account=BOB, overdraft=5), charge(2, 3)],
            [Configure(account=BOB, overdraft=9), charge(3, 4)],
            charge(4, 9, on_short="write_off"),
            charge(5),
        ]
    )
    assert isinstance(first, Done)
    assert (first.amount, first.windows, first.is_replay) == (4, (), False)
    assert isinstance(again, Done)
    assert (again.id, again.is_replay) == (first.id, True)
    assert isinstance(other, Refusal)
    assert other.reason == "key_reused"
    assert isinstance(group, tuple)
    assert [one.amount for one in group] == [0, 3]
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.index) == ("insufficient", 1)
    assert isinstance(empty, Done)
    assert (empty.amount, empty.written_off) == (3, 6)
    assert isinstance(last, Refusal)
    assert (await store.balance(ADA)).posted == 0
    assert (await store.balance(BOB)).overdraft == 5, "what stands in a refused group did not happen"
    assert (await store.window(MONTH)).used == 4 + 3 + 9


async def test_what_was_told_in_one_piece_is_a_replay_in_the_next_and_alone(store: Store) -> None:
    await done(store, grant(ADA, 1_000))
    count = 2 * EACH_MAX + 7
    told = [charge(number) for number in range(count)]
    first = await store.submit_each(told)
    again = await store.submit_each(told[::-1])
    alone = await done(store, told[3])
    assert [isinstance(one, Done) and not one.is_replay for one in first] == [True] * count
    assert [one.id for one in again if isinstance(one, Done) and one.is_replay] == [
        one.id for one in first[::-1] if isinstance(one, Done)
    ]
    assert alone.is_replay
    assert (await store.balance(ADA)).posted == 1_000 - count
    assert (await store.window(MONTH)).used == count


async def test_many_batches_share_a_commit_and_a_mistake_in_one_harms_only_itself(clock: Clock, tmp_path: Path) -> None:
    commits: list[int] = []
    async with (
        asyncio.timeout(20),
        open_sqlite(str(tmp_path / "l.db"), clock_us=clock, committed=commits.append) as store,
    ):
        await done(store, grant(ADA, 10_000))
        wrong: Any = "no amount"
        told = [[charge(1_000 * sender + number) for number in range(100)] for sender in range(6)]
        told[5][99] = charge(9_999, wrong)
        started = len(commits)
        await asyncio.gather(*[store.submit_each(some) for some in told[:5]])
        assert len(commits) - started <= 2, "a commit for each batch would be five"
        outcomes = [one for some in await asyncio.gather(*[store.submit_each(some) for some in told]) for one in some]
        assert [isinstance(one, Done) for one in outcomes] == [True] * 599 + [False]
        assert sum(isinstance(one, Done) and not one.is_replay for one in outcomes) == 99
        assert (await store.balance(ADA)).posted == 10_000 - 599
        assert [check for check in await store.verify() if not check.is_ok] == []


async def test_two_who_tell_the_same_at_once_are_charged_once(store: Store) -> None:
    await done(store, grant(ADA, 1_000))
    told = [charge(number) for number in range(90)]
    answers = await asyncio.gather(*[store.submit_each(told[at:] + told[:at]) for at in (0, 30, 60)])
    outcomes = [one for answer in answers for one in answer]
    assert sum(isinstance(one, Done) and not one.is_replay for one in outcomes) == 90
    assert (await store.balance(ADA)).posted == 1_000 - 90


async def test_a_charge_of_many_is_given_back_alone_to_the_unit(store: Store) -> None:
    await done(store, grant(ADA, 10, paid_nano=1_000))
    first, second = await store.submit_each([charge(1, 3), charge(2, 4)])
    assert isinstance(first, Done)
    assert isinstance(second, Done)
    assert (await done(store, RefundCharge(tenant="t", transfer_id=first.id))).amount == 3
    assert (await store.balance(ADA)).posted == 6
    (lot,) = await store.lots(ADA)
    assert lot.recognised_nano == 400


def test_the_charges_of_a_batch_share_one_part_in_a_window() -> None:
    state = State()
    evaluate([grant(ADA, 100), Each((charge(1, 4), charge(2, 5))), charge(3, 6)], state, NOW)
    (part,) = state.changes.hold_windows_new
    assert (part.amount, part.settled, state.windows[MONTH].used) == (15, 15, 15)
    state.end()
    evaluate([charge(4, 7)], state, NOW)
    (part,) = state.changes.hold_windows_new
    assert (part.amount, part.settled, state.windows[MONTH].used) == (7, 7, 22)


@pytest.mark.parametrize("before", [0, 1])
def test_a_refused_group_takes_its_share_out_of_the_common_part_again(before: int) -> None:
    state = State()
    evaluate([grant(ADA, 100)], state, NOW)
    state.end()
    broken = Group((charge(8, 30), charge(9, 900)))
    after = charge(7, 2)
    evaluate([*[charge(1, 4)] * before, broken, after], state, NOW)
    (part,) = state.changes.hold_windows_new
    assert (part.amount, part.settled) == (2 + 4 * before, 2 + 4 * before)
    assert state.windows[MONTH].used == 2 + 4 * before


def test_memory_keeps_no_answers_of_brief_charges() -> None:
    state = State()
    evaluate(
        [grant(ADA, 100), charge(1), Charge(account=ADA, amount=1, idempotency=Idempotency("s", "k", "h"))], state, NOW
    )
    state.end()
    assert list(state.idempotency) == [("t", "s", "k")]


def test_a_threshold_that_many_reach_together_is_told_of_once() -> None:
    state = State()
    claim = Claim(MONTH, 30, 100, is_hard=False, thresholds=(80, 100))
    command = Charge(account=ADA, amount=0, claims=(claim,), is_brief=True)
    evaluate([Each((command,) * 4)], state, NOW)
    told = [event.payload for _, event in state.changes.events]
    assert ['"thresholdPercent":80' in told[0], '"thresholdPercent":100' in told[1], len(told)] == [True, True, 2]


def test_what_fits_into_a_commit_is_counted_by_weight() -> None:
    waiting = [(None, None, weight) for weight in (100, 28, 1, 500)]
    assert fitting(waiting, 128) == 2
    assert fitting(waiting[2:], 128) == 1
    assert fitting(waiting[3:], 128) == 1, "who is heavier than a commit is alone in one"
    assert fitting([], 128) == 0


class Queue:
    """A lane that breaks at a piece in which a number is wrong."""

    def __init__(self, wrong: int, fault: Exception) -> None:
        self.wrong, self.fault = wrong, fault
        self.weights: list[int] = []

    def submit(self, told: object, weight: int) -> "asyncio.Future[Any]":
        self.weights.append(weight)
        future = asyncio.get_running_loop().create_future()
        numbers: Sequence[Any] = told.commands if isinstance(told, Each) else [told]
        if self.wrong in [one.amount for one in numbers]:
            future.set_exception(self.fault)
        else:
            amounts = [one.amount for one in numbers]
            future.set_result(tuple(amounts) if isinstance(told, Each) else amounts[0])
        return future


async def test_where_one_breaks_its_piece_the_others_are_told_one_by_one() -> None:
    queue = Queue(wrong=EACH_MAX + 1, fault=ValueError("broken"))
    count = EACH_MAX + 3
    outcomes = await each(queue.submit, [Charge(account=ADA, amount=amount) for amount in range(count)])
    assert outcomes[: EACH_MAX + 1] == list(range(EACH_MAX + 1))
    assert isinstance(outcomes[EACH_MAX + 1], ValueError)
    assert outcomes[EACH_MAX + 2] == EACH_MAX + 2
    assert queue.weights == [EACH_MAX, 3, 1, 1, 1]


async def test_a_database_that_is_away_is_everybodys_answer() -> None:
    queue = Queue(wrong=1, fault=StorageUnavailable("away"))
    with pytest.raises(StorageUnavailable):
        await each(queue.submit, [Charge(account=ADA, amount=amount) for amount in range(3)])
    assert queue.weights == [3]


async def test_keys_that_are_looked_for_together_are_found_whatever_they_hold(store: Store) -> None:
    await done(store, grant(ADA, 1_000))
    odd = ['"', "\\", "%", "'", "é\U0001f600", "[1]", " ", "null", "7"]
    keys = [Idempotency("event:api", key, "same") for key in odd]
    told = [Charge(account=ADA, amount=2, is_brief=True, idempotency=key) for key in keys]
    for again in (False, True, True):
        outcomes = await store.submit_each(told)
        assert [isinstance(one, Done) and one.is_replay for one in outcomes] == [again] * len(odd)
    elsewhere = [Charge(account=ADA, amount=1, idempotency=replace(key, scope="event:eu")) for key in keys]
    assert not any(one.is_replay for one in await store.submit_each(elsewhere) if isinstance(one, Done))
    assert (await store.balance(ADA)).posted == 1_000 - 3 * len(odd)
