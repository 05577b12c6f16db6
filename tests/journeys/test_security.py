"""What a caller may try over a socket to become more than it is. Tokens: tests/server/auth; blocks: test_abuse.py.

Every row of every user: tests/methods/people/test_matrix.py.
"""

import asyncio
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from monetization.keys.minting import PREFIX
from tests.fakes.provider import FakeProvider
from tests.fakes.server import Server, serving, token
from tests.journeys.world import Client, settings_for, usage_rows

HELLO = {"content": "Hi"}
TALL = {
    "role": "admin",
    "roles": ["admin", "super-admin"],
    "tier": "enterprise",
    "scopes": ["users:write"],
    "rpm": 10**9,
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded(
    shared_fake: FakeProvider, private_key: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    settings: dict[str, Any] = settings_for(shared_fake, private_key)
    settings["keys"] = {"secret": "a-secret-of-the-tests-0123456789-abcdefghij"}
    with serving(settings, tmp_path_factory.mktemp("guarded")) as running:
        yield running


@pytest.fixture(scope="module")
def mallorys(guarded: Server) -> str:
    return token(guarded, "mallory", "hasty")


@pytest.fixture
def mallory(guarded: Server, http: aiohttp.ClientSession, mallorys: str, fake: FakeProvider) -> Client:
    return Client(guarded, http, mallorys)


@pytest_asyncio.fixture
async def boss(guarded: Server, http: aiohttp.ClientSession, fake: FakeProvider) -> Client:
    return Client(guarded, http, await asyncio.to_thread(token, guarded, "boss", "tester", role="admin"))


def altered(bearer: str, **claims: object) -> str:
    """The token with other claims under its old signature."""
    head, body, signature = bearer.split(".")
    said = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    changed = urlsafe_b64encode(json.dumps({**said, **claims}).encode()).decode().rstrip("=")
    return f"{head}.{changed}.{signature}"


@pytest.mark.parametrize("claims", [{"role": "admin"}, {"roles": ["super-admin"]}, {"subscriptionTier": "enterprise"},
                                    {"userId": "boss"}, {"organizationId": "acme"}, {"rpmLimit": 10**9}])  # fmt: skip
async def test_nobody_promotes_a_token_by_changing_it(mallory: Client, claims: dict[str, object]) -> None:
    error = await mallory.error("getUserStatus", token=altered(mallory.token, **claims))
    assert (error["code"], error["data"]["reason"]) == (-32004, "bad_signature")


@pytest.mark.parametrize(
    "headers",
    [
        {"x-user-role": "admin", "x-role": "admin", "x-scopes": "users:write"},
        {"x-user-id": "boss", "x-forwarded-user": "boss", "x-remote-user": "boss"},
        {"x-organization-id": "acme", "x-tenant-id": "acme", "x-subscription-tier": "enterprise"},
    ],
)
async def test_no_header_makes_a_caller_somebody_else(mallory: Client, headers: dict[str, str]) -> None:
    same = Client(mallory.server, mallory.http, mallory.token, headers=headers)
    status = await same.result("getUserStatus")
    assert (status["userId"], status["subscriptionTier"], status.get("organizationId")) == ("mallory", "hasty", None)
    assert (await same.error("listAuditEvents"))["data"]["reason"] == "scope_required"


async def test_nothing_in_the_body_makes_a_caller_more_than_it_is(mallory: Client) -> None:
    for name, value in TALL.items():
        assert (await mallory.error("getUserStatus", {name: value}))["code"] == -32602, name
    said = await mallory.result("executeAIRequest", {**HELLO, "userId": "boss", "metadata": {"role": "admin"}})
    rows = usage_rows(mallory.server, said["requestId"])
    assert [(row["user_id"], row["tier"]) for row in rows] == [("mallory", "hasty")]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("updateUserSubscription", {"userId": "mallory", "tier": "enterprise"}),
        ("setLimits", {"userId": "mallory", "rpm": 10**9}),
        ("grantTokens", {"userId": "mallory", "tokens": 10**9, "kind": "promotion"}),
        ("transferBalance", {"from": {"userId": "boss"}, "to": {"userId": "mallory"}, "amount": 1, "reason": "mine"}),
        ("createApiKey", {"userId": "boss"}),
        ("createOrganization", {"organizationId": "mine", "name": "Mine"}),
        ("addMember", {"organizationId": "acme", "userId": "mallory", "role": "admin"}),
        ("updateMember", {"organizationId": "acme", "userId": "mallory", "role": "admin"}),
        ("unblock", {"subject": "user:mallory"}),
        ("reloadTiers", {}),
    ],
)
async def test_nobody_promotes_themselves_by_a_method(mallory: Client, method: str, params: dict[str, Any]) -> None:
    error = await mallory.error(method, params)
    assert (error["code"], error["data"]["reason"]) == (-32005, "scope_required")


async def test_a_key_with_the_scopes_of_an_admin_is_still_a_members(mallory: Client, boss: Client) -> None:
    for client in (mallory, boss):
        issued = await client.result("createApiKey", {"scopes": ["users:read", "users:write", "money:write"]})
        for method, params in (("getUserStatus", {"userId": "victim"}), ("setLimits", {"userId": "victim", "rpm": 1})):
            error = await client.error(method, params, token=issued["apiKey"])
            assert error["data"]["reason"] == "scope_required"
    unknown = await mallory.error("createApiKey", {"scopes": ["root"]})
    assert unknown["code"] == -32602


