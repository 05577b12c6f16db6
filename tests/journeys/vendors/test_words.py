"""What a vendor's client is told when it is refused: its own members, and what it can do on its own door."""

import re
from typing import Any

import pytest

from methods.all_methods import METHODS, OF_DOORS
from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.journeys.vendors.conftest import ANTHROPIC, GEMINI, OPENAI, PATHS, Shop

BODIES: dict[str, Any] = {"openai": OPENAI, "anthropic": ANTHROPIC, "gemini": GEMINI}
NAMES = {name for method in (*METHODS, *OF_DOORS) for name in (method.name, *method.aliases)}
RPC = re.compile(r"\b(" + "|".join(map(re.escape, sorted(NAMES, key=len, reverse=True))) + r"|maxTokens|apiKey)\b")
NONE_SUCH: dict[str, tuple[str, Any]] = {
    "openai": ("/v1/chat/completions", {**OPENAI, "model": "openai/none-such"}),
    "anthropic": ("/v1/messages", {**ANTHROPIC, "model": "anthropic/none-such"}),
    "gemini": ("/v1beta/models/google/none-such:generateContent", GEMINI),
}


async def test_no_refusal_speaks_of_methods_that_the_door_does_not_have(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    _, bare = await shop.user("bare")
    _, short = await shop.user("short")
    key_asked = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "createApiKey",
        "params": {"name": "n", "scopes": ["account:read"]},
    }
    key = (await shop.ask("/rpc", key_asked, bearer=bearer)).json["result"]["apiKey"]
    for door, path in PATHS.items():
        long = {**BODIES[door], "max_tokens": 30, "generationConfig": {"maxOutputTokens": 30}}
        refusals = {
            "no credential": await shop.ask(path, BODIES[door]),
            "list": await shop.ask("/v1/models", x_goog_api_client="x"),
            "scope": await shop.ask(path, BODIES[door], bearer=key),
            "feature": await shop.ask(path, BODIES[door], bearer=bare),
            "bound": await shop.ask(path, long, bearer=short),
            "model": await shop.ask(*NONE_SUCH[door], bearer=bearer),
        }
        for what, refusal in refusals.items():
            message = refusal.json["error"]["message"]
            assert 400 <= refusal.status < 500, (what, message)
            assert RPC.search(message) is None, (what, message)
        assert "GET /v1/models" in refusals["model"].json["error"]["message"]
        assert "this request needs a credential" in refusals["no credential"].json["error"]["message"]
    assert vendor.seen == []


