"""Every statement of the hot path and of the pages is answered by an index, whatever the size of its tables."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from storage.sql.postgres import directory, known, loader, months, parts, readers, series, writer
from storage.sql.usage_questions import POSTGRES
from tests.fakes.postgres import Server
from tests.storage.ledger_cases import HOUR_US
from tests.storage.report_questions import questions_of_reports

WHOLE_TABLE = {
    "writer._LAST": "the last batch is the end of the primary key",
    "series.NEWEST": "the last series is the end of the primary key",
    "directory._OUTBOX_LAST": "the last event is the end of the primary key",
}
"""Statements that walk an index without a condition, and why that is no walk."""

BOUNDED = ("page of", "sums of", "first ")
"""Questions of reports: they look only at the time that they are about."""
SUMS = ("usage_slot", "usage_weight")


def statements() -> Iterator[tuple[str, str]]:
    for module in (directory, known, loader, parts, readers, series, writer):
        name = module.__name__.rpartition(".")[2]
        for constant, said in vars(module).items():
            for text in said if isinstance(said, tuple) else (said,):
                if (
                    isinstance(text, str)
                    and "{" not in text
                    and text.startswith(("SELECT ", "UPDATE ", "DELETE ", "INSERT "))
                ):
                    yield f"{name}.{constant}", text


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.fixture(scope="module")
def database(postgres: Server) -> str:
    found = postgres.database(postgres.fresh())
    for month in (0, 40):
        postgres.query(months.creation(months.month_of(month * 24 * HOUR_US)), found)
    return found


def test_there_are_statements_to_look_at() -> None:
    assert len(list(statements())) > 50


@pytest.mark.parametrize(("name", "statement"), [*statements(), *questions_of_reports(POSTGRES)])
def test_no_statement_walks_a_table(name: str, statement: str, postgres: Server, database: str) -> None:
    explain = "SET enable_seqscan=off; SET enable_bitmapscan=off; EXPLAIN (GENERIC_PLAN, FORMAT JSON) "
    found = postgres.query(explain + statement, database)
    (explained,) = json.loads("\n".join(line[0] for line in found))
    for node in nodes(explained["Plan"]):
        assert node["Node Type"] != "Seq Scan", (name, node)
        if node["Node Type"] in {"Index Scan", "Index Only Scan"} and name not in WHOLE_TABLE:
            assert "Index Cond" in node, (name, node)
            if name.startswith(BOUNDED):
                wanted = "start_us" if node["Relation Name"] in SUMS else "occurred_us"
                is_timed = node["Relation Name"].startswith((*SUMS, "usage_y", "usage_before", "usage_after"))
                assert not is_timed or wanted in node["Index Cond"], (name, node)
