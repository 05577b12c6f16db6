"""Names, choices and substitutes of the operator through the whole product: who serves, who pays, and what it saved."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.server import Server, serving, token
from tests.fakes.wires import TEXT
from tests.journeys.world import FREE, Client, settings_for, usage_rows

# Any: rows and JSON as they come.

NANO = 10**9
DEAR, CHEAP = {"input": "10", "output": "20"}, {"input": "1", "output": "2"}
ONE, TWO = "one/fake", "two/fake"


def provider(kind: str, base_url: str) -> dict[str, object]:
    models = ["fake", "fake-other"]
    return {"kind": kind, "base_url": base_url, "api_key": f"operator-{kind}", "models": models, "retries": 0,
            "breaker_failures": 10_000}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared_second() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as fake:
        yield fake


@pytest.fixture
def second(shared_second: FakeProvider) -> FakeProvider:
    """The other vendor as it was at the start."""
    shared_second.seen.clear()
    shared_second.scripts.clear()
    return shared_second


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def routed(
    shared_fake: FakeProvider, shared_second: FakeProvider, private_key: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    settings = settings_for(shared_fake, private_key)
    settings["providers"] = {
        "one": provider("openai", f"{shared_fake.url}/v1"),
        "two": provider("anthropic", shared_second.url),
    }
    settings["prices"] = {ONE: DEAR, "one/fake-other": DEAR, TWO: CHEAP, "two/fake-other": CHEAP}
    settings["routing"] = {
        "default_provider": "one",
        "default_model": "fake",
        "aliases": {"smart": ONE, "small": TWO, "pair": {ONE: 1, TWO: 1}},
        "fallbacks": {"smart": ["two/fake"], "small": ["smart"]},
        "equivalents": {"big": {"models": ["one/fake-other", "two/fake-other"], "policy": "cheapest"}},
        "substitutes": {"modest": {"smart": TWO}},
    }
    settings["tiers"]["modest"] = {"features": ["basic_ai"], **FREE}
    settings["tiers"]["ones"] = {"features": ["basic_ai"], "providers": ["one"], **FREE}
    settings["tiers"]["named"] = {"features": ["basic_ai"], "models": ["smart", "fake-other"], **FREE}
    with serving(settings, tmp_path_factory.mktemp("routed")) as running:
        yield running


@pytest.fixture
def client(routed: Server, http: aiohttp.ClientSession, fake: FakeProvider, second: FakeProvider) -> Client:
    del fake, second  # only in the order of things
    return Client(routed, http, token(routed, "ann", "tester"))


def asking(model: str, **more: object) -> dict[str, Any]:
    return {"content": "Hi", "options": {"model": model}, **more}


def worth(row: dict[str, Any], rate_in: int, rate_out: int) -> int:
    """What the tokens of a row cost at dollars per million, with the platform's fee, in nano dollars."""
    tokens_out: int = row["tokens_output"] + row["tokens_reasoning"]
    tokens_in: int = row["tokens_input"] + row["tokens_cache_read"] + row["tokens_cache_write_5m"]
    cost = (tokens_in * rate_in + tokens_out * rate_out) * 1_000
    return cost + cost // 5


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("is_stream", [False, True])
async def test_another_provider_answers_before_a_failure_is_told_and_is_what_is_charged(
    client: Client, fake: FakeProvider, second: FakeProvider, status: int, *, is_stream: bool
) -> None:
    fake.scripts.append(Script(status=status, headers={"retry-after": "7"}))
    before = await client.result("checkQuotaStatus")
    if is_stream:
        messages = await client.stream(asking("smart"))
        result = messages[-1]["result"]
        assert any("two/fake serves the call" in str(message) for message in messages)
    else:
        result = await client.result("executeAIRequest", asking("smart"))
    assert (result["content"], result["provider"], result["askedModel"]) == (TEXT, "two", ONE)
    assert (len(fake.seen), len(second.seen)) == (1, 1)
    [row] = usage_rows(client.server, result["requestId"])
    assert (row["provider"], row["model"], row["asked_model"], row["outcome"]) == ("two", "fake", ONE, "done")
    assert row["cost_nano"] + row["fee_nano"] == worth(row, 1, 2)
    assert row["saving_nano"] == worth(row, 10, 20) - worth(row, 1, 2) > 0
    assert result["usage"]["saving"] == row["saving_nano"] / NANO
    after = await client.result("checkQuotaStatus")
    assert after["quotaUsed"] - before["quotaUsed"] == result["usage"]["totalTokens"]