async def test_a_refused_member_of_a_crossed_request_has_the_clients_own_name(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    warm = {**GEMINI, "generationConfig": {"temperature": 1.5}}
    alone = {
        "model": "google/fake",
        "tools": [{"name": "f", "input_schema": {}}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    }
    cases: list[tuple[str, Any, str]] = [
        ("/v1/models/anthropic/fake:generateContent", warm, "generationConfig.temperature"),
        ("/v1/models/anthropic/fake:streamGenerateContent?alt=sse", warm, "generationConfig.temperature"),
        ("/v1/messages", {**ANTHROPIC, **alone}, "tool_choice.disable_parallel_tool_use"),
        ("/v1/messages/count_tokens", {**ANTHROPIC, **alone}, "tool_choice.disable_parallel_tool_use"),
        (PATHS["gemini"], {**GEMINI, "generationConfig": {"maxOutputTokens": 0}}, "generationConfig.maxOutputTokens"),
        ("/v1/chat/completions", {**OPENAI, "max_tokens": 0}, "max_tokens"),
        ("/v1/responses", {"model": "fake", "input": "Hi", "max_output_tokens": 0}, "max_output_tokens"),
    ]
    for path, body, field in cases:
        reply = await shop.ask(path, body, bearer=bearer)
        assert reply.status == 400, reply.body
        assert f"{field}: " in reply.json["error"]["message"]
    assert vendor.seen == []


@pytest.mark.parametrize("door", PATHS)
async def test_a_token_beside_the_clients_own_vendor_key_says_who_calls(
    shop: Shop, vendor: FakeProvider, door: str
) -> None:
    _, bare = await shop.user("bare")
    own = {"openai": "authorization", "anthropic": "x_api_key", "gemini": "x_goog_api_key"}[door]
    shown = {own: "Bearer sk-of-the-client" if door == "openai" else "sk-of-the-client"}
    gated = await shop.ask(PATHS[door], BODIES[door], bearer=None, raw=None, x_om_api_key=bare, **shown)
    assert gated.status == 403, gated.body  # this user's tier opens nothing: the token was read
    user, bearer = await shop.user()
    reply = await shop.ask(PATHS[door], BODIES[door], bearer=None, raw=None, x_tollgate_key=bearer, **shown)
    assert reply.status == 200, reply.body
    assert vendor.seen[-1].headers[own.replace("_", "-")] == shown[own]
    [row] = await shop.place.rows(user)
    assert (row.user_id, row.caller_kind, row.charge_amount) == (user, "byok", 0)
    forged = bearer[:-6] + "forged"
    refused = await shop.ask(PATHS[door], BODIES[door], bearer=None, raw=None, x_tollgate_key=forged, **shown)
    assert refused.status == 401, refused.body


async def test_all_lines_of_a_header_that_is_a_list_go_on_and_two_credentials_are_nobodys(
    shop: Shop, vendor: FakeProvider
) -> None:
    _, bearer = await shop.user()
    _, other = await shop.user()
    url = f"{shop.server.url}{PATHS['anthropic']}"
    lines = [("Authorization", f"Bearer {bearer}"), ("anthropic-beta", "one-1,two-2"), ("anthropic-beta", "three-3")]
    async with shop.http.post(url, json=ANTHROPIC, headers=lines) as reply:
        assert reply.status == 200, await reply.text()
    assert vendor.seen[-1].headers["anthropic-beta"] == "one-1,two-2, three-3"
    async with shop.http.post(url, json=ANTHROPIC, headers=[*lines, ("anthropic-beta", "three-3")]) as reply:
        assert reply.status == 200, await reply.text()
    assert vendor.seen[-1].headers["anthropic-beta"] == "one-1,two-2, three-3"
    async with shop.http.post(url, json=ANTHROPIC, headers=[*lines, ("Authorization", f"Bearer {other}")]) as reply:
        assert reply.status == 401, await reply.text()


OPENAI_REFUSES = (
    b'{"error":{"message":"no","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}'
)


@pytest.mark.parametrize(
    ("model", "status", "body", "code", "param"),
    [
        ("openai/fake", 400, OPENAI_REFUSES, "context_length_exceeded", "messages"),
        (
            "openai/fake",
            404,
            OPENAI_REFUSES.replace(b"context_length_exceeded", b"model_not_found"),
            "model_not_found",
            "messages",
        ),
        (
            "openai/fake",
            400,
            OPENAI_REFUSES.replace(b'"context_length_exceeded"', b"400"),
            "provider_rejected",
            "messages",
        ),
        (
            "openai/fake",
            400,
            OPENAI_REFUSES.replace(b"context_length", b"Do what I say"),
            "provider_rejected",
            "messages",
        ),
        (
            "anthropic/fake",
            400,
            b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 2 tokens > 1 maximum"}}',
            "context_length_exceeded",
            None,
        ),
        (
            "google/fake",
            400,
            b'{"error":{"code":400,"message":"The input token count (2) exceeds the maximum","status":"INVALID_ARGUMENT"}}',
            "context_length_exceeded",
            None,
        ),
        ("anthropic/fake", 400, b'{"error":{"message":"your prompt is too long"}}', "provider_rejected", None),
    ],
)
async def test_the_vendors_own_word_for_a_mistake_reaches_who_acts_on_it(
    shop: Shop, vendor: FakeProvider, model: str, status: int, body: bytes, code: str, param: str | None
) -> None:
    _, bearer = await shop.user()
    vendor.script = Script(status=status, body=body)
    for path, more in (
        ("/v1/chat/completions", {}),
        ("/v1/chat/completions", {"stream": True}),
        ("/v1/responses", None),
    ):
        asked = {**OPENAI, "model": model, **more} if more is not None else {"model": model, "input": "Hi"}
        refused = await shop.ask(path, asked, bearer=bearer)
        assert refused.status == status, refused.body
        said = refused.json["error"]
        assert (said["code"], said["param"], said["type"] != "") == (code, param, True)


async def test_a_word_in_the_middle_of_a_stream_reaches_its_reader_too(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    begun = b'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"A"}}]}\n\n'
    vendor.script = Script(body=begun + b"data: " + OPENAI_REFUSES + b"\n\n")
    answer = await shop.ask("/v1/chat/completions", {**OPENAI, "stream": True}, bearer=bearer)
    assert (begun in answer.body, b'"code":"context_length_exceeded"' in answer.body) == (True, True)
