"""Clients that leave or cancel: the provider is let go at once, what was delivered is written down, nothing is left behind."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.fakes.provider import FakeProvider, Seen
from tests.journeys.world import Client, eventually, messages_of, usage_rows

CLOSE_SECONDS = 0.1


async def in_flight(client: Client) -> float:
    async with client.http.get(f"{client.server.url}/metrics") as reply:
        found = re.search(r"^tollgate_calls_in_flight (\S+)$", await reply.text(), re.MULTILINE)
    assert found is not None
    return float(found[1])


async def comes_to_rest(client: Client) -> None:
    """Wait until no call is in flight; its usage row is durable a moment before the call has ended for the gauge."""
    for _ in range(500):
        if await in_flight(client) == 0:
            return
        await asyncio.sleep(0.01)
    assert await in_flight(client) == 0


async def asked(fake: FakeProvider) -> Seen:
    await asyncio.wait_for(fake.arrived.wait(), 5)
    fake.arrived.clear()
    return fake.seen[-1]


def row_of(client: Client, request_id: str) -> Callable[[], Any]:
    return lambda: usage_rows(client.server, request_id)


async def open_call(client: Client, model: str, request_id: str, *, is_stream: bool) -> aiohttp.ClientResponse:
    params = {"content": "Hi", "stream": is_stream, "options": {"model": model}}
    body = {"jsonrpc": "2.0", "id": "left", "method": "executeAIRequest", "params": params}
    head = client.head(**{"x-request-id": request_id, "accept": "application/json, text/event-stream"})
    return await client.http.post(f"{client.server.url}/rpc", json=body, headers=head)


async def test_a_client_that_leaves_a_stream_ends_the_providers_work_within_100_ms(
    client: Client, fake: FakeProvider
) -> None:
    reply = await open_call(client, "fake-endless", "left-stream", is_stream=True)
    seen = await asked(fake)
    async for message in messages_of(reply):
        if message["params"]["value"]["seq"] == 20:
            break
    left = asyncio.get_running_loop().time()
    reply.close()
    await asyncio.wait_for(seen.closed.wait(), 5)
    assert seen.closed_at - left <= CLOSE_SECONDS
    [row] = await eventually(row_of(client, "left-stream"))
    assert (row["outcome"], row["is_partial"], row["is_stream"]) == ("partial", 1, 1)
    assert row["tokens_output"] > 0


async def test_a_client_that_leaves_a_plain_call_ends_the_providers_work_within_100_ms(
    client: Client, fake: FakeProvider
) -> None:
    call = asyncio.create_task(open_call(client, "fake-silent", "left-plain", is_stream=False))
    seen = await asked(fake)
    loop = asyncio.get_running_loop()
    left = loop.time()
    call.cancel()
    await asyncio.wait_for(seen.closed.wait(), 5)
    assert seen.closed_at - left <= CLOSE_SECONDS
    [row] = await eventually(row_of(client, "left-plain"))
    assert row["outcome"] in ("cancelled", "partial")
    await comes_to_rest(client)


async def test_a_client_that_hangs_up_its_socket_ends_all_that_ran_on_it(client: Client, fake: FakeProvider) -> None:
    url = client.server.url.replace("http", "ws") + "/rpc"
    socket = await client.http.ws_connect(url, headers=client.head(**{"x-request-id": "left-socket"}))
    params = {"content": "Hi", "stream": True, "options": {"model": "fake-endless"}}
    for number in range(3):
        await socket.send_json({"jsonrpc": "2.0", "id": number, "method": "executeAIRequest", "params": params})
    await eventually(lambda: len(fake.seen) == 3)
    for _ in range(30):
        await socket.receive_json(timeout=5)
    left = asyncio.get_running_loop().time()
    await socket.close()
    await asyncio.gather(*(asyncio.wait_for(seen.closed.wait(), 5) for seen in fake.seen))
    assert max(seen.closed_at for seen in fake.seen) - left <= CLOSE_SECONDS
    for number in range(1, 4):
        assert await eventually(row_of(client, f"left-socket-{number}"))


async def test_three_hundred_broken_off_streams_leave_nothing_behind(client: Client, fake: FakeProvider) -> None:
    async def leave(number: int) -> None:
        reply = await open_call(client, "fake-endless", f"left-{number}", is_stream=True)
        async for _ in messages_of(reply):
            break
        reply.close()

    await asyncio.gather(*(leave(1000 + number) for number in range(10)))
    await eventually(lambda: not any(not seen.closed.is_set() for seen in fake.seen))
    before = client.server.descriptors()
    for start in range(0, 300, 30):
        await asyncio.gather(*(leave(start + number) for number in range(30)))
    await eventually(lambda: all(seen.closed.is_set() for seen in fake.seen), seconds=20)
    await comes_to_rest(client)
    await eventually(lambda: client.server.descriptors() <= before + 3)
    counted = "SELECT count(*) AS n FROM usage WHERE request_id GLOB 'left-[0-9]*' AND is_stream = 1"
    await eventually(lambda: client.server.rows(counted)[0]["n"] == 310)


async def test_cancel_on_a_socket_is_answered_with_its_code(client: Client, fake: FakeProvider) -> None:
    url = client.server.url.replace("http", "ws") + "/rpc"
    async with client.http.ws_connect(url, headers=client.head()) as socket:
        params = {"content": "Hi", "stream": True, "options": {"model": "fake-hanging"}}
        await socket.send_json({"jsonrpc": "2.0", "id": "c", "method": "executeAIRequest", "params": params})
        seen = await asked(fake)
        await socket.receive_json(timeout=5)
        await socket.send_json({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": "c"}})
        while "id" not in (message := await socket.receive_json(timeout=5)):
            pass
    assert (message["id"], message["error"]["code"]) == ("c", -32800)
    await asyncio.wait_for(seen.closed.wait(), 5)


@pytest.mark.parametrize("is_stream", [True, False])
async def test_cancel_by_post_is_for_the_same_principal_only(
    client: Client, fake: FakeProvider, bobs: str, *, is_stream: bool
) -> None:
    model = "fake-hanging" if is_stream else "fake-silent"
    call = asyncio.create_task(open_call(client, model, f"cancel-{is_stream}", is_stream=is_stream))
    seen = await asked(fake)
    cancel = b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"left"}}'
    assert (await client.raw(cancel, headers={"authorization": f"Bearer {bobs}"}))[0] == 204
    assert (await client.raw(cancel, headers={"authorization": ""}))[0] == 204
    assert (await client.result("cancelRequest", {"id": "left"}, token=bobs)) == {"cancelled": False}
    assert not seen.closed.is_set()
    assert (await client.raw(cancel))[0] == 204
    reply = await asyncio.wait_for(call, 5)
    assert b"-32800" in await reply.read()
    await asyncio.wait_for(seen.closed.wait(), 5)
    assert (await client.result("cancelRequest", {"id": "left"})) == {"cancelled": False}
