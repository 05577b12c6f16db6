"""Gateway keys and kept provider keys over real sockets: what they open, what they never show, and how they end."""

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from monetization.keys.minting import PREFIX
from tests.fakes.pace import within
from tests.fakes.postgres import Server as Postgres
from tests.fakes.postgres import postgres
from tests.fakes.provider import FakeProvider
from tests.fakes.server import Server, serving, token
from tests.fakes.valkey import valkey_server
from tests.journeys.world import FREE, Client, settings_for, usage_rows

__all__ = ["postgres", "valkey_server"]  # fixtures

SECRET = "canary-key-secret-0123456789-abcdefghijklmnopqrstuvwxyz"
SEALING = b64encode(b"canary-sealing-key-32-bytes-long").decode()
OLD_SEALING = b64encode(b"another-sealing-key-32-bytes-lon").decode()
KEPT = "canary-kept-provider-key-77aa88bb99cc"
HELLO = {"content": "Hi", "options": {"provider": "openai", "model": "fake"}}


def settings_of(fake: FakeProvider, private_key: str) -> dict[str, Any]:
    settings = settings_for(fake, private_key)
    settings["keys"] = {"secret": SECRET, "encryption_keys": [SEALING, OLD_SEALING]}
    settings["tiers"]["own"] = {"policy": "byok", "features": ["basic_ai"], **FREE}
    return settings


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def keyed(
    shared_fake: FakeProvider, private_key: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    with serving(settings_of(shared_fake, private_key), tmp_path_factory.mktemp("keyed")) as running:
        yield running


@pytest.fixture(scope="module")
def alices_token(keyed: Server) -> str:
    return token(keyed, "alice", "tester")


@pytest.fixture(scope="module")
def bobs_token(keyed: Server) -> str:
    return token(keyed, "bob", "tester")


@pytest.fixture
def alice(keyed: Server, http: aiohttp.ClientSession, alices_token: str, fake: FakeProvider) -> Client:
    return Client(keyed, http, alices_token)


@pytest.fixture
def bob(keyed: Server, http: aiohttp.ClientSession, bobs_token: str, fake: FakeProvider) -> Client:
    return Client(keyed, http, bobs_token)


async def made(client: Client, **params: Any) -> tuple[str, str]:
    """The key and its id."""
    issued = await client.result("createApiKey", params)
    return issued["apiKey"], issued["keyId"]


# Gateway keys ---------------------------------------------------------------------------------------------------------


async def test_a_repeated_request_answers_with_the_same_key_without_its_secret(alice: Client) -> None:
    order = {"name": "job", "idempotencyKey": "order-1"}
    first, again = await alice.result("createApiKey", order), await alice.result("createApiKey", order)
    secret = first.pop("apiKey")
    assert again == first
    assert "error" not in await alice.call("getUserProviders", token=secret)


async def test_a_key_calls_in_its_makers_name_and_is_shown_once(alice: Client) -> None:
    issued = await alice.result("createApiKey", {"name": "job"})
    assert issued["apiKey"].startswith(f"{PREFIX}{issued['keyId']}_")
    assert (issued["status"], issued["userId"], issued["createdBy"], issued["name"]) == (
        "active",
        "alice",
        "alice",
        "job",
    )
    result = await alice.result("executeAIRequest", HELLO, token=issued["apiKey"])
    [row] = usage_rows(alice.server, result["requestId"])
    assert (row["user_id"], row["caller_kind"], row["tier"]) == ("alice", "subscription", "tester")
    listed = await alice.result("listApiKeys")
    [shown] = [key for key in listed["keys"] if key["keyId"] == issued["keyId"]]
    assert shown == {name: value for name, value in issued.items() if name != "apiKey"}
    assert issued["apiKey"] not in str(listed)


@pytest.mark.parametrize("header", ["x-tollgate-key", "x-om-api-key"])
async def test_a_key_is_taken_in_a_header_of_its_own_and_a_token_is_not(alice: Client, header: str) -> None:
    key, _ = await made(alice)
    body = {"jsonrpc": "2.0", "id": 1, "method": "listApiKeys", "params": {}}
    for shown, is_taken in ((key, True), (alice.token, False)):
        async with alice.http.post(f"{alice.server.url}/rpc", json=body, headers={header: shown}) as reply:
            said = await reply.json()
        assert ("result" in said) is is_taken, said
        assert is_taken or said["error"]["code"] == -32004


@pytest.mark.parametrize("header", ["x-tollgate-key", "x-om-api-key"])
async def test_a_page_of_an_allowed_origin_may_send_a_key_in_its_own_header(client: Client, header: str) -> None:
    asked = {
        "origin": "https://app.example.com",
        "access-control-request-method": "POST",
        "access-control-request-headers": header,
    }
    async with client.http.options(f"{client.server.url}/rpc", headers=asked) as reply:
        assert (reply.status, header in reply.headers["access-control-allow-headers"].lower()) == (200, True)


async def test_a_key_opens_a_socket_whose_calls_check_it_each(alice: Client) -> None:
    key, key_id = await made(alice)
    async with alice.http.ws_connect(f"{alice.server.url}/rpc", headers={"authorization": f"Bearer {key}"}) as socket:
        await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "listApiKeys"})
        assert "result" in await socket.receive_json()
        await alice.result("revokeApiKey", {"keyId": key_id})
        await socket.send_json({"jsonrpc": "2.0", "id": 2, "method": "listApiKeys"})
        assert (await socket.receive_json())["error"]["data"]["reason"] == "key_revoked"


