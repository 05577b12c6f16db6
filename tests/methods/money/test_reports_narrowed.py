"""Reports by every dimension that they name: each filter lets through its rows alone, each split names its values."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any  # what a row is made of

import pytest

from tests.methods.money.conftest import Product, Start
from tests.methods.money.test_reports import CHARGING, row, seeded, streamed

WEEK = {"period": "last_7_days"}
OTHER: dict[str, Any] = {
    "provider": "other", "model": "other-1", "method": "vendorChat", "feature": "search", "tier": "starter", "kind": "CUSTOM",
    "unit": "page", "outcome": "failed", "source": "api", "key_id": "key-2", "caller_kind": "key",
}  # fmt: skip
"""One row for each, which differs from all others in that alone."""
BASE: dict[str, Any] = {"feature": "chat", "key_id": "key-1", "kind": "TOKEN_USAGE"}
FILTERS = {
    "provider": "other", "model": "other-1", "method": "vendorChat", "feature": "search", "resourceType": "page",
}  # fmt: skip
OF_EVENTS = {"eventType": "custom", "outcome": "failed", "keyId": "key-2"}
DIM = {"resourceType": "unit", "eventType": "kind", "keyId": "key_id", "key": "key_id"}


async def asked(product: Product, called: str, /, **params: object) -> dict[str, Any]:
    found: dict[str, Any] = await product.call(product.token("ann", "allowance"), called, {**WEEK, **params})
    return found


def rows() -> dict[str, Any]:
    made = {dim: replace(row(**BASE), **{dim: value}) for dim, value in OTHER.items()}
    return {**made, "": row("bob", **BASE, tier="bobs"), "plain": row(**BASE)}


async def test_every_filter_lets_through_its_rows_alone(tmp_path: Path, start: Start) -> None:
    kept = rows()
    await seeded(tmp_path, list(kept.values()))
    async with start(**CHARGING) as product:
        for name, value in {**FILTERS, **OF_EVENTS}.items():
            found = await asked(product, "listUsageEvents", **{name: value})
            assert [event["eventId"] for event in found["events"]] == [kept[DIM.get(name, name)].request_id], name
        for name, value in FILTERS.items():
            assert (await asked(product, "getUsageStats", **{name: value}))["requestCount"] == 1, name
            assert (await asked(product, "getUsageTimeSeries", **{name: value}))["totals"]["requests"] == 1, name
        narrow = await asked(product, "listUsageEvents", feature="search", outcome="failed")
        assert narrow["events"] == [], "filters narrow together"


async def test_every_split_names_its_values(tmp_path: Path, start: Start) -> None:
    kept = rows()
    await seeded(tmp_path, list(kept.values()))
    count = len(OTHER)
    async with start(**CHARGING) as product:
        for by in ("provider", "model", "feature", "method", "eventType", "key", "tier", "source"):
            found = (await asked(product, "getCostBreakdown", by=by))["breakdown"]
            assert [(part["key"], part["requests"]) for part in found][1:] == [(OTHER[dim_of(by)], 1)], by
            assert found[0]["requests"] == count, by
        splits = ("provider", "model", "method", "feature", "tier", "eventType", "outcome", "source", "resourceType")
        for by in splits:
            data = (await asked(product, "getUsageTimeSeries", groupBy=by))["data"]
            groups = {part["group"]: part["requests"] for part in data if part["requests"] and "group" in part}
            assert groups[OTHER[dim_of(by)]] == 1, by
            assert sum(part["requests"] for part in data) == count + 1, by


def dim_of(by: str) -> str:
    return DIM.get(by, by)


async def test_an_operator_sees_each_tier_and_times_of_those_that_had_a_first_byte(
    tmp_path: Path, start: Start
) -> None:
    slow: dict[str, Any] = {"latency_us": 10_000, "first_byte_us": 4_000}
    await seeded(tmp_path, [row(tier="starter", **slow), row(tier="starter"), row("bob", tier="pro-like", tokens=900)])
    async with start(**CHARGING) as product:
        found = await product.admin("getAdminAnalytics", WEEK)
        assert [(one["name"], one["requests"]) for one in found["byTier"]] == [("pro-like", 1), ("starter", 2)]
        assert (found["quality"]["averageFirstByteMs"], found["quality"]["averageLatencyMs"]) == (4.0, 4.67)


@pytest.mark.parametrize("first", ["=", "+", "-", "@"])
async def test_nothing_that_a_caller_wrote_is_a_formula_in_the_file(tmp_path: Path, start: Start, first: str) -> None:
    await seeded(tmp_path, [row(feature=f"{first}1", model=f'{first}a,"b"', metadata={"note": 'x,"y"\r\nz'})])
    async with start() as product:
        text, _ = await streamed(product, product.token("ann"), {"format": "csv", **WEEK})
        (line,) = csv.DictReader(io.StringIO(text, newline=""))
        assert (line["featureId"], line["model"]) == (f"'{first}1", f'\'{first}a,"b"')
        assert line["metadata"] == '{"note":"x,\\"y\\"\\r\\nz"}'
