"""Every method that changes something of others leaves a row for the audit in the same commit: generated from the catalogue.

Each act is tried first in a database that takes no audit rows: nothing of it may stand then.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from methods.all_methods import METHODS
from methods.errors import Internal
from tests.methods.people.conftest import KEYS, Product, Start

NO_ACT: Final = {
    "listPrices": "it reads",
    "listBurnTables": "it reads",
    "listBlocks": "it reads",
    "listDeadLetters": "it reads",
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


def audit_rows(database: Path) -> int:
    with closing(sqlite3.connect(database)) as books:
        return int(books.execute("SELECT count(*) FROM kept WHERE kind = 'audit'").fetchone()[0])


def all_rows(database: Path) -> list[str]:
    """The whole database as text."""
    with closing(sqlite3.connect(database)) as books:
        return list(books.iterdump())


def refuse_audit_rows(database: Path, *, refuse: bool) -> None:
    with closing(sqlite3.connect(database)) as books:
        books.execute("DROP TRIGGER IF EXISTS no_audit")
        if refuse:
            books.execute(
                "CREATE TRIGGER no_audit BEFORE INSERT ON kept WHEN NEW.kind = 'audit' "
                "BEGIN SELECT RAISE(ABORT, 'no audit'); END"
            )
        books.commit()


async def acted(product: Product, database: Path, method: str, params: dict[str, Any]) -> Any:
    """Do it twice: in a database that takes no audit rows, where it must leave nothing, and in one that does."""
    refuse_audit_rows(database, refuse=True)
    before = all_rows(database)
    with pytest.raises(Internal):
        await product.admin(method, params)
    assert all_rows(database) == before, f"{method} left something without its audit row"
    refuse_audit_rows(database, refuse=False)
    rows = audit_rows(database)
    result = await product.admin(method, params)
    assert audit_rows(database) == rows + (2 if method == "deleteOrganization" else 1), (
        method
    )  # its beginning and its end
    return result


async def test_no_act_stands_without_its_audit_row(start: Start, tmp_path: Path) -> None:
    database = tmp_path / "money.db"
    async with start(keys=KEYS) as product:
        made: Made = {}
        for method, params in ACTS:
            made[method] = await acted(product, database, method, params(made))
        events = (await product.admin("listAuditEvents", {"limit": 100}))["events"]
        assert [event["actor"] for event in events] == ["boss"] * (len(ACTS) + 1)


async def test_no_refund_of_a_call_stands_without_its_audit_row(start: Start, tmp_path: Path) -> None:
    async with start(keys=KEYS) as product:
        await product.admin("grantTokens", {"userId": "u1", "tokens": 100_000, "kind": "promotion"})
        await product.call(product.token("u1"), "executeAIRequest", {"content": "Hello"})
        burn = (await product.call(product.token("u1"), "getTransactions"))["data"][0]
        await acted(product, tmp_path / "money.db", "refundCharge", {"transactionId": burn["id"], "reason": "r"})
