"""What every HTTP exchange gets, whatever it carries: an id, safe headers, a bounded body, a count. Nothing commercial here."""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final
from urllib.parse import quote

import orjson
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.ids import new_request_id, request_ids
from server.metrics import Metrics
from server.whole_replies import WHOLE, Whole, offered, withdraw

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_SAFE_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)

_REDIRECT: Final = 307

_SAFE_LINES: Final = b"".join([b"%b: %b\r\n" % pair for pair in _SAFE_HEADERS])


class Transport:
    """Gives each exchange its id, each answer safe headers where it says nothing else, and each request its place in the metrics.

    The id is the caller's if it is a plain word, else a new one; it stands in `scope["state"]["request_id"]` and in the answer's
    `x-request-id`. `direct` are apps by their exact path, which are asked without the routing of `app`; of WebSockets only those
    at the paths of `sockets`. Requests are counted by their route's template, so that nobody's paths become labels, and also when
    the client has left.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        monotonic: Callable[[], float],
        direct: Mapping[str, ASGIApp] | None = None,
        sockets: Collection[str] = (),
        hands_whole: bool = True,
    ) -> None:
        """`hands_whole`: doors may reply in one write, past what else stands between them and this."""
        self._app = app
        self._metrics = metrics
        self._monotonic = monotonic
        self._direct = dict(direct or {})
        self._sockets = {path: self._direct[path] for path in sockets}
        self._hands_whole = hands_whole
        self._new_id = request_ids()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = _inbound_id(scope) or self._new_id()
        scope.setdefault("state", {})["request_id"] = request_id
        path = scope["path"]
        if kind == "websocket":
            await self._sockets.get(path, self._app)(scope, receive, _Answer(send, request_id).send_socket)
            return
        app = self._direct.get(path)
        answer = _Answer(send, request_id)
        whole = offered(scope)
        if whole is not None:
            extensions = scope["extensions"]
            if self._hands_whole:
                extensions[WHOLE] = partial(answer.whole, whole)
            else:
                del extensions[WHOLE]
        started = self._monotonic()
        try:
            await (app or self._app)(scope, receive, answer.send)
        finally:
            withdraw(scope)
            route = path if app is not None else getattr(scope.get("route"), "path", "none")
            self._metrics.http_request(scope["method"], route, answer.status, self._monotonic() - started)


class _Answer:
    """The answer of one exchange on its way out."""

    __slots__ = ("_request_id", "_send", "status")

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 499
        """What was answered; until then: the client left first."""

    # Both hand the server's own awaitable on: an answer has many messages, and a coroutine around each would cost.
    def send(self, message: Message) -> Awaitable[None]:
        """Send a message of an HTTP answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message.get("headers", ())
            said = {name for name, _ in headers}
            missing = [pair for pair in _SAFE_HEADERS if pair[0] not in said]
            message["headers"] = [*headers, *missing, (b"x-request-id", self._request_id.encode("ascii"))]
        return self._send(message)

    def whole(self, write: Whole, status: int, lines: bytes, body: bytes) -> bool:
        """Write a whole answer whose lines are safe but for those that every answer has."""
        said = b"%bx-request-id: %b\r\n" % (_SAFE_LINES, self._request_id.encode("ascii"))
        is_written = write(status, lines + said, body)
        if is_written:
            self.status = status
        return is_written

    def send_socket(self, message: Message) -> Awaitable[None]:
        """Send a message of a WebSocket."""
        if message["type"] in ("websocket.accept", "websocket.http.response.start"):
            header = (b"x-request-id", self._request_id.encode("ascii"))
            message["headers"] = [*message.get("headers", ()), header]
        return self._send(message)


def _inbound_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode("ascii") if _REQUEST_ID.fullmatch(value) else None
    return None


class _BodyTooLarge(Exception):
    """The body passed the limit while it was read."""


