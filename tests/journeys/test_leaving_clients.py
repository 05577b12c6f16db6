"""Clients that leave or cancel: the provider is let go at once, what was delivered is written down, nothing is left behind."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

import aiohttp
import pytest

from tests.fakes.pace import within
from tests.fakes.provider import FakeProvider, Seen
from tests.journeys.world import Client, comes_to_rest, eventually, messages_of, until, usage_rows

CLOSE_SECONDS = 0.1


async def asked(fake: FakeProvider) -> Seen:
    await asyncio.wait_for(fake.arrived.wait(), 30)
    fake.arrived.clear()
    return fake.seen[-1]


def row_of(client: Client, request_id: str) -> Callable[[], Any]:
    return lambda: usage_rows(client.server, request_id)


async def open_call(client: Client, model: str, request_id: str, *, is_stream: bool) -> aiohttp.ClientResponse:
    params = {"content": "Hi", "stream": is_stream, "options": {"provider": "patient", "model": model}}
    body = {"jsonrpc": "2.0", "id": "left", "method": "executeAIRequest", "params": params}
    head = client.head(**{"x-request-id": request_id, "accept": "application/json, text/event-stream"})
    return await client.http.post(f"{client.server.url}/rpc", json=body, headers=head)


async def test_a_client_that_leaves_a_stream_ends_the_providers_work_within_100_ms(
    client: Client, fake: FakeProvider
) -> None:
    numbers = count()

    async def leaving() -> float:
        name = f"left-stream-{next(numbers)}"
        reply = await open_call(client, "fake-endless", name, is_stream=True)
        seen = await asked(fake)
        async for message in messages_of(reply):
            if message["params"]["value"]["seq"] == 20:
                break
        left = asyncio.get_running_loop().time()
        reply.close()
        await asyncio.wait_for(seen.closed.wait(), 30)
        [row] = await eventually(row_of(client, name))
        assert (row["outcome"], row["is_partial"], row["is_stream"]) == ("partial", 1, 1)
        assert row["tokens_output"] > 0
        return seen.closed_at - left

    await within(CLOSE_SECONDS, leaving)


async def test_a_client_that_leaves_a_plain_call_ends_the_providers_work_within_100_ms(
    client: Client, fake: FakeProvider
) -> None:
    numbers = count()

    async def leaving() -> float:
        name = f"left-plain-{next(numbers)}"
        call = asyncio.create_task(open_call(client, "fake-silent", name, is_stream=False))
        seen = await asked(fake)
        left = asyncio.get_running_loop().time()
        call.cancel()
        await asyncio.wait_for(seen.closed.wait(), 30)
        [row] = await eventually(row_of(client, name))
        assert row["outcome"] in ("cancelled", "partial")
        return seen.closed_at - left

    await within(CLOSE_SECONDS, leaving)
    await comes_to_rest(client)


async def test_a_client_that_hangs_up_its_socket_ends_all_that_ran_on_it(client: Client, fake: FakeProvider) -> None:
    url, numbers = client.server.url.replace("http", "ws") + "/rpc", count()

    async def leaving() -> float:
        name = f"left-socket-{next(numbers)}"
        fake.seen.clear()
        socket = await client.http.ws_connect(url, headers=client.head(**{"x-request-id": name}))
        params = {"content": "Hi", "stream": True, "options": {"model": "fake-endless"}}
        for number in range(3):
            await socket.send_json({"jsonrpc": "2.0", "id": number, "method": "executeAIRequest", "params": params})
        await eventually(lambda: len(fake.seen) == 3)
        for _ in range(30):
            await socket.receive_json(timeout=30)
        left = asyncio.get_running_loop().time()
        await socket.close()
        await asyncio.gather(*(asyncio.wait_for(seen.closed.wait(), 30) for seen in fake.seen))
        for number in range(1, 4):
            assert await eventually(row_of(client, f"{name}-{number}"))
        return max(seen.closed_at for seen in fake.seen) - left

    await within(CLOSE_SECONDS, leaving)


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
    await eventually(lambda: all(seen.closed.is_set() for seen in fake.seen), seconds=30)
    await comes_to_rest(client)
    await eventually(lambda: client.server.descriptors() <= before + 3)
    counted = "SELECT count(*) AS n FROM usage WHERE request_id GLOB 'left-[0-9]*' AND is_stream = 1"
    await eventually(lambda: client.server.rows(counted)[0]["n"] == 310)


async def test_cancel_on_a_socket_is_answered_with_its_code(client: Client, fake: FakeProvider) -> None:
    url = client.server.url.replace("http", "ws") + "/rpc"
    async with client.http.ws_connect(url, headers=client.head()) as socket:
        params = {"content": "Hi", "stream": True, "options": {"provider": "patient", "model": "fake-hanging"}}
        await socket.send_json({"jsonrpc": "2.0", "id": "c", "method": "executeAIRequest", "params": params})
        seen = await asked(fake)
        await socket.receive_json(timeout=30)
        await socket.send_json({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": "c"}})
        while "id" not in (message := await socket.receive_json(timeout=30)):
            pass
    assert (message["id"], message["error"]["code"]) == ("c", -32800)
    await asyncio.wait_for(seen.closed.wait(), 30)


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
    reply = await asyncio.wait_for(call, 30)
    assert b"-32800" in await reply.read()
    await asyncio.wait_for(seen.closed.wait(), 30)

    async def is_forgotten() -> bool:
        return bool((await client.result("cancelRequest", {"id": "left"})) == {"cancelled": False})

    await until(is_forgotten)
