"""Looking into the books beside whoever writes them, and sums of what moved."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from billing.accounts import credits_of
from billing.grants import adjust, grant_promotion, grant_purchase
from billing.holds import charge
from billing.refunds import refund_purchase
from storage.errors import StoreInUse, StoreRefused
from storage.records.commands import Keep
from storage.records.kept import KeptRow
from storage.sql.sqlite import readers, schema
from storage.store import Store, open_reader, open_store
from tests.storage.conftest import Clock

ACCOUNT = credits_of("u1", "TOKEN")


async def moved(store: Store, clock: Clock) -> None:
    await grant_purchase(store, ACCOUNT, amount=1000, source="shop", source_ref="1", paid_nano=10)
    await grant_promotion(store, ACCOUNT, amount=50, source="gift", source_ref="1", expires_us=clock.later(10))
    await charge(store, ACCOUNT, amount=20)
    await adjust(store, ACCOUNT, amount=-5, reason="r", actor="a")
    await refund_purchase(store, "default", source="shop", source_ref="1", amount=100)
    clock.forward(11)
    await store.sweep()


async def test_totals_say_what_moved_by_its_code_and_add_up_to_the_balance(store: Store, clock: Clock) -> None:
    assert await store.totals(ACCOUNT) == {}
    await moved(store, clock)
    totals = await store.totals(ACCOUNT)
    assert totals == {
        "purchase": 1000,
        "promotion": 50,
        "usage": -20,
        "adjust": -5,
        "refund_purchase": -100,
        "expired": -25,
    }
    assert sum(totals.values()) == (await store.balance(ACCOUNT)).posted


async def test_kept_rows_are_counted_by_kind(store: Store) -> None:
    assert await store.kept_count("default", ("price", "burn_table")) == 0
    for kind in ("price", "price", "burn_table", "answer"):
        await store.submit(Keep(KeptRow("default", kind, "k", "{}")))
    await store.submit(Keep(KeptRow("other", "price", "k", "{}")))
    assert await store.kept_count("default", ("price", "burn_table")) == 3
    assert await store.kept_count("default", ("price",)) == 2


async def test_a_reader_sees_the_last_commit_while_the_store_is_open_and_after(tmp_path: Path, clock: Clock) -> None:
    url = f"sqlite:///{tmp_path / 'books.db'}"
    async with open_store(url, clock_us=clock) as store, open_reader(url, clock_us=clock) as reader:
        assert (await reader.balance(ACCOUNT)).posted == 0
        await moved(store, clock)
        assert await reader.balance(ACCOUNT) == await store.balance(ACCOUNT)
        assert [check for check in await reader.verify() if not check.is_ok] == []
        with pytest.raises(StoreInUse):
            async with open_store(url, clock_us=clock):
                pass
    async with open_reader(url, clock_us=clock) as reader:
        assert (await reader.balance(ACCOUNT)).posted == 900
        assert len((await reader.accounts("default")).rows) == 1


@pytest.mark.parametrize("url", ["sqlite:///nowhere/books.db", "sqlite://", "mysql://localhost/books"])
async def test_a_reader_of_nothing_is_refused_in_one_line(url: str, clock: Clock) -> None:
    with pytest.raises(StoreRefused, match=r"^storage\.url: [^\n]+$"):
        async with open_reader(url, clock_us=clock):
            pass


async def test_a_reader_of_a_foreign_file_is_refused_in_one_line(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "empty.db").write_bytes(b"")
    (tmp_path / "text.db").write_text("this is no database, and long enough to be read as one" * 100)
    for name in ("empty.db", "text.db"):
        with pytest.raises(StoreRefused, match=r"^storage\.url: [^\n]+$"):
            async with open_reader(f"sqlite:///{tmp_path / name}", clock_us=clock):
                pass


@pytest.mark.parametrize("statement", [readers._TRANSFERS, readers._TOTALS, readers._SYSTEM])
def test_movements_are_read_by_the_indexes_that_hold_nothing_else(statement: str, tmp_path: Path) -> None:
    asked = {"account": 1, "batch": 1, "id": 1, "limit": 1}
    with closing(sqlite3.connect(tmp_path / "empty.db", isolation_level=None)) as connection:
        schema.ensure(connection)
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", asked)]
    for side in ("debit", "credit"):
        assert any(f"SEARCH transfer USING INDEX transfer_{side} " in step for step in plan), plan
