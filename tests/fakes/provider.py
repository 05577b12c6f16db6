"""A fake AI provider on loopback: speaks three vendors' wire fast, remembers what it was asked, misbehaves on script.

In a test: `async with FakeProvider() as fake: ... fake.url`. As a process: `python -m tests.fakes.provider --port 0`, which
prints one JSON line with its address.
"""

import argparse
import asyncio
import re
import sys
from collections import Counter, deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import orjson

from tests.fakes import wires
from tests.fakes.operations import answer_to, responses_wire_of
from tests.fakes.scripts import BY_MODEL, GOOD, Script
from tests.fakes.thinking_wires import thinking_wire_of
from tests.fakes.tool_wires import tool_wire_of
from tests.fakes.wires import Vendor, Wire

_MODEL_IN_BODY = re.compile(rb'"model"\s*:\s*"([^"]*)"')
_MODEL_IN_PATH = re.compile(r"/models/([^:]+):")
_STREAM_IN_BODY = re.compile(rb'"stream"\s*:\s*true')
_ONE_SHOT = re.compile(r"/embeddings|/count_tokens|/input_tokens|:batchEmbedContents|:embedContent|:countTokens")
TOOLS = "fake-tools"
JSON = "fake-json"
MIRROR = "fake-mirror"
"""Models that ask for tools, that answer with JSON, and that repeat the body of the request as their text."""
AGENT = "fake-agent"
THINKING = "fake-thinking"
"""Models that ask for tools until they are given a result, and that show their thinking."""
_TOOL_RESULT = re.compile(rb'"tool_result"|"role":\s*"tool"|"functionResponse"|"function_call_output"')


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    vendor: Vendor
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client closed its connection, or the fake did."""
    closed_at: float = 0.0
    """Loop seconds of that."""
    is_answered: bool = False

    @property
    def json(self) -> dict[str, object]:
        """The body."""
        parsed: dict[str, object] = orjson.loads(self.body)
        return parsed


class FakeProvider:
    """Serves on 127.0.0.1. Scripts: the ones queued in `scripts`, then `script`, then what the model's name says."""

    def __init__(self, *, words: tuple[str, ...] = wires.WORDS, records: bool = True, bad_key: str = "bad-key") -> None:
        self.seen: list[Seen] = []
        self.arrived = asyncio.Event()
        """Set when a request was seen; clear it to wait for another one."""
        self.scripts: deque[Script] = deque()
        self.script: Script | None = None
        self.records = records
        self.bad_key = bad_key
        self.connections: set[_Connection] = set()
        self.port = 0
        self._words = words
        self._wires: dict[tuple[Vendor, str, bool], tuple[Wire, bytes, bytes]] = {}
        self._turns: Counter[bytes] = Counter()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The address without a path."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut all connections and stop listening."""
        assert self._server is not None
        self._server.close()
        for connection in list(self.connections):
            connection.abort()
        await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def script_for(self, model: str, body: bytes = b"") -> Script:
        """How the next request is answered. Turns go on for each body alone: clients do not share them."""
        if self.scripts:
            return self.scripts.popleft()
        script = self.script or BY_MODEL.get(model, GOOD)
        if not script.turns:
            return script
        turn = self._turns[body]
        self._turns[body] += 1
        return script.turns[turn % len(script.turns)]

    def answers_for(self, vendor: Vendor, model: str, path: str, body: bytes) -> tuple[Wire, bytes, bytes]:
        """The wire, and whole HTTP replies with it: plain and, chunk by chunk, stream."""
        if model == AGENT:
            model = AGENT if _TOOL_RESULT.search(body) else TOOLS
        is_responses = path.endswith("/responses")
        found = self._wires.get((vendor, model, is_responses))
        if found is None:
            wire = self._wire(vendor, model, body, is_responses=is_responses)
            plain = head_of(200, "application/json", {}, length=len(wire.reply)) + wire.reply
            stream = head_of(200, "text/event-stream", {}, length=None)
            found = (wire, plain, stream)
            if model != MIRROR:
                self._wires[vendor, model, is_responses] = found
        return found

    def _wire(self, vendor: Vendor, model: str, body: bytes, *, is_responses: bool) -> Wire:
        words = wires.JSON_WORDS if model == JSON else (body.decode(),) if model == MIRROR else self._words
        if is_responses:
            return responses_wire_of(model, words, calls_tools=model == TOOLS)
        if model == THINKING:
            return thinking_wire_of(vendor, model, words)
        return tool_wire_of(vendor, model) if model == TOOLS else wires.wire_of(vendor, model, words)


def head_of(status: int, content_type: str, headers: dict[str, str], *, length: int | None) -> bytes:
    """Status line and headers; without a length the body is chunked."""
    size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Fake\r\ncontent-type: {content_type}\r\n{size}\r\n{extra}\r\n".encode()


