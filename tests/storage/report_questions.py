"""Every kind of question that reports ask of usage, as a statement of either database: for those who read their plans."""

from collections.abc import Iterator

from storage.records.reports import Dim, UsageScope
from storage.sql.usage_questions import Dialect, questions, rows_question, users_questions
from tests.storage.ledger_cases import HOUR_US

SCOPES = {
    "tenant": UsageScope("t"),
    "user": UsageScope("t", "ada"),
    "organization": UsageScope("t", organization_id="acme"),
    "member": UsageScope("t", "ada", "acme"),
    "key": UsageScope("t", where={"key_id": "key_1"}),
    "model": UsageScope("t", where={"model": "gpt-4o"}),
}
BYS: tuple[tuple[Dim, ...], ...] = ((), ("user_id",), ("provider", "model"), ("organization_id",))
EDGES = (1, 50 * HOUR_US + 1, 40 * 24 * HOUR_US + 7)


def questions_of_reports(dialect: Dialect) -> Iterator[tuple[str, str]]:
    """A name and a statement of each."""
    for name, scope in SCOPES.items():
        page = rows_question(dialect, scope, since_us=0, until_us=1, after=(1, 1), limit=1)
        yield f"page of {name}", page[0]
        for by in BYS:
            for number, (statement, _) in enumerate(questions(dialect, scope, EDGES, by)):
                yield f"sums of {name} by {','.join(by) or 'nothing'} {number}", statement
    for number, (statement, _) in enumerate(questions(dialect, SCOPES["tenant"], EDGES, ("user_id",), "tokens")):
        yield f"first users {number}", statement
    firsts = frozenset({("ada",), (None,)})
    for number, (statement, _) in enumerate(questions(dialect, SCOPES["tenant"], EDGES, ("user_id",), firsts)):
        yield f"sums of first users {number}", statement
    for number, (statement, _) in enumerate(users_questions(dialect, "t", *EDGES[::2])):
        yield f"users {number}", statement
