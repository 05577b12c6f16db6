"""The schema's history builds exactly the tables of today, up and down, on both databases."""

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from storage.errors import StoreRefused
from storage.records.reports import UsageScope, UsageSum
from storage.records.usage import UsageRow
from storage.sql.migrating import BASE, _over, current, is_current, migrate
from storage.sql.migrations.revisions import HEAD, REVISIONS
from storage.sql.postgres.statements import TEXTS, type_of
from storage.sql.sqlite import schema
from storage.sql.tables import metadata
from storage.store import open_reader, open_store
from tests.fakes.postgres import Server
from tests.storage.conftest import Clock
from tests.storage.ledger_cases import HOUR_US, usage_row

COLUMNS = (
    "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns "
    "WHERE table_schema='public' ORDER BY 1, 2"
)
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname='public' ORDER BY 1"
CONSTRAINTS = (
    "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace='public'::regnamespace ORDER BY 1::text, 2"
)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    server: Server = request.getfixturevalue("postgres")
    return server.empty()


def differences(url: str) -> list[Any]:
    """What alembic would write to get from the database to the metadata."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415  # heavy
    from alembic.migration import MigrationContext  # noqa: PLC0415  # heavy

    found: list[Any] = []

    def is_here(item: Any, *_: object) -> bool:
        condition = getattr(item, "_ddl_if", None)  # what one database has and the other has not
        return condition is None or condition.dialect == url.partition(":")[0]

    def compare(connection: Any) -> None:
        context = MigrationContext.configure(connection, opts={"include_object": is_here})
        found.extend(compare_metadata(context, metadata))

    _over(url, compare)
    return found


def tables(url: str) -> set[str]:
    from sqlalchemy import inspect  # noqa: PLC0415  # heavy

    found: set[str] = set()
    _over(url, lambda connection: found.update(inspect(connection).get_table_names()))
    return found - {"alembic_version"}


def test_up_builds_the_metadata_down_leaves_nothing_and_up_again_works(url: str) -> None:
    assert current(url) is None
    migrate(url)
    assert (current(url), is_current(url), differences(url)) == (HEAD, True, [])
    migrate(url, BASE)
    assert (current(url), is_current(url), tables(url)) == (None, False, set())
    migrate(url)
    migrate(url)
    assert (is_current(url), differences(url)) == (True, [])


def test_every_revision_goes_down_and_up_by_itself(url: str) -> None:
    for revision in (*REVISIONS, *reversed(REVISIONS), BASE, HEAD):
        migrate(url, revision)
        assert current(url) == (None if revision == BASE else revision)


def test_rows_of_an_older_schema_outlive_the_way_up_and_down(url: str) -> None:
    migrate(url, "0001")
    run(url, "INSERT INTO hold VALUES (2, 1, 3, 50, 5, 'post_used', 1, 9, 'req')")
    for scope in ("executeAIRequest:ada", "desk:grant:TOKEN"):
        run(url, f"INSERT INTO idem VALUES ('default', '{scope}', 'k', 'hash', 2, '[]', 7)")  # noqa: S608  # our own words
    migrate(url)
    assert run(url, "SELECT transfer_id, used, ref, note FROM hold") == [(2, 5, "req", None)]
    kept_for = 35 * 24 * 3600 * 1_000_000
    assert run(url, "SELECT scope, expires_us FROM idem ORDER BY scope") == [
        ("desk:grant:TOKEN", None),
        ("executeAIRequest:ada", 7 + kept_for),
    ]
    migrate(url, "0001")
    assert run(url, "SELECT transfer_id, used, ref FROM hold") == [(2, 5, "req")]
    assert len(run(url, "SELECT scope FROM idem")) == 2


def test_rows_from_before_the_roll_ups_are_summed_up_on_the_way_up(url: str, clock: Clock) -> None:
    """As if they had been written today, so that new rows go on with the same series."""
    migrate(url)
    rows = [
        replace(usage_row(f"{at}-{user}-{feature}", user, at), organization_id=team, feature=feature)
        for at in (5, HOUR_US - 1, HOUR_US, 30 * HOUR_US, 31 * 24 * HOUR_US)
        for user, team in (("ada", None), ("\u00fc|", "t"))
        for feature in (None, "f")
    ]

    async def keep(some: Sequence[UsageRow]) -> tuple[UsageSum, ...]:
        async with open_store(url, clock_us=clock) as store:
            for row in some:
                await store.record_usage(row)
            assert [check for check in await store.verify() if not check.is_ok] == []
            edges = (0, 40 * 24 * HOUR_US)
            return (
                *await store.usage_sums(UsageScope("t"), edges, by=("feature", "model")),
                *await store.usage_sums(UsageScope("t"), edges, by=("user_id",)),
                *await store.usage_sums(UsageScope("t"), edges, by=("organization_id", "feature")),
            )

    before = asyncio.run(keep(rows))
    series = run(url, "SELECT digest, level FROM usage_series ORDER BY 1")
    migrate(url, "0004")
    migrate(url)
    assert run(url, "SELECT digest, level FROM usage_series ORDER BY 1") == series
    assert asyncio.run(keep([])) == before
    twice = asyncio.run(keep([replace(row, id=f"again-{row.id}") for row in rows]))
    assert [one.requests for one in twice] == [2 * one.requests for one in before]
    assert run(url, "SELECT digest, level FROM usage_series ORDER BY 1") == series


def test_a_migration_may_take_longer_than_a_call(postgres: Server) -> None:
    """What sums up millions of rows is one statement of minutes."""
    found: list[Any] = []
    _over(postgres.empty(), lambda connection: found.append(connection.connection.driver_connection))
    assert found[0]._config.command_timeout is None  # the driver tells it nowhere else


def run(url: str, statement: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []

    def work(connection: Any) -> None:
        result = connection.exec_driver_sql(statement)
        found.extend(tuple(row) for row in result) if result.returns_rows else None

    _over(url, work)
    return found


def test_the_known_revisions_are_the_ones_that_are_there() -> None:
    from alembic.script import ScriptDirectory  # noqa: PLC0415  # heavy

    import storage.sql.migrations as package  # noqa: PLC0415  # beside it

    scripts = ScriptDirectory(str(Path(str(package.__file__)).parent))
    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == REVISIONS


def test_an_embedded_file_made_at_first_use_is_the_migrated_one(tmp_path: Path) -> None:
    made, migrated = tmp_path / "made.db", tmp_path / "migrated.db"
    with closing(sqlite3.connect(made, isolation_level=None)) as connection:
        schema.ensure(connection)
    migrate(f"sqlite:///{migrated}")
    assert ddl(made) == ddl(migrated)
    assert is_current(f"sqlite:///{made}")


def ddl(path: Path) -> dict[str, list[str]]:
    """The words of every statement; the order of a table's constraints means nothing."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: sorted(re.findall(r"[\w<>=]+", sql.replace("IF NOT EXISTS ", ""))) for name, sql in found}


