"""Organizations: who is in them, who pays for whom, and that nobody is drawn in, looks in or takes out who should not."""

import asyncio
import re
from typing import Any

import orjson
import pytest

from billing.errors import AccountNotEmpty
from methods.all_methods import METHODS
from methods.errors import Forbidden, InvalidParams, code_of
from methods.organizations import MEMBERS_AT_ONCE
from monetization.errors import NotEntitled, PaymentRequired, QuotaExceeded
from storage.errors import Fault, NotFound, VersionChanged
from storage.store import open_reader
from tests.methods.people.conftest import Product, Town

ASK = {"content": "Hi", "options": {"maxTokens": 50}}


async def acme(product: Product, *, pays: str = "pool", tokens: int = 0, **members: Any) -> None:
    """An organization with members, each with a role or with a role and caps."""
    await product.admin("createOrganization", {"organizationId": "acme", "name": "Acme", "pays": pays})
    for user, said in members.items():
        role, caps = (said, None) if isinstance(said, str) else said
        params = {"organizationId": "acme", "userId": user, "role": role, **({"caps": caps} if caps else {})}
        assert (await product.admin("addMember", params))["status"] == "active"
    if tokens:
        await product.admin("grantTokens", {"userId": "bank", "tokens": tokens, "kind": "promotion"})
        await fill(product, tokens)


async def fill(product: Product, tokens: int) -> None:
    order = {"from": {"userId": "bank"}, "to": {"organizationId": "acme"}, "amount": tokens, "reason": "pool"}
    await product.admin("transferBalance", order)


async def pool(product: Product) -> int:
    return int((await product.admin("getTokenBalance", {"organizationId": "acme"}))["availableTokens"])


async def own(product: Product, user: str) -> int:
    return int((await product.admin("getTokenBalance", {"userId": user}))["availableTokens"])


async def test_the_pool_pays_for_its_members_and_for_nobody_else(town: Town) -> None:
    async with town() as product:
        await acme(product, tokens=100_000, ada="member", eve="viewer")
        await product.call(product.token("ada"), "executeAIRequest", ASK)
        charged = (await product.admin("getUsageHistory", {"userId": "ada"}))["history"][0]["charged"]
        assert 0 < int(charged) == 100_000 - await pool(product)
        for user in ("eve", "stranger"):
            assert isinstance(await product.refused(product.token(user), "executeAIRequest", ASK), PaymentRequired)
        left = await pool(product)
        await product.admin("grantTokens", {"userId": "ada", "tokens": 100_000, "kind": "promotion"})
        await product.call(product.token("ada"), "executeAIRequest", ASK)
        assert await pool(product) < left
        assert await own(product, "ada") == 100_000


async def test_a_claim_in_a_token_alone_opens_no_pool_and_a_stored_membership_wins_over_it(product: Product) -> None:
    await acme(product, tokens=100_000, ada="member")
    claiming = product.token("mallory", organization="acme")
    assert isinstance(await product.refused(claiming, "executeAIRequest", ASK), PaymentRequired)
    for method in ("getOrganization", "listMembers"):
        assert isinstance(await product.refused(claiming, method, {"organizationId": "acme"}), Forbidden)
    assert isinstance(await product.refused(claiming, "getTokenBalance", {"organizationId": "acme"}), Forbidden)
    elsewhere = product.token("ada", organization="other")
    assert (await product.call(elsewhere, "getUserStatus"))["organizationId"] == "acme"
    assert (await product.call(claiming, "getUserStatus"))["organizationId"] == "acme"  # for limits it counts as before


async def test_pool_then_member_falls_to_the_members_own_money_and_pool_does_not(product: Product) -> None:
    await acme(product, pays="pool_then_member", tokens=1, ada="member")
    await product.admin("grantTokens", {"userId": "ada", "tokens": 100_000, "kind": "promotion"})
    await product.call(product.token("ada"), "executeAIRequest", ASK)
    assert await own(product, "ada") < 100_000
    assert await pool(product) == 1
    await product.admin("updateOrganization", {"organizationId": "acme", "pays": "pool"})
    assert isinstance(await product.refused(product.token("ada"), "executeAIRequest", ASK), PaymentRequired)
    await product.admin("updateOrganization", {"organizationId": "acme", "pays": "member"})
    before = await own(product, "ada")
    await product.call(product.token("ada"), "executeAIRequest", ASK)
    assert await own(product, "ada") < before


