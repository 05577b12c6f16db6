"""The REST facades over a socket: every example of the OpenAPI document, the documents' samples, and requests that mean harm."""

import json
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest
import pytest_asyncio
from multidict import CIMultiDict

from server.rest.route import Route
from server.rest.tables import ROUTES
from tests.fakes.server import Server, token
from tests.journeys.rest_client import Rest
from tests.journeys.world import Client


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def rest(server: Server, http: aiohttp.ClientSession) -> Rest:
    boss = Rest(server, http)
    await boss.send("POST", "/v1/credits/grant", {"userId": "rest-user", "amount": 1980})
    await boss.send("POST", "/v1/credits/grant", {"userId": "u1", "amount": 100})
    return boss


def sent(route: Route, ids: dict[str, str]) -> str:
    path = route.path
    for slot in route.slots:
        path = path.replace("{" + slot + "}", quote(ids.get(slot, route.sample.path[slot]), safe=""))
    query = "&".join(f"{name}={quote(value)}" for name, value in route.sample.query.items())
    return f"{path}?{query}" if query else path


async def test_every_example_of_the_document_is_answered_as_it_says(rest: Rest) -> None:
    _, document, _ = await rest.send("GET", "/openapi.json", shown="")
    ids: dict[str, str] = {}
    for route in ROUTES:
        if route.path == "/api/credits/upgrade":
            continue  # this server has no page to upgrade; it has a test of its own
        body = dict(route.sample.body) if route.sample.body is not None else None
        if body is not None and "model" in body:
            body["model"] = "fake"
        said = json.loads(json.dumps(body).replace('"simulator"', '"fake"')) if body is not None else None
        status, answer, headers = await rest.send(route.verb, sent(route, ids), said)
        assert status == route.status, (route, answer)
        assert "x-request-id" in headers
        operation = document["paths"][route.path][route.verb.lower()]
        good = operation["responses"][str(status)]
        if status == 204:
            assert answer is None
            continue
        if route.files:
            assert headers["content-type"].partition(";")[0] in good["content"], route.path
            continue
        members = good["content"]["application/json"]["schema"].get("properties")
        if members is not None:
            assert set(answer) <= set(members), route.path
        if route.path == "/v1/burn-tables" and route.verb == "POST":
            ids["id"] = answer["data"]["id"]
        if route.path == "/v1/entitlements" and route.verb == "POST":
            ids["id"] = answer["data"]["id"]


async def test_s4_24_the_guides_balance_is_as_in_its_sample(rest: Rest) -> None:
    boss = Client(rest.server, rest.http, rest.admin)
    await boss.result("grantCredits", {"userId": "sampled", "priceUsd": "99", "idempotencyKey": "sampled"})
    await rest.send("POST", "/v1/credits/consume", {"userId": "sampled", "amount": 450}, idempotency_key="sampled")
    user = token(rest.server, "sampled", "tester")
    status, answer, _ = await rest.send("GET", "/api/credits/balance", shown=user)
    assert (status, answer["success"]) == (200, True)
    assert answer["data"] == {
        "totalCredits": 1980,
        "usedCredits": 450,
        "remainingCredits": 1530,
        "tier": "tester",
        "monthlyTokensUsed": 0,
        "monthlyRequestsUsed": answer["data"]["monthlyRequestsUsed"],
        "percentUsed": "22.73%",
    }


async def test_s4_26_the_guides_tiers_are_as_in_its_sample_and_need_no_credential(rest: Rest) -> None:
    status, answer, _ = await rest.send("GET", "/api/credits/tiers", shown="")
    starter = answer["data"]["starter"]
    assert (status, answer["success"], answer["profitMargin"]) == (200, True, "80%")
    assert (starter["name"], starter["price"]) == ("Starter", 19)
    assert starter["margin"] == {"apiCostToYou": 3.8, "yourPrice": 19, "profitMargin": "80%"}
    status, answer, _ = await rest.send("GET", "/api/credits/tier-details/starter", shown="")
    assert (status, answer["data"]["limits"]["monthlyTokens"]) == (200, starter["limits"]["monthlyTokens"])


async def test_the_wallet_is_the_same_by_every_path(rest: Rest) -> None:
    wallets = [
        (await rest.send("GET", path))[1]
        for path in ("/v1/users/rest-user/credits", "/v1/customers/rest-user/credits", "/v1/customers/a/users/rest-user/credits")
    ]  # fmt: skip
    assert wallets[0] == wallets[1] == wallets[2]
    own = (await rest.send("GET", "/v1/credits/balance", shown=rest.user))[1]["data"]
    assert own["balance"] == wallets[0]["data"]["exact"]
    assert own["currency"] == "CREDIT"