def chunk_of(data: bytes) -> bytes:
    """One chunk (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class _Connection(asyncio.Protocol):
    def __init__(self, fake: FakeProvider) -> None:
        self._fake = fake
        self._buffer = b""
        self._seen: Seen | None = None
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # TCP gives a Transport
        self._fake.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._fake.connections.discard(self)
        if self._task is not None:
            self._task.cancel()
        if self._seen is not None:
            self._seen.closed_at = asyncio.get_running_loop().time()
            self._seen.closed.set()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].decode("latin-1")
        at = head.lower().find("\r\ncontent-length:")
        size = int(head[at + 17 :].split("\r\n", 1)[0]) if at >= 0 else 0
        end = head_end + 4 + size
        if len(self._buffer) < end:
            return
        body, self._buffer = self._buffer[head_end + 4 : end], self._buffer[end:]
        self._serve(head, body)

    def _serve(self, head: str, body: bytes) -> None:
        fake = self._fake
        line, _, rest = head.partition("\r\n")
        method, path, _ = line.split(" ", 2)
        vendor = _vendor_of(path, rest)
        if fake.records:
            self._seen = Seen(method, path, _headers_of(rest), body, vendor)
            fake.seen.append(self._seen)
            fake.arrived.set()
        if fake.bad_key in rest:
            self._plain(401, wires.error_of(vendor, 401, f"the key {fake.bad_key} is wrong"), "application/json", {})
            return
        if method == "GET":
            self._plain(200, wires.models_of(vendor), "application/json", {})
            return
        in_path = _MODEL_IN_PATH.search(path)
        in_body = None if in_path else _MODEL_IN_BODY.search(body)
        model = in_path.group(1) if in_path else in_body.group(1).decode() if in_body else ""
        is_stream = ":streamGenerate" in path or _STREAM_IN_BODY.search(body) is not None
        script = fake.script_for(model, body)
        if script is GOOD and _ONE_SHOT.search(path) and (answer := answer_to(path, body)) is not None:
            self._plain(200, answer, "application/json", {})
            return
        wire, plain, stream_head = fake.answers_for(vendor, model, path, body)
        if script is not GOOD:
            self._task = asyncio.get_running_loop().create_task(self._act(script, vendor, wire, is_stream=is_stream))
        elif is_stream:
            self._transport.write(stream_head)
            for event in wire.events:
                self._transport.write(chunk_of(event))
            self._transport.write(b"0\r\n\r\n")
            self._done()
        else:
            self._transport.write(plain)
            self._done()

    def _plain(self, status: int, body: bytes, content_type: str, headers: dict[str, str]) -> None:
        self._transport.write(head_of(status, content_type, headers, length=len(body)) + body)
        self._done()

    def _done(self) -> None:
        if self._seen is not None:
            self._seen.is_answered = True

    async def _act(self, script: Script, vendor: Vendor, wire: Wire, *, is_stream: bool) -> None:
        if script.delay:
            await asyncio.sleep(script.delay)
        if script.never_answers:
            return
        if script.cut_before_status:
            self._transport.abort()
        elif script.status != 200:
            body = wires.error_of(vendor, script.status, script.message) if script.body is None else script.body
            self._plain(script.status, body, script.content_type or "application/json", script.headers)
        elif is_stream:
            await self._stream(script, vendor, wire)
        else:
            self._whole(script, wire)

    def _whole(self, script: Script, wire: Wire) -> None:
        body = wire.reply if script.body is None else script.body
        head = head_of(200, script.content_type or "application/json", script.headers, length=len(body))
        if script.cut_after is not None:
            self._transport.write(head + body[: len(body) // 2])
            self._transport.close()
            return
        self._transport.write(head + body)
        self._done()

    async def _stream(self, script: Script, vendor: Vendor, wire: Wire) -> None:
        self._transport.write(head_of(200, script.content_type or "text/event-stream", script.headers, length=None))
        events = list(wire.events) if script.body is None else [script.body]
        at = 0
        while at < len(events):
            if at == script.error_after:
                await self._send(script, wires.stream_error_of(vendor, script.message))
                break
            if at == script.hangs_after:
                return
            if at == script.waits_after and script.waits is not None:
                await script.waits.wait()
            if at == script.cut_after:
                await self._send(script, events[at][: len(events[at]) // 2])
                self._transport.close()
                return
            await self._send(script, events[at])
            at = 3 if script.is_endless and at == 5 else at + 1
            await asyncio.sleep(script.gap)
        self._transport.write(b"0\r\n\r\n")
        self._done()

    async def _send(self, script: Script, data: bytes) -> None:
        size = script.pieces or max(1, len(data))
        for start in range(0, len(data), size):
            self._transport.write(chunk_of(data[start : start + size]))
            if script.pieces:
                await asyncio.sleep(0)  # one write, one read on the other side


def _vendor_of(path: str, headers: str) -> Vendor:
    if "/messages" in path or "anthropic-version" in headers.lower():
        return "anthropic"
    if _MODEL_IN_PATH.search(path) or "x-goog-api-key" in headers.lower():
        return "google"
    return "openai"


def _headers_of(lines: str) -> dict[str, str]:
    pairs = [line.partition(":") for line in lines.split("\r\n") if line]
    return {name.lower(): value.strip() for name, _, value in pairs}


async def _serve_alone(port: int, words: tuple[str, ...]) -> None:
    fake = FakeProvider(words=words, records=False)
    await fake.start(port)
    sys.stdout.buffer.write(orjson.dumps({"url": fake.url, "port": fake.port}) + b"\n")
    sys.stdout.buffer.flush()
    await asyncio.Event().wait()


def main() -> None:
    """`python -m tests.fakes.provider --port 0 --chunks 100 --reply-bytes 2000`; runs until it is killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--chunks", type=int, default=100, help="text deltas of a stream")
    parser.add_argument("--reply-bytes", type=int, default=600, help="text of an answer, whole or streamed")
    given = parser.parse_args()
    each = max(1, given.reply_bytes // given.chunks)
    words = tuple([("word" * each)[: each - 1] + " "] * given.chunks)
    import uvloop  # noqa: PLC0415  # only the process needs it

    uvloop.run(_serve_alone(given.port, words))


if __name__ == "__main__":
    main()
