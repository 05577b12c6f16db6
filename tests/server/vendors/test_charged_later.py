"""A whole answer was streamed and the store is away: the stream ends as its vendor ends it, for the charge follows by itself."""

import pytest
from starlette.types import Message, Scope

from methods.dialects.canonical import Passed
from methods.method import Answer
from methods.progress import ProgressSink
from monetization.calls import Call
from monetization.errors import ChargedLater
from server.plain_http import Means
from server.rpc_calls import RpcLimits
from server.vendors.door import VendorDoor
from storage.errors import StorageUnavailable

WHOLE = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
PATHS = ("/v1/messages", "/v1/chat/completions", "/v1/responses", "/v1beta/models/m:streamGenerateContent")


async def streamed(path: str, fault: Exception) -> bytes:
    """What a client of that path is sent when its call ends so after all output."""
    sent: list[Message] = []

    async def serve(call: Call, sink: ProgressSink | None = None) -> Answer:
        assert call.is_stream
        assert sink is not None
        await sink([Passed(WHOLE)])
        raise fault

    async def receive() -> Message:
        return {"type": "http.request", "body": b'{"model":"m","stream":true}', "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    means = Means(serve, RpcLimits(), lambda: False, lambda: "req_1", lambda *_: None, lambda: 0.0)
    headers = [(b"content-type", b"application/json"), (b"authorization", b"Bearer x")]
    scope: Scope = {"type": "http", "method": "POST", "path": path, "query_string": b"alt=sse", "headers": headers}
    await VendorDoor(means, clock=lambda: 0.0)(scope, receive, send)
    return b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_follows_a_whole_answer_that_is_charged_later(path: str) -> None:
    assert await streamed(path, ChargedLater("later")) == WHOLE
    assert b"storage_unavailable" in (await streamed(path, StorageUnavailable("away"))).lower()