async def test_a_revoked_key_is_refused_at_the_next_call_and_stays_in_the_list(alice: Client) -> None:
    key, key_id = await made(alice)
    await alice.result("executeAIRequest", HELLO, token=key)
    ended = await alice.result("revokeApiKey", {"keyId": key_id, "reason": "leaked"})
    assert (ended["status"], "revokedAt" in ended) == ("revoked", True)
    error = await alice.error("executeAIRequest", HELLO, token=key)
    assert (error["code"], error["data"]["reason"]) == (-32004, "key_revoked")
    assert "revoked" in {shown["status"] for shown in (await alice.result("listApiKeys"))["keys"]}
    assert (await alice.error("rotateApiKey", {"keyId": key_id}))["code"] == -32011


async def test_a_rotated_key_keeps_its_old_secret_as_long_as_was_said(alice: Client) -> None:
    key, key_id = await made(alice)
    newer = (await alice.result("rotateApiKey", {"keyId": key_id, "overlapSeconds": 3600}))["apiKey"]
    for secret in (key, newer):
        await alice.result("executeAIRequest", HELLO, token=secret)
    newest = (await alice.result("rotateApiKey", {"keyId": key_id, "overlapSeconds": 0}))["apiKey"]
    await alice.result("executeAIRequest", HELLO, token=newest)
    for secret in (key, newer):
        assert (await alice.error("executeAIRequest", HELLO, token=secret))["code"] == -32004


async def test_a_key_makes_no_keys_and_ends_no_other_but_itself(alice: Client) -> None:
    key, key_id = await made(alice)
    _, other = await made(alice)
    refused = await alice.error("createApiKey", token=key)
    assert (refused["code"], refused["data"]["reason"]) == (-32005, "key_cannot_make_keys")
    for method in ("revokeApiKey", "rotateApiKey"):
        assert (await alice.error(method, {"keyId": other}, token=key))["code"] == -32011
    await alice.result("revokeApiKey", {"keyId": key_id}, token=key)
    assert (await alice.error("listApiKeys", token=key))["code"] == -32004


async def test_nobody_sees_or_ends_the_keys_of_another(alice: Client, bob: Client) -> None:
    _, key_id = await made(alice)
    assert key_id not in str(await bob.result("listApiKeys"))
    missing = await bob.error("revokeApiKey", {"keyId": "0" * 16})
    for method in ("revokeApiKey", "rotateApiKey"):
        foreign = await bob.error(method, {"keyId": key_id})
        assert (foreign["code"], foreign["data"]["reason"]) == (missing["code"], missing["data"]["reason"])
    for params in ({"userId": "alice"}, {"all": True}):
        assert (await bob.error("listApiKeys", params))["code"] == -32005
    assert (await bob.error("createApiKey", {"userId": "alice"}))["code"] == -32005


async def test_an_admin_makes_and_ends_keys_for_others_and_the_audit_tells(alice: Client) -> None:
    admins = token(alice.server, "root", "tester", role="admin")
    issued = await alice.result("createApiKey", {"userId": "carol", "reason": "asked for"}, token=admins)
    assert (issued["userId"], issued["createdBy"]) == ("carol", "root")
    everybodys = await alice.result("listApiKeys", {"all": True}, token=admins)
    assert issued["keyId"] in {key["keyId"] for key in everybodys["keys"]}
    await alice.result("revokeApiKey", {"keyId": issued["keyId"]}, token=admins)
    rows = alice.server.rows("SELECT actor, reason, body FROM kept WHERE kind='audit' AND key='user:carol' ORDER BY id")
    assert [(row["actor"], row["reason"]) for row in rows] == [("root", "asked for"), ("root", "")]
    assert "createApiKey" in rows[0]["body"]
    assert "revokeApiKey" in rows[1]["body"]


