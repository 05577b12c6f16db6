"""A batch comes to exactly what its events come to one by one: answers, balances, lots, movements, rows, counters and sums."""

import asyncio
from dataclasses import fields, replace
from typing import Any  # an element of a batch is any JSON

from hypothesis import example, given, settings
from hypothesis import strategies as st

from billing.accounts import credits_of
from monetization.ingestion.batches import Verdict
from storage.records.reports import UsageScope
from storage.records.usage import UsageRow
from tests.fakes.postgres import postgres
from tests.monetization.ingestion.test_books import NOW_US, TIERS, World, body, postgres_url, world

__all__ = ["postgres", "postgres_url"]  # fixtures
HOUR_US = 3_600_000_000
EDGES = (0, *(NOW_US - hours * HOUR_US for hours in (900, 61, 31, 2)), 2 * NOW_US)
DIMS = ("user_id", "provider", "model", "feature", "kind", "source", "charge_asset")


def element(number: int, user: str, model: str, hours: int, tokens: int, more: dict[str, Any]) -> object:
    return {**body(number, "api", user, model, hours, tokens), **more}


ELEMENTS = st.lists(
    st.builds(
        element,
        number=st.integers(0, 30),
        user=st.sampled_from(sorted(TIERS)),
        model=st.sampled_from(["m", "m", "m", "late", "image"]),
        hours=st.sampled_from([0, 1, 30, 60, 800]),
        tokens=st.sampled_from([1, 999, 5 * 10**8]),
        more=st.sampled_from([{}, {}, {"feature_id": "chat"}, {"metadata": {"a": 1}}, {"quality": 1}, {"idempotency_key": "k"}]),
    )
    | st.sampled_from([7, {"event_id": "no user", "event_type": "CUSTOM"}]),
    min_size=2,
    max_size=40,
)  # fmt: skip


async def state_of(made: World) -> dict[str, object]:
    """All that can be asked for, without the numbers that a store gives by itself."""
    store = made.store
    found: dict[str, object] = {}
    for user in TIERS:
        for asset in ("CREDIT", "TOKEN", "USD"):
            account = credits_of(user, asset)
            found[f"balance {user} {asset}"] = await store.balance(account)
            found[f"lots {user} {asset}"] = [replace(one, id=0) for one in await store.lots(account, with_empty=True)]
            moves = (await store.transfers(account, limit=500)).rows
            shown = [(one.amount, one.kind, one.code, one.other, one.ref, one.note, one.occurred_us) for one in moves]
            found[f"movements {user} {asset}"] = sorted(shown, key=str)
        found[f"windows {user}"] = sorted(await store.windows("default", f"user:{user}"))
    rows = (await store.usage("default", None, limit=500)).rows
    found["rows"] = sorted((_shown(row) for row in rows), key=str)
    sums = await store.usage_sums(UsageScope("default"), EDGES, by=DIMS)  # type: ignore[arg-type]  # their names
    found["sums"] = sorted(sums, key=str)
    found["letters"] = [(one.reason, one.said) for one in (await made.intake.letters.page(limit=500)).rows]
    found["broken"] = [check for check in await store.verify() if not check.is_ok]
    return found


def _shown(row: UsageRow) -> tuple[object, ...]:
    return tuple(getattr(row, field.name) for field in fields(row))


async def alike(batched_url: str, single_url: str, elements: list[object]) -> None:
    async with world(batched_url) as batched, world(single_url) as single:
        together = await batched.intake.take(elements, "rest")
        alone: list[Verdict] = []
        for one in elements:
            alone += await single.intake.take([one], "rest")
        assert [replace(one, detail=None) for one in together] == [replace(one, detail=None) for one in alone]
        assert await state_of(batched) == await state_of(single)
        assert (await state_of(batched))["broken"] == []


def said(
    number: int, more: dict[str, Any] | None = None, model: str = "m", user: str = "credits", tokens: int = 1
) -> object:
    return element(number, user, model, 0, tokens, more or {})


KEYED = {"idempotency_key": "k"}


@example(
    [said(0), said(0, KEYED), said(1, KEYED)]
)  # a repetition brings a key, under which another one then says the same
@example([said(0, KEYED), said(1, KEYED), said(1)])  # one that was a duplicate for its key comes again without it
@example([said(1, model="late"), said(1)])  # one that cannot be rated is there first
@example([said(2, KEYED, user="quota", tokens=5 * 10**8), said(1, KEYED)])  # the first one needs its second way to pay
@settings(max_examples=10, deadline=None)
@given(ELEMENTS)
def test_a_batch_comes_to_what_its_events_come_to_one_by_one(elements: list[object]) -> None:
    asyncio.run(alike("sqlite://", "sqlite://", elements))


async def test_a_batch_on_postgresql_comes_to_what_its_events_come_to_one_by_one_on_sqlite(postgres_url: str) -> None:
    users, models = sorted(TIERS), ["m", "late", "image", "m"]
    told: list[object] = [
        element(n % 90, users[n % 4], models[n % 3], (0, 30, 800)[n % 3], (1, 999, 5 * 10**8)[n % 7 % 3], {})
        for n in range(100)
    ]
    await alike(postgres_url, "sqlite://", [*told, 7, *told[:5]])
