"""Every statement of the hot path, of the pages and of reports is answered by an index of the embedded file too."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from storage.sql.sqlite import directory, engine, loader, parts, readers, schema, series, writer
from storage.sql.usage_questions import SQLITE
from tests.storage.report_questions import questions_of_reports

TABLES = (
    "usage", "usage_slot", "usage_weight", "usage_series", "transfer", "hold", "hold_window", "lot", "lot_use", "account",
    "quota_window", "idem", "kept", "directory", "outbox", "batch", "debt",
)  # fmt: skip


def statements() -> Iterator[tuple[str, str]]:
    for module in (directory, engine, loader, parts, readers, series, writer):
        name = module.__name__.rpartition(".")[2]
        for constant, text in vars(module).items():
            is_whole = isinstance(text, str) and "{" not in text
            if is_whole and text.startswith(("SELECT ", "UPDATE ", "DELETE ", "INSERT ")):
                yield f"{name}.{constant}", text


class Nothing(dict[str, None]):
    """No value for any name."""

    def __missing__(self, key: str) -> None:
        return None


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        schema.ensure(opened)
        yield opened


def test_there_are_statements_to_look_at() -> None:
    assert len(list(statements())) > 30
    assert len(list(questions_of_reports(SQLITE))) > 60


@pytest.mark.parametrize(("name", "statement"), [*statements(), *questions_of_reports(SQLITE)])
def test_no_statement_walks_a_table(name: str, statement: str, connection: sqlite3.Connection) -> None:
    numbered = {int(number) for number in re.findall(r"\?(\d+)", statement)}
    count = max(numbered, default=0) or statement.count("?")
    values = (
        Nothing()
        if re.search(r"[(=<>, ]:\w", statement)
        else (None,) * max(count, statement.count("?") * (not numbered))
    )
    assert walks(connection, statement, values) == [], name


def walks(connection: sqlite3.Connection, statement: str, values: Any) -> list[str]:
    """The steps of its plan that go through a table or an index without looking for anything."""
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    aliases = re.findall(rf"\b(?:{'|'.join(TABLES)}) (?:AS )?(\w)\b", statement)
    names = "|".join({*TABLES, *aliases})
    return [step for step in plan if re.match(rf"SCAN ({names})\b", step)]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM usage WHERE model='x'",
        "SELECT * FROM usage_slot t WHERE t.start_us=1",
        "SELECT sum(t.requests) FROM usage_series s CROSS JOIN usage_slot t WHERE t.series=s.id AND s.model='x'",
        "SELECT seq FROM usage ORDER BY seq",
    ],
)
def test_a_walk_is_seen(statement: str, connection: sqlite3.Connection) -> None:
    assert walks(connection, statement, ()) != []
