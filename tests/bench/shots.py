"""The requests that are sent, byte for byte, and what every reply to them must hold. Checked once in full before any load."""

import http.client
from dataclasses import dataclass

import orjson

from tests.bench.processes import BenchFailed
from tests.bench.provider import MODEL, PACED_MODEL, TEXT

RPC = "/rpc"
_QUESTION = "What is a benchmark?"


@dataclass(frozen=True, slots=True)
class Shot:
    """One request to one side, sent again and again."""

    side: str
    """Who gets it: `forwarder`, `tollgate` or `provider`."""
    path: str
    body: bytes
    is_stream: bool = False

    def wire(self, token: str) -> bytes:
        """The whole HTTP request."""
        lines = [
            f"POST {self.path} HTTP/1.1",
            "host: 127.0.0.1",
            *(f"{name}: {value}" for name, value in self.headers(token).items()),
            f"content-length: {len(self.body)}",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body

    def headers(self, token: str) -> dict[str, str]:
        """Only our own server asks who is calling."""
        accept = "text/event-stream" if self.is_stream else "application/json"
        identity = {"authorization": f"Bearer {token}"} if self.side == "tollgate" else {}
        return {"content-type": "application/json", "accept": accept, **identity}

    @property
    def must_hold(self) -> str:
        """Bytes that no reply may lack: the whole text, or, of a forwarded stream, its end."""
        return "[DONE]" if self.is_stream and self.path != RPC else TEXT


def _provider_body(model: str, *, is_stream: bool) -> bytes:
    messages = [{"role": "user", "content": _QUESTION}]
    stream = {"stream": True, "stream_options": {"include_usage": True}} if is_stream else {}
    return orjson.dumps({"model": model, "messages": messages, "max_completion_tokens": 500, **stream})


def _our_body(model: str, *, is_stream: bool) -> bytes:
    options = {"provider": "openai", "model": model, "maxTokens": 500, **({"stream": True} if is_stream else {})}
    params = {"content": _QUESTION, "options": options}
    return orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "executeAIRequest", "params": params})


def forwarder(model: str, *, is_stream: bool = False) -> Shot:
    """The provider's own body through the bare forwarder."""
    path = "/stream" if is_stream else "/plain"
    return Shot("forwarder", path, _provider_body(model, is_stream=is_stream), is_stream)


def tollgate(model: str, *, is_stream: bool = False) -> Shot:
    """The same question as a JSON-RPC call with a token."""
    return Shot("tollgate", RPC, _our_body(model, is_stream=is_stream), is_stream)


def door(model: str, *, is_stream: bool = False) -> Shot:
    """The provider's own body on our own door of that vendor, with a token."""
    return Shot("tollgate", "/v1/chat/completions", _provider_body(model, is_stream=is_stream), is_stream)


def provider(model: str, *, is_stream: bool = False) -> Shot:
    """The provider itself: the most that the load tool and the provider can do."""
    return Shot("provider", "/v1/chat/completions", _provider_body(model, is_stream=is_stream), is_stream)


DOOR_PLAIN = (forwarder(MODEL), door(MODEL), provider(MODEL))
DOOR_STREAM = (
    forwarder(PACED_MODEL, is_stream=True),
    door(PACED_MODEL, is_stream=True),
    provider(PACED_MODEL, is_stream=True),
)
PLAIN = (forwarder(MODEL), tollgate(MODEL), provider(MODEL))
STREAM = (
    forwarder(PACED_MODEL, is_stream=True),
    tollgate(PACED_MODEL, is_stream=True),
    provider(PACED_MODEL, is_stream=True),
)
BURST = (forwarder(MODEL, is_stream=True), tollgate(MODEL, is_stream=True), provider(MODEL, is_stream=True))


def check(shot: Shot, port: int, token: str) -> None:
    """Send it once and read the answer as a client would. Raises: BenchFailed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", shot.path, shot.body, shot.headers(token))
        reply = connection.getresponse()
        body = reply.read()
    finally:
        connection.close()
    try:
        text = _stream_text(shot, body) if shot.is_stream else _plain_text(shot, orjson.loads(body))
    except (ValueError, KeyError, IndexError, TypeError) as wrong:
        text = f"unreadable: {wrong!r}"
    if reply.status != http.client.OK or text != TEXT:
        shown = body[:1000].decode("utf-8", "replace")
        raise BenchFailed(f"{shot.side}{shot.path} gave a wrong reply ({reply.status}): {shown}")


def _plain_text(shot: Shot, reply: dict[str, object]) -> object:
    if shot.path == RPC:
        return _member(reply, "result", "content")
    choices = reply["choices"]
    assert isinstance(choices, list)
    return _member(choices[0], "message", "content")


def _stream_text(shot: Shot, body: bytes) -> object:
    """The text of the deltas; of our own streams, where the final response must hold the same."""
    lines = [line[5:].strip() for line in body.splitlines() if line.startswith(b"data:")]
    events = [orjson.loads(line) for line in lines if line != b"[DONE]"]
    if shot.path != RPC:
        return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])
    deltas = [event["params"] for event in events if event.get("method") == "$/progress"]
    told = "".join(_delta(params) for params in deltas)
    final = _member(events[-1], "result", "content")
    return told if told == final else f"the deltas say {told!r}, the final response {final!r}"


def _delta(params: dict[str, object]) -> str:
    value = params["value"]
    assert isinstance(value, dict)
    return str(_member(value, "delta", "text")) if value["kind"] == "delta" else ""


def _member(value: object, *names: str) -> object:
    for name in names:
        assert isinstance(value, dict)
        value = value[name]
    return value