async def test_a_key_in_the_header_or_in_the_body_is_the_same_key(rest: Rest) -> None:
    body = {"userId": "keyed", "amount": "10"}
    status, first, _ = await rest.send("POST", "/v1/credits/grant", body, idempotency_key="grant-1")
    again = await rest.send("POST", "/v1/credits/grant", {**body, "idempotency_key": "grant-1"})
    assert (status, again[0], first) == (200, 200, again[1])
    assert first["data"]["newBalance"] == "10"
    status, answer, _ = await rest.send(
        "POST", "/v1/credits/grant", {**body, "amount": "11"}, idempotency_key="grant-1"
    )
    assert (status, answer["error"]) == (422, "key_reused")
    both = {**body, "idempotencyKey": "other"}
    assert (await rest.send("POST", "/v1/credits/grant", both, idempotency_key="grant-1"))[0] == 400


@pytest.mark.parametrize(
    ("verb", "path", "body", "status", "error"),
    [
        ("POST", "/v1/credits/consume", {"userId": "poor", "amount": 1}, 402, "insufficient_funds"),
        ("GET", "/v1/users/x/credits?userId=y", None, 400, "invalid_params"),
        ("GET", "/v1/users/x/transactions?limit=many", None, 400, "invalid_params"),
        ("GET", "/v1/users/x/transactions?limit=1&limit=2", None, 400, "invalid_params"),
        ("GET", "/v1/users/x/transactions?asset=USD", None, 400, "invalid_params"),
        ("GET", "/v1/users/x/transactions?nonsense=1", None, 400, "invalid_params"),
        ("GET", "/v1/users/x/transactions?limit=%ff", None, 400, "invalid_params"),
        ("GET", f"/v1/users/{'x' * 201}/credits", None, 400, "invalid_params"),
        ("GET", "/v1/users/a%00b/credits", None, 400, "invalid_params"),
        ("GET", "/v1/users/a%0Ab/credits", None, 400, "invalid_params"),
        ("GET", "/api/credits/a%0Ab", None, 404, "not_found"),
        ("POST", "/v1/credits/grant", {"userId": "a\nb", "amount": 1}, 400, "invalid_params"),
        ("GET", "/v1/analytics/usage?groupBy=hour", None, 400, "invalid_params"),
        ("GET", "/v1/users//credits", None, 404, "not_found"),
        ("GET", "/v1/users/%ff/credits", None, 404, "not_found"),
        ("GET", "/v1/nothing/here", None, 404, "not_found"),
        ("GET", "/api/credits/nothing", None, 404, "not_found"),
        ("POST", "/v1/rating/calculate", {"input_tokens": 1, "inputTokens": 1}, 400, "invalid_params"),
        ("POST", "/v1/rating/calculate", {"model": "no-such"}, 404, "unknown_model"),
        ("POST", "/v1/rating/calculate", [1], 400, "invalid_request"),
        ("POST", "/v1/rating/calculate", b" []", 400, "invalid_request"),
        ("POST", "/v1/rating/calculate", {"_input_tokens": 1}, 400, "invalid_params"),
        ("POST", "/v1/rating/calculate", {"input__tokens": 1}, 400, "invalid_params"),
        ("POST", "/v1/rating/calculate", b"{", 400, "parse_error"),
        ("POST", "/v1/rating/calculate", b'{"model":"a","model":"b"}', 400, "duplicate_member"),
        ("POST", "/v1/credits/purchase", {"userId": "u", "amount": 1, "kind": "promotion"}, 400, "invalid_params"),
        ("DELETE", "/v1/credits/balance", None, 405, "method_not_allowed"),
        ("POST", "/api/credits/upgrade", {"tier": "starter"}, 404, "payments_not_configured"),
        ("PUT", "/v1/entitlements/user:x%2Fno%2Fdaily", {"limitValue": 1}, 404, "not_found"),
    ],
)
async def test_a_wrong_request_gets_its_status_and_the_familys_error(
    rest: Rest, verb: str, path: str, body: object, status: int, error: str
) -> None:
    found, answer, headers = await rest.send(verb, path, body)
    assert (found, answer["error"]) == (status, error)
    assert answer["message"]
    assert answer.get("success") == (False if path.startswith("/api/") else None)
    assert headers["x-request-id"] == answer["request_id"]
    assert ("allow" in headers) == (status == 405)


async def test_foreign_ids_look_the_same_whether_they_exist_or_not(rest: Rest) -> None:
    answers = [
        await rest.send(verb, path, body, shown=rest.user)
        for who in ("u1", "nobody-at-all")
        for verb, path, body in (
            ("GET", f"/v1/users/{who}/credits", None),
            ("GET", f"/v1/users/{who}/transactions", None),
            ("GET", f"/v1/entitlements?userId={who}", None),
            ("POST", "/v1/credits/consume", {"userId": who, "amount": 1}),
            ("POST", "/v1/credits/grant", {"userId": who, "amount": 1}),
            ("DELETE", f"/v1/entitlements/user:{who}%2Fexport%2Fmonthly", None),
        )
    ]
    assert {status for status, _, _ in answers} == {403}
    for (_, known, _), (_, missing, _) in zip(answers[:6], answers[6:], strict=True):
        del known["request_id"], missing["request_id"]
        assert known == missing


