import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from storage.errors import StorageUnavailable, StoreRefused
from storage.records.commands import Grant, Keep, Put, RecordUsage
from storage.records.directory import DirectoryEntry
from storage.records.kept import KeptRow
from storage.records.ledger import CREDITS, AccountKey, Page
from storage.records.usage import Usage, UsageRow
from storage.sql.sqlite.ddl import STATEMENTS
from storage.sql.sqlite.rendering import statements
from storage.sql.usage_rows import COLUMNS, from_columns
from storage.store import open_store

ROW = UsageRow(
    id="use_1",
    request_id="req_1",
    occurred_us=1_700_000_000_000_000,
    user_id="ada",
    caller_kind="subscription",
    tier="starter",
    method="executeAIRequest",
    door="rpc",
    provider="openai",
    model="gpt-4o",
    outcome="done",
    usage=Usage(input=7, cache_read=3, output=11, reasoning=2),
    is_partial=True,
    latency_us=1234,
    cost_nano=0,
    metadata={"team": "blue"},
)


def clock() -> int:
    return 1_700_000_000_000_000


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'tollgate.db'}"


def rows(folder: Path) -> list[UsageRow]:
    connection = sqlite3.connect(folder / "tollgate.db")
    try:
        found = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM usage ORDER BY seq").fetchall()  # noqa: S608  # our own names
    finally:
        connection.close()
    return [from_columns(values) for values in found]


async def test_a_recorded_usage_row_is_in_the_file_with_every_field_when_the_call_returns(tmp_path: Path) -> None:
    async with open_store(url(tmp_path), clock_us=clock) as store:
        await store.record_usage(ROW)
        assert rows(tmp_path) == [ROW]


async def test_the_same_usage_row_twice_is_kept_once(tmp_path: Path) -> None:
    async with open_store(url(tmp_path), clock_us=clock) as store:
        await store.record_usage(ROW)
        await store.record_usage(ROW)
        assert rows(tmp_path) == [ROW]


async def test_many_callers_share_commits_and_every_row_is_kept(tmp_path: Path) -> None:
    numbers = count()
    async with open_store(url(tmp_path), clock_us=clock) as store:
        await asyncio.gather(*(store.record_usage(replace(ROW, id=f"use_{next(numbers)}")) for _ in range(1500)))
    assert len(rows(tmp_path)) == 1500


async def test_rows_are_still_there_after_the_store_was_closed_and_opened_again(tmp_path: Path) -> None:
    async with open_store(url(tmp_path), clock_us=clock) as store:
        await store.record_usage(ROW)
    async with open_store(url(tmp_path), clock_us=clock) as store:
        await store.ping()
    assert rows(tmp_path) == [ROW]


async def test_a_private_database_keeps_rows_and_leaves_no_file() -> None:
    async with open_store("sqlite://", clock_us=clock) as store:
        await store.record_usage(ROW)
        await store.ping()


async def test_a_second_store_on_the_same_file_is_refused_in_one_line(tmp_path: Path) -> None:
    async with open_store(url(tmp_path), clock_us=clock):
        with pytest.raises(StoreRefused, match=r"^storage\.url: .*in use by another process") as refused:
            async with open_store(url(tmp_path), clock_us=clock):
                pass
    assert "\n" not in str(refused.value)


HOLDER = """
import asyncio, sys
from storage.store import open_store
async def main():
    async with open_store(sys.argv[1], clock_us=lambda: 0):
        print("open", flush=True)
        sys.stdin.read()
asyncio.run(main())
"""


async def test_a_second_process_is_refused_until_the_first_is_gone_even_when_killed(tmp_path: Path) -> None:
    with subprocess.Popen(  # noqa: ASYNC220  # it only waits for one line
        [sys.executable, "-c", HOLDER, url(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ}
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(StoreRefused):
            async with open_store(url(tmp_path), clock_us=clock):
                pass
        holder.kill()
    async with open_store(url(tmp_path), clock_us=clock) as store:
        await store.ping()


async def test_a_file_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "tollgate.db")
    connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
    connection.execute("INSERT INTO alembic_version VALUES ('999')")
    connection.commit()
    connection.close()
    with pytest.raises(StoreRefused, match="999"):
        async with open_store(url(tmp_path), clock_us=clock):
            pass


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tollgate.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreRefused, match=r"storage\.url"):
        async with open_store(url(tmp_path), clock_us=clock):
            pass


@pytest.mark.parametrize("wrong", ["mysql://host/db", "tollgate.db", "postgresql://user@host/db"])
async def test_a_database_that_is_not_served_is_refused_naming_the_key(wrong: str) -> None:
    with pytest.raises(StoreRefused, match=r"^storage\.url: "):
        async with open_store(wrong, clock_us=clock):
            pass


async def test_a_closed_store_refuses_instead_of_hanging(tmp_path: Path) -> None:
    async with open_store(url(tmp_path), clock_us=clock) as store:
        pass
    with pytest.raises(StorageUnavailable):
        await store.record_usage(ROW)


async def test_a_write_locked_file_is_refused_and_served_again_afterwards(tmp_path: Path) -> None:
    async with open_store(url(tmp_path), clock_us=clock) as store:
        intruder = sqlite3.connect(tmp_path / "tollgate.db", isolation_level=None)
        intruder.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(store.record_usage(ROW))
        with pytest.raises(StorageUnavailable):
            await asyncio.wait_for(waiting, 30)
        intruder.execute("ROLLBACK")
        intruder.close()
        await store.record_usage(ROW)
        assert rows(tmp_path) == [ROW]


def test_the_written_tables_are_those_that_are_defined() -> None:
    assert list(STATEMENTS) == statements(), "the tables have changed: run `make ddl`"


async def test_whoever_goes_through_all_pages_gives_everybody_else_a_turn(tmp_path: Path) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    accounts = [AccountKey("default", "user", owner, CREDITS, "TOKEN") for owner in ("ada", "bob", "eve")]
    rows = [RecordUsage(replace(ROW, id=f"use_{number}")) for number in range(3)]
    paid = [
        Grant(account=key, amount=1, reason="purchase", source="test", source_ref=f"{key.owner_id}-{number}")
        for key in accounts
        for number in range(3)
    ]
    kept = [Keep(KeptRow("default", "audit", "u", "{}")) for _ in range(3)]
    entries = [Put(DirectoryEntry("default", "limits", f"k{number}", "user:u", "{}")) for number in range(3)]
    async with open_store(url(tmp_path), clock_us=clock) as store:
        await store.submit_each([*rows, *paid, *kept, *entries])
        reads: list[Callable[[str | None], Awaitable[Page[Any]]]] = [
            lambda cursor: store.usage("default", "ada", limit=1, cursor=cursor),
            lambda cursor: store.transfers(accounts[0], limit=1, cursor=cursor),
            lambda cursor: store.accounts("default", limit=1, cursor=cursor),
            lambda cursor: store.kept_page("default", "audit", limit=1, cursor=cursor),
            lambda cursor: store.entries("default", "limits", limit=1, cursor=cursor),
        ]
        other = asyncio.create_task(others())
        try:
            for read in reads:
                before, page = turns, await read(None)
                while page.next_cursor is not None:
                    page = await read(page.next_cursor)
                assert turns >= before + 2
        finally:
            other.cancel()
