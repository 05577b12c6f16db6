"""What surrounds JSON-RPC: statuses, headers, CORS, operations, the description of the methods."""

import json
from typing import Any

import aiohttp
import pytest

from tests.journeys.sockets import exchanged
from tests.journeys.world import Client, comes_to_rest

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 405),
        ("PUT", JSON, 405),
        ("DELETE", JSON, 405),
        ("POST", {"content-type": "text/plain"}, 415),
        ("POST", {"content-type": "application/json; charset=utf-16"}, 415),
        ("POST", {**JSON, "content-encoding": "gzip"}, 415),
        ("POST", {**JSON, "accept": "image/png"}, 406),
        ("POST", {**JSON, "accept": "application/json;q=0"}, 406),
        ("POST", JSON, 200),
    ],
)
async def test_statuses_around_the_rpc(client: Client, method: str, headers: dict[str, str], status: int) -> None:
    async with client.http.request(method, f"{client.server.url}/rpc", data=PING, headers=headers) as reply:
        assert reply.status == status
        body = json.loads(await reply.read())
        assert body["jsonrpc"] == "2.0"
        if status == 405:
            assert "POST" in reply.headers["allow"]
        for name in ("x-request-id", "x-content-type-options", "cache-control", "content-security-policy"):
            assert name in reply.headers


@pytest.mark.parametrize("path", ["/rpc", "/openapi.json", "/livez"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example//x", "a/b"])
async def test_a_path_with_a_slash_too_many_leads_nobody_to_another_server(
    client: Client, path: str, host: str
) -> None:
    head = f"GET {path}/?a=b%2F HTTP/1.1\r\nhost: {host}\r\n\r\n"
    status, lines, _ = await exchanged(client.server.port, head.encode())
    assert status == 307
    assert f"\r\nlocation: {path}?a=b%2f\r\n".encode() in lines.lower()


async def test_a_body_above_the_limit_is_refused_by_its_length_alone(client: Client) -> None:
    head = b"POST /rpc HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 5000000\r\n\r\n["
    status, _, body = await exchanged(client.server.port, head)
    assert status == 413
    assert json.loads(body)["error"]["data"]["reason"] == "body_too_large"


async def test_a_caller_may_name_its_exchange_but_only_with_a_plain_word(client: Client) -> None:
    for sent, is_taken in (("my-id.1", True), ("a" * 128, True), ("a" * 129, False), ("a b", False), ("\u00fc", False)):
        async with client.http.post(
            f"{client.server.url}/rpc", data=PING, headers={**JSON, "x-request-id": sent}
        ) as reply:
            assert (reply.headers["x-request-id"] == sent) is is_taken


async def test_cors_is_for_the_configured_origins(client: Client) -> None:
    ask = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    for origin, is_allowed in (("https://app.example.com", True), ("https://evil.example", False)):
        async with client.http.options(f"{client.server.url}/rpc", headers={"origin": origin, **ask}) as reply:
            assert (reply.headers.get("access-control-allow-origin") == origin) is is_allowed
            assert reply.ok is is_allowed
        async with client.http.post(f"{client.server.url}/rpc", data=PING, headers={**JSON, "origin": origin}) as reply:
            assert (reply.headers.get("access-control-allow-origin") == origin) is is_allowed
            if is_allowed:
                exposed = reply.headers["access-control-expose-headers"].lower()
                assert "x-request-id" in exposed
                assert "retry-after" in exposed


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (
            "/v1/chat/completions",
            "authorization,content-type,x-stainless-lang,x-stainless-retry-count,x-stainless-timeout",
        ),
        (
            "/v1/messages",
            "anthropic-dangerous-direct-browser-access,anthropic-version,content-type,x-api-key,x-stainless-os",
        ),
        ("/v1/models/fake:generateContent", "content-type,x-goog-api-client,x-goog-api-key"),
    ],
)
async def test_a_vendors_sdk_may_ask_from_an_allowed_page(client: Client, path: str, headers: str) -> None:
    ask = {"access-control-request-method": "POST", "access-control-request-headers": headers}
    origin = {"origin": "https://app.example.com"}
    async with client.http.options(f"{client.server.url}{path}", headers={**origin, **ask}) as reply:
        assert reply.ok, await reply.text()


@pytest.mark.parametrize("path", ["/livez", "/health", "/readyz", "/ready"])
async def test_a_balancer_may_ask(client: Client, path: str) -> None:
    async with client.http.get(f"{client.server.url}{path}") as reply:
        assert reply.status == 200
        assert reply.headers["cache-control"] == "no-store"


async def test_metrics_count_calls_by_method(client: Client) -> None:
    await client.result("ping")
    await client.error("not.a\nmethod")
    await comes_to_rest(client)
    async with client.http.get(f"{client.server.url}/metrics") as reply:
        text = await reply.text()
    assert 'tollgate_calls_total{door="rpc",method="ping",outcome="ok",reason=""}' in text
    assert "not.a" not in text


async def test_the_description_is_the_same_in_both_places(client: Client) -> None:
    async with client.http.get(f"{client.server.url}/openrpc.json") as reply:
        assert await reply.json() == await client.result("rpc.discover", token="")


async def test_every_method_answers_sanely_to_whatever_it_gets(client: Client) -> None:
    described = await client.result("rpc.discover")
    errors = described["components"]["errors"]
    codes = {
        method["name"]: {errors[error["$ref"].rpartition("/")[2]]["code"] for error in method["errors"]}
        for method in described["methods"]
    }
    names = list(codes)
    assert {"executeAIRequest", "listProviders", "listAllowedModels", "validateProvider", "health", "ping"} <= set(
        names
    )
    odd: list[Any] = [{}, [], [None] * 3, [[]], {"": 1}, {"id": []}, {"content": None, "provider": 7}, {"userId": "x"}]
    for name in names:
        for params in odd:
            for token in (None, ""):
                reply = await client.call(name, params, token=token)
                assert "result" in reply or reply["error"]["code"] in codes[name] - {-32603}, (name, params, reply)


async def test_the_list_of_providers_and_models_is_the_configured_one(client: Client) -> None:
    providers = await client.result("listProviders")
    assert {p["name"] for p in providers["providers"]} >= {"openai", "anthropic", "google", "compatible"}
    models = await client.result("listAllowedModels", {"provider": "anthropic"})
    assert "fake" in models["models"]
    said = await client.result("validateProvider", {"provider": "google", "apiKey": "bad-key"})
    assert said["isValid"] is False
    assert (await client.result("validateProvider", {"provider": "google", "apiKey": "good"}))["isValid"] is True


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/messages", "/v1/realtime", "/v1/events/ingest", "/livez"]
)
async def test_a_socket_opens_only_where_one_is_served(client: Client, path: str) -> None:
    before = len([line for line in client.server.lines() if line.get("level") == "error"])
    url = client.server.url.replace("http", "ws") + path
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.http.ws_connect(url, headers=client.head())
    assert refused.value.status == 403
    assert len([line for line in client.server.lines() if line.get("level") == "error"]) == before