async def test_a_key_serves_its_models_and_no_others(alice: Client) -> None:
    key, _ = await made(alice, models=["fake-o*"])
    error = await alice.error("executeAIRequest", HELLO, token=key)
    assert (error["code"], error["data"]["reason"]) == (-32005, "model_not_in_key")
    own = await alice.error("executeAIRequest", {**HELLO, "apiKey": "an-own-key"}, token=key)
    assert own["data"]["reason"] == "model_not_in_key"
    other = {"content": "Hi", "options": {"provider": "openai", "model": "fake-other"}}
    await alice.result("executeAIRequest", other, token=key)


async def test_a_key_does_what_its_scopes_say_and_they_add_nothing(alice: Client) -> None:
    key, _ = await made(alice, scopes=["account:read"])
    await alice.result("listApiKeys", token=key)
    for method, params in (("executeAIRequest", HELLO), ("storeUserKey", {"provider": "openai", "apiKey": KEPT})):
        error = await alice.error(method, params, token=key)
        assert (error["code"], error["data"]["reason"]) == (-32005, "scope_required")
    wider, _ = await made(alice, scopes=["account:read", "money:write"])
    grant = {"userId": "alice", "tokens": 5, "kind": "promotion", "reason": "mine"}
    assert (await alice.error("grantTokens", grant, token=wider))["code"] == -32005


async def test_a_key_stops_at_its_budget_and_its_user_goes_on(alice: Client) -> None:
    key, _ = await made(alice, budgets=[{"resource": "requests", "limit": 2, "period": "daily"}])
    holders = [Client(alice.server, alice.http, key) for _ in range(6)]
    outcomes = await asyncio.gather(*(holder.call("executeAIRequest", HELLO) for holder in holders))
    codes = sorted(said["error"]["code"] if "error" in said else 0 for said in outcomes)
    assert codes == [-32001] * 4 + [0] * 2
    error = await alice.error("executeAIRequest", HELLO, token=key)
    assert (error["data"]["resource"], error["data"]["period"], error["data"]["quotaLimit"]) == ("requests", "daily", 2)
    await alice.result("executeAIRequest", HELLO)


async def test_a_budget_of_money_counts_what_the_provider_bills(alice: Client) -> None:
    key, key_id = await made(alice, budgets=[{"resource": "cost", "limit": "0.000001", "period": "lifetime"}])
    assert (await alice.error("executeAIRequest", HELLO, token=key))["code"] == -32001
    rich, rich_id = await made(alice, budgets=[{"resource": "cost", "limit": "1", "period": "lifetime"}])
    result = await alice.result("executeAIRequest", HELLO, token=rich)
    [row] = usage_rows(alice.server, result["requestId"])
    counted = alice.server.rows(
        "SELECT subject, used, held FROM quota_window WHERE resource='cost' AND subject LIKE 'key:%'"
    )
    windows = {window["subject"]: (window["used"], window["held"]) for window in counted}
    assert windows[f"key:{rich_id}"] == (row["cost_nano"], 0)
    assert windows.get(f"key:{key_id}", (0, 0)) == (0, 0)


async def test_a_key_is_as_fast_as_it_was_made_and_its_user_is_faster(alice: Client) -> None:
    key, _ = await made(alice, limits={"requestsPerMinute": 2})
    for _ in range(2):
        await alice.result("executeAIRequest", HELLO, token=key)
    assert (await alice.error("executeAIRequest", HELLO, token=key))["code"] == -32002
    await alice.result("executeAIRequest", HELLO)


@pytest.mark.parametrize(
    "wrong",
    [
        {"expiresAt": "2020-01-01T00:00:00Z"},
        {"budgets": [{"resource": "gold", "limit": 1}]},
        {"budgets": [{"resource": "tokens", "limit": 0}]},
        {"limits": {"requestsPerMinute": 0}},
        {"scopes": ["NOT A SCOPE"]},
        {"role": "admin"},
    ],
)
async def test_what_no_key_can_be_is_refused(alice: Client, wrong: dict[str, Any]) -> None:
    assert (await alice.error("createApiKey", wrong))["code"] == -32602