@pytest.mark.parametrize("cap", ["monthlyTokens", "dailyTokens", "hourlyRequests", "monthlyRequests"])
async def test_a_cap_stops_its_member_and_no_other(product: Product, cap: str) -> None:
    limit = 1 if cap.endswith("Requests") else 100
    await acme(product, tokens=100_000, ada=("member", {cap: limit}), bob="member")
    await product.call(product.token("ada"), "executeAIRequest", ASK)
    refused = await product.refused(product.token("ada"), "executeAIRequest", ASK)
    assert isinstance(refused, QuotaExceeded)
    assert (refused.data["quotaLimit"], refused.data["subject"]) == (limit, "member")
    assert "upgradeUrl" not in refused.data
    standings = (await product.call(product.token("ada"), "getQuotaStatus"))["data"]
    [shown] = [one for one in standings if one["source"] == "member"]
    assert (shown["limit"], limit - shown["remaining"]) == (limit, refused.data["quotaUsed"])
    await product.call(product.token("bob"), "executeAIRequest", ASK)
    await product.admin("updateMember", {"organizationId": "acme", "userId": "ada", "caps": {}})
    await product.call(product.token("ada"), "executeAIRequest", ASK)


@pytest.mark.parametrize("tier", ["allowance", "credits"])
async def test_a_plan_of_a_pool_is_its_members_together(product: Product, tier: str) -> None:
    await acme(product, ada="member", bob="member")
    await product.admin("setLimits", {"organizationId": "acme", "monthlyRequests": 2})
    await product.admin("grantCredits", {"userId": "bank", "amount": 50})
    order = {"from": {"userId": "bank"}, "to": {"teamId": "acme"}, "amount": "50", "asset": "CREDIT", "reason": "pool"}
    await product.admin("transferBalance", order)
    for user in ("ada", "bob"):
        await product.call(product.token(user, tier), "executeAIRequest", ASK)
    refused = await product.refused(product.token("ada", tier), "executeAIRequest", ASK)
    assert isinstance(refused, Fault)
    assert code_of(refused) in {-32001, -32003}
    if tier == "credits":
        assert isinstance(refused, QuotaExceeded)
        assert (await product.admin("getCreditBalance", {"organizationId": "acme"}))["monthlyRequestsUsed"] == 2
        assert (await product.admin("getCreditBalance", {"userId": "ada"}))["monthlyRequestsUsed"] == 1


async def test_an_organizations_admin_manages_it_and_no_other(product: Product) -> None:
    await acme(product, ada="admin", bob="member")
    await product.admin("createOrganization", {"organizationId": "other", "name": "Other"})
    ada, bob = product.token("ada"), product.token("bob")
    assert (await product.call(ada, "updateOrganization", {"name": "Acme & Co"}))["name"] == "Acme & Co"
    assert (await product.call(ada, "updateMember", {"userId": "bob", "caps": {"monthlyTokens": 5}}))["caps"] == {
        "monthlyTokens": 5
    }
    listed = await product.call(bob, "listMembers", {"limit": 1})
    assert [member["userId"] for member in listed["members"]] == ["ada"]
    following = await product.call(bob, "listMembers", {"limit": 1, "cursor": listed["nextCursor"]})
    assert [member["userId"] for member in following["members"]] == ["bob"]
    assert "nextCursor" not in following
    for method, params in (
        ("updateMember", {"userId": "bob", "role": "admin"}),
        ("addMember", {"userId": "bob2"}),
        ("removeMember", {"userId": "ada"}),
        ("updateOrganization", {"pays": "member"}),
    ):
        assert isinstance(await product.refused(bob, method, params), Forbidden), method
        foreign = {**params, "organizationId": "other"}
        assert isinstance(await product.refused(ada, method, foreign), Forbidden), method
    for method in ("listOrganizations", "createOrganization", "grantTokens", "listApiKeys", "setLimits"):
        wanted: Any = {"all": True} if method == "listApiKeys" else {"organizationId": "acme", "name": "x"}
        assert isinstance(await product.refused(ada, method, wanted), Forbidden), method
    assert (await product.call(ada, "removeMember", {"userId": "bob"})) == {"removed": True}
    assert isinstance(await product.refused(bob, "listMembers"), Forbidden)


