"""Callers that mean harm, and callers that are merely odd. Whatever they send, the server answers by the rules and goes on."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.server import Server, serving, token
from tests.journeys.sockets import answer_from, exchanged, post
from tests.journeys.world import Client, settings_for, usage_rows

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
ASK = b'{"jsonrpc":"2.0","id":1,"method":"executeAIRequest","params":{"content":"Hi"}}'
UPGRADE = b"GET /rpc HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
SMUGGLED = (
    b"POST /rpc HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n"
    b"0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n"
)


def calls_in(server: Server) -> list[dict[str, Any]]:
    return [line for line in server.lines() if line.get("event") == "call"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"\xff\xfe", -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","id":2}', None),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}', -32700),
        (b'{"jsonrpc":"2.0","id":1e999,"method":"ping"}', -32700),
        (b"[" * 100_000, -32700),
        (b'{"a":' * 50_000, -32700),
        (b'{"jsonrpc":"2.0","id":' + b"9" * 4000 + b',"method":"ping"}', None),
        (b'{"jsonrpc":"2.0","id":"' + b"x" * 300 + b'","method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"' + b"m" * 5000 + b'"}', -32600),
        (b"[" + b"1," * 60 + b"1]", -32600),
        (b'"\\ud800"', None),
        (PING[:-1] + b',"x":"\\ud800"}', None),
    ],
)
async def test_malformed_bodies_get_their_code(client: Client, body: bytes, code: int | None) -> None:
    status, said = await client.raw(body)
    assert status == 200
    error = json.loads(said)["error"]
    assert error["code"] == code if code is not None else error["code"] in (-32700, -32600)


@pytest.mark.parametrize(
    "content",
    ["\x00", "\u2028\u202e\u0000", "\x1b[31mred", "data: x\n\nevent: y", "\U0001f600" * 1000, "\r\n\r\n", "\\ud83d"],
)
async def test_odd_text_travels_unchanged(client: Client, fake: FakeProvider, content: str) -> None:
    await client.result("executeAIRequest", {"content": content})
    assert fake.seen[0].json["messages"] == [{"role": "user", "content": content}]


async def test_a_lone_surrogate_is_answered_by_the_rules(client: Client) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"executeAIRequest","params":{"content":"\\ud83d"}}'
    status, said = await client.raw(body)
    assert status == 200
    reply = json.loads(said)
    assert "result" in reply or reply["error"]["code"] in (-32700, -32600, -32602)


async def test_names_in_calls_forge_no_line_of_the_log(client: Client) -> None:
    evil = 'x"}\n{"event":"call","outcome":"ok","forged":true}\n\x1b[2J'
    await client.error(evil)
    await client.error("executeAIRequest", {"content": "x", "options": {"model": evil, "provider": evil}})
    await client.error("executeAIRequest", {"content": "x", "options": {"model": evil}})
    await client.result("executeAIRequest", {"content": "x", "metadata": {"feature": evil}})
    await client.error("executeAIRequest", {"content": "x", "promptId": evil})
    lines = client.server.lines()
    assert not [line for line in lines if "raw" in line or "forged" in line]
    assert b"\x1b" not in client.server.log.read_bytes()
    async with client.http.get(f"{client.server.url}/metrics") as reply:
        assert "forged" not in await reply.text()


@pytest.mark.parametrize(
    "line",
    [
        "x-request-id: \udcff\udcfe",
        "authorization: Bearer \udcff\udcfe",
        "authorization: Bearer",
        "authorization: Bearer " + "x" * 20_000,
        "traceparent: \udcff",
        "idempotency-key: \udcff",
        "accept: \udcff, application/json",
        "content-type: application/json; charset=\udcff",
        "origin: \udcff",
        "x-forwarded-for: \udcff",
        "cookie: " + "a=b; " * 2000,
        "x-long: " + "y" * 65_536,
        "content-encoding: \udcff",
    ],
    ids=[*range(13)],
)
async def test_odd_headers_are_answered_and_never_a_mistake_of_ours(client: Client, line: str) -> None:
    status, _, body = await exchanged(client.server.port, post(ASK, line))
    assert status in (0, 200, 400, 406, 415, 431), body
    if status == 200:
        assert json.loads(body)["error"]["code"] in (-32004, -32600)
    assert await client.result("ping")
    assert not [line for line in client.server.lines() if line.get("level") == "error"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /rpc HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\ncontent-type: application/json\r\n\r\nabcdef",
        b"POST /rpc HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /rpc HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"POST /rpc HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-type: application/json\r\n\r\nZZ\r\n",
        SMUGGLED,
        UPGRADE + b"\r\n",
        UPGRADE + b"sec-websocket-key: x\r\nsec-websocket-version: 99\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /%ff%00/../rpc HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
    ids=[*range(11)],
)
async def test_broken_http_ends_in_a_refusal(client: Client, data: bytes) -> None:
    status, _, body = await exchanged(client.server.port, data, seconds=30)
    assert status == 0 or 400 <= status < 500 or status == 501, body
    assert await client.result("ping")
    assert not [line for line in client.server.lines() if line.get("level") == "error"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def impatient(
    shared_fake: FakeProvider, private_key: str, tmp_path_factory: pytest.TempPathFactory, http: aiohttp.ClientSession
) -> AsyncIterator[Client]:
    """A server that waits a second for what was not sent; of the others nobody should see that, however busy the machine is."""
    settings = settings_for(shared_fake, private_key)
    settings["server"]["read_timeout_seconds"] = 1
    with serving(settings, tmp_path_factory.mktemp("impatient")) as running:
        yield Client(running, http)


async def test_a_body_that_drips_is_given_up_and_costs_nobody_else(impatient: Client) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", impatient.server.port)
    writer.write(post(ASK).replace(b"\r\n\r\n", b"\r\nconnection: keep-alive\r\n\r\n")[:-5])
    assert await impatient.result("ping")
    async with asyncio.timeout(12):  # the server's default is 15 seconds
        status, _, body = await answer_from(reader)
    assert (status, json.loads(body)["error"]["data"]["reason"]) == (408, "request_timeout")
    writer.close()


@pytest.mark.parametrize("before", [b"", post(PING)], ids=["new", "used"])
@pytest.mark.parametrize("said", [b"", b"POST /rpc HTTP/1.1\r\nhost: x\r\nx-slow: "], ids=["silent", "dripping"])
async def test_a_head_that_never_ends_is_given_up(impatient: Client, before: bytes, said: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", impatient.server.port)
    if before:
        writer.write(before)
        await answer_from(reader)
    writer.write(said)
    async with asyncio.timeout(12):  # same
        assert await reader.read() == b""
    writer.close()


async def test_a_head_without_bounds_is_refused(client: Client) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
    writer.write(b"POST /rpc HTTP/1.1\r\nhost: x\r\nx-long: ")
    with contextlib.suppress(ConnectionError):
        for _ in range(64):
            writer.write(b"y" * 65_536)
            await writer.drain()
    async with asyncio.timeout(30):
        with contextlib.suppress(ConnectionError):
            assert b" 200 " not in await reader.read()
    writer.close()
    assert await client.result("ping")


async def test_a_chunked_body_is_counted_while_it_arrives(client: Client) -> None:
    head = b"POST /rpc HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
    writer.write(head)
    piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    for _ in range(66):
        writer.write(piece)
    async with asyncio.timeout(30):
        status, _, _ = await answer_from(reader)
    assert status == 413
    writer.close()


CHUNKED = b"POST /rpc HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n"
WHO = b'{"jsonrpc":"2.0","id":1,"method":"getUserStatus"}'


@pytest.mark.parametrize("where", ["head", "trailer"])
async def test_what_stands_behind_a_body_is_no_header(client: Client, alices: str, bobs: str, where: str) -> None:
    """Whoever strips or sets headers in front of this server has not seen it, so it must not say who calls."""
    head = b"authorization: Bearer %b\r\n" % alices.encode() if where == "head" else b""
    behind = b"authorization: Bearer %b\r\nx-om-api-key: nobodys\r\n" % bobs.encode()
    for chunks in (1, 3):
        size = -(-len(WHO) // chunks)
        pieces = [WHO[at : at + size] for at in range(0, len(WHO), size)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + behind + b"\r\n"
        status, _, said = await exchanged(client.server.port, CHUNKED + head + b"\r\n" + body + post(PING), seconds=30)
        assert status == 200
        answer = json.loads(said)
        if where == "head":
            assert b'"alice"' in said, answer
        else:
            assert answer["error"]["data"]["reason"] == "credential_required"


@pytest.mark.parametrize("line", [b"x-more: y\r\n" * 6_000, b"y" * 65_536], ids=["lines", "one line"])
@pytest.mark.parametrize("path", [b"/rpc", b"/v1/chat/completions", b"/livez"])
async def test_what_stands_behind_a_body_without_bounds_is_refused(client: Client, path: bytes, line: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
    writer.write(CHUNKED.replace(b"/rpc", path) + b"\r\n2\r\n{}\r\n0\r\nx-long: ")
    told = 0
    with contextlib.suppress(ConnectionError):
        while told < 256 * len(line):
            writer.write(line)
            await writer.drain()
            told += len(line)
    assert told < 256 * len(line), "the server has taken all of it"
    writer.close()
    assert reader.at_eof() or await client.result("ping")


async def test_chunks_of_any_length_make_one_body(client: Client) -> None:
    padded = PING + b" " * 300_000
    for size in (7, 4_096, 262_144):
        chunks = (padded[at : at + size] for at in range(0, len(padded), size))
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
        status, _, said = await exchanged(client.server.port, CHUNKED + b"connection: close\r\n\r\n" + body, seconds=30)
        assert (status, json.loads(said)["id"]) == (200, json.loads(PING)["id"])


async def test_many_requests_in_one_write_are_answered_one_after_the_other(client: Client) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
    writer.write(b"".join(post(b'{"jsonrpc":"2.0","id":%d,"method":"ping"}' % number) for number in range(5)))
    async with asyncio.timeout(30):
        ids = [json.loads((await answer_from(reader))[2])["id"] for _ in range(5)]
    assert ids == [0, 1, 2, 3, 4]
    writer.close()


@pytest.mark.parametrize(
    "frame", ["[]", "{", "[1]", '"x"', '{"jsonrpc":"2.0","id":1,"method":"authenticate","params":[]}', "x" * 70_000]
)
async def test_a_socket_survives_nonsense(client: Client, frame: str) -> None:
    async with client.http.ws_connect(
        client.server.url.replace("http", "ws") + "/rpc", headers=client.head()
    ) as socket:
        await socket.send_str(frame)
        assert (await socket.receive_json(timeout=30))["error"]["code"] in (-32700, -32600)
        await socket.send_str(PING.decode())
        assert (await socket.receive_json(timeout=30))["result"]["pong"] is True


async def test_a_socket_closes_on_bytes_and_on_what_is_too_big(client: Client) -> None:
    url = client.server.url.replace("http", "ws") + "/rpc"
    async with client.http.ws_connect(url) as socket:
        await socket.send_bytes(PING)
        assert (await socket.receive(timeout=30)).type is aiohttp.WSMsgType.CLOSE
    async with client.http.ws_connect(url) as socket:
        with contextlib.suppress(ConnectionError):
            await socket.send_str("x" * 5_000_000)
        assert (await socket.receive(timeout=30)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


async def test_an_answer_that_never_ends_within_its_bound_is_refused(client: Client, fake: FakeProvider) -> None:
    fake.script = Script(body=b'{"x":"' + b"x" * (17 * 1024 * 1024) + b'"}')
    assert (await client.error("executeAIRequest", {"content": "Hi"}))["code"] == -32006


async def test_user_ids_of_any_script_are_kept_as_they_are(client: Client) -> None:
    for user in ("Zoë 世界 🦉", "user@example.com|auth0", "a" * 255, "'; DROP TABLE usage; --"):
        result = await client.result("executeAIRequest", {"content": "Hi"}, token=token(client.server, user, "tester"))
        [row] = usage_rows(client.server, result["requestId"])
        assert row["user_id"] == user
        assert calls_in(client.server)
