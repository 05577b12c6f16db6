"""The vendors' doors: an SDK's own request in, its own reply, stream or error out. It decides nothing about callers or money."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

import orjson
from starlette.types import Receive, Scope, Send

from methods.deadlines import Deadlines
from methods.errors import Internal, InvalidParams, MethodNotFound
from monetization.alarms import Alarms
from monetization.calls import Call, Credential
from monetization.errors import ChargedLater
from server.jsonrpc import Malformed, parse
from server.near import near
from server.plain_http import Means
from server.rpc_calls import idempotency_key_from_wire, traceparent_from_wire
from server.rpc_reading import WATCH_AFTER_SECONDS, Departure, Left, Refused, Sender, check_media, read_body
from server.rpc_stream import EventStream
from server.vendors import headers as said
from server.vendors.credentials import credentials_of
from server.vendors.reading import attribution, headers_of, is_array, is_streamed, version_of
from server.vendors.stream import ArrayWire, PassedWire
from server.vendors.surface import Endpoint, Surface
from server.vendors.tables import surface_of
from server.whole_replies import offered
from storage.errors import Fault

_NOT_FOUND: Final = 404
_NOT_ALLOWED: Final = 405
_COUNT: Final = re.compile(r"[0-9]{1,9}")
_COUNTS: Final = ("limit", "pageSize")
"""Parameters of a query that are numbers."""


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One request, once its door is known."""

    surface: Surface
    request_id: str
    headers: Mapping[bytes, bytes]
    query: bytes
    out: Sender
    receive: Receive