async def test_nobody_is_drawn_into_an_organization_without_a_word(product: Product) -> None:
    await acme(product, pays="pool", ada="admin")
    await product.admin("grantTokens", {"userId": "victim", "tokens": 100_000, "kind": "promotion"})
    invited = await product.call(product.token("ada"), "addMember", {"userId": "victim", "role": "member"})
    assert invited["status"] == "invited"
    victim = product.token("victim")
    await product.call(victim, "executeAIRequest", ASK)  # with the victim's own money: nothing has changed
    assert await own(product, "victim") < 100_000
    assert "organizationId" not in await product.call(victim, "getUserStatus")
    assert (await product.call(victim, "joinOrganization", {"organizationId": "acme"}))["status"] == "active"
    assert isinstance(await product.refused(victim, "executeAIRequest", ASK), PaymentRequired)  # the pool is empty
    assert await product.call(victim, "leaveOrganization", {"organizationId": "acme"}) == {"removed": True}
    await product.call(victim, "executeAIRequest", ASK)
    await product.call(product.token("ada"), "addMember", {"userId": "claimant"})
    claimant = product.token("claimant", organization="acme")
    assert (await product.call(claimant, "getOrganization"))["yourRole"] == "member"  # the issuer has said so too


async def test_every_act_on_organizations_leaves_an_audit_row(product: Product) -> None:
    await acme(product, ada="admin")
    await product.call(product.token("ada"), "addMember", {"userId": "bob", "reason": "new hire"})
    await product.call(product.token("bob"), "joinOrganization", {"organizationId": "acme"})
    await product.call(product.token("ada"), "removeMember", {"userId": "bob"})
    url = product.settings.storage.url.get_secret_value()
    async with open_reader(url, clock_us=lambda: 0) as reader:
        rows = await reader.kept("default", "audit", "org:acme")
    assert [(row.actor, orjson.loads(row.body)["action"], row.reason) for row in rows] == [
        ("boss", "createOrganization", ""),
        ("boss", "addMember", ""),
        ("ada", "addMember", "new hire"),
        ("bob", "joinOrganization", ""),
        ("ada", "removeMember", ""),
    ]


@pytest.mark.parametrize(
    ("method", "params", "fault"),
    [
        ("createOrganization", {"organizationId": "a/b", "name": "x"}, InvalidParams),
        ("createOrganization", {"organizationId": "acme", "name": "again"}, VersionChanged),
        ("createOrganization", {"organizationId": "new", "name": "x", "pays": "nobody"}, InvalidParams),
        ("updateOrganization", {"organizationId": "none", "name": "x"}, NotFound),
        ("updateOrganization", {"name": "x"}, InvalidParams),
        ("addMember", {"organizationId": "none", "userId": "u"}, NotFound),
        ("addMember", {"organizationId": "acme", "userId": "ada"}, VersionChanged),
        ("addMember", {"organizationId": "acme", "userId": "u", "role": "owner"}, InvalidParams),
        ("addMember", {"organizationId": "acme", "userId": "u", "caps": {"yearlyTokens": 1}}, InvalidParams),
        ("addMember", {"organizationId": "acme", "userId": "u", "caps": {"monthlyTokens": -1}}, InvalidParams),
        ("updateMember", {"organizationId": "acme", "userId": "nobody"}, NotFound),
        ("removeMember", {"organizationId": "acme", "userId": "nobody"}, NotFound),
        ("getTokenBalance", {"organizationId": "acme", "userId": "ada"}, InvalidParams),
    ],
)
async def test_what_makes_no_sense_is_refused(
    product: Product, method: str, params: Any, fault: type[Exception]
) -> None:
    await acme(product, ada="member")
    assert isinstance(await product.refused_admin(method, params), fault)


async def test_members_of_one_organization_are_not_listed_with_those_of_another_with_a_longer_name(town: Town) -> None:
    async with town() as product:
        for organization in ("acme", "acme-2", "acm"):
            await product.admin("createOrganization", {"organizationId": organization, "name": "x"})
            await product.admin("addMember", {"organizationId": organization, "userId": f"of-{organization}"})
        listed = await product.admin("listMembers", {"organizationId": "acme"})
        assert [member["userId"] for member in listed["members"]] == ["of-acme"]
        listed = await product.admin("listOrganizations", {"limit": 2})
        assert [one["organizationId"] for one in listed["organizations"]] == ["acm", "acme"]
        assert listed["nextCursor"]


