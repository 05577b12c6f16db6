"""From a JSON-RPC request to a Call, and from its outcome to a reply: what POST and WebSocket share. No transport here."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from methods.ai_receipt import report
from methods.errors import Cancelled, InvalidParams
from methods.method import Answer, to_wire
from methods.progress import ProgressSink
from monetization.calls import Call, Credential, DoorName, Siblings
from monetization.tab import Receipt
from server.jsonrpc import Malformed, Request, fault_reply, internal_reply, result_reply
from storage.ephemeral.limiter import Standing
from storage.errors import Fault
from storage.records.fact import fact
from storage.records.usage import Usage

Serve: TypeAlias = Callable[[Call, ProgressSink | None], Awaitable[Answer]]
Standings: TypeAlias = list[Callable[[], tuple[Standing, ...]]]
"""See `Call.standings`."""
Crashed: TypeAlias = Callable[[BaseException, str], None]
"""Told of an error that is no Fault, with the request id; it logs."""


@dataclass(frozen=True, slots=True)
class RpcLimits:
    """Bounds of the JSON-RPC doors."""

    body_bytes_max: int = 4 * 1024 * 1024
    """Of a body, and of one WebSocket message."""
    batch_max: int = 50
    depth_max: int = 64
    method_chars_max: int = 128
    id_chars_max: int = 256
    batch_concurrency: int = 8
    read_timeout_seconds: float = 15.0
    """For a body to arrive whole."""
    ping_seconds: float = 15.0
    """Silence on a stream after which a comment keeps it open."""
    response_bytes_max: int = 16 * 1024 * 1024
    socket_calls_max: int = 32
    """Calls in flight on one WebSocket."""
    write_timeout_seconds: float = 60.0
    """For a client to take something of what is written; then it counts as gone."""
    retry_after_seconds: int = 5
    """Told to callers who come while this process is leaving."""


@fact
class Arrival:
    """What a transport knows about the requests it carries."""

    credential: Credential
    request_id: str
    door: DoorName
    started: float
    """Monotonic seconds."""
    idempotency_key: str | None = None
    """Of the header; single calls only."""
    traceparent: str | None = None
    """Of the header; single calls only."""
    siblings: Siblings | None = None
    """Of a batch: what its calls have in common."""


TOKEN_CHARS_MAX: Final = 256
"""Every progress message repeats the token."""
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def idempotency_key_from_wire(value: str) -> str | None:
    """The key of a header: an RFC 8941 string in quotes, or a bare token. None: it is neither."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        inner = value[1:-1]
        if re.search(r'(?<!\\)(?:\\\\)*(?:"|\\[^"\\])', inner) or re.search(r"(?<!\\)(?:\\\\)*\\$", inner):
            return None
        value = re.sub(r"\\(.)", r"\1", inner)
    return value if _KEY.fullmatch(value) else None


def traceparent_from_wire(value: object) -> str | None:
    """A valid W3C traceparent, else None: an invalid one restarts the trace (Trace Context, section 3.2)."""
    return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else None


def wants_stream(params: object) -> bool:
    """Whether the caller asked to read progress: `params.stream` or `params.options.stream` is true."""
    if type(params) is not dict:
        return False
    if params.get("stream") is True:
        return True
    options = params.get("options")
    return type(options) is dict and options.get("stream") is True


def take_meta(request: Request) -> dict[str, object]:
    """Remove `_meta` from the params and give it back. Raises: InvalidParams when it is no object."""
    if type(request.params) is not dict:
        return {}
    meta = request.params.pop("_meta", None)
    if meta is None:
        return {}
    if type(meta) is not dict:
        raise InvalidParams("'_meta' must be an object", reason="invalid_meta")
    return meta


def progress_token(meta: dict[str, object], request: Request) -> str | float | None:
    """The token of the caller, by default the id. Raises: InvalidParams when it is neither short text nor a number."""
    token = meta.get("progressToken")
    if token is None:
        return request.rpc_id
    if type(token) is str and len(token) <= TOKEN_CHARS_MAX:
        return token
    if type(token) is int or type(token) is float:
        return token
    detail = f"'_meta.progressToken' must be a string of at most {TOKEN_CHARS_MAX} characters, or a number"
    raise InvalidParams(detail, reason="invalid_meta")