async def test_a_key_without_scopes_opens_nothing(mallory: Client) -> None:
    issued = await mallory.result("createApiKey", {"scopes": []})
    assert [
        key["scopes"] for key in (await mallory.result("listApiKeys"))["keys"] if key["keyId"] == issued["keyId"]
    ] == [[]]
    for method, params in (("executeAIRequest", HELLO), ("getUserStatus", {}), ("listApiKeys", {})):
        error = await mallory.error(method, params, token=issued["apiKey"])
        assert (error["code"], error["data"]["reason"]) == (-32005, "scope_required")


async def test_whoever_found_a_replaced_secret_cannot_keep_the_key_by_rotating_it(mallory: Client) -> None:
    issued = await mallory.result("createApiKey")
    key = {"keyId": issued["keyId"]}
    newer = (await mallory.result("rotateApiKey", {**key, "overlapSeconds": 60}))["apiKey"]
    error = await mallory.error("rotateApiKey", key, token=issued["apiKey"])
    assert (error["code"], error["data"]["reason"]) == (-32005, "secret_replaced")
    assert (await mallory.result("rotateApiKey", key, token=newer))["apiKey"]


async def test_a_guess_at_a_key_learns_nothing_of_whether_the_key_is_there(mallory: Client) -> None:
    issued = await mallory.result("createApiKey", {})
    key, key_id = issued["apiKey"], issued["keyId"]
    secret = key.removeprefix(f"{PREFIX}{key_id}_")
    guesses = [
        f"{PREFIX}{key_id}_{secret[:-1]}{'a' if secret[-1] != 'a' else 'b'}",
        f"{PREFIX}{'0' * 16}_{secret}",
        f"{PREFIX}{key_id}_",
        f"{PREFIX}{key_id}",
        f"{PREFIX}{key_id.upper()}_{secret}x",
        PREFIX,
    ]
    told = set()
    for guess in guesses:
        error = await mallory.error("getUserStatus", token=guess)
        told.add((error["code"], error["data"]["reason"], error["message"]))
    assert len(told) == 1
    assert next(iter(told))[:2] == (-32004, "unknown_key")
    assert (await mallory.result("getUserStatus", token=key))["userId"] == "mallory"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:1@localhost"},
        {
            "x-forwarded-host": "evil.example",
            "x-forwarded-proto": "https",
            "forwarded": "host=evil.example;for=10.0.0.1",
        },
        {"x-original-url": "/metrics", "x-rewrite-url": "/metrics"},
    ],
)
async def test_no_header_bends_an_address_in_what_we_say(mallory: Client, headers: dict[str, str]) -> None:
    bent = Client(mallory.server, mallory.http, mallory.token, headers=headers)
    straight = await mallory.result("rpc.discover")
    assert await bent.result("rpc.discover") == straight
    async with mallory.http.get(f"{mallory.server.url}/openrpc.json", headers=headers) as reply:
        text = await reply.text()
        assert (reply.status, json.loads(text)) == (200, straight)
        assert "evil" not in text + str(reply.headers)


@pytest.mark.parametrize("kid", ["../../../../dev/null", "' OR 1=1 --", "\u0000", "https://evil.example/key", "-1"])
async def test_no_key_id_points_a_check_elsewhere(mallory: Client, kid: str) -> None:
    head, body, signature = mallory.token.split(".")
    said = {**json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4))), "kid": kid}
    forged = urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
    error = await mallory.error("getUserStatus", token=f"{forged}.{body}.{signature}")
    assert error["code"] == -32004


async def test_a_member_of_one_organization_gets_nowhere_by_naming_another(mallory: Client, boss: Client) -> None:
    for organization, user in (("acme", "victim"), ("mallorys", "mallory")):
        await boss.result("createOrganization", {"organizationId": organization, "name": organization})
        member = {"organizationId": organization, "userId": user, "role": "admin"}
        await boss.result("addMember", member)
    tries: list[tuple[str, dict[str, Any]]] = [
        ("getOrganization", {}),
        ("updateOrganization", {"pays": "member"}),
        ("listMembers", {}),
        ("addMember", {"userId": "mallory"}),
        ("updateMember", {"userId": "victim", "role": "viewer"}),
        ("removeMember", {"userId": "victim"}),
        ("getTokenBalance", {}),
        ("getCreditBalance", {}),
    ]
    for method, params in tries:
        named = [await mallory.error(method, {**params, "organizationId": name}) for name in ("acme", "no-such")]
        for error in named:
            error["data"].pop("requestId")
        assert named[0] == named[1], method
        assert named[0]["code"] == -32005
    assert (await mallory.error("joinOrganization", {"organizationId": "acme"}))["code"] == -32011
    members = (await boss.result("listMembers", {"organizationId": "acme"}))["members"]
    assert [(member["userId"], member["role"]) for member in members] == [("victim", "admin")]