async def test_an_organizations_admin_learns_nothing_of_what_a_user_has_of_their_own(product: Product) -> None:
    """Whoever is named beside the organization, member or not: what is told is what there would be of nobody."""
    await acme(product, lead="admin", ada="member", missing="member")
    for user in ("ada", "eve"):
        await product.admin("grantTokens", {"userId": user, "tokens": 777, "kind": "purchase", "pricePaid": "5"})
        await product.admin("grantCredits", {"userId": user, "amount": 777})
        await product.admin("updateUserSubscription", {"userId": user, "tier": "enterprise", "monthlyTokenLimit": 777})
    await product.call(product.token("eve"), "executeAIRequest", ASK)
    both = [method for method in METHODS if {"user_id", "organization_id"} <= method.params_type.model_fields.keys()]
    asked = [method.name for method in both if method.scope == "account:read"]
    assert {"getBurnForecast", "getOverageCharges", "getRecommendations", "listNotifications"} <= {*asked}
    lead = product.token("lead")
    for name, more in [*((name, {}) for name in asked), ("getBurnForecast", {"asset": "CREDIT"})]:
        told = [await _told(product, lead, name, user, more) for user in ("ada", "eve", "missing", "nobody")]
        assert len(set(told)) == 1, (name, told)


async def _told(product: Product, token: str, name: str, user: str, more: dict[str, str]) -> str:
    """What is said about a user beside an organization, without names and times."""
    try:
        found = await product.call(token, name, {"organizationId": "acme", "userId": user, **more})
    except Fault as refused:
        return f"{refused.slug} {refused}"
    text = re.sub(r'"20\d\d-[^"]*"|"days":[\d.]+', "TIME", orjson.dumps(found).decode())
    return text.replace(f'"{user}"', "NAME")


async def test_a_viewers_token_looks_and_does_not_call(product: Product) -> None:
    viewer = product.token("ada", role="viewer")
    await product.call(viewer, "getTokenBalance")
    for method in ("executeAIRequest", "createApiKey"):
        refused = await product.refused(viewer, method, ASK if method == "executeAIRequest" else {})
        assert isinstance(refused, Forbidden | NotEntitled)


async def test_a_key_that_was_made_in_an_organization_does_not_outlive_the_membership(product: Product) -> None:
    await acme(product, tokens=100_000, ada="member")
    await product.admin("updateUserSubscription", {"organizationId": "acme", "tier": "enterprise"})
    await product.admin("setLimits", {"organizationId": "acme", "rpm": 100})
    key = (await product.call(product.token("ada"), "createApiKey"))["apiKey"]
    inside = await product.call(key, "getUserStatus")
    assert (inside["organizationId"], inside["subscriptionTier"]) == ("acme", "enterprise")
    await product.admin("removeMember", {"organizationId": "acme", "userId": "ada"})
    outside = await product.call(key, "getUserStatus")
    assert "organizationId" not in outside
    assert outside["subscriptionTier"] != "enterprise"
    before = await pool(product)
    with pytest.raises(Fault):
        await product.call(key, "getOrganization")
    assert await pool(product) == before


async def test_the_monthly_tokens_of_an_organizations_subscription_are_its_members_together(product: Product) -> None:
    await acme(product, ada="member", bob="member")
    subscription = {"organizationId": "acme", "tier": "allowance", "monthlyTokenLimit": 150}
    await product.admin("updateUserSubscription", subscription)
    await product.call(product.token("ada"), "executeAIRequest", ASK)
    refused = await product.refused(
        product.token("bob"), "executeAIRequest", {"content": "Hi", "options": {"maxTokens": 120}}
    )
    assert isinstance(refused, QuotaExceeded)
    assert (refused.data["quotaLimit"], refused.data["resource"]) == (150, "tokens")


async def test_an_organization_ends_with_its_members_once_its_pool_is_empty_and_leaves_nothing_behind(
    town: Town,
) -> None:
    async with town() as product:
        await acme(product, tokens=100_000, ada="admin", bob=("member", {"monthlyTokens": 50_000}))
        await product.admin("updateUserSubscription", {"organizationId": "acme", "tier": "enterprise"})
        await product.admin("setLimits", {"organizationId": "acme", "rpm": 7})
        await product.admin("setQuota", {"organizationId": "acme", "resource": "tokens", "limit": 9, "period": "daily"})
        refused = await product.refused_admin("deleteOrganization", {"organizationId": "acme"})
        assert isinstance(refused, AccountNotEmpty)
        assert refused.data == {"asset": "TOKEN", "balance": "100000", "held": "0"}
        assert (await product.call(product.token("ada"), "getOrganization"))["yourRole"] == "admin"  # all as it was
        assert isinstance(
            await product.refused(product.token("ada"), "deleteOrganization", {"organizationId": "acme"}), Forbidden
        )

        back = {"from": {"organizationId": "acme"}, "to": {"userId": "bank"}, "amount": 100_000, "reason": "it ends"}
        await product.admin("transferBalance", back)
        order = {"organizationId": "acme", "reason": "sold"}
        assert await product.admin("deleteOrganization", order) == {"deleted": True, "members": 2}
        assert await product.admin("deleteOrganization", order) == {"deleted": False, "members": 0}
        for user in ("ada", "bob"):
            status = await product.call(product.token(user), "getUserStatus")
            assert "organizationId" not in status
            assert status["subscriptionTier"] != "enterprise"
        [event] = (await product.admin("listAuditEvents", {"subject": "org:acme", "limit": 1}))["events"]
        assert (event["actor"], event["action"], event["reason"]) == ("boss", "deleteOrganization", "sold")
        assert event["details"] == {"members": ["user:ada", "user:bob"], "isGone": True}

        await product.admin("createOrganization", {"organizationId": "acme", "name": "Another one"})
        assert (await product.admin("listMembers", {"organizationId": "acme"}))["members"] == []
        async with open_reader(product.settings.storage.url.get_secret_value(), clock_us=lambda: 0) as reader:
            assert [found.kind for found in await reader.entries_of("default", "org:acme")] == ["organization"]
        assert isinstance(await product.refused(product.token("ada"), "getOrganization"), Forbidden)