async def test_a_dearer_fallback_says_what_it_cost_more(client: Client, second: FakeProvider) -> None:
    second.scripts.append(Script(status=503))
    result = await client.result("executeAIRequest", asking("small"))
    assert (result["provider"], result["askedModel"]) == ("one", TWO)
    [row] = usage_rows(client.server, result["requestId"])
    assert row["saving_nano"] == worth(row, 1, 2) - worth(row, 10, 20) < 0
    assert result["usage"]["saving"] == row["saving_nano"] / NANO


async def test_equal_targets_share_the_calls_and_stand_in_for_each_other(
    client: Client, fake: FakeProvider, second: FakeProvider
) -> None:
    results = [await client.result("executeAIRequest", asking("pair")) for _ in range(24)]
    assert {result["provider"] for result in results} == {"one", "two"}
    assert not any("askedModel" in result for result in results), "either is what was asked for"
    fake.scripts.extend([Script(status=503)] * 12)
    again = [await client.result("executeAIRequest", asking("pair")) for _ in range(12)]
    assert {result["provider"] for result in again} <= {"one", "two"}
    assert len(second.seen) == 36 - (len(fake.seen) - (12 - len(fake.scripts)))


async def test_the_cheapest_equivalent_serves_and_the_saving_is_kept_and_reported(client: Client) -> None:
    eve = token(client.server, "eve", "tester")
    results = [await client.result("executeAIRequest", asking("fake-other"), token=eve) for _ in range(3)]
    assert {(result["provider"], result["model"]) for result in results} == {("two", "fake-other")}
    rows = client.server.rows("SELECT * FROM usage WHERE user_id = 'eve'")
    saved = sum(row["saving_nano"] for row in rows)
    assert saved == sum(worth(row, 10, 20) - worth(row, 1, 2) for row in rows) > 0
    for method, member in (("getUsageAnalytics", "summary"), ("getCostBreakdown", "summary"), ("getUserUsage", None),
                           ("getRecommendations", None)):  # fmt: skip
        answer = await client.result(method, token=eve)
        told = answer if member is None else answer[member]
        assert told["savings"] == saved / NANO, method
        assert round(float(told["savingsExact"]) * NANO) == saved
    [part] = (await client.result("getCostBreakdown", {"by": "model"}, token=eve))["breakdown"]
    assert (part["key"], part["savings"]) == ("fake-other", saved / NANO)
    events = (await client.result("listUsageEvents", token=eve))["events"]
    assert {(event["model"], event["askedModel"]) for event in events} == {("fake-other", "one/fake-other")}
    assert sum(event["saving"] for event in events) == pytest.approx(saved / NANO)
    admin = token(client.server, "boss", "tester", role="admin")
    business = await client.result("getAdminAnalytics", {"userId": "eve"}, token=admin)
    assert business["summary"]["savings"] == saved / NANO


async def test_who_asks_for_the_dear_one_by_its_provider_gets_it(client: Client) -> None:
    result = await client.result("executeAIRequest", asking("one/fake-other"))
    assert result["provider"] == "one"
    assert "askedModel" not in result
    [row] = usage_rows(client.server, result["requestId"])
    assert (row["asked_model"], row["saving_nano"]) == (None, None)


async def test_no_name_and_no_choice_leads_around_a_plan(client: Client, second: FakeProvider) -> None:
    ones = token(client.server, "ona", "ones")
    result = await client.result("executeAIRequest", asking("fake-other"), token=ones)
    assert result["provider"] == "one", "the cheapest of those that the plan includes"
    assert {(await client.result("executeAIRequest", asking("pair"), token=ones))["provider"] for _ in range(8)} == {
        "one"
    }
    error = await client.error("executeAIRequest", asking("small"), token=ones)
    assert (error["code"], error["data"]["reason"]) == (-32005, "model_not_in_tier")
    error = await client.error("executeAIRequest", asking("smart"), token=token(client.server, "nam", "named"))
    assert error["data"]["reason"] == "model_not_in_tier", "an alias among a plan's models opens nothing"
    assert second.seen == []


