"""Embeddings and counts of tokens on every door, at every vendor, and what the books say of them."""

from base64 import b64decode
from struct import unpack
from typing import Any

import orjson
import pytest

from methods.all_methods import OF_DOORS
from server.vendors.surface import Endpoint
from server.vendors.tables import SURFACES
from tests.fakes.operations import TOKENS_EMBEDDED, VECTOR
from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.wires import TOKENS_IN
from tests.journeys.vendors.conftest import MESSAGES, Shop
from tests.journeys.world import eventually, usage_rows

EMBED = "/v1/embeddings"
CONTENT = {"parts": [{"text": "Hi"}]}
GRANTED = 10**12
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def batch(model: str, *texts: str) -> dict[str, Any]:
    return {"requests": [{"model": f"models/{model}", "content": {"parts": [{"text": text}]}} for text in texts]}


def vectors_of(body: Any) -> list[list[float]]:
    found: list[list[float]] = []
    for item in body["data"]:
        value = item["embedding"]
        data = b64decode(value) if isinstance(value, str) else b""
        found.append(list(unpack(f"<{len(data) // 4}f", data)) if isinstance(value, str) else value)
    return found


@pytest.mark.parametrize("provider", ["openai", "google", "native"])
@pytest.mark.parametrize("encoding", ["base64", "float", None])
async def test_openais_embeddings_come_from_every_vendor_that_makes_them(
    shop: Shop, vendor: FakeProvider, provider: str, encoding: str | None
) -> None:
    user, bearer = await shop.user()
    asked: dict[str, Any] = {"model": f"{provider}/fake", "input": ["Hi", "Ho"], "dimensions": 4}
    if encoding is not None:
        asked["encoding_format"] = encoding
    reply = await shop.ask(EMBED, asked, bearer=bearer)
    assert reply.status == 200, reply.body
    assert vectors_of(reply.json) == [list(VECTOR)] * 2
    assert all(isinstance(item["embedding"], str) is (encoding == "base64") for item in reply.json["data"])
    [row] = await shop.place.rows(user)
    if provider == "google":
        assert vendor.seen[-1].path == "/v1/models/fake:batchEmbedContents"
        assert row.is_estimated  # this vendor's reply told no usage
        assert 0 < row.usage.tokens_input < 10
        assert reply.json["usage"] == dict.fromkeys(("prompt_tokens", "total_tokens"), row.usage.tokens_input)
        assert reply.json["model"] == "fake"
    else:
        assert vendor.seen[-1].json == {**asked, "model": "fake"}
        assert (row.usage.tokens_input, row.is_estimated) == (2 * TOKENS_EMBEDDED, False)
    assert (row.usage.tokens_output, row.cost_nano) == (0, row.usage.tokens_input * 1000)


@pytest.mark.parametrize("provider", ["google", "openai"])
async def test_geminis_embeddings_come_from_every_vendor_that_makes_them(
    shop: Shop, vendor: FakeProvider, provider: str
) -> None:
    _, bearer = await shop.user()
    model = f"{provider}/fake"
    reply = await shop.ask(f"/v1beta/models/{model}:batchEmbedContents", batch(model, "Hi", "Ho"), bearer=bearer)
    assert [item["values"] for item in reply.json["embeddings"]] == [list(VECTOR)] * 2, reply.body
    one = await shop.ask(f"/gemini/v1/models/{model}:embedContent", {"content": CONTENT}, bearer=bearer)
    assert one.json["embedding"] == {"values": list(VECTOR)}, one.body
    paths = [seen.path for seen in vendor.seen]
    if provider == "google":
        assert paths == ["/v1beta/models/fake:batchEmbedContents", "/v1/models/fake:embedContent"]
        assert vendor.seen[0].json == batch("fake", "Hi", "Ho")
    else:
        assert paths == ["/v1/embeddings"] * 2
        assert one.json["usageMetadata"]["promptTokenCount"] == TOKENS_EMBEDDED


async def test_an_embedding_is_charged_to_the_unit(shop: Shop) -> None:
    user, bearer = await shop.user("credits")
    await shop.granted(user, GRANTED)
    reply = await shop.ask(EMBED, {"model": "fake", "input": "Hi"}, bearer=bearer)
    assert reply.status == 200, reply.body
    [row] = await shop.place.rows(user)
    assert (row.usage.tokens_input, row.usage.tokens_output, row.cost_nano) == (
        TOKENS_EMBEDDED,
        0,
        TOKENS_EMBEDDED * 1000,
    )
    balance = await shop.place.balance("credits", user)
    assert (GRANTED - balance.posted, balance.held) == (row.charge_amount, 0)
    assert row.charge_amount
    assert reply.headers["x-tollgate-charge"]


