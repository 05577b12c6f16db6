"""One question answers every report: sums of usage by any dimensions, in any buckets, as a recount of the rows gives them."""

from dataclasses import replace
from typing import Any

import pytest

from storage.records.commands import Charge
from storage.records.reports import DIMS, Dim, Order, TooManySums, UsageScope
from storage.records.usage import Usage, UsageRow
from storage.store import Store
from tests.storage.conftest import Clock
from tests.storage.ledger_cases import ADA, HOUR_US, done, grant, usage_row
from tests.storage.recount import recount

DAY_US = 24 * HOUR_US
NOON_US = 19_675 * DAY_US + 12 * HOUR_US
T = UsageScope("t")


def row(number: int, user_id: str | None = "ada", *, at: int = 0, **more: Any) -> UsageRow:
    """A row with numbers of its own in every counter."""
    usage = Usage(number, 2, 3, 4, 5, 6, 7 * number, 8, 9, 10)
    made = usage_row(f"row-{number}", user_id or "", NOON_US + at)
    numbers: dict[str, Any] = {"cost_nano": 11 * number, "fee_nano": number, "latency_us": 1000, "usage": usage}
    more = numbers | more
    return replace(made, user_id=user_id, **more)


ROWS = (
    row(1, charge_amount=5, charge_asset="TOKEN", first_byte_us=70, organization_id="acme", key_id="key_1"),
    row(2, at=HOUR_US, model="gpt-4o-mini", asked_model="openai/gpt-4o", saving_nano=2 * 10**9 + 5,
        feature="chat", is_partial=True, outcome="partial"),
    row(3, at=DAY_US, provider="anthropic", model="claude", asked_model="openai/gpt-4o", saving_nano=-3 * 10**9 - 7,
        charge_amount=2**63 - 1, charge_asset="CREDIT"),
    row(4, "bob", at=DAY_US + 1, charge_amount=2**63 - 1, charge_asset="CREDIT", outcome="failed", is_estimated=True),
    row(5, "bob", at=3 * DAY_US, cost_nano=None, caller_kind="byok", source="api", kind="CUSTOM", unit="gb",
        quantity_nano=5, organization_id="acme"),
    row(6, None, at=-HOUR_US, tier="free", method="getModels", caller_kind="byok", cost_nano=None, usage=Usage()),
    row(7, "eve", at=0, tenant="other"),
)  # fmt: skip


@pytest.fixture
async def filled(store: Store) -> Store:
    for one in ROWS:
        await keep(store, one)
    return store


async def keep(store: Store, one: UsageRow) -> None:
    """Keep a row; where it says that something was paid, that was paid."""
    if not one.charge_amount:
        await store.record_usage(one)
        return
    account = ADA._replace(owner_id=str(one.user_id), asset=str(one.charge_asset))
    await done(store, grant(account, one.charge_amount, one.id))
    await done(store, Charge(account=account, amount=one.charge_amount, usage=one, ref=one.request_id))


@pytest.mark.parametrize("by", [(), *((dim,) for dim in DIMS), ("provider", "model", "charge_asset")])
async def test_sums_by_a_dimension_are_a_recount_of_the_rows(filled: Store, by: Any) -> None:
    edges = (NOON_US - DAY_US, NOON_US + 1, NOON_US + DAY_US + 1, NOON_US + 30 * DAY_US)
    found = await filled.usage_sums(T, edges, by=by)
    assert {(one.start_us, one.key): one for one in found} == recount(ROWS, T, edges, by)
    assert len(found) == len({(one.start_us, one.key) for one in found})


@pytest.mark.parametrize(
    "scope",
    [
        UsageScope("t", "ada"),
        UsageScope("t", "nobody"),
        UsageScope("t", organization_id="acme"),
        UsageScope("t", "bob", "acme", {"source": "api"}),
        UsageScope("t", where={"feature": None, "provider": "openai"}),
        UsageScope("t", where={"key_id": "key_1"}),
        UsageScope("t", where={"user_id": None}),
        UsageScope("other"),
    ],
)
async def test_sums_are_narrowed_to_whom_and_what_they_are_about(filled: Store, scope: UsageScope) -> None:
    edges = (NOON_US - DAY_US, NOON_US + 30 * DAY_US)
    found = await filled.usage_sums(scope, edges, by=("model",))
    assert {(one.start_us, one.key): one for one in found} == recount(ROWS, scope, edges, ("model",))


async def test_the_first_combinations_by_an_order_are_those_of_the_whole_range(filled: Store) -> None:
    edges = (NOON_US - DAY_US, NOON_US + DAY_US, NOON_US + 30 * DAY_US)

    async def first(by: Dim, limit: int, order: Order) -> list[tuple[int, str | None]]:
        found = await filled.usage_top(T, edges, by=(by,), limit=limit, order=order)
        return [(edges.index(one.start_us), one.key[0]) for one in found.sums]

    assert await first("user_id", 1, "tokens") == [(0, "ada"), (1, "ada")]
    assert await first("tier", 1, "requests") == [(0, "starter"), (1, "starter")]
    assert await first("model", 2, "cost") == [(0, "gpt-4o"), (1, "gpt-4o"), (1, "claude")]


async def test_users_are_counted_once_and_the_anonymous_not_at_all(filled: Store) -> None:
    async def users(since_us: int, until_us: int) -> int:
        top = await filled.usage_top(T, (since_us, until_us), by=("user_id",), limit=0)
        assert top.sums == ()
        return top.count

    assert await users(NOON_US - DAY_US, NOON_US + 30 * DAY_US) == 2
    assert await users(NOON_US + 1, NOON_US + DAY_US + 1) == 1
    assert await users(0, 1) == 0


async def test_rows_are_paged_for_an_organization_and_narrowed(filled: Store) -> None:
    async def ids(user_id: str | None = None, **more: Any) -> list[str]:
        return [found.id for found in (await filled.usage("t", user_id, **more)).rows]

    assert await ids(organization_id="acme") == ["row-5", "row-1"]
    assert await ids("ada", organization_id="acme") == ["row-1"]
    assert await ids(where={"provider": "anthropic"}) == ["row-3"]
    assert await ids(where={"key_id": "key_1"}) == ["row-1"]
    assert await ids(where={"feature": None, "outcome": "failed"}) == ["row-4"]
    assert (await filled.usage("t", "bob")).rows == (ROWS[4], ROWS[3])


async def test_no_more_sums_are_read_than_asked_for_and_none_is_left_out(store: Store, clock: Clock) -> None:
    """Also where each is charged in several assets, and where hours and days answer one question together."""
    for day in (0, 3):
        for name in (None, "a", "b"):
            for asset in ("TOKEN", "CREDIT", "USD", None):
                made = usage_row(f"{day}-{name}-{asset}", "ada", clock() - day * 24 * HOUR_US)
                await store.record_usage(replace(made, feature=name, charge_asset=asset, charge_amount=0))
    edges = (clock() - 100 * HOUR_US - 1, clock() + 1)
    for scope in (UsageScope("t"), UsageScope("t", "ada")):
        whole = await store.usage_sums(scope, edges, by=("feature",))
        assert [one.requests for one in whole] == [8, 8, 8]
        assert await store.usage_sums(scope, edges, by=("feature",), sums_max=3) == whole
        with pytest.raises(TooManySums):
            await store.usage_sums(scope, edges, by=("feature",), sums_max=2)
        with pytest.raises(TooManySums):
            await store.usage_sums(scope, (*edges, edges[1] + 1), by=("feature", "charge_asset"), sums_max=11)