async def test_a_tiers_substitute_serves_and_says_so(client: Client, fake: FakeProvider) -> None:
    modest = token(client.server, "mod", "modest")
    result = await client.result("executeAIRequest", asking("smart"), token=modest)
    assert (result["provider"], result["model"], result["askedModel"]) == ("two", "fake", ONE)
    [row] = usage_rows(client.server, result["requestId"])
    assert row["saving_nano"] > 0
    assert fake.seen == []
    allowed = await client.result(
        "checkEntitlement", {"action": {"model": "smart", "estimatedOutputTokens": 10}}, token=modest
    )
    assert float(allowed["estimatedCostUsd"]) == pytest.approx(20 / 10**6), "the substitute's price"


@pytest.mark.parametrize("model", ["pair", "smart", "fake-other"])
async def test_an_own_key_never_crosses_to_another_provider(
    client: Client, fake: FakeProvider, second: FakeProvider, model: str
) -> None:
    for _ in range(4):
        fake.scripts.append(Script(status=503))
        error = await client.error("executeAIRequest", asking(model, apiKey="my-own-key"))
        assert error["code"] == -32006
        result = await client.result("executeAIRequest", asking(model, apiKey="my-own-key"))
        assert result["provider"] == "one"
    assert second.seen == []
    assert {seen.headers["authorization"] for seen in fake.seen} == {"Bearer my-own-key"}


async def test_a_vendors_own_door_routes_as_every_other(
    client: Client, fake: FakeProvider, second: FakeProvider
) -> None:
    fake.scripts.append(Script(status=429, headers={"retry-after": "7"}))
    body = {"model": "smart", "messages": [{"role": "user", "content": "Hi"}]}
    url = f"{client.server.url}/v1/chat/completions"
    async with client.http.post(url, json=body, headers=client.head()) as reply:
        assert reply.status == 200
        answer, told = await reply.json(), reply.headers
    assert answer["choices"][0]["message"]["content"] == TEXT
    assert (len(fake.seen), len(second.seen)) == (1, 1)
    [row] = client.server.rows("SELECT * FROM usage WHERE door = 'openai'")
    assert (row["provider"], row["asked_model"], row["saving_nano"] > 0) == ("two", ONE, True)
    assert (told["x-tollgate-provider"], told["x-tollgate-model"]) == ("two", "fake")
    assert told["x-tollgate-asked-model"] == ONE
    assert round(float(told["x-tollgate-saving"]) * NANO) == row["saving_nano"]
    fake.seen.clear()
    async with client.http.post(url, json={**body, "model": "pair"}, headers=client.head()) as reply:
        assert reply.status == 200
        assert not {"x-tollgate-asked-model", "x-tollgate-saving"} & {name.lower() for name in reply.headers}
    assert len(fake.seen) + len(second.seen) == 2
    assert {seen.json["model"] for seen in (*fake.seen, *second.seen)} == {"fake"}
    for tier, known in (("tester", {"fake", "fake-other", "smart", "small", "pair"}),
                        ("ones", {"fake", "fake-other", "smart", "pair"})):  # fmt: skip
        headers = client.head(token(client.server, "lis", tier))
        async with client.http.get(f"{client.server.url}/v1/models", headers=headers) as reply:
            assert {model["id"] for model in (await reply.json())["data"]} == known


async def test_a_stand_in_that_cannot_be_told_the_request_leaves_the_first_refusal_as_it_is(
    client: Client, fake: FakeProvider, second: FakeProvider
) -> None:
    body = {"model": "smart", "messages": [{"role": "user", "content": "Hi"}], "logprobs": True}
    url = f"{client.server.url}/v1/chat/completions"
    fake.scripts.append(Script(status=429, headers={"retry-after": "7"}))
    async with client.http.post(url, json=body, headers=client.head()) as reply:
        assert (reply.status, reply.headers["retry-after"]) == (429, "7"), await reply.text()
        request_id = reply.headers["x-request-id"]
    assert (len(fake.seen), len(second.seen)) == (1, 0)
    [row] = usage_rows(client.server, request_id)
    assert (row["provider"], row["outcome"]) == ("one", "failed")
    async with client.http.post(url, json={**body, "model": "fake-other"}, headers=client.head()) as reply:
        assert (reply.status, reply.headers["x-tollgate-provider"]) == (200, "one"), "the cheaper one knows no logprobs"
    assert (len(fake.seen), len(second.seen)) == (2, 0)


async def test_names_are_listed_and_unknown_ones_are_still_unknown(client: Client) -> None:
    assert (await client.result("listAllowedModels"))["aliases"] == ["smart", "small", "pair"]
    error = await client.error("executeAIRequest", asking("smarter"))
    assert error["code"] == -32008
