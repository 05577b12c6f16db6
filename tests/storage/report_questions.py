"""Every kind of question that reports ask of usage, as a statement of either database: for those who read their plans."""

from collections.abc import Iterator

from storage.records.reports import Dim, UsageScope
from storage.sql.rollups import mark_of
from storage.sql.usage_questions import Dialect, questions, rows_question
from storage.sql.usage_tops import top_question
from storage.sql.weighing import Kept, next_piece
from tests.storage.ledger_cases import HOUR_US

SCOPES = {
    "tenant": UsageScope("t"),
    "user": UsageScope("t", "ada"),
    "organization": UsageScope("t", organization_id="acme"),
    "member": UsageScope("t", "ada", "acme"),
    "key": UsageScope("t", where={"key_id": "key_1"}),
    "model": UsageScope("t", where={"model": "gpt-4o"}),
}
BYS: tuple[tuple[Dim, ...], ...] = ((), ("user_id",), ("provider", "model"), ("organization_id",), ("feature",))
KEPT = (Kept(), Kept(400 * 24 * HOUR_US + 7), Kept(0, mark_of(80 * 24 * HOUR_US, 0)))
EDGES = (1, 50 * HOUR_US + 1, 400 * 24 * HOUR_US + 7)


def questions_of_reports(dialect: Dialect) -> Iterator[tuple[str, str]]:
    """A name and a statement of each."""
    for name, scope in SCOPES.items():
        page = rows_question(dialect, scope, since_us=0, until_us=1, after=(1, 1), limit=1)
        yield f"page of {name}", page[0]
        for by in BYS:
            for number, (statement, _) in enumerate(questions(dialect, scope, EDGES, by, kept=Kept())):
                yield f"sums of {name} by {','.join(by) or 'nothing'} {number}", statement
    piece = next_piece(mark_of(80 * 24 * HOUR_US, 5), 100_000, EDGES[-1])
    assert piece is not None
    for number, statement in enumerate(piece.statements()):
        yield f"sums of days that have ended {number}", statement
    for name, scope in SCOPES.items():
        for by in BYS[1:]:
            for kept in KEPT:
                asked = top_question(dialect, scope, EDGES, by, "tokens", 9, kept=kept)
                yield f"first {','.join(by)} of {name}, {kept}", asked[0]
    tops: tuple[tuple[Dim, set[str | None]], ...] = (
        ("user_id", {"ada", None}), ("user_id", {"ada", "bob"}), ("feature", {"chat", None}),
    )  # fmt: skip
    for dim, firsts in tops:
        named = frozenset((value,) for value in firsts)
        for number, (statement, _) in enumerate(
            questions(dialect, SCOPES["tenant"], EDGES, (dim,), named, kept=Kept(), sums_max=9)
        ):
            yield f"sums of first {dim} {sorted(map(str, firsts))} {number}", statement
