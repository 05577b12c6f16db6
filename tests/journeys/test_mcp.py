"""Agents over real sockets, of both eras of the protocol: what they are offered, what they pay, and who is turned away."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import ECKey
from mcp.shared.exceptions import MCPError

from methods.all_methods import METHODS
from tests.fakes.postgres import Server as Postgres
from tests.fakes.postgres import postgres
from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.server import ROOT, Server, refused, serving, token
from tests.journeys.mcp_world import ERAS, Era, Raw, agent, events_of
from tests.journeys.world import Client, eventually, settings_for, until, usage_rows

__all__ = ["postgres"]  # a fixture

ASK = {"content": "Hi", "options": {"provider": "openai", "model": "fake"}}
KEYS = {"secret": "a-secret-for-gateway-keys-0123456789-abcdef"}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "executeAIRequest": ASK,
    "calculateCost": {"provider": "openai", "model": "fake", "inputTokens": 1000, "outputTokens": 10},
    "checkRequestEligibility": {"estimatedTokens": 10},
    "checkEntitlement": {"featureId": "basic_ai"},
}
BILLED = ("outcome", "tokens_input", "tokens_output", "cost_nano", "fee_nano", "charge_amount", "charge_asset")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def agents(
    shared_fake: FakeProvider, private_key: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    folder = tmp_path_factory.mktemp("agents")
    prompts = folder / "prompts"
    prompts.mkdir()
    shared = '+++\ndescription = "Reviews code"\nshared = true\n[variables]\nlanguage = "Python"\n+++\n'
    (prompts / "review.md").write_text(f"{shared}Review this {{{{ language }}}} for {{{{ team }}}}.")
    (prompts / "secret.md").write_text("SECRET WORDS")
    settings = {**settings_for(shared_fake, private_key), "prompts": {"directory": str(prompts)}, "keys": KEYS}
    settings["mcp"] = {"enabled": True, "scopes": ["ai"], "allowed_hosts": ["agents.example.com"]}
    settings["server"] |= {"cors_origins": ["https://app.example.com"]}
    with serving(settings, folder) as running:
        yield running


@pytest.fixture(scope="module")
def annas(agents: Server) -> str:
    return token(agents, "anna", "tester")


@pytest.fixture
def anna(agents: Server, http: aiohttp.ClientSession, annas: str, fake: FakeProvider) -> Client:
    return Client(agents, http, annas)


# What is offered -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
async def test_every_marked_method_is_a_tool_whose_result_fits_its_schema(anna: Client, era: Era) -> None:
    async with agent(anna.server, anna.token, era) as sdk:
        tools = (await sdk.list_tools()).tools
        assert [tool.name for tool in tools] == [method.name for method in METHODS if method.tool is not None]
        for tool in tools:
            # The SDK's client holds each result against the tool's schema and raises where it does not fit.
            result = await sdk.call_tool(tool.name, ARGUMENTS.get(tool.name, {}))
            assert not result.is_error, (tool.name, result.content)
            assert isinstance(result.structured_content, dict)


async def test_what_changes_something_or_reaches_out_says_so(anna: Client) -> None:
    async with agent(anna.server, anna.token) as sdk:
        hints = {tool.name: tool.annotations for tool in (await sdk.list_tools()).tools}
    open_ones = {name for name, hint in hints.items() if hint is not None and hint.open_world_hint}
    writing = {name for name, hint in hints.items() if hint is not None and not hint.read_only_hint}
    assert open_ones == writing == {"executeAIRequest"}


async def test_agents_are_offered_no_parameter_that_holds_a_credential(anna: Client) -> None:
    async with agent(anna.server, anna.token) as sdk:
        (ask,) = [tool for tool in (await sdk.list_tools()).tools if tool.name == "executeAIRequest"]
    assert "apiKey" not in str(ask.input_schema)
    assert "stream" not in ask.input_schema["$defs"]["Options"]["properties"]


@pytest.mark.parametrize("era", ERAS)
async def test_who_may_not_call_a_tool_is_not_offered_it_and_is_told_why(anna: Client, era: Era) -> None:
    viewer = token(anna.server, "vera", "tester", role="viewer")
    async with agent(anna.server, viewer, era) as sdk:
        assert "executeAIRequest" not in {tool.name for tool in (await sdk.list_tools()).tools}
        assert (await sdk.list_prompts()).prompts == []
        result = await sdk.call_tool("executeAIRequest", ASK)
    assert result.is_error
    assert result.meta is not None
    assert result.meta["tollgate/error"]["data"]["reason"] == "scope_required"


@pytest.mark.parametrize("era", ERAS)
async def test_shared_prompts_are_offered_and_others_are_never_told_of(anna: Client, era: Era) -> None:
    async with agent(anna.server, anna.token, era) as sdk:
        [prompt] = (await sdk.list_prompts()).prompts
        assert (prompt.name, prompt.description) == ("review", "Reviews code")
        assert [(each.name, each.required) for each in prompt.arguments or ()] == [("language", False), ("team", True)]
        [said] = (await sdk.get_prompt("review", {"team": "Core"})).messages
        assert said.content.text == "Review this Python for Core."  # type: ignore[union-attr]  # it is text
        for name in ("secret", "missing"):
            with pytest.raises(MCPError) as refusal:
                await sdk.get_prompt(name, {})
            assert refusal.value.code == -32602
            assert "SECRET" not in str(refusal.value.error)
        with pytest.raises(MCPError) as refusal:
            await sdk.get_prompt("review", {})
        assert refusal.value.code == -32602
        assert "team" in str(refusal.value.error)


@pytest.mark.parametrize("era", ERAS)
async def test_usage_and_balances_can_be_read_as_resources(anna: Client, era: Era) -> None:
    async with agent(anna.server, anna.token, era) as sdk:
        found = [resource.uri for resource in (await sdk.list_resources()).resources]
        assert {"tollgate://usage", "tollgate://balance/tokens", "tollgate://balance/credits"} <= set(found)
        for uri in found:
            [contents] = (await sdk.read_resource(uri)).contents
            assert contents.mime_type == "application/json"
        [usage] = (await sdk.read_resource("tollgate://usage")).contents
        month = await anna.result("getUsageStats", {"period": "current_month"})
        told = json.loads(usage.text)  # type: ignore[union-attr]  # it is text
        assert told["period"].keys() == month["period"].keys()
        for one in (told, month):  # each ends when it was asked, so a second may lie between them
            del one["period"]["end"], one["period"]["days"]
        assert told == month
        with pytest.raises(MCPError) as refusal:
            await sdk.read_resource("tollgate://nothing")
    assert refusal.value.code == (-32602 if era == "modern" else -32002)


async def test_the_client_that_the_readme_shows_gets_its_answer(anna: Client, tmp_path: Path) -> None:
    _, _, section = (ROOT / "README.md").read_text().partition("\n## Agents (MCP)\n")
    program = tmp_path / "agent.py"
    program.write_text(section.partition("```python\n")[2].partition("```\n")[0])
    shown = {**os.environ, "TOLLGATE_URL": anna.server.url, "TOLLGATE_TOKEN": anna.token, "NO_PROXY": "127.0.0.1"}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, str(program)],
        env=shown,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "ready when you are" in done.stdout


# What it costs ---------------------------------------------------------------------------------------------------------


def row_of(server: Server, request_id: str) -> dict[str, Any]:
    [row] = usage_rows(server, request_id)
    return row


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
async def test_a_tool_call_is_charged_as_the_same_call_over_json_rpc(anna: Client, era: Era, provider: str) -> None:
    asked = {"content": "Hi", "options": {"provider": provider, "model": "fake"}}
    beside = await anna.result("executeAIRequest", asked)
    async with agent(anna.server, anna.token, era) as sdk:
        result = await sdk.call_tool("executeAIRequest", asked)
    assert result.structured_content is not None
    usage = ("totalTokens", "cost", "platformFee")
    assert [result.structured_content["usage"][name] for name in usage] == [beside["usage"][name] for name in usage]
    ours = row_of(anna.server, result.structured_content["requestId"])
    theirs = row_of(anna.server, beside["requestId"])
    assert (ours["door"], theirs["door"]) == ("mcp", "rpc")
    assert [ours[name] for name in BILLED] == [theirs[name] for name in BILLED]
    assert ours["cost_nano"] > 0


async def test_a_call_with_the_same_idempotency_key_is_answered_again_and_charged_once(
    anna: Client, http: aiohttp.ClientSession, fake: FakeProvider
) -> None:
    raw = Raw(anna.server, http, anna.token)
    replies = []
    for where in ({"_meta": {"idempotencyKey": "agent-1"}}, {"_meta": {"idempotencyKey": "agent-1"}}):
        async with raw.post("tools/call", {"name": "executeAIRequest", "arguments": ASK, **where}) as reply:
            replies.append((await reply.json())["result"]["structuredContent"])
    async with raw.post(
        "tools/call", {"name": "executeAIRequest", "arguments": ASK}, idempotency_key="agent-1"
    ) as reply:
        replies.append((await reply.json())["result"]["structuredContent"])
    assert replies[0] == replies[1] == replies[2]
    assert len(fake.seen) == 1


@pytest.mark.parametrize("era", ERAS)
async def test_progress_is_the_text_as_it_arrives(anna: Client, era: Era) -> None:
    steps: list[tuple[float, str | None]] = []

    async def noted(progress: float, total: float | None, message: str | None) -> None:
        assert total is None
        steps.append((progress, message))

    async with agent(anna.server, anna.token, era) as sdk:
        result = await sdk.call_tool("executeAIRequest", ASK, progress_callback=noted)
    assert result.structured_content is not None
    numbers = [number for number, _ in steps]
    assert numbers == sorted(set(numbers))
    began, *texts = [words for _, words in steps]
    assert began == "openai/fake answers"
    assert "".join(words or "" for words in texts) == result.structured_content["content"]
    assert row_of(anna.server, result.structured_content["requestId"])["is_stream"] == 1


@pytest.mark.parametrize("era", ERAS)
async def test_a_refusal_is_a_result_that_a_model_can_read(anna: Client, era: Era) -> None:
    modest = token(anna.server, f"modest-{era}", "modest")
    async with agent(anna.server, modest, era) as sdk:
        for _ in range(3):
            assert not (await sdk.call_tool("executeAIRequest", ASK)).is_error
        result = await sdk.call_tool("executeAIRequest", ASK)
        wrong = await sdk.call_tool("executeAIRequest", {"contents": "Hi"})
        with pytest.raises(MCPError) as refusal:
            await sdk.call_tool("grantTokens", {})
    assert result.is_error
    assert result.meta is not None
    error = result.meta["tollgate/error"]
    assert (error["code"], error["data"]["requestId"]) == (-32001, error["data"]["requestId"])
    assert error["data"]["reason"] in str(result.content)
    assert wrong.is_error, "a model can mend its arguments"
    assert "contents" in str(wrong.content)
    assert refusal.value.code == -32602, "a method that is no tool is not there"


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
async def test_a_provider_that_breaks_off_midway_is_told_with_what_it_cost(
    anna: Client, fake: FakeProvider, era: Era, provider: str
) -> None:
    fake.script = Script(error_after=5, message="overloaded")
    asked = {"content": "Hi", "options": {"provider": provider, "model": "fake"}}
    async with agent(anna.server, anna.token, era) as sdk:
        result = await sdk.call_tool("executeAIRequest", asked, progress_callback=ignored)
    assert result.is_error
    assert result.meta is not None
    error = result.meta["tollgate/error"]
    assert (error["code"], error["data"]["partial"]) == (-32006, True)
    row = row_of(anna.server, error["data"]["requestId"])
    assert (row["outcome"], row["is_partial"]) == ("partial", 1)
    assert error["data"]["usage"]["outputTokens"] == row["tokens_output"] > 0
    assert error["data"]["usage"]["cost"] == row["cost_nano"] / 10**9 > 0


async def ignored(progress: float, total: float | None, message: str | None) -> None:
    """For whoever only wants the stream."""


@pytest.mark.parametrize("era", ERAS)
async def test_a_provider_that_fails_before_its_first_word_costs_nothing(
    anna: Client, fake: FakeProvider, era: Era
) -> None:
    fake.script = Script(status=500)
    async with agent(anna.server, anna.token, era) as sdk:
        result = await sdk.call_tool("executeAIRequest", ASK, progress_callback=ignored)
    assert result.is_error
    assert result.meta is not None
    data = result.meta["tollgate/error"]["data"]
    assert "partial" not in data
    assert not [row for row in usage_rows(anna.server, data["requestId"]) if row["cost_nano"]]


# Leaving and taking back -----------------------------------------------------------------------------------------------


async def partial_row(client: Client, request_id: str) -> dict[str, Any]:
    """The usage row, once the call has settled."""

    async def is_there() -> bool:
        return bool(usage_rows(client.server, request_id))

    await until(is_there)
    return row_of(client.server, request_id)


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_leaves_midway_pays_for_what_was_delivered(
    anna: Client, http: aiohttp.ClientSession, fake: FakeProvider, era: Era
) -> None:
    fake.script = Script(is_endless=True, gap=0.002)
    asked = {"name": "executeAIRequest", "arguments": ASK, "_meta": {"progressToken": "p"}}
    async with Raw(anna.server, http, anna.token, era).post("tools/call", asked, x_request_id=f"left-{era}") as reply:
        async for event in events_of(reply):
            if event["method"] == "notifications/progress" and event["params"]["progress"] > 2:
                break
        reply.close()

    async def is_settled() -> bool:
        return bool(usage_rows(anna.server, f"left-{era}"))

    await until(is_settled)
    row = row_of(anna.server, f"left-{era}")
    assert (row["outcome"], row["is_partial"], row["door"]) == ("partial", 1, "mcp")
    assert row["tokens_output"] > 0
    assert row["cost_nano"] > 0


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_leaves_before_the_first_word_pays_nothing_and_leaves_nothing_held(
    anna: Client, http: aiohttp.ClientSession, fake: FakeProvider, era: Era
) -> None:
    fake.script = Script(never_answers=True)
    options = {"provider": "patient", "model": "fake"}  # whose own time would end the call much later
    asked = {"name": "executeAIRequest", "arguments": {**ASK, "options": options}}
    raw = Raw(anna.server, http, anna.token, era)

    async def ask() -> None:
        async with raw.post("tools/call", asked, x_request_id=f"gone-{era}"):
            raise AssertionError("nobody answers")

    task = asyncio.create_task(ask())
    await eventually(lambda: fake.seen)
    assert anna.server.rows("SELECT * FROM hold")
    task.cancel()

    async def is_released() -> bool:
        return not anna.server.rows("SELECT * FROM hold")

    await until(is_released)
    assert not [row for row in usage_rows(anna.server, f"gone-{era}") if row["cost_nano"]]


async def test_a_call_that_its_client_takes_back_ends_and_is_settled(
    anna: Client, http: aiohttp.ClientSession, fake: FakeProvider
) -> None:
    fake.script = Script(is_endless=True, gap=0.002)
    raw = Raw(anna.server, http, anna.token, "legacy")
    stranger = Raw(anna.server, http, token(anna.server, "mallory", "tester"), "legacy")
    asked = {"name": "executeAIRequest", "arguments": ASK, "_meta": {"progressToken": 7}}
    async with raw.post("tools/call", asked, message_id=41, x_request_id="taken-back") as reply:
        events = events_of(reply)
        assert (await anext(events))["method"] == "notifications/progress"
        assert await stranger.notify("notifications/cancelled", {"requestId": 41}) == 202
        assert (await anext(events))["method"] == "notifications/progress", "a stranger takes nothing back"
        assert await raw.notify("notifications/cancelled", {"requestId": 41}) == 202
        async with asyncio.timeout(30):
            final = [event async for event in events][-1]
    assert (final["id"], final["error"]["code"]) == (41, -32800)
    row = row_of(anna.server, "taken-back")
    assert (row["outcome"], row["is_partial"]) == ("partial", 1)
    assert final["error"]["data"]["usage"]["outputTokens"] == row["tokens_output"] > 0


# Who is turned away ----------------------------------------------------------------------------------------------------


def signed(private_key: str, **claims: object) -> str:
    now = int(time.time())
    said = {"iss": "https://issuer.example", "sub": "otto", "subscriptionTier": "tester", "iat": now, "exp": now + 60}
    key = ECKey.import_key(private_key)
    return jwt.encode({"alg": "ES256"}, {**said, **claims}, key, algorithms=["ES256"])


@pytest.mark.parametrize("era", ERAS)
async def test_without_a_credential_the_answer_points_to_where_one_is_had(
    agents: Server, http: aiohttp.ClientSession, era: Era
) -> None:
    async with Raw(agents, http, "", era).post("tools/list", {}) as reply:
        assert reply.status == 401
        challenge = reply.headers["www-authenticate"]
    address = f"{agents.url}/.well-known/oauth-protected-resource/mcp"
    assert challenge == f'Bearer realm="tollgate", resource_metadata="{address}", scope="ai"'
    for url in (address, address.removesuffix("/mcp")):
        async with http.get(url) as reply:
            assert reply.status == 200
            told = await reply.json()
        assert told["resource"] == f"{agents.url}/mcp"
        assert told["authorization_servers"] == ["https://issuer.example"]
        assert told["bearer_methods_supported"] == ["header"]


async def test_tokens_for_another_audience_are_refused_and_those_for_this_address_are_taken(
    agents: Server, http: aiohttp.ClientSession, private_key: str
) -> None:
    for audience, status in (
        ("https://other.example/mcp", 401),
        (["other", "another"], 401),
        (f"{agents.url}/mcp/", 401),
        (f"{agents.url}/mcp", 200),
        (["other", f"{agents.url}/mcp"], 200),
        ("tollgate", 200),
    ):
        raw = Raw(agents, http, signed(private_key, aud=audience))
        async with raw.post("tools/list", {}) as reply:
            assert reply.status == status, (audience, await reply.text())
            if status == 401:
                assert 'error="invalid_token"' in reply.headers["www-authenticate"]
                assert (await reply.json())["error"]["data"]["reason"] == "wrong_audience"


async def test_a_key_of_the_gateway_opens_the_door_until_it_is_revoked(
    anna: Client, http: aiohttp.ClientSession
) -> None:
    issued = await anna.result("createApiKey", {"name": "agent"})
    async with agent(anna.server, issued["apiKey"]) as sdk:
        result = await sdk.call_tool("executeAIRequest", ASK)
    assert result.structured_content is not None
    assert row_of(anna.server, result.structured_content["requestId"])["key_id"] == issued["keyId"]
    await anna.result("revokeApiKey", {"keyId": issued["keyId"]})
    raw = Raw(anna.server, http, issued["apiKey"])

    async def is_refused() -> bool:
        async with raw.post("tools/list", {}) as reply:
            return reply.status == 401

    await until(is_refused)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("origin", "https://evil.example.com", 403),
        ("origin", "null", 403),
        ("origin", "http://127.0.0.1.evil.example.com", 403),
        ("origin", "https://app.example.com", 200),
        ("origin", "http://localhost:6274", 200),
        ("host", "evil.example.com", 421),
        ("host", "localhost.evil.example.com:80", 421),
        ("host", "agents.example.com:8443", 200),
        ("host", "LOCALHOST", 200),
    ],
)
@pytest.mark.parametrize("shows", ["a token", "nothing"])
async def test_foreign_pages_and_names_are_refused_before_anything_else(
    agents: Server, http: aiohttp.ClientSession, annas: str, name: str, value: str, status: int, shows: str
) -> None:
    shown = annas if shows == "a token" else ""
    async with Raw(agents, http, shown).post("tools/list", {}, **{name: value}) as reply:
        assert reply.status == (status if shown or status != 200 else 401)


async def test_a_page_that_may_call_may_send_what_the_protocol_asks_for(
    agents: Server, http: aiohttp.ClientSession
) -> None:
    asked = "authorization, content-type, mcp-method, mcp-name, mcp-protocol-version"
    head = {
        "origin": "https://app.example.com",
        "access-control-request-method": "POST",
        "access-control-request-headers": asked,
    }
    async with http.options(f"{agents.url}/mcp", headers=head) as reply:
        assert reply.status == 200, await reply.text()
    async with Raw(agents, http).post("tools/list", {}, origin="https://app.example.com") as reply:
        assert reply.status == 401
        assert "WWW-Authenticate" in reply.headers["access-control-expose-headers"]


@pytest.mark.parametrize("verb", ["GET", "DELETE", "PUT"])
async def test_there_is_nothing_to_listen_to_and_no_session_to_end(
    agents: Server, http: aiohttp.ClientSession, annas: str, verb: str
) -> None:
    head = {"authorization": f"Bearer {annas}", "accept": "text/event-stream"}
    async with http.request(verb, f"{agents.url}/mcp", headers=head) as reply:
        assert (reply.status, reply.headers["allow"]) == (405, "POST, OPTIONS")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"NaN",
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":"\\ud800"}}',
        b'{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/list"}',
        b"[" * 500 + b"]" * 500,
    ],
)
async def test_what_is_no_message_is_refused_and_harms_nothing(
    agents: Server, http: aiohttp.ClientSession, annas: str, body: bytes
) -> None:
    head = {
        "authorization": f"Bearer {annas}",
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
    }
    async with http.post(f"{agents.url}/mcp", data=body, headers=head) as reply:
        assert reply.status == 400
        assert (await reply.json())["error"]["code"] in (-32700, -32600)
    assert not [line for line in agents.lines() if line.get("level") == "error"]


@pytest.mark.parametrize("name", ["{}", "[]", "null", "1", '{"a":[]}'])
async def test_a_tool_whose_name_is_no_text_is_refused_and_harms_nothing(
    agents: Server, http: aiohttp.ClientSession, annas: str, name: str
) -> None:
    head = {
        "authorization": f"Bearer {annas}",
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-protocol-version": "2025-06-18",
    }
    body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":' + name + "}}"
    async with http.post(f"{agents.url}/mcp", data=body, headers=head) as reply:
        assert reply.status < 500
        assert b"-32602" in await reply.read()
    assert not [line for line in agents.lines() if line.get("level") == "error"]


async def test_a_body_above_the_limit_is_refused(agents: Server, http: aiohttp.ClientSession, annas: str) -> None:
    head = {"authorization": f"Bearer {annas}", "content-type": "application/json"}
    async with http.post(f"{agents.url}/mcp", data=BytesIO(b" " * 4_300_000), headers=head) as reply:
        assert reply.status == 413


# One server of many processes, and none --------------------------------------------------------------------------------


async def test_a_server_without_the_door_has_nothing_there(server: Server, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{server.url}/mcp", json={}) as reply:
        assert reply.status == 404


async def test_a_door_that_nobody_could_pass_is_refused_at_the_start(tmp_path: Path) -> None:
    code, said = await asyncio.to_thread(refused, {"mcp": {"enabled": True}}, tmp_path)
    assert code != 0
    assert "mcp.enabled" in said


async def test_a_door_whose_package_is_missing_stops_the_start_and_says_what_to_install(
    fake: FakeProvider, private_key: str, tmp_path: Path
) -> None:
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "mcp.py").write_text("raise ImportError('it is not installed')\n")
    settings = {**settings_for(fake, private_key), "mcp": {"enabled": True}}
    settings["storage"] = {"url": f"sqlite:///{tmp_path / 'new.db'}"}
    environment = {"PYTHONPATH": str(tmp_path / "without")}
    code, said = await asyncio.to_thread(refused, settings, tmp_path, environment=environment)
    assert code != 0
    assert "pip install -e '.[mcp]'" in said
    assert "Traceback" not in said


async def test_any_worker_serves_any_message(
    postgres: Postgres, fake: FakeProvider, private_key: str, tmp_path: Path
) -> None:
    settings = {**settings_for(fake, private_key), "mcp": {"enabled": True}}
    settings["storage"] = {"url": await asyncio.to_thread(postgres.fresh)}
    settings["server"] |= {"workers": 2, "public_url": ""}
    with serving(settings, tmp_path) as running:
        shown = token(running, "anna", "tester")
        for era in ERAS:
            # A connection of its own for each message, so that both workers get some.
            async with agent(running, shown, era, connection="close") as sdk:
                results = await asyncio.gather(*(sdk.call_tool("executeAIRequest", ASK) for _ in range(20)))
            assert not any(result.is_error for result in results)
            assert len({result.structured_content["requestId"] for result in results}) == 20


async def test_calls_of_agents_finish_when_the_server_is_told_to_leave(
    fake: FakeProvider, http: aiohttp.ClientSession, private_key: str, tmp_path: Path
) -> None:
    fake.script = Script(gap=0.2)
    settings = {**settings_for(fake, private_key), "mcp": {"enabled": True}}
    with serving(settings, tmp_path) as running:
        shown = token(running, "anna", "tester")

        async def finished(era: Era, **meta: Any) -> dict[str, Any]:
            asked = {"name": "executeAIRequest", "arguments": ASK, **meta}
            async with Raw(running, http, shown, era).post("tools/call", asked) as reply:
                return [event async for event in events_of(reply)][-1]

        streams = [asyncio.create_task(finished(era, _meta={"progressToken": 1})) for era in ERAS]
        await eventually(lambda: len(fake.seen) == 2)
        running.tell(signal.SIGTERM)
        for answer in await asyncio.gather(*streams):
            assert not answer["result"].get("isError"), answer
        assert await asyncio.to_thread(running.process.wait, 30) == 0
