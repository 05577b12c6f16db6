"""Every method that changes something of others leaves a row for the audit in the same commit: generated from the catalogue.

Each act is tried first in a database that takes no audit rows: nothing of it may stand then.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest

from methods.all_methods import METHODS
from methods.errors import Internal
from tests.methods.people.conftest import KEYS, Product, Start

NO_ACT: Final = {
    "listPrices": "it reads",
    "listBurnTables": "it reads",
    "listBlocks": "it reads",
    "listDeadLetters": "it reads",
    "getIngestionInfo": "it reads",
    "createTiersForMargin": "it calculates",
    "validateUserKey": "it asks a provider",
    "ingestEvents": "it tells of usage, as a call does",
    "replayDeadLetters": "tests/methods/ingestion has its own",
    "deleteDeadLetters": "tests/methods/ingestion has its own",
    "unblock": "tests/journeys/test_abuse.py has a block to end",
    "refundCharge": "it needs a call to give back, see the test at the end",
    "joinOrganization": "a user's own word, see test_organizations.py",
    "leaveOrganization": "a user's own word, see test_organizations.py",
}
"""Methods with a scope to write that are not among the acts, and why."""
ORG: Final = {"organizationId": "acme"}
Made = dict[str, Any]
ACTS: Final[list[tuple[str, Callable[[Made], dict[str, Any]]]]] = [
    ("grantTokens", lambda _: {"userId": "u1", "tokens": 900, "kind": "promotion"}),
    ("grantCredits", lambda _: {"userId": "u1", "priceUsd": "9", "purchaseType": "one_time"}),
    (
        "grantTokens",
        lambda _: {"userId": "u1", "tokens": 9, "kind": "purchase", "pricePaid": "1", "idempotencyKey": "o"},
    ),
    ("refundPurchase", lambda _: {"userId": "u1", "grantId": "o", "reason": "r"}),
    ("consumeCredits", lambda _: {"userId": "u1", "amount": 1}),
    ("adjustBalance", lambda _: {"userId": "u1", "amount": 1, "reason": "r"}),
    ("createOrganization", lambda _: {**ORG, "name": "Acme"}),
    ("updateOrganization", lambda _: {**ORG, "pays": "pool_then_member"}),
    ("transferBalance", lambda _: {"from": {"userId": "u1"}, "to": ORG, "amount": 5, "reason": "r"}),
    ("transferBalance", lambda _: {"from": ORG, "to": {"userId": "u1"}, "amount": 5, "reason": "r"}),
    ("addMember", lambda _: {**ORG, "userId": "u1", "role": "member"}),
    ("updateMember", lambda _: {**ORG, "userId": "u1", "role": "viewer"}),
    ("removeMember", lambda _: {**ORG, "userId": "u1"}),
    ("deleteOrganization", lambda _: dict(ORG)),
    ("updateUserSubscription", lambda _: {"userId": "u1", "tier": "starter"}),
    ("setLimits", lambda _: {"userId": "u1", "rpm": 5}),
    ("setQuota", lambda _: {"userId": "u1", "resource": "message", "period": "daily", "limit": 5}),
    ("deleteQuota", lambda _: {"userId": "u1", "resource": "message", "period": "daily"}),
    ("setEntitlement", lambda _: {"userId": "u1", "featureId": "f", "limitType": "HARD", "limitValue": 5}),
    ("updateEntitlement", lambda made: {"id": made["setEntitlement"]["id"], "limitValue": 6}),
    ("deleteEntitlement", lambda made: {"id": made["setEntitlement"]["id"]}),
    ("setPrice", lambda _: {"provider": "simulator", "model": "other", "prices": {"input": "1", "output": "2"}}),
    ("createBurnTable", lambda _: {"name": "t", "rules": {"default": {"flat_rate": 1}}}),
    ("updateBurnTable", lambda made: {"id": made["createBurnTable"]["id"], "name": "u"}),
    ("activateBurnTable", lambda made: {"id": made["createBurnTable"]["id"]}),
    ("deleteBurnTable", lambda made: {"id": made["createBurnTable"]["id"]}),
    ("reloadTiers", lambda _: {}),
    ("createApiKey", lambda _: {"userId": "u1", "idempotencyKey": "k"}),
    ("rotateApiKey", lambda made: {"keyId": made["createApiKey"]["keyId"]}),
    ("revokeApiKey", lambda made: {"keyId": made["createApiKey"]["keyId"]}),
    ("storeUserKey", lambda _: {"provider": "simulator", "apiKey": "a-provider-key-0123456789"}),
    ("rotateUserKey", lambda _: {"provider": "simulator", "newApiKey": "b-provider-key-0123456789"}),
    ("deleteUserKey", lambda _: {"provider": "simulator"}),
]


@pytest.mark.parametrize(
    "method", [found for found in METHODS if str(found.scope).endswith(":write")], ids=lambda m: m.name
)
def test_every_method_that_may_write_is_an_act_or_says_why_it_is_none(method: Any) -> None:
    assert (method.name in dict(ACTS)) != (method.name in NO_ACT), "name it in this file"


class Sqlite:
    """The database of a product, looked into from outside."""

    refusing = (
        """CREATE TRIGGER no_audit BEFORE INSERT ON kept WHEN NEW.kind = 'audit'
        BEGIN SELECT RAISE(ABORT, 'no audit'); END""",
    )
    taking = ("DROP TRIGGER IF EXISTS no_audit",)

    def __init__(self, file: Path) -> None:
        self.url = f"sqlite:///{file}"
        self._file = file

    async def run(self, *statements: str) -> Any:
        """The one value that the last statement reads, if it reads."""
        with closing(sqlite3.connect(self._file)) as books:
            found = [books.execute(statement).fetchone() for statement in statements][-1]
            books.commit()
            return found and found[0]

    async def everything(self) -> object:
        """The whole database as text."""
        with closing(sqlite3.connect(self._file)) as books:
            return list(books.iterdump())


class InPostgres:
    """The same of a PostgreSQL."""

    refusing = (
        """CREATE OR REPLACE FUNCTION no_audit() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'no audit'; END $$""",
        """CREATE TRIGGER no_audit BEFORE INSERT ON kept FOR EACH ROW WHEN (NEW.kind = 'audit')
        EXECUTE FUNCTION no_audit()""",
    )
    taking = ("DROP TRIGGER IF EXISTS no_audit ON kept",)

    def __init__(self, url: str) -> None:
        self.url = url

    async def run(self, *statements: str) -> Any:
        connection = await asyncpg.connect(self.url)
        try:
            return [await connection.fetchval(statement) for statement in statements][-1]
        finally:
            await connection.close()

    async def everything(self) -> object:
        """Left out is what is made before the commit that uses it and says nothing: unused accounts and series."""
        names = await self.run("SELECT array_agg(tablename::text) FROM pg_tables WHERE schemaname = 'public'")
        rows = [f"SELECT '{name} ' || t::text AS line FROM {name} AS t" for name in names]  # noqa: S608  # tables of ours
        found = await self.run(f"SELECT array_agg(line ORDER BY line) FROM ({' UNION ALL '.join(rows)}) AS t")  # noqa: S608  # same
        return [
            line
            for line in found
            if not (
                (line.startswith("account ") and line.endswith(",0,0,0,open,0)")) or line.startswith("usage_series ")
            )
        ]


Books = Sqlite | InPostgres


@pytest.fixture(params=["sqlite", "postgres"])
def books(request: pytest.FixtureRequest, tmp_path: Path) -> Books:
    if request.param == "sqlite":
        return Sqlite(tmp_path / "money.db")
    return InPostgres(request.getfixturevalue("postgres").fresh())


async def acted(product: Product, books: Books, method: str, params: dict[str, Any]) -> Any:
    """Do it twice: in a database that takes no audit rows, where it must leave nothing, and in one that does."""
    await books.run(*books.taking, *books.refusing)
    before = await books.everything()
    with pytest.raises(Internal):
        await product.admin(method, params)
    assert await books.everything() == before, f"{method} left something without its audit row"
    await books.run(*books.taking)
    count = "SELECT count(*) FROM kept WHERE kind = 'audit'"
    rows = await books.run(count)
    result = await product.admin(method, params)
    written = 2 if method == "deleteOrganization" else 1  # its beginning and its end
    assert await books.run(count) == rows + written, method
    return result


async def test_no_act_stands_without_its_audit_row(start: Start, books: Books) -> None:
    async with start(keys=KEYS, storage={"url": books.url}) as product:
        made: Made = {}
        for method, params in ACTS:
            made[method] = await acted(product, books, method, params(made))
        events = (await product.admin("listAuditEvents", {"limit": 100}))["events"]
        assert [event["actor"] for event in events] == ["boss"] * (len(ACTS) + 1)


async def test_no_refund_of_a_call_stands_without_its_audit_row(start: Start, books: Books) -> None:
    async with start(keys=KEYS, storage={"url": books.url}) as product:
        await product.admin("grantTokens", {"userId": "u1", "tokens": 100_000, "kind": "promotion"})
        await product.call(product.token("u1"), "executeAIRequest", {"content": "Hello"})
        burn = (await product.call(product.token("u1"), "getTransactions"))["data"][0]
        await acted(product, books, "refundCharge", {"transactionId": burn["id"], "reason": "r"})