async def test_nobody_without_a_credential_is_told_anything(rest: Rest) -> None:
    for path in ("/v1/credits/balance", "/api/credits/balance", "/v1/events"):
        status, answer, headers = await rest.send("GET", path, shown="")
        assert (status, answer["error"]) == (401, "credential_required")
        assert headers["www-authenticate"].startswith("Bearer")


async def test_verbs_and_slashes_are_taken_as_http_means_them(rest: Rest) -> None:
    status, answer, headers = await rest.send("HEAD", "/v1/credits/balance")
    assert (status, answer) == (200, None)
    assert int(headers["content-length"]) > 2
    status, answer, headers = await rest.send("OPTIONS", "/v1/entitlements/x", shown="")
    assert (status, answer, headers["allow"]) == (204, None, "DELETE, OPTIONS, PUT")
    for path, allowed in (("/v1/usage/export", "GET, HEAD, OPTIONS"), ("/v1/events/ingest", "POST, OPTIONS")):
        status, answer, headers = await rest.send("OPTIONS", path, shown="")
        assert (status, answer, headers["allow"]) == (204, None, allowed)
    status, answer, headers = await rest.send("HEAD", "/v1/usage/export?format=ndjson")
    assert (status, answer, headers["content-type"]) == (200, None, "application/x-ndjson")
    assert (await rest.send("GET", "/v1/credits/balance/"))[0] == 200
    status, _, headers = await rest.send(
        "OPTIONS", "/v1/entitlements/x", shown="", origin="https://app.example.com", access_control_request_method="PUT"
    )
    assert (status, headers["access-control-allow-origin"]) == (200, "https://app.example.com")
    _, answer, _ = await rest.send("GET", "/v1/users/a%2Fb%20%C3%A9/credits")
    assert answer["data"]["exact"] == "0"


async def test_the_rest_counts_requests_by_the_tables_paths(rest: Rest) -> None:
    await rest.send("GET", "/v1/users/somebody-special/credits")
    async with rest.http.get(f"{rest.server.url}/metrics") as reply:
        text = await reply.text()
    assert "/v1/users/{userId}/credits" in text
    assert "somebody-special" not in text


async def test_a_body_that_is_too_large_or_no_json_is_refused(rest: Rest) -> None:
    url = f"{rest.server.url}/v1/rating/calculate"
    async with rest.http.post(url, data=b"{}", headers={"content-type": "text/plain"}) as reply:
        assert (reply.status, (await reply.json())["error"]) == (415, "unsupported_media_type")
    too_large = {"content-type": "application/json", "content-length": str(2**40)}
    async with rest.http.post(url, data=b"{}", headers=too_large) as reply:
        assert (reply.status, (await reply.json())["error"]) == (413, "body_too_large")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b"x" * 65_536

    headers = {"content-type": "application/json", "authorization": f"Bearer {rest.user}"}
    async with rest.http.post(f"{rest.server.url}/api/credits/upgrade", data=endless(), headers=headers) as reply:
        assert (reply.status, (await reply.json())["success"]) == (413, False)


async def test_a_header_with_a_credential_that_is_there_twice_is_refused(rest: Rest) -> None:
    url = f"{rest.server.url}/v1/credits/balance"
    for name, first, second in (
        ("authorization", f"Bearer {rest.user}", f"Bearer {rest.admin}"),
        ("x-api-key", "tg_live_one", "tg_live_two"),
    ):
        twice = CIMultiDict([(name, first), (name, second)])
        async with rest.http.get(url, headers=twice) as reply:
            assert (reply.status, (await reply.json())["error"]) == (400, "two_credentials")


async def test_what_is_wrong_is_told_in_the_names_that_the_request_used(rest: Rest) -> None:
    bought = {"userId": "u", "amount": 1, "purchasePrice": 0}
    _, answer, _ = await rest.send("POST", "/v1/credits/purchase", bought)
    assert answer["message"] == "purchasePrice: must be above zero"
    _, answer, _ = await rest.send("POST", "/v1/events/dlq/replay", {"job_ids": []})
    assert answer["message"].startswith("jobIds: ")
    assert answer["details"]["errors"][0]["path"] == "jobIds"
    status, _, _ = await rest.send("GET", "/v1/analytics/usage?startDate=2026-11-01T00:00:00+01:00&groupBy=month")
    assert status == 200
    _, answer, _ = await rest.send("GET", "/v1/users/u/transactions?offset=no")
    assert answer["details"]["errors"][0]["path"] == "offset"
