"""What every HTTP exchange gets, whatever it carries: an id, safe headers, a bounded body, a count. Nothing commercial here."""

import re
import secrets
from collections.abc import Callable, Container, Sequence
from typing import Final

import orjson
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.metrics import Metrics

# The doors enforce their own limit where an answer has its own shape, such as a JSON-RPC error.
SELF_LIMITED: Final = frozenset({"/rpc"})

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_SAFE_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


def new_request_id() -> str:
    """An id that nobody can guess and every log accepts."""
    return f"req_{secrets.token_hex(16)}"


class RequestId:
    """Puts the id of the exchange into `scope["state"]["request_id"]` and into the answer's `x-request-id`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the caller's id if it is a plain word, else make one."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = _inbound_id(scope) or new_request_id()
        scope.setdefault("state", {})["request_id"] = request_id
        header = (b"x-request-id", request_id.encode("ascii"))

        async def send_with_id(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        await self._app(scope, receive, send_with_id)


def _inbound_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode("ascii") if _REQUEST_ID.fullmatch(value) else None
    return None


class SecurityHeaders:
    """Adds the headers that make an API's answer safe in a browser, where the answer does not say otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add what is missing when the answer starts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                said = [name for name, _ in headers]
                message["headers"] = [*headers, *[pair for pair in _SAFE_HEADERS if pair[0] not in said]]
            await send(message)

        await self._app(scope, receive, send_safely)


class _BodyTooLarge(Exception):
    """The body passed the limit while it was read."""


class BodyLimit:
    """Refuses bodies above the limit with 413, by their announced length and by what really arrives (RFC 9110, 15.5.14)."""

    def __init__(self, app: ASGIApp, *, bytes_max: int, exempt: Container[str] = SELF_LIMITED) -> None:
        self._app = app
        self._bytes_max = bytes_max
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the body on its way in; the answer is an RFC 9457 problem."""
        if scope["type"] != "http" or scope["path"] in self._exempt:
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


def _announced_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 19 else 2**63  # noqa: PLR2004  # below 2**63 in any case
    return 0


def request_id_of(scope: Scope) -> str:
    """The id of this exchange; a new one where no `RequestId` stands in front."""
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


class AccessMetrics:
    """Counts and times HTTP requests by their route's template, so that nobody's paths become labels."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, monotonic: Callable[[], float]) -> None:
        self._app = app
        self._metrics = metrics
        self._monotonic = monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the exchange when it is over, also when the client has left."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._monotonic()
        status = 499  # nothing was answered: the client left first

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.http_request(scope["method"], route, status, self._monotonic() - started)


CORS_HEADERS_IN: Final = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "X-Request-Id",
    "X-API-Key",
    "traceparent",
    "tracestate",
)
CORS_HEADERS_OUT: Final = (
    "x-request-id",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Tollgate-Provider",
    "X-Tollgate-Model",
    "X-Tollgate-Tier",
)


def transport(
    *, metrics: Metrics, monotonic: Callable[[], float], body_bytes_max: int, cors_origins: Sequence[str] = ()
) -> list[Middleware]:
    """The middleware of the app, outermost first."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(cors_origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=list(CORS_HEADERS_IN),
        expose_headers=list(CORS_HEADERS_OUT),
        max_age=600,
    )
    return [
        Middleware(RequestId),
        Middleware(AccessMetrics, metrics=metrics, monotonic=monotonic),
        Middleware(SecurityHeaders),
        *([cors] if cors_origins else []),
        Middleware(BodyLimit, bytes_max=body_bytes_max),
    ]
