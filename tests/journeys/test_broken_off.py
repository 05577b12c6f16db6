"""What a call that ended midway tells its caller: that it is partial, and what it used, as the usage row has it."""

import asyncio
from typing import Any

import pytest

from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.server import token
from tests.journeys.world import Client, messages_of, text_of, usage_rows

NANO = 1_000_000_000
NOTHING = {
    "inputTokens": 0,
    "outputTokens": 0,
    "totalTokens": 0,
    "cachedInputTokens": 0,
    "cacheWriteTokens": 0,
    "reasoningTokens": 0,
}
CUTS = {
    "cut": (Script(cut_after=5), -32006),
    "error": (Script(error_after=5, message="overloaded"), -32006),
    "hang": (Script(hangs_after=5), -32007),
}


def asking(model: str = "fake", *, is_stream: bool = True, **options: object) -> dict[str, Any]:
    return {"content": "Hi", "stream": is_stream, "options": {"model": model, **options}}


async def over_socket(client: Client, params: dict[str, Any], *, shown: str | None = None) -> list[dict[str, Any]]:
    """Every message of one call on a socket of its own."""
    url = client.server.url.replace("http", "ws") + "/rpc"
    said: list[dict[str, Any]] = []
    async with client.http.ws_connect(url, headers=client.head(shown)) as socket:
        await socket.send_json({"jsonrpc": "2.0", "id": "s", "method": "executeAIRequest", "params": params})
        while not said or "id" not in said[-1]:
            said.append(await socket.receive_json(timeout=30))
    return said


def assert_as_written_down(client: Client, error: dict[str, Any], *, is_priced: bool = True) -> None:
    """The figures in the error are those of the books."""
    data = error["data"]
    [row] = usage_rows(client.server, data["requestId"])
    assert (row["outcome"], row["is_partial"]) == ("partial", 1)
    usage = data["usage"]
    assert usage["inputTokens"] == row["tokens_input"] > 0
    assert usage["outputTokens"] == row["tokens_output"] > 0
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
    assert usage.get("isEstimated", False) is bool(row["is_estimated"])
    if is_priced:
        assert usage["cost"] == row["cost_nano"] / NANO > 0
        assert usage["platformFee"] == row["fee_nano"] / NANO
    assert usage.keys() >= NOTHING.keys()


@pytest.mark.parametrize("way", ["events", "socket"])
@pytest.mark.parametrize("kind", CUTS)
@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
async def test_a_provider_that_breaks_off_midway_is_told_with_what_it_cost(
    client: Client, fake: FakeProvider, way: str, kind: str, provider: str
) -> None:
    fake.script, code = CUTS[kind]
    params = asking(provider=provider)
    *progress, final = await (client.stream(params) if way == "events" else over_socket(client, params))
    assert text_of(progress)
    assert (final["id"], final["error"]["code"]) == ("s", code)
    assert final["error"]["data"]["partial"] is True
    assert_as_written_down(client, final["error"])


@pytest.mark.parametrize("way", ["events", "socket"])
async def test_a_stream_that_the_plan_ends_is_told_with_what_it_cost(
    client: Client, fake: FakeProvider, way: str
) -> None:
    fake.script = Script(is_endless=True)
    shown = token(client.server, f"short-{way}", "short")
    short = Client(client.server, client.http, shown)
    params = asking(maxTokens=20)
    *progress, final = await (short.stream(params) if way == "events" else over_socket(short, params))
    assert text_of(progress)
    assert final["error"]["code"] == -32001
    assert final["error"]["data"]["partial"] is True
    assert_as_written_down(client, final["error"])
    assert final["error"]["data"]["usage"]["outputTokens"] > 100, "it went on until the quota was reached"


async def test_a_stream_cancelled_on_its_socket_is_told_with_what_it_cost(client: Client, fake: FakeProvider) -> None:
    url = client.server.url.replace("http", "ws") + "/rpc"
    async with client.http.ws_connect(url, headers=client.head()) as socket:
        request = {
            "jsonrpc": "2.0",
            "id": "c",
            "method": "executeAIRequest",
            "params": asking("fake-hanging", provider="patient"),
        }
        await socket.send_json(request)
        while (await socket.receive_json(timeout=30))["params"]["value"]["kind"] != "delta":
            pass
        cancel = {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": "c"}}
        await socket.send_json(cancel)
        await socket.send_json(cancel)  # an impatient client changes nothing
        while "id" not in (message := await socket.receive_json(timeout=30)):
            pass
    assert (message["id"], message["error"]["code"]) == ("c", -32800)
    assert message["error"]["data"]["partial"] is True
    assert_as_written_down(client, message["error"])


async def test_a_stream_cancelled_by_post_is_told_with_what_it_cost(client: Client, fake: FakeProvider) -> None:
    request = {"jsonrpc": "2.0", "id": "cancel-me", "method": "executeAIRequest", "params": asking("fake-endless")}
    head = client.head(accept="text/event-stream")
    async with client.http.post(f"{client.server.url}/rpc", json=request, headers=head) as reply:
        messages = messages_of(reply)
        while (await anext(messages))["params"]["value"]["kind"] != "delta":
            pass
        assert (await client.result("cancelRequest", {"id": "cancel-me"})) == {"cancelled": True}
        final = [message async for message in messages][-1]
    assert (final["id"], final["error"]["code"]) == ("cancel-me", -32800)
    assert final["error"]["data"]["partial"] is True
    assert_as_written_down(client, final["error"])


@pytest.mark.parametrize("way", ["post", "socket"])
async def test_a_plain_call_that_is_cancelled_says_that_it_used_nothing(
    client: Client, fake: FakeProvider, way: str
) -> None:
    params = asking("fake-silent", is_stream=False, provider="patient")
    if way == "post":
        call = asyncio.create_task(client.call("executeAIRequest", params))
        await asyncio.wait_for(fake.arrived.wait(), 30)
        assert (await client.raw(b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}'))[0] == 204
        message = await asyncio.wait_for(call, 30)
    else:
        url = client.server.url.replace("http", "ws") + "/rpc"
        async with client.http.ws_connect(url, headers=client.head()) as socket:
            await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "executeAIRequest", "params": params})
            await asyncio.wait_for(fake.arrived.wait(), 30)
            await socket.send_json({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 1}})
            message = await socket.receive_json(timeout=30)
    assert (message["id"], message["error"]["code"]) == (1, -32800)
    assert message["error"]["data"]["usage"] == NOTHING
    assert "partial" not in message["error"]["data"]


async def test_a_call_that_is_refused_before_it_begins_speaks_of_no_usage(client: Client, fake: FakeProvider) -> None:
    fake.script = Script(status=500)
    for error in (
        await client.error("executeAIRequest", asking("no-such-model")),
        await client.error("executeAIRequest", asking(is_stream=False)),
    ):
        assert error["data"].keys().isdisjoint({"usage", "partial"})