def call_from_wire(
    request: Request, meta: dict[str, object], arrival: Arrival, request_id: str, *, is_stream: bool
) -> Call:
    """The call that a request asks for. Raises: InvalidParams for an unusable idempotency key."""
    method = request.method
    params: object = request.params
    if method == "$/cancelRequest" and request.is_notification:
        method, params = "cancelRequest", _cancel_params(params)
    key = arrival.idempotency_key
    if key is None and "idempotencyKey" in meta:
        given = meta["idempotencyKey"]
        if not isinstance(given, str) or not _KEY.fullmatch(given):
            raise InvalidParams(
                "'_meta.idempotencyKey' must be 1 to 255 visible ASCII characters", reason="invalid_idempotency_key"
            )
        key = given
    return Call(
        method=method,
        params=params,
        credential=arrival.credential,
        request_id=request_id,
        door=arrival.door,
        rpc_id=request.rpc_id,
        idempotency_key=key,
        traceparent=arrival.traceparent or traceparent_from_wire(meta.get("traceparent")),
        is_stream=is_stream,
        is_notification=request.is_notification,
        started=arrival.started,
        siblings=arrival.siblings,
    )


def _cancel_params(params: object) -> object:
    """Without the members that clients may add, but with the key by which an anonymous caller proves who it is."""
    if type(params) is not dict or "id" not in params:
        return params
    return {name: params[name] for name in ("id", "apiKey") if name in params}


def _forbid_stream(request: Request) -> None:
    if wants_stream(request.params):
        raise InvalidParams("a stream cannot be asked for inside a batch; send it alone", reason="stream_in_batch")


def is_ignored(request: Request) -> bool:
    """`$/` notifications other than the one we know are ignored (LSP, `$` notifications and requests)."""
    return request.is_notification and request.method.startswith("$/") and request.method != "$/cancelRequest"


class Outcome:
    """The reply to one request, with the fault it came from, and where the caller stands with its limits."""

    __slots__ = ("fault", "reply", "standings")

    def __init__(self, reply: bytes, fault: Fault | None = None, call: Call | None = None) -> None:
        self.reply = reply
        self.fault = fault
        self.standings: Standings = [] if call is None else call.standings


class Runner:
    """Runs one call and renders its outcome. The broad net of the JSON-RPC doors is here."""

    def __init__(self, serve: Serve, limits: RpcLimits, crashed: Crashed) -> None:
        self.serve = serve
        """Raises what serving raises."""
        self._limits = limits
        self._crashed = crashed

    async def run(
        self,
        request: Request,
        arrival: Arrival,
        request_id: str,
        *,
        in_batch: bool = False,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        """Serve without progress. `is_cancelled`: whether a cancellation was the caller's wish; others are passed on."""
        call: Call | None = None
        try:
            meta = take_meta(request)
            if in_batch:
                _forbid_stream(request)
            call = call_from_wire(request, meta, arrival, request_id, is_stream=False)
            return self.rendered(request, await self.serve(call, None), call)
        except asyncio.CancelledError:
            if not is_cancelled():
                raise
            return self.failed(request, by_wish(), request_id, call)
        except Exception as error:  # noqa: BLE001  # the one broad net of this door
            return self.failed(request, error, request_id, call)

    def rendered(self, request: Request, answer: Answer, call: Call | None = None) -> Outcome:
        """The outcome of a call that succeeded. Raises: what a result that cannot be written raises, which is our mistake."""
        result = to_wire(answer)
        if len(result) > self._limits.response_bytes_max:
            raise OverflowError(f"the result has {len(result)} bytes")
        return Outcome(result_reply(request.rpc_id, result), None, call)

    def failed(
        self, request: Request, error: Exception, request_id: str, call: Call | None, *, is_partial: bool = False
    ) -> Outcome:
        """The outcome of a call that raised. `call` is None where it never became one."""
        if isinstance(error, Malformed):
            raise error
        used = report(call.receipts[-1]) if call is not None and call.receipts else None
        if used is None and (is_partial or isinstance(error, Cancelled)):
            used = report(Receipt(Usage()))  # it ended before its provider had said anything
        if isinstance(error, Fault):
            reply = fault_reply(request.rpc_id, error, request_id, is_partial=is_partial, used=used)
            return Outcome(reply, error, call)
        self._crashed(error, request_id)
        return Outcome(internal_reply(request.rpc_id, request_id, is_partial=is_partial, used=used))


def by_wish() -> Cancelled:
    """The fault of a call that its caller took back."""
    return Cancelled("the caller cancelled this call")
