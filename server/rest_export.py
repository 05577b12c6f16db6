"""`GET /v1/usage/export?format=csv|ndjson`: the stream of `exportUsage` as a file. It decides nothing about rows.

A refusal before the first byte is an ordinary answer with its status; whatever goes wrong later breaks the transfer off, so that
no half file looks whole.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from starlette.types import Receive, Scope, Send

from methods.dialects.canonical import TextDelta
from methods.errors import InvalidParams
from methods.method import Answer
from methods.progress import Progress
from monetization.calls import Call
from server.errors import headers_of, status_of
from server.plain_http import Means, nothing
from server.rest.analytics import EXPORT
from server.rest.requests import params_from
from server.rest_ingestion import error_body
from server.rpc_reading import Refused, Sender, credential_from
from storage.errors import Fault

PATH: Final = EXPORT.path
METHOD: Final = EXPORT.method
_FLAGS: Final = {"everybody": frozenset({"boolean"})}
_TYPES: Final = {"csv": b"text/csv; charset=utf-8", "ndjson": b"application/x-ndjson"}
_UNREADABLE: Final = 400
_ALLOWED: Final = b"GET, HEAD, OPTIONS"


class _BrokenOff(Exception):  # not an error of ours: the file has begun, so only its end can tell
    """The transfer cannot be finished."""


class ExportDoor:
    """The door as an ASGI app."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        if scope["method"] == "OPTIONS":
            await nothing(send, [(b"allow", _ALLOWED)])
            return
        means = self._means
        request_id = means.request_id(scope)
        refused = self._refusal(scope)
        if refused is not None:
            shown = error_body(refused.reason, refused.detail, request_id)
            await Sender(send).refuse(refused, request_id, receive, shown)
            return
        lines = dict(scope["headers"])
        if b"x-api-key" in lines:  # as OpenMonetize's clients show their key
            lines.setdefault(b"x-om-api-key", lines[b"x-api-key"])
        try:
            params = params_from(EXPORT, _FLAGS, path={}, query=scope.get("query_string", b""))
        except InvalidParams as wrong:
            await Sender(send).json(error_body(wrong.slug, str(wrong), request_id, wrong.data), _UNREADABLE)
            return
        call = Call(METHOD, params, credential_from(scope, lines), request_id, "rest", started=means.monotonic())
        kind, is_head = str(params.get("format", "csv")), scope["method"] == "HEAD"
        file = _File(send, kind, means.limits.write_timeout_seconds, is_head=is_head)
        with suppress(_BrokenOff):
            await self._stream(call, file, receive, send)

    def _refusal(self, scope: Scope) -> Refused | None:
        if scope["method"] not in ("GET", "HEAD"):
            return Refused(405, "method_not_allowed", "Use GET here.", (b"allow", _ALLOWED))
        means = self._means
        return Refused.draining(means.limits.retry_after_seconds) if means.is_draining() else None

    async def _stream(self, call: Call, file: "_File", receive: Receive, send: Send) -> None:
        serving = asyncio.ensure_future(self._means.serve(call, file.sink))
        leaving = asyncio.ensure_future(_departure(receive, file.is_enough))
        try:
            await asyncio.wait((serving, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
                if not file.is_enough.is_set():
                    raise _BrokenOff
                await file.finish()
                return
            await self._end(serving, call, file, send)
        finally:
            leaving.cancel()
            serving.cancel()
            await asyncio.gather(leaving, serving, return_exceptions=True)

    async def _end(self, serving: "asyncio.Future[Answer]", call: Call, file: "_File", send: Send) -> None:
        problem = serving.exception()
        if problem is None:
            await file.finish()
            return
        if isinstance(problem, Fault):
            status = _UNREADABLE if isinstance(problem, InvalidParams) else status_of(problem)
            body = error_body(problem.slug, str(problem), call.request_id, problem.data)
            headers = headers_of(problem)
        elif isinstance(problem, TimeoutError) and file.has_begun:
            raise _BrokenOff  # the client took nothing for too long
        else:
            assert isinstance(problem, Exception), "a cancelled call has no exception"
            self._means.crashed(problem, call.request_id)
            status, body, headers = 500, error_body("internal_error", "Internal error", call.request_id), []
        if file.has_begun:
            raise _BrokenOff
        await Sender(send).json(body, status, headers)


class _File:
    """The body of the answer, begun with its first text, where one who asks for the head alone has enough."""

    def __init__(self, send: Send, kind: str, write_timeout_seconds: float, *, is_head: bool) -> None:
        self._send = send
        self._kind = kind
        self._write_timeout_seconds = write_timeout_seconds
        self._is_head = is_head
        self.has_begun = False
        self.is_enough = asyncio.Event()

    async def sink(self, items: Sequence[Progress]) -> None:
        """Send what has been read; a slow client holds the reading back, one that takes nothing ends it."""
        text = "".join(item.text for item in items if isinstance(item, TextDelta))
        async with asyncio.timeout(self._write_timeout_seconds):
            await self._begin()
            if self._is_head:
                self.is_enough.set()
                await asyncio.Event().wait()  # the reading is cancelled here
            await self._send({"type": "http.response.body", "body": text.encode("utf-8", "replace"), "more_body": True})

    async def finish(self) -> None:
        """End it."""
        await self._begin()
        await self._send({"type": "http.response.body", "body": b""})

    async def _begin(self) -> None:
        if self.has_begun:
            return
        self.has_begun = True
        name = b'attachment; filename="usage.%b"' % self._kind.encode()
        headers = [
            (b"content-type", _TYPES[self._kind]),
            (b"content-disposition", name),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})


async def _departure(receive: Receive, is_enough: asyncio.Event) -> None:
    """Return when the client has left, or has what it asked for."""
    left, enough = asyncio.ensure_future(_left(receive)), asyncio.ensure_future(is_enough.wait())
    try:
        await asyncio.wait((left, enough), return_when=asyncio.FIRST_COMPLETED)
    finally:
        left.cancel()
        enough.cancel()
        await asyncio.gather(left, enough, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
