"""A vendor's client changes its address and nothing else: bodies, streams, lists, errors, credentials as the vendor has them."""

import io
import re
from typing import Any

import orjson
import pytest

from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.wires import Vendor, wire_of
from tests.journeys.vendors.conftest import ANTHROPIC, GEMINI, MESSAGES, OPENAI, PATHS, Shop
from tests.journeys.world import eventually, usage_rows

TEXT = "Grüße, ready when you are ✓ 世界 done."
VENDORS: dict[str, Vendor] = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}
GEMINI_STREAM = "/v1beta/models/google/fake:streamGenerateContent"
BODIES: dict[str, Any] = {"openai": OPENAI, "anthropic": ANTHROPIC, "gemini": GEMINI}


def events_of(body: bytes) -> list[Any]:
    return [
        orjson.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: ") and b"[DONE]" not in line
    ]


@pytest.mark.parametrize("door", PATHS)
async def test_a_request_reaches_its_own_vendor_byte_for_byte(shop: Shop, vendor: FakeProvider, door: str) -> None:
    _, bearer = await shop.user()
    model = {"openai": "fake", "anthropic": "fake"}
    raw = orjson.dumps({**BODIES[door], "weird": {"b": [1.50, 2], "a": "\u2713"}}, option=orjson.OPT_INDENT_2)
    if door in model:  # the name with its provider is ours, so the vendor is told the bare one
        raw = raw.replace(b'"openai/fake"', b'"fake"').replace(b'"anthropic/fake"', b'"fake"')
    path = {"openai": "/openai/v1/chat/completions", "anthropic": "/v1/messages"}.get(door, PATHS["gemini"])
    if door == "anthropic":  # the bare name is the first provider's, which is another vendor
        raw = raw.replace(b'"fake"', b'"anthropic/fake"')
    reply = await shop.ask(path, raw=raw, bearer=bearer)
    if door == "anthropic":
        raw = orjson.dumps(
            {**orjson.loads(raw), "model": "fake"}
        )  # a member had to be set, so the rest keeps its order
    assert reply.status == 200, reply.body
    assert vendor.seen[-1].body == raw
    assert reply.body == wire_of(VENDORS[door], "fake").reply


