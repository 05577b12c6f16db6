"""Callers who are too fast, over real sockets: what they hear, what is counted, and what never is."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.provider import FakeProvider
from tests.fakes.server import Server, serving, token
from tests.journeys.limits.conftest import SMALL
from tests.journeys.world import Client, settings_for, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
HELLO = {"content": "Hi", "options": {"maxTokens": 50}}


def body_of(method: str = "executeAIRequest", params: Mapping[str, object] = HELLO, **more: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params, **more}


async def posted(client: Client, body: object, **more: str) -> tuple[int, dict[str, str], Any]:
    async with client.http.post(f"{client.server.url}/rpc", json=body, headers=client.head(**more)) as reply:
        said = await reply.read()
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return reply.status, headers, (await reply.json()) if said else None


async def code_of(client: Client, *, params: Mapping[str, object] = HELLO, shown: str | None = None) -> int:
    """0, or the code of the error."""
    head = client.head(shown)
    async with client.http.post(f"{client.server.url}/rpc", json=body_of(params=params), headers=head) as reply:
        code: int = (await reply.json()).get("error", {}).get("code", 0)
    return code


async def test_a_caller_sees_what_is_left_and_then_when_to_come_back(
    limited: Server, http: aiohttp.ClientSession
) -> None:
    client = Client(limited, http, token(limited, "ada", "small"))
    status, headers, said = await posted(client, body_of())
    assert (status, "result" in said) == (200, True)
    assert headers["ratelimit-policy"] == (
        '"requests";q=3;w=60, "tokens";q=100000;w=60, "concurrent";q=2;qu="concurrent-requests"'
    )
    assert re.match(r'"requests";r=2;t=[56]\d', headers["ratelimit"])
    used = said["result"]["usage"]["totalTokens"]
    assert re.search(rf'"tokens";r={100_000 - used};t=[56]\d', headers["ratelimit"])
    assert '"concurrent";r=2' in headers["ratelimit"]
    assert "retry-after" not in headers
    for _ in range(2):
        await posted(client, body_of())
    status, headers, said = await posted(client, body_of())
    data = said["error"]["data"]
    assert (status, said["error"]["code"], data["reason"], data["limit"]) == (200, -32002, "rate_limited", 3)
    assert (data["resource"], data["subject"]) == ("requests", "user")
    assert 50 < data["retryAfter"] <= 61
    assert headers["retry-after"] == str(data["retryAfter"])
    assert headers["ratelimit"].startswith('"requests";r=0;t=')
    assert data["resetTime"].endswith("Z")


async def test_a_mapped_server_answers_429(
    shared_fake: FakeProvider, private_key: str, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    settings = settings_for(shared_fake, private_key)
    settings["tiers"]["tester"].update({**SMALL, "rpm": 1})
    with serving({**settings, "server": {"http_status": "mapped"}}, tmp_path) as server:
        client = Client(server, http, token(server, "ada", "tester"))
        status, _, reply = await posted(client, body_of())
        assert (status, "result" in reply) == (200, True)
        status, headers, _ = await posted(client, body_of())
        assert status == 429
        assert {"retry-after", "ratelimit", "ratelimit-policy"} <= headers.keys()


async def test_a_stream_begins_with_what_is_left(limited: Server, http: aiohttp.ClientSession) -> None:
    client = Client(limited, http, token(limited, "eve", "small"))
    head = client.head(accept="text/event-stream")
    async with http.post(f"{limited.url}/rpc", json=body_of(params={**HELLO, "stream": True}), headers=head) as reply:
        assert reply.content_type == "text/event-stream"
        assert reply.headers["RateLimit"].startswith('"requests";r=2')
        await reply.read()


async def test_elements_of_a_batch_and_notifications_count_one_by_one(
    limited: Server, http: aiohttp.ClientSession
) -> None:
    client = Client(limited, http, token(limited, "ben", "crowd"))
    notification = body_of()
    del notification["id"]
    status, _, _ = await posted(client, notification)
    assert status == 204
    _, headers, replies = await posted(client, [{**body_of(), "id": n} for n in range(8)])
    codes = [reply.get("error", {}).get("code", 0) for reply in replies]
    assert sorted(codes) == [-32002] * 4 + [0] * 4
    assert "ratelimit" not in headers


async def test_the_calls_of_a_batch_share_the_slots_of_their_caller(
    limited: Server, http: aiohttp.ClientSession
) -> None:
    client = Client(limited, http, token(limited, "bea", "single"))
    _, _, replies = await posted(client, [{**body_of(), "id": n} for n in range(12)])
    assert sorted(reply["id"] for reply in replies if "result" in reply) == list(range(12))


async def test_free_methods_and_refused_calls_take_nothing(limited: Server, http: aiohttp.ClientSession) -> None:
    client = Client(limited, http, token(limited, "cid", "short"))
    for _ in range(10):
        await client.result("ping")
        await client.result("getRateLimitStatus")
        assert await code_of(client, params={"content": "Hi", "options": {"maxTokens": 5_000}}) == -32005
    assert [await code_of(client) for _ in range(4)] == [0, 0, 0, -32002]


async def test_a_failed_call_uses_no_tokens_and_gives_its_slot_back(
    limited: Server, http: aiohttp.ClientSession
) -> None:
    client = Client(limited, http, token(limited, "dan", "single"))
    for _ in range(3):
        failed = await client.error("executeAIRequest", {"content": "Hi", "options": {"provider": "dead"}})
        assert failed["code"] == -32006
    status = await client.result("getRateLimitStatus")
    assert status["requests"]["current"] == 3
    assert status["tokens"]["current"] == 0
    assert status["concurrent"]["current"] == 0


async def test_strangers_are_counted_by_address_and_own_keys_by_their_own_set(
    limited: Server, http: aiohttp.ClientSession
) -> None:
    ada = token(limited, "fay", "small")
    client = Client(limited, http)
    own = {**HELLO, "apiKey": "sk-own", "provider": "openai"}
    assert [await code_of(client, params=own) for _ in range(2)] == [0, -32002]
    assert [await code_of(client, params=own, shown=ada) for _ in range(3)] == [0, 0, -32002]
    assert [await code_of(client, shown=ada) for _ in range(4)] == [0, 0, 0, -32002]


async def test_calls_at_the_same_time_are_bounded_and_slots_come_back_when_clients_vanish(
    limited: Server, http: aiohttp.ClientSession
) -> None:
    client = Client(limited, http, token(limited, "gus", "pair"))
    hanging = body_of(params={"content": "Hi", "stream": True, "options": {"model": "fake-endless"}})
    streams = []
    for _ in range(2):
        reply = await http.post(f"{limited.url}/rpc", json=hanging, headers=client.head(accept="text/event-stream"))
        assert reply.content_type == "text/event-stream"
        streams.append(reply)
    refused = await client.error("executeAIRequest", HELLO)
    assert (refused["code"], refused["data"]["resource"], refused["data"]["limit"]) == (-32002, "concurrent", 2)
    for reply in streams:
        reply.close()

    async def is_served() -> bool:
        return await code_of(client) == 0

    await until(is_served)
