"""The HTTP edges of the JSON-RPC door: headers checked, body read with limits, answers sent, a leaving client noticed."""

import asyncio
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from methods.deadlines import Deadlines
from monetization.alarms import Alarms
from monetization.calls import Credential
from monetization.keys.minting import PREFIX
from server.jsonrpc import error_reply
from server.near import Near
from server.rpc_calls import RpcLimits
from server.whole_replies import Whole

WATCH_AFTER_SECONDS: Final = 0.03
"""A call must run this long before its client is watched: most end sooner, and a watcher costs a task."""
LINGER_SECONDS: Final = 1.0
"""For a refused body to arrive, so that the answer is read before the connection is closed."""
LINGER_BYTES_MAX: Final = 16 * 1024 * 1024
_TOO_SLOW: Final = 408

_JSON_TYPES: Final = frozenset({b"application/json", b"application/json-rpc"})
_USUAL: Final = frozenset({None, b"*/*", b"application/json", b"text/event-stream"})
"""What most clients accept: enough for us, and not worth taking apart."""
_KEY_HEADERS: Final = (b"x-tollgate-key", b"x-om-api-key")
_HEADERS: Final = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))
_LINES: Final = b"content-type: application/json\r\n"  # what every answer has stands in `middleware`


class Left(Exception):  # not an error: the client is gone and nobody waits for an answer
    """The client left before its request had arrived."""


