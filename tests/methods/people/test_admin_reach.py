"""Where organizations are tenants, a token's admin manages the one it names, and only a super-admin crosses them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from methods.all_methods import METHODS
from methods.errors import Forbidden
from monetization.roles import EVERY
from storage.errors import Fault, NotFound
from tests.methods.people.conftest import KEYS, Product, Start

OPERATORS: Final = {
    *(
        "users:read",
        "users:write",
        "money:write",
        "prices:write",
        "tiers:write",
        "audit:read",
        "blocks:write",
        "events:write",
    ),
}
HERE: Final = {"organizationId": "acme"}


@pytest.fixture
async def tenants(start: Start, tmp_path: Path) -> AsyncIterator[Product]:
    auth = {
        "issuer": "https://issuer.example",
        "audience": "tollgate",
        "algorithms": ["ES256"],
        "private_key": (tmp_path / "demo-key.pem").read_text(),
        "admin_reach": "organization",
    }
    async with start(keys=KEYS, auth=auth) as product:
        operator = product.token("root", role="super-admin")
        for name in ("acme", "other"):
            await product.call(operator, "createOrganization", {"organizationId": name, "name": name})
            member = {"organizationId": name, "userId": f"member-of-{name}", "role": "member"}
            await product.call(operator, "addMember", member)
        yield product


def admin(product: Product, organization: str | None = "acme", user: str = "ada") -> str:
    return product.token(user, role="admin", organization=organization)


async def outcome(product: Product, token: str, method: str, params: Any) -> str:
    try:
        await product.call(token, method, params)
    except Fault as refused:
        return refused.slug
    return ""


async def test_every_scope_of_the_operator_is_kept_from_an_admin_and_given_to_a_super_admin(tenants: Product) -> None:
    ada, root = admin(tenants), tenants.token("root", role="super-admin")
    checked = set()
    for method in METHODS:
        if method.scope not in OPERATORS:
            continue
        checked.add(method.scope)
        params = method.examples[0].params if method.examples else {}
        assert await outcome(tenants, ada, method.name, params) == "scope_required", method.name
        assert await outcome(tenants, root, method.name, params) != "scope_required", method.name
    assert checked == OPERATORS < EVERY


async def test_an_admin_manages_the_organization_of_the_token(tenants: Product) -> None:
    ada = admin(tenants)
    members = (await tenants.call(ada, "listMembers"))["members"]
    assert [one["userId"] for one in members] == ["member-of-acme"]
    invited = await tenants.call(ada, "addMember", {"userId": "bob", "role": "viewer"})
    assert (invited["organizationId"], invited["status"]) == ("acme", "invited")
    await tenants.call(ada, "updateMember", {"userId": "member-of-acme", "caps": {"monthlyTokens": 5}})
    await tenants.call(ada, "updateOrganization", {"name": "Acme & Daughters"})
    assert (await tenants.call(ada, "getUsageStats", HERE))["requestCount"] == 0
    key = await tenants.call(ada, "createApiKey", HERE)
    assert (await tenants.call(ada, "revokeApiKey", {"keyId": key["keyId"]}))["status"] == "revoked"


async def test_another_organization_looks_like_none(tenants: Product) -> None:
    for token in (admin(tenants), admin(tenants, None), admin(tenants, "missing")):
        for method, more in (
            ("listMembers", {}),
            ("getOrganization", {}),
            ("addMember", {"userId": "x"}),
            ("updateOrganization", {"name": "Mine"}),
            ("createApiKey", {}),
            ("listApiKeys", {}),
            ("getUsageStats", {}),
            ("getTokenBalance", {}),
            ("listQuotas", {}),
        ):
            foreign = await tenants.refused(token, method, {"organizationId": "other", **more})
            nobodys = await tenants.refused(token, method, {"organizationId": "nobodys", **more})
            assert type(foreign) is Forbidden, (method, foreign)
            assert str(foreign) == str(nobodys)
        assert isinstance(await tenants.refused(token, "getTokenBalance", {"userId": "member-of-acme"}), Forbidden)
    for method in ("listMembers", "getOrganization"):
        assert isinstance(await tenants.refused(admin(tenants, "missing"), method), NotFound)


async def test_a_membership_that_is_kept_wins_over_the_token(tenants: Product) -> None:
    kept = admin(tenants, "acme", "member-of-acme")
    assert (await tenants.call(kept, "getOrganization"))["yourRole"] == "member"
    assert isinstance(await tenants.refused(kept, "addMember", {"userId": "x"}), Forbidden)
    elsewhere = admin(tenants, "acme", "member-of-other")
    assert isinstance(await tenants.refused(elsewhere, "addMember", {"userId": "x"}), Forbidden)


async def test_by_default_an_admin_is_the_operator_as_before(product: Product) -> None:
    await product.admin("createOrganization", {"organizationId": "acme", "name": "Acme"})
    await product.call(admin(product, "elsewhere"), "addMember", {**HERE, "userId": "bob"})
    assert await outcome(product, admin(product), "listPrices", {}) == ""
