"""JSON-RPC 2.0 messages: what an element of a message is, and the bytes of replies. No transport and no method."""

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

import orjson

from methods.errors import INTERNAL_ERROR, code_of
from server.jsonrpc_parse import Malformed, parse
from storage.errors import Fault

__all__ = [
    "Malformed",
    "Request",
    "RpcId",
    "classify",
    "error_reply",
    "fault_reply",
    "internal_reply",
    "malformed_reply",
    "parse",
    "result_reply",
]

RpcId: TypeAlias = str | int | float | None

_EXACT_MAX: Final = 2**53 - 1
"""Integers up to here are the same in every reader (RFC 8259, section 6)."""
_ABSENT: Final = object()
_NAMES: Final = {-32700: "Parse error", -32600: "Invalid Request", -32603: "Internal error"}


class Request(NamedTuple):
    """One valid element."""

    rpc_id: RpcId
    """None for a notification, and for a request whose id is null."""
    method: str
    params: dict[str, object] | list[object] | None
    """None when absent."""
    is_notification: bool


def classify(element: object, *, method_chars_max: int, id_chars_max: int) -> Request:
    """What an element asks for; unknown members are ignored (the specification is silent; leniency interoperates).

    Raises: Malformed with -32600 and the id, where it could be read. Source: JSON-RPC 2.0, section 4.
    """
    if type(element) is not dict:
        if isinstance(element, Malformed):
            raise element
        raise Malformed(-32600, "invalid_request", "A request must be an object.")
    rpc_id = element.get("id", _ABSENT)
    is_notification = rpc_id is _ABSENT
    if is_notification:
        rpc_id = None
    elif not _is_id(rpc_id, id_chars_max):
        raise Malformed(
            -32600,
            "invalid_id",
            f"'id' must be null, a string of at most {id_chars_max} characters, or a number within ±(2^53-1).",
        )
    if element.get("jsonrpc") != "2.0":
        raise Malformed(-32600, "invalid_version", "'jsonrpc' must be the string '2.0'.", rpc_id)
    method = element.get("method")
    if type(method) is not str or len(method) > method_chars_max:
        detail = f"'method' must be a string of at most {method_chars_max} characters."
        raise Malformed(-32600, "invalid_method", detail, rpc_id)
    params = element.get("params", _ABSENT)
    if params is _ABSENT:
        params = None
    elif type(params) is not dict and type(params) is not list:
        raise Malformed(-32600, "invalid_params", "'params' must be an object or an array, or be left out.", rpc_id)
    return Request(rpc_id, method, params, is_notification)


def _is_id(value: object, chars_max: int) -> bool:
    if type(value) is str:
        return len(value) <= chars_max
    if type(value) is int or type(value) is float:
        return -_EXACT_MAX <= value <= _EXACT_MAX
    return value is None


def result_reply(rpc_id: RpcId, result: bytes) -> bytes:
    """A success; `result` is JSON already."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (orjson.dumps(rpc_id), result)


def error_reply(rpc_id: RpcId, code: int, message: str, data: Mapping[str, object]) -> bytes:
    """A failure."""
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (
        orjson.dumps(rpc_id),
        orjson.dumps({"code": code, "message": message, "data": data}),
    )


def malformed_reply(wrong: Malformed, request_id: str) -> bytes:
    """The reply to what is no request."""
    data = {"reason": wrong.reason, "requestId": request_id, "detail": wrong.detail}
    return error_reply(wrong.rpc_id, wrong.code, _NAMES[wrong.code], data)


def fault_reply(
    rpc_id: RpcId, fault: Fault, request_id: str, *, is_partial: bool = False, used: Mapping[str, object] | None = None
) -> bytes:
    """The reply for a fault. `is_partial`: progress was sent before it. `used`: what the call used all the same."""
    code = code_of(fault)
    if code == INTERNAL_ERROR:
        return internal_reply(rpc_id, request_id, is_partial=is_partial, used=used)
    data: dict[str, object] = dict(fault.data)
    if fault.retry_after_seconds is not None:
        data["retryAfter"] = fault.retry_after_seconds
    if fault.detail is not None:
        data["detail"] = fault.detail
    # The faults of commerce may carry a narrower reason of their own in `data`; the slug is what clients switch on.
    data["reason"] = fault.slug
    data["requestId"] = request_id
    _add_what_was(data, is_partial=is_partial, used=used)
    return error_reply(rpc_id, code, fault.message, data)


def internal_reply(
    rpc_id: RpcId, request_id: str, *, is_partial: bool = False, used: Mapping[str, object] | None = None
) -> bytes:
    """The reply for our own mistakes: always the same words."""
    data: dict[str, object] = {"reason": "internal_error", "requestId": request_id}
    _add_what_was(data, is_partial=is_partial, used=used)
    return error_reply(rpc_id, INTERNAL_ERROR, "Internal error", data)


def _add_what_was(data: dict[str, object], *, is_partial: bool, used: Mapping[str, object] | None) -> None:
    if is_partial:
        data["partial"] = True
    if used is not None:
        data["usage"] = used
