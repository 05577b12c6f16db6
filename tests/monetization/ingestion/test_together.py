"""Batches whose events share commits: what befalls one in the middle befalls no other."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any  # an element of a batch is any JSON

from billing.accounts import credits_of
from monetization.ingestion.payers import MEETING_MAX
from storage.records.commands import Done, Grant, RefundCharge
from storage.records.ledger import AccountKey, LotView, WindowView
from storage.store import Store
from tests.monetization.ingestion.test_books import GRANTED, NOW_US, World, body, postgres, some, statuses, world

__all__ = ["postgres"]  # a fixture
ALL_TOKENS = 10**10
"""What the whole grant of credits buys."""


async def paid(made: World) -> dict[str, int | None]:
    rows = (await made.store.usage("default", "credits", limit=500)).rows
    return {row.request_id: row.charge_amount for row in rows}


async def is_sound(made: World) -> bool:
    return [check for check in await made.store.verify() if not check.is_ok] == []


async def test_a_duplicate_an_unknown_model_and_an_empty_balance_in_the_middle_leave_their_neighbours_alone() -> None:
    async with world("sqlite://") as made:
        first, again, last = some(3)
        greedy = {**body(50, "api", "credits", "m", 0, ALL_TOKENS), "output_tokens": 0}
        assert await statuses(made, again) == ["accepted"]
        batch: list[Any] = [
            first,
            again,
            {**again, "input_tokens": 5},
            body(9, "api", "credits", "late", 0, 1),
            7,
            greedy,
            last,
        ]
        assert await statuses(made, *batch) == [
            "accepted", "duplicate", "rejected", "rejected", "rejected", "accepted", "accepted",
        ]  # fmt: skip
        each = (await paid(made))["e0"] or 0
        assert each > 0
        assert await paid(made) == {"e0": each, "e1": each, "e50": GRANTED["CREDIT"] - 2 * each, "e2": 0}
        assert (await made.store.balance(credits_of("credits", "CREDIT"))).posted == 0
        assert len((await made.intake.letters.page(limit=10)).rows) == 1
        assert await is_sound(made)


async def test_a_quota_that_ends_in_the_middle_of_a_batch_is_counted_past_it_to_the_token() -> None:
    async with world("sqlite://") as made:
        told = [body(number, "api", "quota", "m", 0, 593) for number in range(9)]  # with seven out: 600 of 3,000 each
        assert await statuses(made, *told) == ["accepted"] * 9
        rows = (await made.store.usage("default", "quota", limit=50)).rows
        assert sum(row.usage.tokens_total for row in rows) == 9 * 600
        windows = {view.key.resource: view.used for view in await made.store.windows("default", "user:quota")}
        assert (windows["tokens"], windows["requests"]) == (9 * 600, 9)
        assert await is_sound(made)


async def test_an_event_of_a_batch_is_refunded_alone_and_stays_booked() -> None:
    async with world("sqlite://") as made:
        assert await statuses(made, *some(30)) == ["accepted"] * 30
        account = credits_of("credits", "CREDIT")
        before = (await made.store.balance(account)).posted
        moved = [one for one in (await made.store.transfers(account, limit=50)).rows if one.code == "usage"]
        assert len({one.ref for one in moved}) == len(moved) == 30, "a statement has a line for each event"
        back = await made.store.submit(RefundCharge(tenant="default", transfer_id=moved[11].id))
        assert isinstance(back, Done)
        assert (await made.store.balance(account)).posted == before - moved[11].amount
        assert await statuses(made, *some(30)) == ["duplicate"] * 30
        assert await is_sound(made)


async def test_batches_that_race_with_the_same_ids_bill_each_once() -> None:
    async with world("sqlite://") as made:
        told = some(200)
        answers = await asyncio.gather(*[made.intake.take(told[at:] + told[:at], "rest") for at in (0, 50, 120)])
        accepted = [one.event_id for answer in answers for one in answer if one.status == "accepted"]
        assert sorted(accepted, key=str) == sorted((one["event_id"] for one in told), key=str)
        assert {one.status for answer in answers for one in answer} == {"accepted", "duplicate"}
        assert len(await paid(made)) == 200
        assert await is_sound(made)


async def test_a_batch_of_late_events_counts_in_the_months_in_which_they_happened() -> None:
    async with world("sqlite://") as made:
        told = [body(number, "api", "quota", "m", (0, 40)[number % 2], 93) for number in range(10)]
        assert await statuses(made, *told) == ["accepted"] * 10
        windows = await made.store.windows("default", "user:quota")
        tokens = {view.key.start_us: view.used for view in windows if view.key.resource == "tokens"}
        assert sorted(tokens.values()) == [500, 500]
        assert max(tokens) <= NOW_US
        assert await is_sound(made)


class Counting:
    """A shelf that knows how many look into it at the same time, and for whom they look."""

    def __init__(self, shelf: Store) -> None:
        self._shelf = shelf
        self.looking = self.most = 0
        self.looked_for: list[str] = []

    async def windows(self, tenant: str, subject: str) -> Sequence[WindowView]:
        self.looked_for.append(subject)
        self.looking += 1
        self.most = max(self.most, self.looking)
        await asyncio.sleep(0)
        found = await self._shelf.windows(tenant, subject)
        self.looking -= 1
        return found

    async def lots(self, key: AccountKey, *, with_empty: bool = False) -> Sequence[LotView]:
        return await self._shelf.lots(key, with_empty=with_empty)


async def test_batches_that_name_hundreds_of_users_for_the_first_time_look_for_few_at_once() -> None:
    async with world("sqlite://") as made:
        shelf, known = Counting(made.store), [f"u{number}" for number in range(3 * MEETING_MAX)]
        for user in known:
            account = credits_of(user, "CREDIT")
            grant = Grant(account=account, amount=1, reason="promotion", source="t", source_ref=user)
            assert isinstance(await made.store.submit(grant), Done)
        payers = replace(made.intake.payers, shelf=shelf, _met=set())
        found = await asyncio.gather(*[payers.of(user, None) for user in (*known, *known, "stranger")])
        assert [caller is not None for caller in found] == [True] * 2 * len(known) + [False]
        assert shelf.most <= MEETING_MAX
        assert sorted(shelf.looked_for) == sorted(f"user:{user}" for user in (*known, "stranger")), "each was met once"
