"""executeAIRequest from socket to socket: every vendor's wire, every way of asking."""

import json
from typing import Any

import pytest

from tests.fakes.provider import FakeProvider
from tests.fakes.wires import TEXT, TOKENS_IN, TOKENS_OUT
from tests.journeys.world import Client, sequence_of, text_of, usage_rows

VENDORS = ("openai", "anthropic", "google", "compatible")


@pytest.mark.parametrize("provider", VENDORS)
async def test_every_vendor_answers_with_the_documented_fields(
    client: Client, fake: FakeProvider, provider: str
) -> None:
    result = await client.result(
        "executeAIRequest",
        {
            "content": "Explain quantum computing",
            "systemPrompt": "You are a tutor",
            "options": {"provider": provider, "model": "fake", "maxTokens": 1000, "temperature": 0.5, "topP": 0.9},
            "metadata": {"feature": "chat"},
            "userId": "mallory",
        },
    )
    assert result["content"] == TEXT
    assert result["success"] is True
    assert (result["provider"], result["model"], result["finishReason"]) == (provider, "fake", "stop")
    assert result["usage"]["inputTokens"] == TOKENS_IN
    assert result["usage"]["outputTokens"] == TOKENS_OUT
    assert result["usage"]["totalTokens"] == TOKENS_IN + TOKENS_OUT
    assert result["data"]["content"] == TEXT
    assert result["data"]["usage"]["totalTokens"] == TOKENS_IN + TOKENS_OUT
    [row] = usage_rows(client.server, result["requestId"])
    assert (row["user_id"], row["provider"], row["model"]) == ("alice", provider, "fake")
    assert (row["outcome"], row["is_partial"]) == ("done", 0)
    [asked] = fake.seen
    assert "You are a tutor" in asked.body.decode()
    assert "mallory" not in asked.body.decode()


async def test_a_compatible_vendor_is_asked_under_its_own_path_with_its_own_headers(
    client: Client, fake: FakeProvider
) -> None:
    await client.result("executeAIRequest", {"content": "Hi", "options": {"provider": "compatible", "model": "fake"}})
    [asked] = fake.seen
    assert asked.path == "/some/vendor/v9/chat/completions"
    assert asked.headers["authorization"] == "Bearer operator-compatible"
    assert asked.headers["x-team"] == "operator-team"


@pytest.mark.parametrize("name", ["executeAIRequest", "ai.generateText", "generateText"])
async def test_every_documented_name_does_the_same(client: Client, name: str) -> None:
    result = await client.result(name, {"content": "Hi", "systemPrompt": "Be kind"})
    assert (result["success"], result["content"]) == (True, TEXT)


async def test_params_may_come_by_position(client: Client, fake: FakeProvider) -> None:
    result = await client.result("executeAIRequest", ["Hi", "Be kind", {"model": "fake", "provider": "anthropic"}])
    assert result["provider"] == "anthropic"
    assert "Be kind" in fake.seen[0].body.decode()


@pytest.mark.parametrize("provider", VENDORS)
async def test_streams_are_gapless_and_complete_in_themselves(client: Client, provider: str) -> None:
    messages = await client.stream({"content": "Hi", "options": {"provider": provider, "model": "fake"}})
    *progress, final = messages
    assert sequence_of(messages) == list(range(len(progress)))
    assert progress[0]["params"]["value"]["kind"] == "start"
    assert {m["params"]["token"] for m in progress} == {"s"}
    assert final["id"] == "s"
    assert final["result"]["content"] == text_of(messages) == TEXT
    assert final["result"]["usage"]["totalTokens"] == TOKENS_IN + TOKENS_OUT
    [row] = usage_rows(client.server, final["result"]["requestId"])
    assert (row["outcome"], row["is_stream"]) == ("done", 1)


@pytest.mark.parametrize("provider", VENDORS)
async def test_characters_and_events_split_between_writes_arrive_whole(client: Client, provider: str) -> None:
    messages = await client.stream({"content": "Hi", "options": {"provider": provider, "model": "fake-split"}})
    assert messages[-1]["result"]["content"] == text_of(messages) == TEXT