async def test_a_stream_comes_through_as_the_vendor_wrote_it(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    wanted = {**OPENAI, "model": "fake", "stream": True, "stream_options": {"include_usage": True}}
    reply = await shop.ask("/v1/chat/completions", wanted, bearer=bearer)
    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.body == b"".join(wire_of("openai", "fake").events)
    reply = await shop.ask("/anthropic/v1/messages", {**ANTHROPIC, "stream": True}, bearer=bearer)
    assert reply.body == b"".join(wire_of("anthropic", "fake").events)
    path = "/gemini/v1beta/models/google/fake:streamGenerateContent?alt=sse"
    reply = await shop.ask(path, GEMINI, bearer=bearer)
    assert reply.body == b"".join(wire_of("google", "fake").events)
    assert vendor.seen[-1].path == "/v1beta/models/fake:streamGenerateContent?alt=sse"


@pytest.mark.parametrize("pieces", [None, 3])
async def test_usage_is_asked_for_and_hidden_from_who_did_not_want_it(
    shop: Shop, vendor: FakeProvider, pieces: int | None
) -> None:
    _, bearer = await shop.user()
    vendor.script = Script(pieces=pieces)
    reply = await shop.ask("/v1/chat/completions", {**OPENAI, "stream": True}, bearer=bearer)
    assert vendor.seen[-1].json["stream_options"] == {"include_usage": True}
    assert b"usage" not in reply.body
    assert reply.body.endswith(b"data: [DONE]\n\n")
    said = [event["choices"][0]["delta"].get("content") or "" for event in events_of(reply.body)]
    assert "".join(said) == TEXT
    [row] = usage_rows(shop.server, reply.headers["x-request-id"])
    assert (row["tokens_input"], row["tokens_output"], row["is_estimated"]) == (11, 7, 0)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
@pytest.mark.parametrize("is_stream", [False, True])
async def test_any_vendors_client_is_answered_by_any_vendor(shop: Shop, provider: str, is_stream: object) -> None:
    _, bearer = await shop.user()
    model = f"{provider}/fake"
    openai = await shop.ask("/v1/chat/completions", {**OPENAI, "model": model, "stream": is_stream}, bearer=bearer)
    anthropic = await shop.ask("/v1/messages", {**ANTHROPIC, "model": model, "stream": is_stream}, bearer=bearer)
    verb = "streamGenerateContent?alt=sse" if is_stream else "generateContent"
    gemini = await shop.ask(f"/v1beta/models/{model}:{verb}", GEMINI, bearer=bearer)
    if not is_stream:
        assert openai.json["choices"][0]["message"]["content"] == TEXT
        assert anthropic.json["content"][0]["text"] == TEXT
        assert gemini.json["candidates"][0]["content"]["parts"][0]["text"] == TEXT
        return
    said = [event["choices"][0]["delta"].get("content") or "" for event in events_of(openai.body) if event["choices"]]
    assert "".join(said) == TEXT
    deltas = [event["delta"]["text"] for event in events_of(anthropic.body) if event["type"] == "content_block_delta"]
    assert "".join(deltas) == TEXT
    parts = [event["candidates"][0]["content"].get("parts", []) for event in events_of(gemini.body)]
    assert "".join(part["text"] for each in parts for part in each) == TEXT
    assert b"\n:" not in gemini.body
    assert not gemini.body.startswith(b":")


async def test_the_shared_list_of_models_has_the_askers_shape(shop: Shop) -> None:
    _, bearer = await shop.user()
    plain = (await shop.ask("/v1/models", bearer=bearer)).json
    assert plain["object"] == "list"
    assert {"id", "object", "created", "owned_by"} <= plain["data"][0].keys()
    theirs = (await shop.ask("/v1/models?limit=2", bearer=bearer, anthropic_version="2023-06-01")).json
    assert len(theirs["data"]) == 2
    assert theirs["has_more"]
    assert theirs["last_id"] == theirs["data"][-1]["id"]
    more = (await shop.ask(f"/anthropic/v1/models?after_id={theirs['last_id']}", bearer=bearer)).json
    assert {model["id"] for model in more["data"]}.isdisjoint({model["id"] for model in theirs["data"]})
    google = (await shop.ask("/v1/models?pageSize=2", x_goog_api_key=bearer)).json
    assert (await shop.ask(f"/v1/models?pageSize=2&key={bearer}")).json == google
    assert [model["name"] for model in google["models"]] == [f"models/{model['id']}" for model in theirs["data"]]
    one = (await shop.ask("/v1/models/fake", bearer=bearer)).json
    assert one["id"] == "fake"
    assert (await shop.ask("/v1/models/nothing", bearer=bearer)).status == 404


async def test_a_model_is_found_by_every_name_that_calls_it_and_by_none_that_the_plan_lacks(shop: Shop) -> None:
    _, bearer = await shop.user()
    named = (await shop.ask("/v1/models/anthropic/fake", bearer=bearer)).json
    assert (named["id"], named["owned_by"]) == ("anthropic/fake", "anthropic")
    assert (await shop.ask("/v1/models/anthropic%2Fnothing", bearer=bearer)).status == 404
    _, other = await shop.user("sole")
    assert (await shop.ask("/v1/models/openai/fake", bearer=other)).status == 200
    lacking = await shop.ask("/v1/models/anthropic/fake", bearer=other)
    unknown = await shop.ask("/v1/models/anthropic/nothing", bearer=other)
    assert (lacking.status, unknown.status) == (404, 404)
    assert lacking.json["error"]["message"].replace("fake", "nothing") == unknown.json["error"]["message"]


@pytest.mark.parametrize(("size", "status"), [("0", 200), ("5000", 200), ("-1", 400), ("many", 400)])
async def test_a_page_of_geminis_models_has_any_size_that_google_takes(shop: Shop, size: str, status: int) -> None:
    _, bearer = await shop.user()
    reply = await shop.ask(f"/v1beta/models?pageSize={size}", bearer=bearer)
    assert reply.status == status, reply.body
    assert reply.json.get("models") or "pageSize" in reply.json["error"]["message"]


async def test_a_credential_stands_where_the_vendors_key_would(shop: Shop) -> None:
    _, bearer = await shop.user()
    assert (await shop.ask("/v1/messages", ANTHROPIC, x_api_key=bearer)).status == 200
    assert (await shop.ask("/v1/messages", ANTHROPIC, bearer=bearer)).status == 200
    assert (await shop.ask(PATHS["gemini"], GEMINI, x_goog_api_key=bearer)).status == 200
    assert (await shop.ask(f"{PATHS['gemini']}?key={bearer}", GEMINI)).status == 200
    both = await shop.ask("/v1/messages", ANTHROPIC, bearer=bearer, x_api_key="other")
    assert (both.status, both.json["error"]["type"]) == (401, "authentication_error")
    none = await shop.ask("/v1/chat/completions", OPENAI)
    assert (none.status, none.json["error"]["type"]) == (401, "authentication_error")
    wrong = await shop.ask(PATHS["gemini"], GEMINI, x_goog_api_key="AIza-a-vendors-own-key")
    assert (wrong.status, wrong.json["error"]["status"]) == (401, "UNAUTHENTICATED")


async def test_an_own_key_in_the_vendors_place_reaches_that_vendor_and_costs_nothing_here(
    shop: Shop, vendor: FakeProvider
) -> None:
    name, bearer = await shop.user()
    made = await shop.ask(
        "/rpc",
        {"jsonrpc": "2.0", "id": 1, "method": "createApiKey", "params": {"name": "byok"}},
        bearer=bearer,
    )
    key = made.json["result"]["apiKey"]
    for header in ("x_tollgate_key", "x_om_api_key"):
        said: Any = {header: key}
        reply = await shop.ask("/v1/chat/completions", {**OPENAI, "model": "fake"}, bearer="sk-own", **said)
        assert reply.status == 200, reply.body
        assert vendor.seen[-1].headers["authorization"] == "Bearer sk-own"
        [row] = usage_rows(shop.server, reply.headers["x-request-id"])
        assert (row["user_id"], row["caller_kind"], row["charge_amount"]) == (name, "byok", 0)
    asked = len(vendor.seen)
    away = await shop.ask(
        "/v1/chat/completions", {**OPENAI, "model": "anthropic/fake"}, bearer="sk-own", x_tollgate_key=key
    )
    assert (away.status, away.json["error"]["code"], len(vendor.seen)) == (400, "own_key_elsewhere", asked)
    twice = await shop.ask("/v1/chat/completions", OPENAI, bearer=key, x_tollgate_key=key)
    assert twice.status == 200, "the same key in both places is no own one"
    assert vendor.seen[-1].headers["authorization"] == "Bearer operator-openai"


async def test_headers_attribute_usage_and_never_choose_who_pays(shop: Shop) -> None:
    name, bearer = await shop.user()
    reply = await shop.ask(
        "/v1/chat/completions",
        OPENAI,
        bearer=bearer,
        x_om_customer_id="c1",
        x_om_user_id="somebody-else",
        x_om_feature_id="chat",
        x_om_metadata='{"run":"7","n":1}',
    )
    [row] = usage_rows(shop.server, reply.headers["x-request-id"])
    assert (row["user_id"], row["feature"]) == (name, "chat")
    assert orjson.loads(row["metadata"]) == {"customerId": "c1", "userId": "somebody-else", "run": "7", "n": "1"}
    wrong = await shop.ask("/v1/chat/completions", OPENAI, bearer=bearer, x_om_metadata="[1]")
    assert (wrong.status, wrong.json["error"]["param"]) == (400, "X-OM-Metadata")


async def test_what_is_not_served_is_said_in_the_vendors_own_words(shop: Shop) -> None:
    _, bearer = await shop.user()
    openai = await shop.ask("/v1/images/generations", {}, bearer=bearer)
    assert (openai.status, openai.json["error"]["code"]) == (404, "not_served")
    anthropic = await shop.ask("/v1/messages/batches", {}, bearer=bearer)
    assert (anthropic.status, anthropic.json["type"], anthropic.json["error"]["type"]) == (
        404,
        "error",
        "not_found_error",
    )
    google = await shop.ask("/v1/interactions", {}, bearer=bearer)
    assert (google.status, google.json["error"]["status"]) == (404, "NOT_FOUND")
    verb = await shop.ask("/v1/chat/completions", bearer=bearer)
    assert (verb.status, verb.headers["allow"]) == (405, "POST")
    for path in ("/v1/files", "/v1/skills", "/v1/memory_stores/m1"):
        shared = await shop.ask(path, bearer=bearer, anthropic_version="2023-06-01")
        assert (shared.status, shared.json["type"]) == (404, "error"), path
    for path in ("/upload/v1beta/files", "/v1/models/google/fake:predict", "/v1beta/models/fake:generateAnswer"):
        google = await shop.ask(path, {}, bearer=bearer)
        assert (google.status, google.json["error"]["details"][0]["reason"]) == (404, "NOT_SERVED"), path
    skills = await shop.ask("/v1/skills", bearer=bearer)
    assert (skills.status, skills.json["error"]["code"]) == (404, "not_served")


async def test_an_address_without_its_version_or_with_two_is_told_the_right_path(shop: Shop) -> None:
    _, bearer = await shop.user()
    for path in (
        "/chat/completions",
        "/v1/v1/chat/completions",
        "/openai/chat/completions",
        "/responses",
        "/embeddings",
    ):
        openai = await shop.ask(path, {}, bearer=bearer)
        assert (openai.status, openai.json["error"]["code"]) == (404, "not_served"), path
        assert "/v1/chat/completions" in openai.json["error"]["message"]
    for path in ("/messages", "/v1/v1/messages", "/anthropic/messages"):
        anthropic = await shop.ask(path, {}, bearer=bearer, anthropic_version="2023-06-01")
        assert (anthropic.status, anthropic.json["error"]["type"]) == (404, "not_found_error"), path
        assert "/v1/messages" in anthropic.json["error"]["message"]


async def test_a_models_name_may_hold_colons_on_every_door(shop: Shop) -> None:
    _, bearer = await shop.user()
    for path in ("/v1/models/ft:fake:acme::1", "/openai/v1/models/ft:fake:acme::1"):
        listed = await shop.ask(path, bearer=bearer)
        assert (listed.status, listed.json["error"]["code"]) == (404, "unknown_model"), listed.body
    theirs = await shop.ask("/v1/models/llama3:8b", bearer=bearer, anthropic_version="2023-06-01")
    assert "llama3:8b" in theirs.json["error"]["message"]
    for verb in ("generateContent", "streamGenerateContent?alt=sse", "countTokens"):
        google = await shop.ask(f"/v1beta/models/llama3:8b:{verb}", GEMINI, bearer=bearer)
        assert google.json["error"]["details"][0]["reason"] == "UNKNOWN_MODEL"
        assert "'llama3:8b'" in google.json["error"]["message"]


async def test_a_body_that_is_none_is_refused_in_the_vendors_shape(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    for raw in (b"{", b"[]", b'{"model":"fake","model":"fake"}', b'{"model":"fake"}', b'{"model":1,"messages":[]}'):
        reply = await shop.ask("/v1/chat/completions", raw=raw, bearer=bearer)
        assert (reply.status, reply.json["error"]["type"]) == (400, "invalid_request_error"), raw
        assert "batch" not in reply.json["error"]["message"].lower(), reply.body
    deep = b'{"model":"fake","messages":' + b"[" * 5000 + b"]" * 5000 + b"}"
    assert (await shop.ask("/v1/messages", raw=deep, bearer=bearer)).status == 400
    large = await shop.ask("/v1/messages", raw=io.BytesIO(b'{"x":"' + b"y" * (5 * 1024 * 1024) + b'"}'), bearer=bearer)
    assert (large.status, large.json["type"]) == (413, "error")
    assert vendor.seen == []


async def test_no_bound_is_said_twice_or_as_nothing(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    contents = GEMINI["contents"]
    small, large = {"maxOutputTokens": 10}, {"maxOutputTokens": 9000}
    for twice in (
        {"generation_config": large, "generationConfig": small},
        {"generationConfig": small, "generation_config": large},
        {"generationConfig": {"max_output_tokens": 9000, "maxOutputTokens": 10}},
    ):
        reply = await shop.ask(PATHS["gemini"], {"contents": contents, **twice}, bearer=bearer)
        assert (reply.status, "twice" in reply.json["error"]["message"]) == (400, True), reply.body
    snake = await shop.ask(
        PATHS["gemini"], {"contents": contents, "generation_config": {"max_output_tokens": 10}}, bearer=bearer
    )
    assert snake.status == 200, snake.body
    both = {**OPENAI, "max_completion_tokens": 9000}
    assert (await shop.ask(PATHS["openai"], both, bearer=bearer)).status == 400
    assert (await shop.ask(PATHS["anthropic"], {**ANTHROPIC, "max_tokens": 0}, bearer=bearer)).status == 400
    assert len(vendor.seen) == 1


async def test_what_has_no_price_is_refused_by_name(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    file = {"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}
    cases: list[tuple[str, Any, str]] = [
        ("openai", {**OPENAI, "web_search_options": {}}, "web_search_options"),
        ("openai", {**OPENAI, "messages": [file]}, "messages[0].content[0]"),
        ("anthropic", {**ANTHROPIC, "tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]"),
        (
            "anthropic",
            {
                **ANTHROPIC,
                "messages": [
                    {"role": "user", "content": [{"type": "document", "source": {"type": "file", "file_id": "f"}}]}
                ],
            },
            "messages[0].content[0]",
        ),
        ("gemini", {**GEMINI, "tools": [{"googleSearch": {}}]}, "tools[0].googleSearch"),
        ("gemini", {**GEMINI, "cachedContent": "cachedContents/1"}, "cachedContent"),
        (
            "gemini",
            {"contents": [{"parts": [{"file_data": {"mime_type": "video/mp4", "file_uri": "gs://x"}}]}]},
            "contents[0].parts[0].fileData",
        ),
    ]
    for door, body, field in cases:
        reply = await shop.ask(PATHS[door], body, bearer=bearer)
        assert reply.status == 400, (field, reply.body)
        assert field in reply.json["error"]["message"], reply.body
    assert vendor.seen == []


async def test_a_bound_is_always_told_to_the_vendor(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user("short")
    without = {"model": "fake", "messages": MESSAGES}
    assert (await shop.ask("/v1/chat/completions", without, bearer=bearer)).status == 200
    assert vendor.seen[-1].json["max_tokens"] == 20
    assert (await shop.ask("/v1/messages", {**without, "model": "anthropic/fake"}, bearer=bearer)).status == 200
    assert vendor.seen[-1].json["max_tokens"] == 20
    contents = {"contents": GEMINI["contents"]}
    assert (await shop.ask(PATHS["gemini"], contents, bearer=bearer)).status == 200
    assert vendor.seen[-1].json["generationConfig"] == {"maxOutputTokens": 20}
    more = await shop.ask("/v1/chat/completions", {**without, "max_tokens": 21}, bearer=bearer)
    assert (more.status, more.json["error"]["type"]) == (403, "permission_error")


async def test_gates_and_refusals_hold_on_every_door(shop: Shop, vendor: FakeProvider) -> None:
    _, bare = await shop.user("bare")
    _, poor = await shop.user("poor")
    for door, path in PATHS.items():
        gated = await shop.ask(path, BODIES[door], bearer=bare)
        assert gated.status == 403, gated.body
        broke = await shop.ask(path, BODIES[door], bearer=poor)
        assert broke.status == {"openai": 429, "anthropic": 402, "gemini": 403}[door], broke.body
    broke = await shop.ask(PATHS["openai"], OPENAI, bearer=poor)
    assert (broke.json["error"]["type"], broke.headers["x-should-retry"]) == ("insufficient_quota", "false")
    assert vendor.seen == []


async def test_limits_are_told_in_the_vendors_headers(shop: Shop) -> None:
    _, bearer = await shop.user("hasty")
    first = await shop.ask(PATHS["openai"], OPENAI, bearer=bearer)
    assert (first.headers["x-ratelimit-limit-requests"], first.headers["x-ratelimit-remaining-requests"]) == ("3", "2")
    assert re.fullmatch(r"5\ds|1m[01]s", first.headers["x-ratelimit-reset-requests"])
    second = await shop.ask(PATHS["anthropic"], ANTHROPIC, bearer=bearer)
    assert second.headers["anthropic-ratelimit-requests-remaining"] == "1"
    assert second.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert second.headers["request-id"] == second.headers["x-request-id"]
    await shop.ask(PATHS["gemini"], GEMINI, bearer=bearer)
    refused = await shop.ask(PATHS["openai"], OPENAI, bearer=bearer)
    assert refused.status == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    assert "x-should-retry" not in refused.headers


async def test_a_vendors_refusal_keeps_its_kind(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    kinds = {
        429: {
            "openai": (429, "rate_limit_error"),
            "anthropic": (429, "rate_limit_error"),
            "gemini": (429, "RESOURCE_EXHAUSTED"),
        },
        503: {
            "openai": (503, "overloaded_error"),
            "anthropic": (529, "overloaded_error"),
            "gemini": (503, "UNAVAILABLE"),
        },
        400: {
            "openai": (400, "invalid_request_error"),
            "anthropic": (400, "invalid_request_error"),
            "gemini": (400, "INVALID_ARGUMENT"),
        },
    }
    for status, doors in kinds.items():
        for door, expected in doors.items():
            vendor.script = Script(status=status)
            reply = await shop.ask(PATHS[door], BODIES[door], bearer=bearer)
            error = reply.json["error"]
            assert (reply.status, error["status" if door == "gemini" else "type"]) == expected, reply.body
    await eventually(lambda: shop.server.rows("SELECT count(*) AS n FROM hold") == [{"n": 0}])


async def test_an_error_midway_has_the_vendors_form_and_what_came_is_charged(shop: Shop) -> None:
    _, bearer = await shop.user()
    for door, body in (("openai", OPENAI), ("anthropic", ANTHROPIC)):
        said = {**body, "model": f"{door}/fake-error-midway", "stream": True}
        reply = await shop.ask(PATHS[door], said, bearer=bearer)
        last = events_of(reply.body)[-1]
        assert last["error"]["type"] == "overloaded_error"
        assert b"[DONE]" not in reply.body
        assert reply.body.count(b"scripted failure") == 1
        [row] = usage_rows(shop.server, reply.headers["x-request-id"])
        assert (row["outcome"], row["is_partial"]) == ("partial", 1)
    path = "/v1/models/google/fake-error-midway:streamGenerateContent?alt=sse"
    last = events_of((await shop.ask(path, GEMINI, bearer=bearer)).body)[-1]
    assert last["error"]["status"] == "UNAVAILABLE"


async def test_anthropics_two_versions_are_both_spoken(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    warm = {**ANTHROPIC, "temperature": 0.5}
    older = await shop.ask("/v1/messages", warm, bearer=bearer, anthropic_version="2023-06-01", anthropic_beta="b-1")
    assert older.status == 200
    assert (vendor.seen[-1].headers["anthropic-version"], vendor.seen[-1].headers["anthropic-beta"]) == (
        "2023-06-01",
        "b-1",
    )
    newer = await shop.ask("/v1/messages", warm, bearer=bearer, anthropic_version="2026-10-21")
    assert newer.status == 400
    assert "temperature" in newer.json["error"]["message"]
    fine = await shop.ask("/v1/messages", ANTHROPIC, bearer=bearer, anthropic_version="2026-10-21")
    assert fine.status == 200
    assert vendor.seen[-1].headers["anthropic-version"] == "2026-10-21"
    unknown = await shop.ask("/v1/messages", ANTHROPIC, bearer=bearer, anthropic_version="1999-01-01")
    assert unknown.status == 400


async def test_a_doors_methods_are_not_to_be_found_over_json_rpc(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    for name in ("vendorChat", "vendorModels"):
        body = {"jsonrpc": "2.0", "id": 1, "method": name, "params": {"dialect": "openai", "body": OPENAI}}
        assert (await shop.ask("/rpc", body, bearer=bearer)).json["error"]["code"] == -32601
    assert vendor.seen == []


async def test_a_repeated_key_gives_the_first_answer(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    first = await shop.ask(PATHS["openai"], OPENAI, bearer=bearer, idempotency_key="k1")
    again = await shop.ask(PATHS["openai"], OPENAI, bearer=bearer, idempotency_key="k1")
    assert (first.status, again.status, again.body) == (200, 200, first.body)
    assert len(vendor.seen) == 1
    other = await shop.ask(PATHS["openai"], {**OPENAI, "max_tokens": 5}, bearer=bearer, idempotency_key="k1")
    assert (other.status, other.headers["x-should-retry"] if other.status == 409 else "false") == (422, "false")


async def test_the_figures_of_a_call_stand_in_its_headers(shop: Shop) -> None:
    _, bearer = await shop.user()
    reply = await shop.ask(PATHS["openai"], OPENAI, bearer=bearer)
    assert reply.headers["x-tollgate-cost"] == "0.000025"
    assert (reply.headers["x-tollgate-provider"], reply.headers["x-tollgate-model"]) == ("openai", "fake")
    assert int(reply.headers["x-tollgate-quota-remaining"]) == 10**15 - 18


async def test_gemini_streams_an_array_to_who_asks_for_no_events(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    for provider in ("google", "openai"):
        path = f"/v1beta/models/{provider}/fake:streamGenerateContent"
        events = events_of((await shop.ask(f"{path}?alt=sse", GEMINI, bearer=bearer)).body)
        for query in ("", "?alt=json", "?prettyPrint=false"):
            array = await shop.ask(path + query, GEMINI, bearer=bearer)
            assert (array.status, array.headers["content-type"]) == (200, "application/json")
            assert [_without_id(item) for item in array.json] == [_without_id(item) for item in events]
    [row] = usage_rows(shop.server, array.headers["x-request-id"])
    assert (row["tokens_input"], row["tokens_output"], row["outcome"], row["is_stream"]) == (11, 7, "done", 1)
    vendor.script = Script(error_after=4)
    broken = await shop.ask(f"{GEMINI_STREAM}?alt=json", GEMINI, bearer=bearer)
    *said, error = broken.json
    assert (len(said), error["error"]["status"]) == (4, "UNAVAILABLE")
    vendor.script = Script(status=503)
    refused = await shop.ask(GEMINI_STREAM, GEMINI, bearer=bearer)
    assert (refused.status, refused.json[0]["error"]["status"]) == (503, "UNAVAILABLE")
    assert (await shop.ask(f"{GEMINI_STREAM}?alt=proto", GEMINI, bearer=bearer)).status == 400


def _without_id(chunk: dict[str, Any]) -> dict[str, Any]:
    """What an answer of another vendor is called here is new each time."""
    return {name: value for name, value in chunk.items() if name != "responseId"}