async def test_an_organization_with_more_members_than_one_commit_takes_ends_too(product: Product) -> None:
    await acme(product)
    count = MEMBERS_AT_ONCE + 1
    for number in range(count):
        await product.admin("addMember", {"organizationId": "acme", "userId": f"u{number}"})
    assert await product.admin("deleteOrganization", {"organizationId": "acme"}) == {"deleted": True, "members": count}
    assert isinstance(await product.refused(product.token("u0"), "getOrganization"), Forbidden)


async def test_whoever_is_added_while_an_organization_ends_is_either_removed_or_refused(town: Town) -> None:
    async with town() as product:
        for number in range(10):
            name = {"organizationId": f"org-{number}"}
            await product.admin("createOrganization", {**name, "name": "x"})
            adding = product.admin("addMember", {**name, "userId": f"late-{number}"})
            ending = product.admin("deleteOrganization", name)
            both = (adding, ending) if number % 2 else (ending, adding)
            for outcome in await asyncio.gather(*both, return_exceptions=True):
                assert isinstance(outcome, dict | VersionChanged | NotFound), outcome
            await product.admin("deleteOrganization", name)
            await product.admin("createOrganization", {**name, "name": "again"})
            assert (await product.admin("listMembers", name))["members"] == []


async def test_a_member_sees_what_is_left_of_the_tightest_of_own_month_pool_and_cap(product: Product) -> None:
    async def left(user: str, *, key: str | None = None) -> int | None:
        said = await product.call(product.token(user, "allowance"), "executeAIRequest", ASK, key=key)
        used.append(said["usage"]["totalTokens"])
        seen: int | None = said.get("quotaRemaining")
        return seen

    used: list[int] = []
    await acme(product, ada=("member", {"dailyTokens": 5_000, "monthlyTokens": 9_000}), bob="member", eve="viewer")
    await product.admin("setLimits", {"organizationId": "acme", "monthlyTokens": 20_000})
    assert await left("bob", key="k") == 20_000 - sum(used)
    assert await left("bob", key="k") == 20_000 - used.pop()  # the first answer again
    assert await left("ada") == 5_000 - used[1]
    month = await product.call(product.token("ada", "allowance"), "checkQuotaStatus")
    assert (month["quotaRemaining"], month["quotaLimit"]) == (9_000 - used[1], 9_000)
    await product.admin("setLimits", {"userId": "bob", "monthlyTokens": 1_000})
    assert await left("bob") == 1_000 - used[0] - used[2]
    before = list(used)
    assert await left("eve") == 1_000_000 - used[len(before)]  # a viewer pays alone
    await product.admin("updateMember", {"organizationId": "acme", "userId": "ada", "caps": {}})
    assert await left("ada") == 20_000 - sum(before) - used[-1]


async def test_a_preview_shows_a_member_the_pool_that_will_pay(product: Product) -> None:
    await acme(product, tokens=5_000, ada="member")
    seen = await product.call(product.token("ada"), "checkRequestEligibility", {"estimatedTokens": 10})
    assert (seen["canMakeRequest"], seen["tokenBalance"]) == (True, 5_000)
    alone = await product.call(product.token("eve"), "checkRequestEligibility", {"estimatedTokens": 10})
    assert (alone["canMakeRequest"], alone["tokenBalance"]) == (False, 0)
