"""`tollgate migrate` as an operator meets it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from storage.errors import StoreRefused
from storage.sql.migrations.revisions import HEAD
from storage.sql.sqlite.reading import open_sqlite_reader
from storage.store import open_store
from tests.fakes.postgres import Server, postgres
from tests.server.cli.test_cli import run

__all__ = ["postgres"]  # a fixture
CONFIG = """
[storage]
url = "{url}"

[providers.simulator]
kind = "simulator"

[routing]
default_provider = "simulator"
default_model = "simulator-1"

[auth]
issuer = "https://issuer.test"
audience = "tollgate"
secret = "a-secret-of-thirty-two-characters-or-more"
algorithms = ["HS256"]
"""


def config(folder: Path, url: str) -> str:
    path = folder / "config.toml"
    path.write_text(CONFIG.format(url=url))
    return str(path)


async def test_an_empty_postgres_is_refused_until_it_is_migrated(postgres: Server, tmp_path: Path) -> None:
    url = postgres.empty()
    file = config(tmp_path, url)
    shown = run("migrate", "--config", file, "--show")
    assert (shown.returncode, shown.stdout) == (0, f"schema none (this program's is {HEAD})\n"), shown.stderr
    served = run("serve", "--config", file, "--port", "0")
    assert served.returncode != 0
    assert "tollgate migrate" in served.stderr
    done = run("migrate", "--config", file)
    assert (done.returncode, done.stdout) == (0, f"schema {HEAD} (this program's)\n"), done.stderr
    async with open_store(url, clock_us=lambda: 0) as store:
        await store.ping()
    down = run("migrate", "--config", file, "--down-to", "base")
    assert (down.returncode, down.stdout) == (0, f"schema none (this program's is {HEAD})\n"), down.stderr


def test_what_cannot_be_migrated_is_one_line_and_exit_code_two(tmp_path: Path) -> None:
    file = config(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}")
    for arguments, words in (
        (["--down-to", "0815"], "'0815' is not a revision"),
        (["--down-to", "base", "--show"], "exclude each other"),
    ):
        refused = run("migrate", "--config", file, *arguments)
        assert refused.returncode == 2
        assert words in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert asyncio.run(_is_untouched(tmp_path))


async def _is_untouched(folder: Path) -> bool:
    async with open_store(f"sqlite:///{folder / 'ledger.db'}", clock_us=lambda: 0) as store:
        await store.ping()
    return True


@pytest.mark.parametrize(("schema", "says"), [("0002", "run: tollgate migrate"), ("9999", "run a newer Tollgate")])
def test_a_look_into_a_file_of_another_schema_says_which_way_to_go(tmp_path: Path, schema: str, says: str) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    assert run("migrate", "--config", config(tmp_path, url)).returncode == 0
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num=?", (schema,))
    with pytest.raises(StoreRefused, match=says), open_sqlite_reader(str(tmp_path / "ledger.db"), clock_us=lambda: 0):
        pass


def test_doctor_fails_over_a_file_that_the_start_would_refuse(tmp_path: Path) -> None:
    file, path = config(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}"), tmp_path / "ledger.db"
    assert run("migrate", "--config", file).returncode == 0
    for schema, code, says in ((HEAD, 0, ""), ("0002", 0, ""), ("9999", 1, "run a newer Tollgate")):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num=?", (schema,))
        done = run("doctor", "--config", file)
        assert (done.returncode, says in done.stdout) == (code, True), schema
    path.write_bytes(b"no database at all" * 64)
    done = run("doctor", "--config", file)
    assert (done.returncode, "file is not a database" in done.stdout) == (1, True)