async def test_a_socket_carries_calls_and_streams_side_by_side(client: Client, alices: str) -> None:
    url = client.server.url.replace("http", "ws") + "/rpc"
    async with client.http.ws_connect(url, headers=client.head()) as socket:
        for number in range(5):
            params = {"content": "Hi", "stream": True, "_meta": {"progressToken": f"t{number}"}}
            await socket.send_json({"jsonrpc": "2.0", "id": number, "method": "executeAIRequest", "params": params})
        await socket.send_json({"jsonrpc": "2.0", "id": "p", "method": "ping"})
        finals: dict[Any, Any] = {}
        heard: dict[str, list[dict[str, Any]]] = {}
        while len(finals) < 6:
            message = await socket.receive_json(timeout=30)
            if "id" in message:
                finals[message["id"]] = message["result"]
            else:
                heard.setdefault(message["params"]["token"], []).append(message)
    assert finals["p"]["pong"] is True
    for number in range(5):
        messages = heard[f"t{number}"]
        assert sequence_of(messages) == list(range(len(messages)))
        assert text_of(messages) == finals[number]["content"] == TEXT


async def test_a_socket_may_show_its_token_as_the_first_message(client: Client, alices: str) -> None:
    url = client.server.url.replace("http", "ws") + "/rpc"
    async with client.http.ws_connect(url) as socket:
        await socket.send_json({"jsonrpc": "2.0", "id": 0, "method": "authenticate", "params": {"token": alices}})
        assert (await socket.receive_json(timeout=30))["result"] == {"accepted": True}
        await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "executeAIRequest", "params": {"content": "Hi"}})
        assert (await socket.receive_json(timeout=30))["result"]["content"] == TEXT


async def test_a_batch_is_answered_in_order_and_a_notification_not_at_all(client: Client) -> None:
    batch = [
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "executeAIRequest",
            "params": {"content": "a", "options": {"model": "fake-slow"}},
        },
        {"jsonrpc": "2.0", "method": "ping"},
        {"jsonrpc": "2.0", "id": "two", "method": "ping"},
        7,
        {"jsonrpc": "2.0", "id": None, "method": "nothing"},
        {"jsonrpc": "2.0", "id": 1.5, "method": "generateText", "params": {"content": "b"}},
    ]
    status, body = await client.raw(json.dumps(batch).encode())
    replies = json.loads(body)
    assert status == 200
    assert [reply["id"] for reply in replies] == [1, "two", None, None, 1.5]
    assert [reply.get("error", {}).get("code") for reply in replies] == [None, None, -32600, -32601, None]


async def test_a_notification_is_served_and_answered_with_204(client: Client, fake: FakeProvider) -> None:
    body = {"jsonrpc": "2.0", "method": "executeAIRequest", "params": {"content": "only do it"}}
    assert await client.raw(json.dumps(body).encode()) == (204, b"")
    assert "only do it" in fake.seen[0].body.decode()


async def test_the_envelopes_headers_member_and_a_foreign_user_id_change_nothing(client: Client, alices: str) -> None:
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "executeAIRequest",
        "params": {"content": "Hi", "userId": {"any": ["thing"]}},
        "headers": {"Authorization": f"Bearer {alices}"},
    }
    status, said = await client.raw(json.dumps(body).encode(), headers={"authorization": ""})
    assert status == 200
    assert json.loads(said)["error"]["code"] == -32004


async def test_the_trace_goes_on_to_the_provider(client: Client, fake: FakeProvider) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    body = b'{"jsonrpc":"2.0","id":1,"method":"executeAIRequest","params":{"content":"Hi"}}'
    await client.raw(body, headers={"traceparent": trace})
    assert fake.seen[0].headers["traceparent"].split("-")[1] == trace.split("-")[1]
    fake.seen.clear()
    await client.raw(body, headers={"traceparent": "00-" + "0" * 32 + "-00f067aa0ba902b7-01"})
    assert "0" * 32 not in fake.seen[0].headers.get("traceparent", "")