async def test_a_server_without_secrets_says_so(client: Client) -> None:
    for method, params, key in (
        ("createApiKey", {}, "keys.secret"),
        ("listApiKeys", {}, "keys.secret"),
        ("storeUserKey", {"provider": "openai", "apiKey": KEPT}, "keys.encryption_keys"),
        ("getUserProviders", {}, "keys.encryption_keys"),
    ):
        error = await client.error(method, params)
        assert (error["code"], error["data"]["reason"]) == (-32011, "keys_off")
        assert key in error["data"]["detail"]
    assert (await client.error("listApiKeys", token=f"{PREFIX}0123456789abcdef_{'a' * 55}"))["data"][
        "reason"
    ] == "keys_off"


@pytest.fixture(params=["without Valkey", "with Valkey"])
def workers(
    fake: FakeProvider, private_key: str, tmp_path: Path, postgres: Postgres, request: pytest.FixtureRequest
) -> Iterator[list[Server]]:
    """Three servers over one PostgreSQL, with and without a Valkey beside it."""
    storage = {"url": postgres.fresh()}
    if request.param == "with Valkey":
        storage["redis_url"] = request.getfixturevalue("valkey_server").url
    with ExitStack() as stack:
        found = []
        for number in range(3):
            folder = tmp_path / f"worker-{number}"
            folder.mkdir()
            settings = {**settings_of(fake, private_key), "storage": storage}
            found.append(stack.enter_context(serving(settings, folder)))
        yield found


async def test_a_key_revoked_on_one_worker_is_refused_on_every_other_within_a_second(
    workers: list[Server], http: aiohttp.ClientSession
) -> None:
    here = Client(workers[0], http, await asyncio.to_thread(token, workers[0], "alice", "tester"))
    others = [Client(worker, http) for worker in workers[1:]]

    async def heard() -> float:
        key, key_id = await made(here)
        for there in others:
            await there.result("executeAIRequest", HELLO, token=key)
        await here.result("revokeApiKey", {"keyId": key_id})
        began = time.monotonic()
        async with asyncio.timeout(30):
            for there in others:
                while "error" not in await there.call("getUserProviders", token=key):
                    pass  # each round waits for an answer
        took = time.monotonic() - began
        for there in others * 10:
            assert "error" in await there.call("getUserProviders", token=key), "nothing revives it"
        return took

    for _ in range(3):
        await within(1, heard)


# Kept provider keys ---------------------------------------------------------------------------------------------------


async def test_a_kept_key_is_shown_by_its_first_characters_only(alice: Client) -> None:
    stored = await alice.result("auth.storeUserKey", {"provider": "openai", "apiKey": KEPT})
    assert stored == {"success": True, "keyId": stored["keyId"], "keyPreview": KEPT[:8], "message": "API key stored"}
    found = await alice.result("getUserKey", {"provider": "openai"})
    assert (found["hasKey"], found["keyPreview"], found["useByDefault"]) == (True, KEPT[:8], False)
    assert (await alice.result("getUserKey", {"provider": "google"}))["hasKey"] is False
    assert await alice.result("getUserProviders") == {"providers": ["openai"]}
    assert await alice.result("deleteUserKey", {"provider": "openai"}) == {"deleted": True}
    assert await alice.result("deleteUserKey", {"provider": "openai"}) == {"deleted": False}
    assert await alice.result("getUserProviders") == {"providers": []}


async def test_the_owner_of_a_kept_key_is_who_the_credential_says(alice: Client, bob: Client) -> None:
    place = {"provider": "openai"}
    await alice.result("storeUserKey", {**place, "apiKey": KEPT, "email": "bob@example.com"})
    assert (await bob.result("getUserKey", place))["hasKey"] is False
    assert await bob.result("deleteUserKey", place) == {"deleted": False}
    assert (await bob.error("rotateUserKey", {**place, "newApiKey": "x" * 30}))["code"] == -32011
    assert (await bob.error("validateUserKey", place))["code"] == -32011
    assert (await alice.result("getUserKey", place))["hasKey"] is True
    assert (await alice.error("getUserKey", place, token=""))["code"] == -32004
    await alice.result("deleteUserKey", place)


