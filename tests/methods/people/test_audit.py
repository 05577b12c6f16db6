"""Every act of an admin is there to be read, in pages, by admins alone."""

from typing import Any

from methods.errors import Forbidden, InvalidParams
from tests.methods.people.conftest import Product, Town

ACTS: list[tuple[str, dict[str, Any], str]] = [
    ("grantTokens", {"userId": "u1", "tokens": 900, "kind": "promotion", "reason": "r"}, "user:u1"),
    ("adjustBalance", {"userId": "u1", "amount": -1, "reason": "r"}, "user:u1"),
    ("createOrganization", {"organizationId": "acme", "name": "Acme", "reason": "r"}, "org:acme"),
    (
        "transferBalance",
        {"from": {"userId": "u1"}, "to": {"organizationId": "acme"}, "amount": 5, "reason": "r"},
        "user:u1",
    ),
    (
        "transferBalance",
        {"from": {"organizationId": "acme"}, "to": {"userId": "u1"}, "amount": 5, "reason": "r"},
        "org:acme",
    ),
    ("addMember", {"organizationId": "acme", "userId": "u1", "reason": "r"}, "org:acme"),
    ("deleteOrganization", {"organizationId": "acme", "reason": "r"}, "org:acme"),
    ("updateUserSubscription", {"userId": "u1", "tier": "starter", "reason": "r"}, "user:u1"),
    ("setLimits", {"userId": "u1", "rpm": 5, "reason": "r"}, "user:u1"),
    (
        "setPrice",
        {"provider": "simulator", "model": "other", "prices": {"input": "1", "output": "2"}, "reason": "r"},
        "price:simulator/other",
    ),
    ("reloadTiers", {}, "tiers"),
    ("createBurnTable", {"name": "t", "rules": {"default": {"flat_rate": 1}}, "reason": "r"}, "burn_table:"),
]


async def test_every_act_can_be_read_with_who_whom_and_why(town: Town) -> None:
    async with town() as product:
        for method, params, _ in ACTS:
            await product.admin(method, params)
        events = (await product.admin("listAuditEvents", {"limit": 100}))["events"]
        events = [
            event for event in events if event["details"].get("isGone", True)
        ]  # an end has a row for its beginning
        assert len(events) == len(ACTS)
        for (method, params, subject), event in zip(ACTS, reversed(events), strict=True):
            assert (event["actor"], event["reason"]) == ("boss", params.get("reason", "")), method
            assert event["subject"].startswith(subject), method
            assert event["action"], method
        first = await product.admin("listAuditEvents", {"subject": "user:u1", "limit": 3})
        rest = await product.admin("listAuditEvents", {"subject": "user:u1", "limit": 3, "cursor": first["nextCursor"]})
        found = [event["id"] for event in (*first["events"], *rest["events"])]
        assert found == [event["id"] for event in events if event["subject"] == "user:u1"]
        assert "nextCursor" not in rest


async def test_a_refused_act_leaves_no_trace_and_a_user_reads_none(product: Product) -> None:
    assert isinstance(await product.refused_admin("setLimits", {"userId": "u1", "rpm": -1}), InvalidParams)
    assert (await product.admin("listAuditEvents"))["events"] == []
    for role in ("", "viewer", "member"):
        assert isinstance(await product.refused(product.token("u1", role=role), "listAuditEvents"), Forbidden)
    assert isinstance(await product.refused(product.token("u1"), "listBlocks"), Forbidden)
    assert (await product.call(product.token("root", role="super-admin"), "listBlocks"))["blocks"] == []
