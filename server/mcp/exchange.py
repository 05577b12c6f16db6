"""One HTTP exchange at the door, and the calls that come of it: through the gateway like any other. No SDK here."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import anyio
import orjson
from starlette.types import Scope

from methods.ai_receipt import report
from methods.errors import Cancelled, InvalidParams
from methods.method import to_wire
from methods.progress import ProgressSink
from monetization.callers import Caller
from monetization.calls import Call, Credential
from monetization.tab import Receipt
from server.jsonrpc import fault_reply
from server.plain_http import Means
from server.rpc_calls import idempotency_key_from_wire, traceparent_from_wire
from storage.errors import Fault
from storage.records.usage import Usage

STATE: Final = "mcp"
"""Under which name of the scope's state the exchange is found again, behind the SDK."""
T = TypeVar("T")


@dataclass(slots=True)
class Exchange:
    """Who asks, and what is known of the request beside its message."""

    credential: Credential
    caller: Caller
    request_id: str
    started: float
    """Monotonic seconds."""
    idempotency_key: bytes | None = None
    """Of the header."""
    traceparent: bytes | None = None
    """Of the header."""
    call: Call | None = None
    """What it came to."""
    has_progress: bool = False
    """Something of the answer was told before its end."""

    def enter(self, scope: Scope) -> None:
        """Be found by the handlers."""
        scope.setdefault("state", {})[STATE] = self

    def key(self, meta: Mapping[str, object]) -> str | None:
        """The idempotency key, of `_meta` or the header. Raises: InvalidParams for one that is none."""
        said = meta.get("idempotencyKey")
        if said is None and self.idempotency_key is not None:
            said = self.idempotency_key.decode("latin-1")
        if said is None:
            return None
        key = idempotency_key_from_wire(said) if isinstance(said, str) else None
        if key is None:
            detail = "an idempotency key must be 1 to 255 visible ASCII characters"
            raise InvalidParams(detail, reason="invalid_idempotency_key")
        return key

    def trace(self, meta: Mapping[str, object]) -> str | None:
        """The trace that the call belongs to, as `_meta` or the header says."""
        said = meta.get("traceparent")
        header = None if self.traceparent is None else self.traceparent.decode("latin-1")
        return traceparent_from_wire(said) or traceparent_from_wire(header)


def running_id(said: object) -> str:
    """The name that a call runs under, of a request's id: apart from the ids of the JSON-RPC doors."""
    return f"mcp:{orjson.dumps(said).decode()}"


async def run(
    means: Means,
    exchange: Exchange,
    method: str,
    params: object,
    *,
    meta: Mapping[str, object],
    message_id: object,
    sink: ProgressSink | None = None,
) -> bytes:
    """The result of one call as JSON. Raises: Faults, and what serving raises beside them: our mistake."""
    call = exchange.call = Call(
        method,
        params,
        exchange.credential,
        exchange.request_id,
        "mcp",
        rpc_id=running_id(message_id),
        idempotency_key=exchange.key(meta),
        traceparent=exchange.trace(meta),
        is_stream=sink is not None,
        started=exchange.started,
    )
    result = to_wire(await settled(means.serve(call, sink)))
    if len(result) > means.limits.response_bytes_max:
        raise OverflowError(f"the result has {len(result)} bytes")
    return result


async def settled(serving: Awaitable[T]) -> T:
    """Wait for a call in a task of its own, also for its end after it was cancelled.

    The SDK cancels again and again until its task has ended, which would break off the closing of the call's tab. So the call is
    told once, and the task that was cancelled waits until it has settled.
    """
    task = asyncio.ensure_future(serving)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # nobody is left to be told
        raise
    return task.result()


def error_of(fault: Fault, exchange: Exchange) -> dict[str, object]:
    """Code, message and data of a fault, as over JSON-RPC; with what was used, if anything was."""
    call, is_partial = exchange.call, exchange.has_progress
    used = report(call.receipts[-1]) if call is not None and call.receipts else None
    if used is None and (is_partial or isinstance(fault, Cancelled)):
        used = report(Receipt(Usage()))  # it ended before its provider had said anything
    reply = fault_reply(None, fault, exchange.request_id, is_partial=is_partial, used=used)
    error: dict[str, object] = orjson.loads(reply)["error"]
    return error
