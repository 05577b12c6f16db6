"""Balances and windows from memory: every commit of this process is in the next answer, and what others do within a bound."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from storage.errors import StorageUnavailable
from storage.ledger.rows import Account, Window
from storage.ledger.state import Changes
from storage.records.commands import Claim, Release
from storage.records.ledger import AccountKey, Balance, Look, WindowKey, WindowView
from storage.records.money import NEVER_US
from storage.sql.remembered import Remembered
from storage.store import Store, open_store
from tests.fakes.postgres import Server
from tests.storage.conftest import Clock
from tests.storage.ledger_cases import ADA, BOB, MONTH, done, grant, hold, settle

AGE_US = 1_000_000
OTHER = MONTH._replace(subject="nobody")


class Books:
    """What stands below the memory: figures that a test sets, and answers that it can hold up."""

    def __init__(self) -> None:
        self.figure = 1
        self.first_expiry_us = NEVER_US
        self.is_away = False
        self.asked: Counter[object] = Counter()
        self.questions = 0
        self.has_read = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def look_until(self, windows: Sequence[WindowKey], account: AccountKey | None) -> tuple[Look, int]:
        if self.is_away:
            raise StorageUnavailable
        self.questions += 1
        self.asked.update(windows if account is None else [*windows, account])
        found = self.figure
        self.has_read.set()
        await self.may_answer.wait()
        balance = Balance() if account is None else Balance(posted=found)
        return Look({key: WindowView(key, found, 0) for key in windows}, balance), self.first_expiry_us


def committed(*, account: AccountKey | None = None, window: WindowKey | None = None) -> Changes:
    """What a commit changed."""
    changes = Changes()
    if account is not None:
        changes.accounts.append(Account(1, account))
    if window is not None:
        changes.windows.append(Window(1, window))
    return changes


@pytest.fixture
def books() -> Books:
    return Books()


def memory(books: Books, clock: Clock, **more: Any) -> Remembered:
    return Remembered(books, clock, **more)


async def test_a_figure_is_read_once_and_then_answered_from_memory(books: Books, clock: Clock) -> None:
    remembered = memory(books, clock)

    found = [(await remembered.balance(ADA)).posted for _ in range(3)]
    seen = [(await remembered.window(MONTH)).used for _ in range(3)]

    assert (found, seen) == ([1, 1, 1], [1, 1, 1])
    assert books.asked == {ADA: 1, MONTH: 1}


async def test_what_is_not_in_memory_is_asked_for_in_one_question(books: Books, clock: Clock) -> None:
    remembered = memory(books, clock)
    windows = [MONTH._replace(subject=name) for name in ("a", "b", "c")]
    await remembered.window(windows[1])
    books.figure = 2

    found = await remembered.look([*windows, windows[0]], ADA)

    assert ([found.windows[key].used for key in windows], found.balance.posted) == ([2, 1, 2], 2)
    assert (books.questions, set(books.asked.values())) == (2, {1})
    assert await remembered.look([*windows, windows[0]], ADA) == found
    assert books.questions == 2


async def test_a_commit_takes_out_what_it_changed_and_nothing_else(books: Books, clock: Clock) -> None:
    remembered = memory(books, clock)
    for account in (ADA, BOB):
        await remembered.balance(account)
    await remembered.window(MONTH)
    books.figure = 2

    remembered.changed(committed(account=ADA))
    assert [(await remembered.balance(account)).posted for account in (ADA, BOB)] == [2, 1]
    assert (await remembered.window(MONTH)).used == 1
    remembered.changed(committed(window=MONTH))
    assert (await remembered.window(MONTH)).used == 2


async def test_what_was_read_before_a_commit_is_not_kept_after_it(books: Books, clock: Clock) -> None:
    remembered = memory(books, clock)
    books.may_answer.clear()
    reading = asyncio.ensure_future(remembered.balance(ADA))
    await books.has_read.wait()

    books.figure = 2
    remembered.changed(committed(account=ADA))
    books.may_answer.set()

    assert (await reading).posted == 1  # it was asked before the commit
    assert (await remembered.balance(ADA)).posted == 2


async def test_a_slow_reading_never_replaces_what_was_read_after_the_commit(books: Books, clock: Clock) -> None:
    remembered = memory(books, clock)
    books.may_answer.clear()
    slow = asyncio.ensure_future(remembered.window(MONTH))
    await books.has_read.wait()
    held_up, books.may_answer = books.may_answer, asyncio.Event()
    books.may_answer.set()

    books.figure = 2
    remembered.changed(committed(window=MONTH))
    assert (await remembered.window(MONTH)).used == 2
    held_up.set()
    await slow

    assert (await remembered.window(MONTH)).used == 2


async def test_what_others_may_change_too_is_asked_again_once_it_is_old(books: Books, clock: Clock) -> None:
    remembered = memory(books, clock, age_us_max=AGE_US)
    await remembered.balance(ADA)
    books.figure = 2

    clock.forward(0.999)
    assert (await remembered.balance(ADA)).posted == 1
    clock.forward(0.001)
    assert (await remembered.balance(ADA)).posted == 2


async def test_the_age_counts_from_the_question_however_long_the_answer_took(books: Books, clock: Clock) -> None:
    remembered = memory(books, clock, age_us_max=AGE_US)
    books.may_answer.clear()
    reading = asyncio.ensure_future(remembered.window(MONTH))
    await books.has_read.wait()
    clock.forward(1)
    books.may_answer.set()
    await reading
    books.figure = 2

    assert (await remembered.window(MONTH)).used == 2


async def test_a_clock_that_is_set_back_makes_everything_old(books: Books, clock: Clock) -> None:
    remembered = memory(books, clock, age_us_max=AGE_US)
    await remembered.balance(ADA)
    books.figure = 2

    clock.forward(-3600)

    assert (await remembered.balance(ADA)).posted == 2


async def test_without_an_age_every_question_goes_below(books: Books, clock: Clock) -> None:
    remembered = memory(books, clock, age_us_max=0)

    for _ in range(3):
        await remembered.window(MONTH)

    assert books.asked[MONTH] == 3


async def test_a_balance_ends_with_its_next_lot(books: Books, clock: Clock) -> None:
    remembered = memory(books, clock)
    books.first_expiry_us = clock.later(5)
    await remembered.balance(ADA)
    books.figure, books.first_expiry_us = 2, NEVER_US

    clock.forward(4)
    assert (await remembered.balance(ADA)).posted == 1
    clock.forward(1)
    assert (await remembered.balance(ADA)).posted == 2


async def test_memory_is_bounded_and_the_oldest_go(books: Books, clock: Clock) -> None:
    remembered = memory(books, clock, count_max=3)
    keys = [MONTH._replace(subject=str(number)) for number in range(5)]

    for key in (*keys, *keys[2:]):
        await remembered.window(key)
    assert set(books.asked.values()) == {1}

    await remembered.window(keys[0])
    assert books.asked[keys[0]] == 2


async def test_a_reading_that_fails_is_nobodys_answer(books: Books, clock: Clock) -> None:
    remembered = memory(books, clock)
    books.is_away = True
    with pytest.raises(StorageUnavailable):
        await remembered.balance(ADA)

    books.is_away = False

    assert (await remembered.balance(ADA)).posted == 1


async def test_each_commit_is_in_the_next_answer(store: Store, clock: Clock) -> None:
    remembered = store.remembered
    seen = []

    async def look() -> None:
        balance, window = await remembered.balance(ADA), await remembered.window(MONTH)
        assert await store.look((MONTH, OTHER), ADA) == Look({MONTH: window, OTHER: WindowView(OTHER, 0, 0)}, balance)
        assert (balance, window) == (await store.balance(ADA), await store.window(MONTH))
        seen.append((balance.posted, balance.held, window.used, window.held))

    await look()
    await done(store, grant(ADA, 100))
    await look()
    held = await done(store, hold(clock, 30, claims=(Claim(MONTH, 7, 50),)))
    await look()
    await done(store, settle(held, 20, quota={"tokens": 5}))
    await look()
    released = await done(store, hold(clock, 10, claims=(Claim(MONTH, 1, 50),)))
    await done(store, Release(tenant="t", hold_id=released.id))
    await look()

    assert seen == [(0, 0, 0, 0), (100, 0, 0, 0), (100, 30, 0, 7), (80, 0, 5, 0), (80, 0, 5, 0)]


@pytest.mark.parametrize("count", [0, 1, 4, 5, 11])
async def test_any_number_of_windows_is_seen_together_with_an_account(store: Store, clock: Clock, count: int) -> None:
    keys = [MONTH._replace(subject=str(number)) for number in range(count)]
    await done(store, grant(ADA, 100))
    for number, key in enumerate(keys):
        await done(store, hold(clock, 1, claims=(Claim(key, number + 1),)))

    views = {key: WindowView(key, 0, number + 1) for number, key in enumerate(keys)}
    assert await store.look([*keys, OTHER], ADA) == Look(
        {**views, OTHER: WindowView(OTHER, 0, 0)}, Balance(posted=100, held=count)
    )
    assert await store.remembered.look(keys, None) == Look(views, Balance())


async def test_an_expired_lot_is_gone_before_anything_sweeps_it(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100, expires_us=clock.later(5)))
    await done(store, grant(ADA, 10, "2"))
    assert (await store.remembered.balance(ADA)).available == 110

    clock.forward(5)

    assert (await store.remembered.balance(ADA)).available == 10
    assert (await store.look((), ADA)).balance == await store.balance(ADA)
    await store.sweep()
    assert await store.remembered.balance(ADA) == Balance(posted=10)


async def test_a_new_period_begins_at_nothing(store: Store, clock: Clock) -> None:
    held = await done(store, hold(clock, 0, claims=(Claim(MONTH, 7),)))
    await done(store, settle(held, 0))
    assert (await store.remembered.window(MONTH)).used == 7

    assert (await store.remembered.window(MONTH._replace(start_us=1))).used == 0


async def test_what_another_process_commits_is_seen_within_the_age(postgres: Server, clock: Clock) -> None:
    url = await asyncio.to_thread(postgres.cleaned)
    async with (
        open_store(url, clock_us=clock, remembered_us_max=AGE_US) as here,
        open_store(url, clock_us=clock, remembered_us_max=0) as there,
    ):
        assert (await here.remembered.balance(ADA)).posted == (await there.remembered.balance(ADA)).posted == 0
        await done(there, grant(ADA, 100))

        assert (await there.remembered.balance(ADA)).posted == 100
        clock.forward(1)
        assert (await here.remembered.balance(ADA)).posted == 100
        await done(here, grant(ADA, 5, "2"))
        assert (await there.remembered.balance(ADA)).posted == 105