async def test_an_old_embedded_file_is_brought_up_to_date_by_itself(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    await asyncio.to_thread(migrate, url)
    await asyncio.to_thread(migrate, url, BASE)
    async with open_store(url, clock_us=lambda: 0) as store:
        await store.ping()
    assert await asyncio.to_thread(is_current, url)


def test_postgres_migrated_is_postgres_created_from_the_metadata(postgres: Server) -> None:
    migrated, created = postgres.empty(), postgres.empty()
    migrate(migrated)
    _over(created, metadata.create_all)
    postgres.query("DROP TABLE alembic_version", postgres.database(migrated))
    for shape in (COLUMNS, INDEXES, CONSTRAINTS):
        one, other = (postgres.query(shape, postgres.database(url)) for url in (migrated, created))
        assert one == other


async def test_a_database_without_todays_schema_is_refused_in_one_line(postgres: Server) -> None:
    empty, foreign, newer = postgres.empty(), postgres.empty(), await asyncio.to_thread(postgres.fresh)
    postgres.query("CREATE TABLE something (id int)", postgres.database(foreign))
    postgres.query("UPDATE alembic_version SET version_num='9999'", postgres.database(newer))
    for url, words in ((empty, "empty; run: tollgate migrate"), (foreign, "something else"), (newer, "'9999'")):
        for opened in (open_store, open_reader):
            with pytest.raises(StoreRefused, match=r"^storage\.url: ") as refused:
                async with opened(url, clock_us=lambda: 0):
                    pass
            assert words in str(refused.value)
            assert "\n" not in str(refused.value)
    with pytest.raises(StoreRefused, match="9999"):
        await asyncio.to_thread(migrate, newer)


def test_a_revision_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match="'0815' is not a revision"):
        migrate(f"sqlite:///{tmp_path / 'x.db'}", "0815")


async def test_two_that_migrate_at_once_run_one_after_the_other(postgres: Server) -> None:
    url = postgres.empty()
    await asyncio.gather(*(asyncio.to_thread(migrate, url) for _ in range(3)))
    assert await asyncio.to_thread(is_current, url)


def test_opening_a_current_file_imports_no_migration_library(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    migrate(url)
    code = (
        "import asyncio, sys\nfrom storage.store import open_store\n"
        "async def main():\n    async with open_store(sys.argv[1], clock_us=lambda: 0): pass\n"
        "asyncio.run(main())\nprint({'alembic', 'sqlalchemy', 'asyncpg'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, url], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout == "set()\n"


def test_the_statements_know_the_type_of_every_column() -> None:
    for table in metadata.tables.values():
        for column in table.columns:
            wanted = "text" if str(column.type) == "TEXT" else "bigint"
            assert type_of(table.name, column.name) == wanted, (table.name, column.name)
    names = {column.name for table in metadata.tables.values() for column in table.columns}
    assert {name.partition(":")[0] for name in TEXTS} <= names
