"""Sends one POST to an ASGI app in this process."""

import asyncio
from collections.abc import Iterable
from typing import Any

import orjson

JSON = (b"content-type", b"application/json")


async def post(
    app: Any, body: bytes, *, headers: Iterable[tuple[bytes, bytes]] = (JSON,), method: str = "POST", chunk: int = 0
) -> tuple[int, dict[bytes, bytes], bytes]:
    parts = [body[i : i + chunk] for i in range(0, len(body), chunk)] if chunk else [body]
    inbox = [{"type": "http.request", "body": p, "more_body": n < len(parts) - 1} for n, p in enumerate(parts)]
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        if inbox:
            return inbox.pop(0)
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": "/rpc", "headers": list(headers), "client": ("127.0.0.9", 1)}
    await app(scope, receive, send)
    assert not sent[-1].get("more_body", False)
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(m.get("body", b"") for m in sent[1:])


def assert_conforming(status: int, body: bytes) -> None:
    """Any answer of the door to a POST of JSON: 204 and nothing, or 200 and one response or an array of them."""
    if status == 204:
        assert body == b""
        return
    assert status == 200
    reply = orjson.loads(body)
    assert reply != []
    for one in reply if isinstance(reply, list) else [reply]:
        assert one["jsonrpc"] == "2.0"
        assert "id" in one
        assert ("result" in one) != ("error" in one)
        if "error" in one:
            assert type(one["error"]["code"]) is int
            assert isinstance(one["error"]["message"], str)
            assert {"reason", "requestId"} <= one["error"]["data"].keys()
