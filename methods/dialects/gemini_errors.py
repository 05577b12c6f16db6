"""Errors of Gemini, both ways: replies (also as an array), objects inside streams, and faults of ours in its shape."""

from collections.abc import Mapping
from typing import Final

from methods.dialects.canonical import Json, JsonObject, VendorError
from methods.dialects.shared import bounded, load_error_body, retry_after_seconds
from storage.errors import Fault

_WORDS: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
# google.rpc.Code with the HTTP status that it maps to (the vendor's table in google/rpc/code.proto).
_STATUSES: Final[Mapping[str, int]] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_TYPE: Final = "type.googleapis.com/google.rpc."


def word_of(status: int) -> str:
    """The vendor's status word for an HTTP status."""
    return _WORDS.get(status) or ("INTERNAL" if status >= 500 else "INVALID_ARGUMENT")  # noqa: PLR2004 - HTTP's border


def parse_error(status: int, body: bytes, headers: Mapping[str, str]) -> VendorError:
    """An error reply of any shape: the vendor's object, an array of it, plain words, HTML, nothing. Never raises."""
    error = _error_of(load_error_body(body))
    retry = retry_after_seconds(headers)
    return VendorError(
        status,
        _word(error, "status") or word_of(status),
        _word(error, "message") or f"HTTP status {status} without a message",
        _retry_delay(error) if retry is None else retry,
    )


def parse_stream_error(value: Json) -> VendorError:
    """The error object inside a stream; its code is the HTTP status that the vendor uses before a stream."""
    error = _error_of(value)
    code, kind = error.get("code"), _word(error, "status")
    is_status = isinstance(code, int) and 400 <= code <= 599  # noqa: PLR2004 - HTTP's own borders
    status = code if isinstance(code, int) and is_status else _STATUSES.get(kind, 500)
    return VendorError(
        status, kind or word_of(status), _word(error, "message") or "the stream failed", _retry_delay(error)
    )


def _error_of(body: Json) -> JsonObject:
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, str):
        return {"message": body}
    error = body.get("error", body) if isinstance(body, dict) else None
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}


def _word(error: Mapping[str, Json], name: str) -> str:
    value = error.get(name)
    return bounded(value) if isinstance(value, str) else ""


def _retry_delay(error: Mapping[str, Json]) -> float | None:
    """The wait of a google.rpc.RetryInfo, a duration such as `7s` or `1.5s` (protobuf's JSON mapping)."""
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s") and delay[:-1].replace(".", "", 1).isdecimal():
            return float(delay[:-1])
    return None


def error_body(kind: str, status: int, message: str) -> JsonObject:
    """What stands in an error reply or event. A word of another vendor becomes this vendor's word for the status."""
    word = kind if kind in _STATUSES else word_of(status)
    return {"error": {"code": status, "message": message, "status": word}}


def render_fault(fault: Fault, status: int, request_id: str) -> JsonObject:
    """A fault in this vendor's shape, with our stable reason and the wait as the vendor's own details."""
    details: list[Json] = [
        {"@type": f"{_TYPE}ErrorInfo", "reason": fault.slug.upper(), "domain": "tollgate"},
        {"@type": f"{_TYPE}RequestInfo", "requestId": request_id},
    ]
    if fault.retry_after_seconds is not None:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{fault.retry_after_seconds:g}s"})
    return {"error": {"code": status, "message": str(fault), "status": word_of(status), "details": details}}
