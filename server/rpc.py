"""The JSON-RPC door over HTTP: POST in, reply, stream or nothing out. It decides nothing about callers, methods or money."""

import asyncio
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from methods.deadlines import Deadlines
from monetization.alarms import Alarms
from monetization.calls import Call, Siblings
from monetization.errors import RateLimited
from server.errors import REFUSALS, headers_of, status_of
from server.jsonrpc import Malformed, Request, RpcId, classify, internal_reply, malformed_reply, parse
from server.near import near
from server.rate_headers import rate_headers
from server.rpc_calls import (
    Arrival,
    Crashed,
    Outcome,
    RpcLimits,
    Runner,
    Serve,
    call_from_wire,
    idempotency_key_from_wire,
    is_ignored,
    progress_token,
    take_meta,
    traceparent_from_wire,
    wants_stream,
)
from server.rpc_reading import (
    WATCH_AFTER_SECONDS,
    Departure,
    Left,
    Refused,
    Sender,
    accepts,
    check_headers,
    credential_from,
    read_body,
)
from server.rpc_stream import AFTER, BEFORE, EventStream
from server.rpc_websocket import RpcSocket
from server.rpc_wire import ProgressWire
from server.whole_replies import offered


class RpcDoor:
    """`/rpc` for HTTP and WebSocket, as an ASGI app.

    `serve` raises only Faults; anything else becomes a constant -32603 and is handed to `crashed`. HTTP answers 200 for every
    JSON-RPC reply and 204 when there is nothing to say; `is_mapped` turns refusals of single calls into 401, 402, 403, 429, 503.
    """

    def __init__(
        self,
        serve: Serve,
        *,
        limits: RpcLimits,
        is_mapped: bool,
        is_draining: Callable[[], bool],
        new_request_id: Callable[[], str],
        crashed: Crashed,
        monotonic: Callable[[], float],
    ) -> None:
        self._limits = limits
        self._reading = Deadlines(limits.read_timeout_seconds)
        self._watching = Alarms(WATCH_AFTER_SECONDS)
        self._is_mapped = is_mapped
        self._is_draining = is_draining
        self._new_request_id = new_request_id
        self._monotonic = monotonic
        self._runner = Runner(serve, limits, crashed)
        self._socket = RpcSocket(self._runner, limits, is_draining=is_draining, monotonic=monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP exchange or one WebSocket."""
        state = scope.get("state")
        request_id = (state.get("request_id") if state else None) or self._new_request_id()
        if scope["type"] == "websocket":
            await self._socket.serve(scope, receive, send, request_id)
            return
        out = Sender(send, offered(scope))
        told = near(scope)
        try:
            headers = check_headers(scope, self._limits)
            if self._is_draining():
                raise Refused.draining(self._limits.retry_after_seconds)
            body = await read_body(receive, self._limits, self._reading, told)
        except Refused as refused:
            await out.refuse(refused, request_id, receive)
            return
        except Left:
            return
        await self._watched(scope, headers, body, request_id, receive, out)

    async def _watched(
        self, scope: Scope, headers: dict[bytes, bytes], body: bytes, request_id: str, receive: Receive, out: Sender
    ) -> None:
        departure = Departure(receive, self._watching, near(scope))
        try:
            await self._answer(scope, headers, body, request_id, out, departure)
        except asyncio.CancelledError:
            # Only the cancellation that the client's leaving caused ends here; the server's own goes on.
            if not departure.is_over():
                raise
        finally:
            departure.stop()

    async def _answer(
        self, scope: Scope, headers: dict[bytes, bytes], body: bytes, request_id: str, out: Sender, departure: Departure
    ) -> None:
        limits = self._limits
        try:
            message = parse(body, depth_max=limits.depth_max, batch_max=limits.batch_max)
            if type(message) is list:
                credential = credential_from(scope, headers)
                arrival = Arrival(credential, request_id, "rpc", self._monotonic(), siblings=Siblings())
                await out.reply(await self._batch(message, arrival), departure)
                return
            request = classify(message, method_chars_max=limits.method_chars_max, id_chars_max=limits.id_chars_max)
            arrival = self._arrival(scope, headers, request_id, request)
        except Malformed as wrong:
            await out.reply(malformed_reply(wrong, request_id), departure)
            return
        if is_ignored(request):
            await out.reply(None, departure)
            return
        is_stream = wants_stream(request.params) and not request.is_notification
        if is_stream and accepts(headers.get(b"accept"), b"text/event-stream"):
            await self._stream(request, arrival, out, departure)
            return
        outcome = await self._runner.run(request, arrival, request_id)
        await self._single(request, outcome, out, departure)

    async def _single(self, request: Request, outcome: Outcome, out: Sender, departure: Departure) -> None:
        if request.is_notification:
            await out.reply(None, departure)
            return
        fault, headers = outcome.fault, rate_headers(outcome.standings)
        if self._is_mapped and fault is not None and status_of(fault) in REFUSALS:
            departure.stop()
            await out.json(outcome.reply, status_of(fault), headers + headers_of(fault))
            return
        if isinstance(fault, RateLimited):  # also beside a 200: it is how clients and proxies learn when to come back
            headers += headers_of(fault)
        await out.reply(outcome.reply, departure, headers)

    async def _stream(self, request: Request, arrival: Arrival, out: Sender, departure: Departure) -> None:
        request_id = arrival.request_id
        events: EventStream | None = None
        call: Call | None = None
        try:
            meta = take_meta(request)
            call = call_from_wire(request, meta, arrival, request_id, is_stream=True)
            events = self._events(progress_token(meta, request), call, out, departure)
            try:
                answer = await self._runner.serve(call, events.sink)
            finally:
                await events.close()
            outcome = self._runner.rendered(request, answer)
        except Exception as error:  # noqa: BLE001  # the door's net, for streams
            is_partial = events is not None and events.has_progress()
            outcome = self._runner.failed(request, error, request_id, call, is_partial=is_partial)
            if events is None or not events.has_begun:
                await self._single(request, outcome, out, departure)
                return
        departure.stop()
        await events.finish(BEFORE + outcome.reply + AFTER)

    def _events(self, token: RpcId, call: Call, out: Sender, departure: Departure) -> EventStream:
        limits = self._limits
        return EventStream(
            out.send,
            ProgressWire(token, call.request_id, before=BEFORE, after=AFTER),
            ping_seconds=limits.ping_seconds,
            write_timeout_seconds=limits.write_timeout_seconds,
            stalled=departure.leave,
            headers=lambda: rate_headers(call.standings),
        )

    async def _batch(self, elements: list[object], arrival: Arrival) -> bytes | None:
        replies: list[tuple[RpcId, bytes] | None] = [None] * len(elements)
        waiting = iter(enumerate(elements))

        async def work() -> None:
            for place, element in waiting:
                replies[place] = await self._element(element, arrival, f"{arrival.request_id}-{place + 1}")
                await asyncio.sleep(0)  # many calls wait for nothing, and all others would wait for the whole batch

        async with asyncio.TaskGroup() as workers:
            for _ in range(min(self._limits.batch_concurrency, len(elements))):
                workers.create_task(work())
        said = [reply for reply in replies if reply is not None]
        if not said:
            return None
        return b"[" + b",".join(self._bounded(said, arrival.request_id)) + b"]"

    def _bounded(self, replies: list[tuple[RpcId, bytes]], request_id: str) -> list[bytes]:
        """The same replies; those that would carry the whole above the limit become errors."""
        left = self._limits.response_bytes_max
        kept: list[bytes] = []
        for rpc_id, reply in replies:
            if len(reply) <= left:
                left -= len(reply)
                kept.append(reply)
            else:
                kept.append(internal_reply(rpc_id, request_id))
        return kept

    async def _element(self, element: object, arrival: Arrival, request_id: str) -> tuple[RpcId, bytes] | None:
        limits = self._limits
        try:
            request = classify(element, method_chars_max=limits.method_chars_max, id_chars_max=limits.id_chars_max)
        except Malformed as wrong:
            return wrong.rpc_id, malformed_reply(wrong, request_id)
        if is_ignored(request):
            return None
        outcome = await self._runner.run(request, arrival, request_id, in_batch=True)
        return None if request.is_notification else (request.rpc_id, outcome.reply)

    def _arrival(self, scope: Scope, headers: dict[bytes, bytes], request_id: str, request: Request) -> Arrival:
        key = headers.get(b"idempotency-key")
        idempotency_key = None if key is None else idempotency_key_from_wire(key.decode("latin-1"))
        if key is not None and idempotency_key is None:
            detail = "The header Idempotency-Key must hold 1 to 255 visible ASCII characters, bare or in double quotes."
            raise Malformed(-32600, "invalid_idempotency_key", detail, request.rpc_id)
        trace = headers.get(b"traceparent")
        traceparent = None if trace is None else traceparent_from_wire(trace.decode("latin-1"))
        return Arrival(
            credential_from(scope, headers), request_id, "rpc", self._monotonic(), idempotency_key, traceparent
        )
