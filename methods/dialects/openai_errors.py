"""Errors of OpenAI and its compatible vendors, both ways: replies, objects inside streams, and faults of ours in their shape."""

import re
from collections.abc import Mapping
from typing import Final

from methods.dialects.canonical import Json, JsonObject, VendorError
from methods.dialects.shared import bounded, load_error_body, retry_after_seconds
from monetization.errors import PaymentRequired, QuotaExceeded
from storage.errors import Fault

_TYPES: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}
# Words inside a stream's error object → the status the vendor uses for them before a stream.
_STATUSES: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "BadRequestError": 400,
    "context_length_exceeded": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "timeout_error": 408,
    "insufficient_quota": 429,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "tokens": 429,
    "requests": 429,
    "overloaded_error": 503,
    "service_unavailable": 503,
}
_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PARAM: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]-]{0,127}")
_MESSAGE_NAMES: Final = ("message", "error", "detail", "msg", "error_message")
_DEPTH_MAX: Final = 4


def type_of(status: int) -> str:
    """The vendor's error type for an HTTP status."""
    return _TYPES.get(status) or ("server_error" if status >= 500 else "invalid_request_error")  # noqa: PLR2004 - HTTP's border


def parse_error(status: int, body: bytes, headers: Mapping[str, str]) -> VendorError:
    """An error reply of any shape: the vendor's object, an array of it, `detail`, plain words, HTML, nothing. Never raises."""
    parsed = load_error_body(body)
    kind = _kind(parsed) or type_of(status)
    message = bounded(_message(parsed)) or f"HTTP status {status} without a message"
    return VendorError(status, kind, message, retry_after_seconds(headers), *_named(parsed))


def parse_stream_error(error: Json) -> VendorError:
    """The error object (or text) inside a stream: a numeric code is its status, else its type or code says it, else 500."""
    members = error if isinstance(error, dict) else {}
    status = 0
    for name in ("status", "code", "type"):
        word = members.get(name)
        if isinstance(word, str):
            word = int(word) if word.isdecimal() and len(word) == 3 else _STATUSES.get(word)  # noqa: PLR2004  # digits of an HTTP status
        if isinstance(word, int) and 400 <= word <= 599:  # noqa: PLR2004 - HTTP's own borders
            status = word
            break
    status = status or 500
    message = bounded(_message(error)) or "the stream failed"
    return VendorError(status, _kind(error) or type_of(status), message, None, *_named(error))


def _named(value: Json) -> tuple[str | None, str | None]:
    """Code and member that an error names; what is no plain word is left out."""
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        value = value["error"]
    code, param = (value.get("code"), value.get("param")) if isinstance(value, dict) else (None, None)
    return _plain(code, _CODE), _plain(param, _PARAM)


def _plain(word: Json, shape: re.Pattern[str]) -> str | None:
    return word if isinstance(word, str) and shape.fullmatch(word) else None


def _message(value: Json, depth: int = 0) -> str:
    """The words of an error, wherever the vendor put them."""
    if isinstance(value, str):
        return value
    if depth > _DEPTH_MAX:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, [_message(item, depth + 1) for item in value[:_DEPTH_MAX]]))
    if isinstance(value, dict):
        for name in _MESSAGE_NAMES:
            words = _message(value.get(name), depth + 1)
            if words:
                return words
    return ""


def _kind(value: Json, depth: int = 0) -> str:
    """The vendor's own word for an error: its type, else its code, else its status word; the innermost object knows best."""
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict) or depth > _DEPTH_MAX:
        return ""
    inner = _kind(value.get("error"), depth + 1)
    if inner:
        return inner
    words = [value.get(name) for name in ("type", "code", "status")]
    return next((bounded(word, 100) for word in words if isinstance(word, str) and word), "")


def render_fault(fault: Fault, status: int, request_id: str) -> JsonObject:
    """A fault in this vendor's shape; clients of this vendor read exhausted money by its type.

    `code` is our stable reason, or the word of the vendor that refused the request, which applications act on: an agent
    shortens its conversation at `context_length_exceeded`.
    """
    is_about_money = isinstance(fault, QuotaExceeded | PaymentRequired)
    code = fault.data.get("vendorCode")
    error = error_object(
        str(fault),
        kind="insufficient_quota" if is_about_money else type_of(status),
        code=code if isinstance(code, str) else fault.slug,
        param=_param(fault),
    )
    return {"error": error, "request_id": request_id}


def _param(fault: Fault) -> str | None:
    """The member of the request that is wrong, where the fault names one."""
    match fault.data:
        case {"field": str(field)} | {"vendorParam": str(field)} | {"errors": [{"path": str(field)}, *_]}:
            return field
        case _:
            return None


def error_object(message: str, *, kind: str, code: str | None, param: str | None = None) -> JsonObject:
    """What stands under `error`, before and inside streams."""
    return {"message": message, "type": kind, "param": param, "code": code}