class VendorDoor:
    """All vendors' doors as one ASGI app, because they share paths."""

    def __init__(self, means: Means, *, clock: Callable[[], float]) -> None:
        """`clock` gives Unix seconds."""
        self._means = means
        self._clock = clock
        self._reading = Deadlines(means.limits.read_timeout_seconds)
        self._watching = Alarms(WATCH_AFTER_SECONDS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        request_id = self._means.request_id(scope)
        headers, query = headers_of(scope["headers"]), scope.get("query_string", b"")
        surface, path = surface_of(scope["method"], scope["path"], headers, query)
        exchange = _Exchange(surface, request_id, headers, query, Sender(send, offered(scope)), receive)
        try:
            endpoint, slots = _endpoint(surface, scope["method"], path)
            scope["route"] = _Template(endpoint.template)  # requests are counted by the table's path
            body = await self._read(exchange, scope, endpoint)
        except Refused as refused:
            shown = surface.error(_fault_of(refused), refused.status, request_id)
            more = Refused(refused.status, refused.reason, refused.detail, *refused.headers, *said.ids(request_id))
            await exchange.out.refuse(more, request_id, receive, shown)
            return
        except Left:
            return
        departure = Departure(receive, self._watching, near(scope))
        try:
            await self._answer(exchange, scope, endpoint, slots, body, departure)
        except asyncio.CancelledError:
            # Only the cancellation that the client's leaving caused ends here; the server's own goes on.
            if not departure.is_over():
                raise
        finally:
            departure.stop()

    async def _read(self, exchange: _Exchange, scope: Scope, endpoint: Endpoint) -> bytes:
        """The body. Raises: Refused, Left."""
        if self._means.is_draining():
            raise Refused.draining(self._means.limits.retry_after_seconds)
        if endpoint.verb != "POST":
            return b""
        check_media(scope, self._means.limits)
        return await read_body(exchange.receive, self._means.limits, self._reading, near(scope))

    async def _answer(
        self,
        exchange: _Exchange,
        scope: Scope,
        endpoint: Endpoint,
        slots: Mapping[str, str],
        body: bytes,
        departure: Departure,
    ) -> None:
        """Serve the call. The one broad net of these doors is here."""
        call: Call | None = None
        try:
            call = self._call(exchange, scope, endpoint, slots, body)
            if call.is_stream:
                await self._stream(exchange, endpoint, call, departure)
                return
            answer = await self._means.serve(call, None)
        except Exception as problem:  # noqa: BLE001  # as the docstring says
            departure.stop()
            await self._refuse(exchange, endpoint, problem, call)
            return
        departure.stop()
        await self._reply(exchange, call, answer)

    def _call(
        self, exchange: _Exchange, scope: Scope, endpoint: Endpoint, slots: Mapping[str, str], raw: bytes
    ) -> Call:
        """The call that a request asks for. Raises: InvalidParams, Unauthenticated."""
        headers, surface, query = exchange.headers, exchange.surface, exchange.query
        credential, own_key = credentials_of(surface, scope, headers, query)
        params: dict[str, object] = {"dialect": endpoint.dialect, **endpoint.fixed}
        is_stream = False
        if endpoint.verb == "POST":
            body = self._body(raw)
            is_stream = is_streamed(endpoint, body, query)
            params |= {"body": body, **version_of(surface, headers, slots), **attribution(headers)}
            if orjson.dumps(body) != raw:
                params["text"] = raw.decode("utf-8", "replace")
            if endpoint.stream is not None:
                params["stream"] = endpoint.stream
            if own_key is not None:
                params["apiKey"] = own_key
        else:
            params |= _queried(endpoint, query)
        if slots.get("model") is not None:
            params["model"] = slots["model"]
        return self._called(exchange, endpoint, params, credential, is_stream=is_stream)

    def _called(
        self,
        exchange: _Exchange,
        endpoint: Endpoint,
        params: dict[str, object],
        credential: Credential,
        *,
        is_stream: bool,
    ) -> Call:
        headers = exchange.headers
        trace = headers.get(b"traceparent")
        return Call(
            endpoint.method,
            params,
            credential,
            exchange.request_id,
            exchange.surface.name,
            idempotency_key=None if is_stream else _key(headers),
            traceparent=None if trace is None else traceparent_from_wire(trace.decode("latin-1")),
            is_stream=is_stream,
            started=self._means.monotonic(),
        )

    def _body(self, raw: bytes) -> dict[str, object]:
        limits = self._means.limits
        try:
            body = parse(raw, depth_max=limits.depth_max, batch_max=limits.batch_max)
        except Malformed as wrong:
            if raw.lstrip().startswith(b"["):  # what is wrong with a batch is nothing to a client that sends none
                raise _no_object() from None
            raise InvalidParams(wrong.detail, reason=wrong.reason) from None
        if not isinstance(body, dict):
            raise _no_object()
        return body

    async def _stream(self, exchange: _Exchange, endpoint: Endpoint, call: Call, departure: Departure) -> None:
        limits, surface = self._means.limits, exchange.surface
        wire = ArrayWire() if is_array(endpoint, exchange.query) else PassedWire()
        events = EventStream(
            exchange.out.send,
            wire,
            ping_seconds=limits.ping_seconds,
            write_timeout_seconds=limits.write_timeout_seconds,
            stalled=departure.leave,
            headers=lambda: [*said.ids(call.request_id), *said.of_limits(surface, call, self._clock())],
            ping=surface.ping,
            begins_with_output=True,
            media_type=wire.media_type,
        )
        try:
            try:
                await self._means.serve(call, events.sink)
            finally:
                await events.close()
        except Exception as problem:
            if not events.has_begun:
                raise
            departure.stop()
            if isinstance(problem, ChargedLater):  # the client has all of it, and an SDK raises at what follows the end
                await events.finish(b"")
                return
            fault = self._told(problem, call.request_id)
            await events.finish(wire.end(surface.error_frame(endpoint.dialect, fault, call.request_id, wire)))
            return
        departure.stop()
        await events.finish(wire.end())

    async def _reply(self, exchange: _Exchange, call: Call, answer: object) -> None:
        told = [
            *said.ids(call.request_id),
            *said.of_limits(exchange.surface, call, self._clock()),
            *said.of_receipt(call, answer),
        ]
        text = answer.get("body") if isinstance(answer, dict) and isinstance(answer.get("body"), str) else None
        body = text.encode() if isinstance(text, str) else orjson.dumps(answer)
        await exchange.out.json(body, headers=told)

    async def _refuse(self, exchange: _Exchange, endpoint: Endpoint, problem: Exception, call: Call | None) -> None:
        surface = exchange.surface
        fault = self._told(problem, exchange.request_id)
        status = surface.status(fault)
        told = [*said.ids(exchange.request_id), *said.of_fault(surface, fault, status)]
        if call is not None:
            told += said.of_limits(surface, call, self._clock())
        shown = surface.error(fault, status, exchange.request_id, endpoint.dialect)
        await exchange.out.json(b"[%b]" % shown if is_array(endpoint, exchange.query) else shown, status, told)

    def _told(self, problem: Exception, request_id: str) -> Fault:
        """What the client hears of a problem: nothing of one that is our own mistake."""
        if isinstance(problem, Fault):
            return problem
        self._means.crashed(problem, request_id)
        return Internal()


@dataclass(frozen=True, slots=True)
class _Template:
    """What metrics read of a route."""

    path: str


def _endpoint(surface: Surface, verb: str, path: str) -> tuple[Endpoint, Mapping[str, str]]:
    """The row for a path and its slots. Raises: Refused with 404 or 405."""
    verb = "GET" if verb == "HEAD" else verb
    allowed: list[str] = []
    for endpoint in surface.endpoints:
        match = endpoint.pattern.fullmatch(path)
        if match is None:
            continue
        if endpoint.verb == verb:
            return endpoint, {name: value for name, value in match.groupdict().items() if value is not None}
        allowed.append(endpoint.verb)
    if allowed:
        allow = ", ".join(sorted(set(allowed)))
        raise Refused(_NOT_ALLOWED, "method_not_allowed", f"Send it with {allow}.", (b"allow", allow.encode()))
    served = ", ".join(sorted({endpoint.template for endpoint in surface.endpoints}))
    detail = f"This server does not serve {path[:200]!r} for {surface.name}; it serves {served}."
    raise Refused(_NOT_FOUND, "not_served", detail)


def _fault_of(refused: Refused) -> Fault:
    """A refusal before any call, as the dialects render faults."""
    kind = MethodNotFound if refused.status == _NOT_FOUND else InvalidParams
    return kind(refused.detail, reason=refused.reason)


def _no_object() -> InvalidParams:
    return InvalidParams("the body must be a JSON object", reason="invalid_request")


def _queried(endpoint: Endpoint, query: bytes) -> dict[str, object]:
    """What of the query is a parameter; the rest is the vendor's own and means nothing here."""
    found: dict[str, object] = {}
    for name, value in parse_qsl(query.decode("latin-1")):
        param = endpoint.query.get(name)
        if param is not None:
            found[param] = int(value) if param in _COUNTS and _COUNT.fullmatch(value) else value
    return found


def _key(headers: Mapping[bytes, bytes]) -> str | None:
    given = headers.get(b"idempotency-key")
    key = None if given is None else idempotency_key_from_wire(given.decode("latin-1"))
    if given is not None and key is None:
        detail = "the header Idempotency-Key must hold 1 to 255 visible ASCII characters, bare or in double quotes"
        raise InvalidParams(detail, reason="invalid_idempotency_key")
    return key