async def test_what_is_said_beside_a_text_is_counted_with_it(shop: Shop, vendor: FakeProvider) -> None:
    user, bearer = await shop.user("credits")
    await shop.granted(user, GRANTED)
    words = "many words " * 1000
    titled = batch("google/fake", "Hi")
    titled["requests"][0]["title"] = words
    reply = await shop.ask("/v1/models/google/fake:batchEmbedContents", titled, bearer=bearer)
    assert reply.status == 200, reply.body
    vendor.script = Script(body=b'{"data":[{"embedding":[0.5],"index":0}],"model":"fake"}')
    told = await shop.ask(EMBED, {"model": "openai/fake", "input": "Hi", "prompt": words}, bearer=bearer)
    assert told.status == 200, told.body
    for row in await shop.place.rows(user):  # neither vendor said what it had read
        assert (row.is_estimated, 1900 < row.usage.tokens_input < 2200) == (True, True), row.usage


async def test_a_vendor_without_embeddings_is_named(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    reply = await shop.ask(EMBED, {"model": "anthropic/fake", "input": "Hi"}, bearer=bearer)
    assert (reply.status, reply.json["error"]["code"]) == (400, "operation_unsupported")
    assert "'anthropic' has no embeddings" in reply.json["error"]["message"]
    tokens = await shop.ask(EMBED, {"model": "google/fake", "input": [1, 2]}, bearer=bearer)
    assert tokens.status == 400
    assert "input[0]" in tokens.json["error"]["message"]
    purpose = batch("openai/fake", "Hi")
    purpose["requests"][0]["taskType"] = "RETRIEVAL_QUERY"
    lost = await shop.ask("/v1/models/openai/fake:batchEmbedContents", purpose, bearer=bearer)
    assert (lost.status, lost.json["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert "requests.taskType" in lost.json["error"]["message"]
    picture = {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA"}}]}}
    drawn = await shop.ask("/v1/models/google/fake:embedContent", picture, bearer=bearer)
    assert drawn.status == 400
    assert vendor.seen == []


async def test_an_embedding_that_fails_costs_nothing_and_keeps_its_kind(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    for script, kind in ((Script(status=429), "rate_limit_error"), (Script(body=b"{}"), "server_error")):
        vendor.script = script
        reply = await shop.ask(EMBED, {"model": "fake", "input": "Hi"}, bearer=bearer)
        assert reply.json["error"]["type"] == kind, reply.body
        [row] = usage_rows(shop.server, reply.headers["x-request-id"])
        assert (row["outcome"], row["cost_nano"] or 0) == ("failed", 0)
    vendor.script = Script(body=b'{"data":[{"embedding":"no"}]}')
    crossed = await shop.ask("/v1/models/openai/fake:embedContent", {"content": CONTENT}, bearer=bearer)
    assert crossed.status >= 500, crossed.body
    await eventually(lambda: shop.server.rows("SELECT count(*) AS n FROM hold") == [{"n": 0}])


async def test_what_is_no_chat_reaches_its_own_vendor_byte_for_byte(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    raw = orjson.dumps(
        {"model": "fake", "input": "Hi", "weird": {"b": 1.50, "a": "\u2713"}}, option=orjson.OPT_INDENT_2
    )
    assert (await shop.ask(EMBED, raw=raw, bearer=bearer)).status == 200
    assert vendor.seen[-1].body == raw
    raw = orjson.dumps({"content": CONTENT}, option=orjson.OPT_INDENT_2)
    assert (await shop.ask("/v1beta/models/google/fake:embedContent", raw=raw, bearer=bearer)).status == 200
    assert vendor.seen[-1].body == raw


async def test_what_is_refused_in_a_chat_is_not_counted_either(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    asked = {"model": "native/fake", "input": "Hi", "previous_response_id": "resp_of_somebody"}
    reply = await shop.ask("/v1/responses/input_tokens", asked, bearer=bearer)
    assert (reply.status, reply.json["error"]["code"]) == (400, "not_priced")
    assert vendor.seen == []


COUNTED: dict[str, tuple[str, Any, str]] = {
    "anthropic": ("/v1/messages/count_tokens", {"model": "{}", "messages": MESSAGES}, "input_tokens"),
    "gemini": ("/v1/models/{}:countTokens", CONTENTS, "totalTokens"),
    "responses": ("/v1/responses/input_tokens", {"model": "{}", "input": "Hi"}, "input_tokens"),
}


@pytest.mark.parametrize("door", COUNTED)
async def test_tokens_are_counted_by_every_vendor_that_counts_and_estimated_elsewhere(
    shop: Shop, vendor: FakeProvider, door: str
) -> None:
    user, bearer = await shop.user("credits")
    await shop.granted(user, GRANTED)
    path, body, name = COUNTED[door]
    for provider, is_counted in (("anthropic", True), ("google", True), ("native", True), ("openai", False)):
        model = f"{provider}/fake"
        said = {**body, "model": model} if "model" in body else body
        reply = await shop.ask(path.replace("{}", model), said, bearer=bearer)
        assert reply.status == 200, reply.body
        found = reply.json[name]
        assert found == TOKENS_IN if is_counted else 0 < found < TOKENS_IN
    assert len(vendor.seen) == 3
    rows = await shop.place.rows(user)
    assert len(rows) == 4
    for row in rows:
        assert (row.outcome, row.usage.tokens_total, row.cost_nano, row.charge_amount or 0) == ("done", 0, 0, 0)
    balance = await shop.place.balance("credits", user)
    assert (balance.posted, balance.held) == (GRANTED, 0)


async def test_a_count_follows_its_api_version_and_passes_what_is_unknown(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    body = {"model": "anthropic/fake", "messages": MESSAGES, "temperature": 1, "tomorrow": 1}
    older = await shop.ask("/v1/messages/count_tokens", body, bearer=bearer, anthropic_version="2023-06-01")
    assert older.status == 200
    assert vendor.seen[-1].json == {**body, "model": "fake"}
    assert vendor.seen[-1].headers["anthropic-version"] == "2023-06-01"
    vendor.script = Script(body=b'{"input_tokens": 3, "tomorrow": 1}')
    cool = {"model": "anthropic/fake", "messages": MESSAGES}
    said: dict[str, Any] = {"anthropic_version": "2026-10-21", "anthropic_beta": "b-1"}
    passed = await shop.ask("/v1/messages/count_tokens", cool, bearer=bearer, **said)
    assert (passed.status, passed.body) == (200, vendor.script.body)
    assert [vendor.seen[-1].headers[name.replace("_", "-")] for name in said] == list(said.values())
    newer = await shop.ask("/v1/messages/count_tokens", body, bearer=bearer, anthropic_version="2026-10-21")
    assert (newer.status, newer.json["error"]["type"]) == (400, "invalid_request_error")
    assert "temperature" in newer.json["error"]["message"]


async def test_an_own_key_reaches_its_own_vendor_for_what_is_no_chat_too(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    issued = await shop.ask(
        "/rpc", {"jsonrpc": "2.0", "id": 1, "method": "createApiKey", "params": {"name": "k"}}, bearer=bearer
    )
    key = issued.json["result"]["apiKey"]
    reply = await shop.ask(EMBED, {"model": "openai/fake", "input": "Hi"}, bearer="sk-my-own", x_tollgate_key=key)
    assert reply.status == 200, reply.body
    assert vendor.seen[-1].headers["authorization"] == "Bearer sk-my-own"
    [row] = usage_rows(shop.server, reply.headers["x-request-id"])
    assert (row["caller_kind"], row["charge_amount"]) == ("byok", 0)


ENDPOINTS = [
    pytest.param(name, endpoint, id=f"{name} {endpoint.template}")
    for name, surface in SURFACES.items()
    for endpoint in surface.endpoints
    if endpoint.verb == "POST"
]
ASKED: dict[str, Any] = {
    "/v1/chat/completions": {"model": "openai/fake", "messages": MESSAGES},
    "/v1/responses": {"model": "openai/fake", "input": "Hi"},
    "/v1/responses/input_tokens": {"model": "openai/fake", "input": "Hi"},
    "/v1/embeddings": {"model": "openai/fake", "input": "Hi"},
    "/v1/messages": {"model": "anthropic/fake", "messages": MESSAGES, "max_tokens": 9},
    "/v1/messages/count_tokens": {"model": "anthropic/fake", "messages": MESSAGES},
    "/v1/models/{model}:generateContent": CONTENTS,
    "/v1/models/{model}:streamGenerateContent": CONTENTS,
    "/v1/models/{model}:countTokens": CONTENTS,
    "/v1/models/{model}:batchEmbedContents": batch("google/fake", "Hi"),
    "/v1/models/{model}:embedContent": {"content": CONTENT},
}


@pytest.mark.parametrize(("surface", "endpoint"), ENDPOINTS)
async def test_every_path_that_can_reach_a_provider_opens_a_tab(shop: Shop, surface: str, endpoint: Endpoint) -> None:
    [method] = [method for method in OF_DOORS if method.name == endpoint.method]
    assert method.terms.is_metered
    user, bearer = await shop.user()
    path = f"/{surface}{endpoint.template}".replace("{model}", "google/fake") + ("?alt=sse" if endpoint.stream else "")
    reply = await shop.ask(path, ASKED[endpoint.template], bearer=bearer)
    assert reply.status == 200, reply.body
    [row] = await shop.place.rows(user)
    assert (row.outcome, row.method, row.door) == ("done", endpoint.method, surface)
    assert row.provider is not None


async def test_the_samples_are_the_doors_paths() -> None:
    posted = [endpoint for surface in SURFACES.values() for endpoint in surface.endpoints if endpoint.verb == "POST"]
    assert ASKED.keys() == {endpoint.template for endpoint in posted}


async def test_a_body_that_is_none_is_refused_on_these_paths_too(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    nonsense = orjson.dumps({"model": "fake", "input": [{}], "messages": 3, "contents": 1})
    counts = ("/v1/responses/input_tokens", "/v1/messages/count_tokens", "/v1/models/fake:countTokens")
    for path in (EMBED, "/v1/responses", *counts):
        for raw in (b"{", b"[]", b'{"model":"fake"}', nonsense):
            reply = await shop.ask(path, raw=raw, bearer=bearer)
            assert reply.status == 400, (path, raw, reply.body)
            assert reply.json["error"]["message"]
    assert vendor.seen == []
