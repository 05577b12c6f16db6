"""`POST /v1/events/ingest`: events over plain HTTP, in OpenMonetize's shape or as CloudEvents. It decides nothing about events.

Bodies: `{"events": [...]}`, an array, or one event; CloudEvents in structured (`application/cloudevents+json`), batch
(`application/cloudevents-batch+json`) and binary mode (`ce-` headers). Answers: 202 where something was new, 200 where all were
duplicates, else the status of the refusal with `{error, message, details}`.
"""

from collections.abc import Mapping
from typing import Final

import orjson
from starlette.types import Receive, Scope, Send

from methods.deadlines import Deadlines
from methods.errors import InvalidParams
from methods.ingestion import EVENTS_MAX, IngestResult
from monetization.calls import Call, Credential
from monetization.ingestion.cloudevents import from_binary, is_binary
from monetization.ingestion.rejecting import Rejected
from server.errors import headers_of, status_of
from server.jsonrpc_parse import Malformed, apart, parse
from server.plain_http import Means, nothing
from server.rpc_calls import Serve
from server.rpc_reading import Left, Refused, Sender, check_headers, credential_from, read_body
from server.whole_replies import offered
from storage.errors import Fault

PATH: Final = "/v1/events/ingest"
METHOD: Final = "ingestEvents"
_ACCEPTED: Final = 202
_ALL_KNOWN: Final = 200
_UNREADABLE: Final = 400
_MEMBER: Final = "events"
_NO_JSON: Final = "this element is no JSON by RFC 8259: no NaN, no Infinity, no half of a character"

_SIZES: Final = {
    "empty_batch": f"A batch holds 1 to {EVENTS_MAX} events; where there is nothing to tell of, send nothing.",
    "batch_too_large": f"A batch holds 1 to {EVENTS_MAX} events; split it.",
}
"""What is said of a batch's size, which stands beside a rule of JSON-RPC in the parser: also of CloudEvents, whose empty batches
their format allows, since OpenMonetize's do not."""

Answered = tuple[int, bytes, list[tuple[bytes, bytes]]]
"""Status, body, headers."""


def events_in(headers: Mapping[str, str], body: bytes, *, depth_max: int) -> list[object]:
    """The elements of a message, a Rejected in the place of each that cannot be read; `headers` by their names in lower case.

    Raises: Malformed where nothing can be read, or there is nothing.
    """
    try:
        said = parse(body, depth_max=depth_max, batch_max=EVENTS_MAX)
    except Malformed as wrong:
        if wrong.reason in _SIZES:
            raise Malformed(wrong.code, wrong.reason, _SIZES[wrong.reason]) from None
        said = apart(body, _MEMBER, wrong, depth_max=depth_max, batch_max=EVENTS_MAX)
    if is_binary(headers):
        return [_event_of_binary(headers, said)]
    if isinstance(said, dict) and isinstance(said.get(_MEMBER), list):
        said = said[_MEMBER]
    return [_judged(element) for element in said] if isinstance(said, list) else [said]


def _event_of_binary(headers: Mapping[str, str], data: object) -> object:
    try:
        return from_binary(headers, data)
    except Rejected as wrong:
        return wrong


def _judged(element: object) -> object:
    if not isinstance(element, Malformed):
        return element
    return Rejected("invalid_event", _NO_JSON if element.reason == "parse_error" else element.detail)


async def ingest(
    serve: Serve,
    headers: Mapping[str, str],
    body: bytes,
    *,
    credential: Credential,
    request_id: str,
    started: float,
    depth_max: int,
) -> Answered:
    """Take a message through the gateway, like any other call. Raises: what serving raises beside Faults: our mistake."""
    try:
        elements = events_in(headers, body, depth_max=depth_max)
        call = Call(METHOD, {_MEMBER: elements}, credential, request_id, "rest", started=started)
        result = await serve(call, None)
    except Malformed as wrong:
        return _UNREADABLE, error_body(wrong.reason, wrong.detail, request_id), []
    except Fault as fault:
        status = _UNREADABLE if isinstance(fault, InvalidParams) else status_of(fault)
        return status, error_body(fault.slug, str(fault), request_id, fault.data), headers_of(fault)
    assert isinstance(result, IngestResult), "that is what the method gives"
    return _ALL_KNOWN if result.status == "all_duplicates" else _ACCEPTED, result.to_wire(), []


def error_body(error: str, message: str, request_id: str, details: Mapping[str, object] | None = None) -> bytes:
    """OpenMonetize's shape of an error, with the id by which its log lines are found."""
    said: dict[str, object] = {"error": error, "message": message, "request_id": request_id}
    return orjson.dumps({**said, "details": details} if details else said, default=str)


class EventsDoor:
    """The door as an ASGI app."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._reading = Deadlines(means.limits.read_timeout_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        if scope["method"] == "OPTIONS":
            await nothing(send, [(b"allow", b"POST, OPTIONS")])
            return
        request_id, limits = self._means.request_id(scope), self._means.limits
        out = Sender(send, offered(scope))
        try:
            lines = check_headers(_with_type(scope), limits)
            if self._means.is_draining():
                raise Refused.draining(limits.retry_after_seconds)
            body = await read_body(receive, limits, self._reading)
        except Refused as refused:
            shown = error_body(refused.reason, refused.detail, request_id)
            await out.refuse(refused, request_id, receive, shown)
            return
        except Left:
            return
        status, answer, more = await self._answer(scope, lines, body, request_id)
        await out.json(answer, status, more)

    async def _answer(self, scope: Scope, lines: dict[bytes, bytes], body: bytes, request_id: str) -> Answered:
        if b"x-api-key" in lines:  # as OpenMonetize's clients show their key
            lines.setdefault(b"x-om-api-key", lines[b"x-api-key"])
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in lines.items()}
        try:
            return await ingest(
                self._means.serve,
                headers,
                body,
                credential=credential_from(scope, lines),
                request_id=request_id,
                started=self._means.monotonic(),
                depth_max=self._means.limits.depth_max,
            )
        except Exception as problem:  # noqa: BLE001  # the one broad net of this door
            self._means.crashed(problem, request_id)
            return 500, error_body("internal_error", "Internal error", request_id), []


def _with_type(scope: Scope) -> Scope:
    """The exchange, where a binary CloudEvent says of no type what its data is: JSON then, as its official clients send it."""
    names = {name for name, _ in scope["headers"]}
    if b"content-type" in names or b"ce-specversion" not in names:
        return scope
    return {**scope, "headers": [*scope["headers"], (b"content-type", b"application/json")]}
