"""Errors of Anthropic, both ways: replies, events inside streams, and faults of ours in its shape."""

from collections.abc import Mapping
from typing import Final

from methods.dialects.canonical import Json, JsonObject, VendorError
from methods.dialects.shared import bounded, load_error_body, retry_after_seconds
from storage.errors import Fault

_TYPES: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STATUSES: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
# Member that is refused → the vendor's code, where its SDK acts on it: without Threads it sends the whole conversation instead.
_CODES: Final[Mapping[str, str]] = {"thread": "thread_unsupported_request"}


def type_of(status: int) -> str:
    """The vendor's error type for an HTTP status."""
    return _TYPES.get(status) or ("api_error" if status >= 500 else "invalid_request_error")  # noqa: PLR2004 - HTTP's border


def parse_error(status: int, body: bytes, headers: Mapping[str, str]) -> VendorError:
    """An error reply of any shape: the vendor's object, plain words, HTML, nothing. Never raises."""
    kind, message = _kind_and_message(load_error_body(body))
    return VendorError(
        status,
        kind or type_of(status),
        message or f"HTTP status {status} without a message",
        retry_after_seconds(headers),
    )


def parse_stream_error(event: Json) -> VendorError:
    """The `error` event inside a stream, with the status that the vendor uses for its type before a stream."""
    kind, message = _kind_and_message(event)
    return VendorError(_STATUSES.get(kind, 500), kind or "api_error", message or "the stream failed")


def _kind_and_message(body: Json) -> tuple[str, str]:
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, str):
        return "", bounded(body)
    error = body.get("error", body) if isinstance(body, dict) else None
    if isinstance(error, str):
        return "", bounded(error)
    if not isinstance(error, dict):
        return "", ""
    kind, message = error.get("type"), error.get("message")
    return (
        bounded(kind, 100) if isinstance(kind, str) else "",
        bounded(message) if isinstance(message, str) else "",
    )


def error_body(kind: str, status: int, message: str) -> JsonObject:
    """What stands in an error reply or event. A word of another vendor becomes this vendor's type for the status."""
    return {"type": "error", "error": {"type": kind if kind in _STATUSES else type_of(status), "message": message}}


def render_fault(fault: Fault, status: int, request_id: str) -> JsonObject:
    """A fault in this vendor's shape. `error.details.error_code` is our stable reason, or the vendor's own code for it."""
    code = _CODES.get(str(fault.data.get("field")), fault.slug)
    error: JsonObject = {"type": type_of(status), "message": str(fault), "details": {"error_code": code}}
    return {"type": "error", "error": error, "request_id": request_id}