async def test_a_kept_key_serves_the_calls_that_its_owner_chose_and_costs_nothing_here(
    alice: Client, fake: FakeProvider
) -> None:
    def shown() -> str:
        return str(fake.seen[-1].headers["authorization"]).removeprefix("Bearer ")

    async def ask(**more: Any) -> dict[str, Any]:
        result = await alice.result("executeAIRequest", {**HELLO, **more})
        [row] = usage_rows(alice.server, result["requestId"])
        return row

    await alice.result("storeUserKey", {"provider": "openai", "apiKey": KEPT})
    assert ((await ask())["caller_kind"], shown()) == ("subscription", "operator-openai")
    await alice.result("storeUserKey", {"provider": "openai", "apiKey": KEPT, "useByDefault": True})
    row = await ask()
    assert (row["caller_kind"], row["charge_amount"], row["user_id"], shown()) == ("byok", 0, "alice", KEPT)
    assert ((await ask(apiKey="named-in-the-call"))["caller_kind"], shown()) == ("byok", "named-in-the-call")
    await alice.result("executeAIRequest", {"content": "Hi", "options": {"provider": "anthropic", "model": "fake"}})
    assert KEPT not in str(fake.seen[-1].headers), "a key of one vendor never reaches another"
    newer = KEPT[::-1]
    await alice.result("rotateUserKey", {"provider": "openai", "newApiKey": newer})
    assert ((await ask())["caller_kind"], shown()) == ("byok", newer)
    await alice.result("deleteUserKey", {"provider": "openai"})
    assert ((await ask())["caller_kind"], shown()) == ("subscription", "operator-openai")


async def test_a_tier_for_own_keys_is_served_with_the_kept_one(alice: Client, fake: FakeProvider) -> None:
    dora = token(alice.server, "dora", "own")
    refused = await alice.error("executeAIRequest", HELLO, token=dora)
    assert refused["data"]["reason"] == "api_key_required"
    await alice.result("storeUserKey", {"provider": "openai", "apiKey": KEPT}, token=dora)
    result = await alice.result("executeAIRequest", HELLO, token=dora)
    [row] = usage_rows(alice.server, result["requestId"])
    assert (row["caller_kind"], row["user_id"]) == ("byok", "dora")
    assert fake.seen[-1].headers["authorization"] == f"Bearer {KEPT}"


async def test_a_kept_key_is_validated_by_asking_its_provider(alice: Client, fake: FakeProvider) -> None:
    place = {"provider": "openai"}
    await alice.result("storeUserKey", {**place, "apiKey": KEPT})
    found = await alice.result("validateUserKey", place)
    assert (found["isValid"], found["provider"]) == (True, "openai")
    assert fake.seen[-1].headers["authorization"] == f"Bearer {KEPT}"
    unknown = await alice.error("storeUserKey", {"provider": "nobody", "apiKey": KEPT})
    assert unknown["code"] == -32008
    assert (await alice.error("storeUserKey", {**place, "apiKey": "two words"}))["code"] == -32602
    await alice.result("deleteUserKey", place)


async def test_no_secret_of_this_file_is_in_the_log_the_metrics_or_the_database(alice: Client) -> None:
    key, key_id = await made(alice)
    await alice.call("executeAIRequest", HELLO, token=key)
    await alice.call("executeAIRequest", HELLO, token=key + "x")
    await alice.result("storeUserKey", {"provider": "openai", "apiKey": KEPT, "useByDefault": True})
    await alice.call("executeAIRequest", HELLO)
    await alice.result("deleteUserKey", {"provider": "openai"})
    async with alice.http.get(f"{alice.server.url}/metrics") as reply:
        metrics = await reply.read()
    files = [path for path in alice.server.folder.iterdir() if path.name.startswith("tollgate.db")]
    assert len(files) >= 2, "the write-ahead log is looked at too"
    seen = {"log": alice.server.log.read_bytes(), "metrics": metrics} | {f.name: f.read_bytes() for f in files}
    for place, content in seen.items():
        for secret in (key.partition(f"{key_id}_")[2], KEPT, SECRET, SEALING, OLD_SEALING):
            assert secret.encode() not in content, place


async def test_a_key_opens_the_rest_facades_in_either_header(alice: Client) -> None:
    key = (await alice.result("createApiKey", {"name": "rest"}))["apiKey"]
    url, answers = f"{alice.server.url}/v1/credits/balance", []
    for headers in ({"x-api-key": key}, {"authorization": f"Bearer {key}"}, {"x-api-key": f"{PREFIX}wrong"}):
        async with alice.http.get(url, headers=headers) as reply:
            answers.append((reply.status, (await reply.json()).get("data")))
    assert answers[0] == answers[1]
    assert [status for status, _ in answers] == [200, 200, 401]