class BodyLimit:
    """Refuses bodies above the limit with 413, by their announced length and by what really arrives (RFC 9110, 15.5.14)."""

    def __init__(self, app: ASGIApp, *, bytes_max: int, bounded: tuple[str, ...] = ()) -> None:
        """`bounded`: how the paths begin whose doors bound their bodies themselves, with errors of their own shape."""
        self._app = app
        self._bytes_max = bytes_max
        self._bounded = bounded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the body on its way in; the answer is an RFC 9457 problem."""
        if scope["type"] != "http" or scope["path"].startswith(self._bounded):
            await self._app(scope, receive, send)
            return
        if _announced_bytes(scope) > self._bytes_max:
            await self._refuse(scope, send)
            return
        arrived = 0
        has_answered = False

        async def receive_counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > self._bytes_max:
                raise _BodyTooLarge
            return message

        async def send_noted(message: Message) -> None:
            nonlocal has_answered
            has_answered = True
            await send(message)

        try:
            await self._app(scope, receive_counted, send_noted)
        except _BodyTooLarge:
            if not has_answered:
                await self._refuse(scope, send)

    async def _refuse(self, scope: Scope, send: Send) -> None:
        detail = f"The body may hold at most {self._bytes_max} bytes; send less, or split it."
        await problem(send, status=413, title="Content Too Large", detail=detail, instance=request_id_of(scope))


class OwnRedirects:
    """Names only a path in a redirect (RFC 9110, 10.2.2), so that it leads to nobody else.

    What is known here of our own address is what `Host` says and the scheme behind a proxy: a client would follow them with its
    credential to another server, or to the same one without TLS.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange. The only redirects of `app` are those of its router, from a path with a slash at its end."""

        def send_own(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start" and message["status"] == _REDIRECT:
                others = [pair for pair in message["headers"] if pair[0] != b"location"]
                message["headers"] = [*others, (b"location", _without_slash(scope))]
            return send(message)

        await self._app(scope, receive, send_own)


def _without_slash(scope: Scope) -> bytes:
    """Where the same path is served; every path of ours ends without a slash."""
    path = quote(scope["path"].rstrip("/")).encode("ascii")
    return b"%b?%b" % (path, scope["query_string"]) if scope["query_string"] else path


def _announced_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 19 else 2**63  # noqa: PLR2004  # below 2**63 in any case
    return 0


def request_id_of(scope: Scope) -> str:
    """The id of this exchange; a new one where no `Transport` stands in front."""
    state = scope.setdefault("state", {})
    found: str = state.get("request_id") or state.setdefault("request_id", new_request_id())
    return found


async def problem(send: Send, *, status: int, title: str, detail: str, instance: str) -> None:
    """Answer with an RFC 9457 problem and close the connection, since its body was not read to the end."""
    body = orjson.dumps(
        {"type": "about:blank", "title": title, "status": status, "detail": detail, "instance": instance}
    )
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


CORS_HEADERS_IN: Final = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "X-Request-Id",
    "X-API-Key",
    "X-Tollgate-Key",
    "X-OM-Api-Key",
    "X-OM-Customer-Id",
    "X-OM-User-Id",
    "X-OM-Feature-Id",
    "X-OM-Metadata",
    "traceparent",
    "tracestate",
    "MCP-Protocol-Version",
    "Mcp-Method",
    "Mcp-Name",
    # What the vendors' SDKs send from a browser.
    "anthropic-version",
    "anthropic-beta",
    "anthropic-dangerous-direct-browser-access",
    "anthropic-user-profile-id",
    "anthropic-workspace-id",
    "OpenAI-Beta",
    "OpenAI-Organization",
    "OpenAI-Project",
    "User-Agent",  # browsers that follow the newer rule of Fetch let a page set it, and the SDKs do
    "x-client-request-id",
    "x-goog-api-key",
    "x-goog-api-client",
    "x-goog-user-project",
    "x-server-timeout",
    "x-stainless-arch",
    "x-stainless-helper",
    "x-stainless-helper-method",
    "x-stainless-lang",
    "x-stainless-os",
    "x-stainless-package-version",
    "x-stainless-retry-count",
    "x-stainless-runtime",
    "x-stainless-runtime-version",
    "x-stainless-timeout",
)
CORS_HEADERS_OUT: Final = (
    "x-request-id",
    "request-id",
    "WWW-Authenticate",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "x-should-retry",
    "X-Tollgate-Provider",
    "X-Tollgate-Model",
    "X-Tollgate-Asked-Model",
    "X-Tollgate-Saving",
    "X-Tollgate-Cost",
    "X-Tollgate-Charge",
    "X-Tollgate-Asset",
    "X-Tollgate-Balance",
    "X-Tollgate-Quota-Remaining",
    *(f"x-ratelimit-{part}-{what}" for what in ("requests", "tokens") for part in ("limit", "remaining", "reset")),
    *(
        f"anthropic-ratelimit-{what}-{part}"
        for what in ("requests", "tokens")
        for part in ("limit", "remaining", "reset")
    ),
)


def transport(
    app: Starlette,
    *,
    metrics: Metrics,
    monotonic: Callable[[], float],
    body_bytes_max: int,
    cors_origins: Sequence[str] = (),
    direct: Mapping[str, ASGIApp] | None = None,
    sockets: Collection[str] = (),
    bounded: tuple[str, ...] = (),
) -> ASGIApp:
    """The app with its transport around it.

    `direct`: doors by their exact path. They bound their bodies themselves, as do those whose paths begin as `bounded` says.
    `sockets`: the paths of those that take WebSockets too.
    """
    app.add_middleware(OwnRedirects)
    app.add_middleware(BodyLimit, bytes_max=body_bytes_max, bounded=bounded)
    if not cors_origins:
        return Transport(app, metrics=metrics, monotonic=monotonic, direct=direct, sockets=sockets)
    guarded = {path: _cors(door, cors_origins) for path, door in (direct or {}).items()}
    return Transport(
        _cors(app, cors_origins),
        metrics=metrics,
        monotonic=monotonic,
        direct=guarded,
        sockets=sockets,
        hands_whole=False,
    )


def _cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=list(CORS_HEADERS_IN),
        expose_headers=list(CORS_HEADERS_OUT),
        max_age=600,
    )