class Refused(Exception):  # it becomes an HTTP status of its own, before any JSON-RPC
    """The exchange is refused before there is a request."""

    def __init__(self, status: int, reason: str, detail: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = headers

    @classmethod
    def draining(cls, retry_after_seconds: int) -> "Refused":
        """This process is leaving."""
        retry = (b"retry-after", b"%d" % retry_after_seconds)
        return cls(503, "draining", "This server is leaving; send the request again.", retry)

    def reply(self, request_id: str) -> bytes:
        """The JSON-RPC error that is the body."""
        data = {"reason": self.reason, "requestId": request_id, "detail": self.detail}
        if self.status == 503:  # noqa: PLR2004  # the status that `draining` set
            return error_reply(None, -32010, "Service overloaded", data)
        return error_reply(None, -32600, "Invalid Request", data)


class Sender:
    """Answers one exchange."""

    __slots__ = ("_whole", "send")

    def __init__(self, send: Send, whole: Whole | None = None) -> None:
        """`whole` writes a reply at once, where the server offers that."""
        self.send = send
        self._whole = whole

    async def json(self, body: bytes, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        """Send a whole JSON body."""
        if self._whole is not None:
            more = b"".join([b"%b: %b\r\n" % pair for pair in headers or ()])
            if self._whole(status, b"%bcontent-length: %d\r\n%b" % (_LINES, len(body), more), body):
                return
        said = [*_HEADERS, (b"content-length", b"%d" % len(body)), *(headers or ())]
        await self.send({"type": "http.response.start", "status": status, "headers": said})
        await self.send({"type": "http.response.body", "body": body})

    async def refuse(self, refused: Refused, request_id: str, receive: Receive, body: bytes | None = None) -> None:
        """Send a refusal and close the connection. `body`: in a shape of the door's own; None: as a JSON-RPC error.

        What the client still sends is read for a moment and thrown away: a connection that is closed over unread bytes is reset,
        and a reset may destroy the answer before the client has read it (RFC 9112, section 9.6).
        """
        body = refused.reply(request_id) if body is None else body
        said = [*_HEADERS, *refused.headers, (b"content-length", b"%d" % len(body)), (b"connection", b"close")]
        await self.send({"type": "http.response.start", "status": refused.status, "headers": said})
        await self.send({"type": "http.response.body", "body": body, "more_body": True})
        left = 0 if refused.status == _TOO_SLOW else LINGER_BYTES_MAX
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            left = 0  # whoever still sends is not waited for any longer
        await self.send({"type": "http.response.body", "body": b""})

    async def reply(
        self, body: bytes | None, departure: "Departure", headers: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        """Send a reply, or 204 when there is nothing to say."""
        departure.stop()
        if body is not None:
            await self.json(body, headers=headers)
            return
        await self.send({"type": "http.response.start", "status": 204, "headers": [(b"cache-control", b"no-store")]})
        await self.send({"type": "http.response.body", "body": b""})


class Departure:
    """Cancels the current task when its client leaves. Where the server tells nothing, it watches what is received."""

    __slots__ = ("_alarms", "_has_left", "_near", "_receive", "_task", "_watching")

    def __init__(self, receive: Receive, alarms: Alarms, told: Near | None = None) -> None:
        """`alarms` ring when a call has lasted long enough to be watched by receiving. `told`: the server that says it itself."""
        self._receive = receive
        self._alarms = alarms
        self._near = told
        self._task = asyncio.current_task()
        self._has_left = False
        self._watching: asyncio.Task[None] | None = None
        if told is None:
            alarms.set(self._begin)
        else:
            told.watch(self.leave)

    def stop(self) -> None:
        """Watch no longer: the answer is on its way."""
        if self._near is not None:
            self._near.watch(None)
            return
        self._alarms.clear(self._begin)
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    def leave(self) -> None:
        """The client is gone, or as good as gone: cancel the call."""
        if not self._has_left and self._task is not None:
            self._has_left = True
            self._task.cancel()

    def is_over(self) -> bool:
        """After a CancelledError: True if only the client's leaving caused it, which is then taken back."""
        if not self._has_left or self._task is None:
            return False
        return self._task.uncancel() == 0

    def _begin(self) -> None:
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.leave()


def check_headers(scope: Scope, limits: RpcLimits) -> dict[bytes, bytes]:
    """The headers by name. Raises: Refused with 405, 406, 413 or 415."""
    if scope["method"] != "POST":
        raise Refused(405, "method_not_allowed", "Send it with POST.", (b"allow", b"POST, OPTIONS"))
    return check_media(scope, limits)


def check_media(scope: Scope, limits: RpcLimits) -> dict[bytes, bytes]:
    """The headers by name, of whatever verb. Raises: Refused with 406, 413 or 415."""
    lines: list[tuple[bytes, bytes]] = scope["headers"]
    headers = dict(lines)
    if len(headers) != len(lines) and b"accept" in headers:  # several lines are one list (RFC 9110, section 5.3)
        headers[b"accept"] = b", ".join(value for name, value in lines if name == b"accept")
    kind = headers.get(b"content-type", b"")
    if kind not in _JSON_TYPES and not _is_json(kind):
        raise Refused(415, "unsupported_media_type", "Send 'Content-Type: application/json' in UTF-8.")
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise Refused(415, "unsupported_content_encoding", "Send the body without a Content-Encoding.")
    accept = headers.get(b"accept")
    if accept not in _USUAL and not (accepts(accept, b"application/json") or accepts(accept, b"text/event-stream")):
        raise Refused(406, "not_acceptable", "Accept application/json, or text/event-stream for streams.")
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > 18 or int(length) > limits.body_bytes_max:  # noqa: PLR2004  # below 2**63
        raise _too_large(limits)
    return headers


def _is_json(kind: bytes) -> bool:
    media, *parameters = (part.strip() for part in kind.lower().split(b";"))
    if media not in _JSON_TYPES and not (media.startswith(b"application/") and media.endswith(b"+json")):
        return False
    charsets = [part[8:].strip(b'"') for part in parameters if part.startswith(b"charset=")]
    return all(charset in (b"utf-8", b"utf8") for charset in charsets)


def accepts(accept: bytes | None, wanted: bytes) -> bool:
    """Whether an Accept header admits a media type (RFC 9110, section 12.5.1). Absent: all but a stream."""
    if accept is None or accept == b"*/*":
        return wanted != b"text/event-stream"
    if accept == wanted:
        return True
    major = wanted.split(b"/")[0] + b"/*"
    for item in accept.lower().split(b","):
        media, *parameters = (part.strip() for part in item.split(b";"))
        is_named = media == wanted or (
            wanted == b"application/json"
            and (media in (b"*/*", major, b"application/json-rpc") or media.endswith(b"+json"))
        )
        if is_named and not any(part in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000") for part in parameters):
            return True
    return False


async def read_body(receive: Receive, limits: RpcLimits, reading: Deadlines, told: Near | None = None) -> bytes:
    """The whole body, within the deadline of its reading. Raises: Refused with 408 or 413; Left.

    `told`: the server, which may have all of it already.
    """
    if told is not None and (body := told.body()) is not None:
        return _bounded(body, limits)
    return await _received(receive, limits, reading)


async def _received(receive: Receive, limits: RpcLimits, reading: Deadlines) -> bytes:
    try:
        with reading.bound():
            message = await _part(receive)
            if not message.get("more_body", False):
                return _bounded(message.get("body", b""), limits)
            body = bytearray()
            while True:
                body += message.get("body", b"")
                _bounded(body, limits)
                if not message.get("more_body", False):
                    return bytes(body)
                message = await _part(receive)
    except TimeoutError:
        detail = f"The body did not arrive within {reading.seconds:g} seconds."
        raise Refused(_TOO_SLOW, "request_timeout", detail) from None


async def _part(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Left
    return message


def _bounded(body: bytes | bytearray, limits: RpcLimits) -> bytes:
    if len(body) > limits.body_bytes_max:
        raise _too_large(limits)
    return body if isinstance(body, bytes) else b""


def _too_large(limits: RpcLimits) -> Refused:
    return Refused(413, "body_too_large", f"The body may hold at most {limits.body_bytes_max} bytes; split it.")


def credential_from(scope: Scope, headers: dict[bytes, bytes]) -> Credential:
    """What the caller showed: `Authorization: Bearer`, or a gateway key in a header of its own; never a query or a body."""
    client = scope.get("client")
    address = client[0] if client else None
    shown = headers.get(b"authorization", b"")
    if shown[:7].lower() == b"bearer ":
        return Credential("bearer", shown[7:].strip().decode("latin-1"), address)
    if not shown:
        for name in _KEY_HEADERS:
            if name in headers:
                # What stands here is a gateway key or nothing: another kind of credential has its own header.
                return Credential(
                    "bearer", PREFIX + headers[name].strip().decode("latin-1").removeprefix(PREFIX), address
                )
    return Credential("none", "", address)
