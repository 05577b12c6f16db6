"""How a stream of OpenAI's Responses ends when it fails: twice, and numbered like every event. What failed is not decided here.

The vendor's SDKs raise at the event `error` because it holds an `error` object; `response.failed` ends the answer for readers
that take every event as it comes (the vendor's types: both are numbered, and a failed response has one of a few codes).
"""

from collections.abc import Iterator, Mapping
from typing import Final

import orjson

from methods.dialects.canonical import JsonObject
from methods.dialects.sse import EventReader, EventTooLarge

_CODES: Final[Mapping[int, str]] = {400: "invalid_prompt", 429: "rate_limit_exceeded"}


def code_of(status: int) -> str:
    """The word for an HTTP status among those that a failed response may have."""
    return _CODES.get(status, "server_error")


def frame(kind: str, number: int, members: JsonObject) -> bytes:
    """One event of such a stream."""
    data = orjson.dumps({"type": kind, **members, "sequence_number": number})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def failure(error: JsonObject, status: int, response: JsonObject | None, number: int) -> bytes:
    """Both events, from this number on. `error` is what the vendor's errors hold; None: no response was begun."""
    said = {name: error.get(name) for name in ("code", "message", "param")}
    frames = frame("error", number, {**said, "error": error})
    if response is None:
        return frames
    why: JsonObject = {"code": code_of(status), "message": error.get("message")}
    failed: JsonObject = {**response, "status": "failed", "error": why}
    return frames + frame("response.failed", number + 1, {"response": failed})


def failure_after(first: bytes, last: bytes, error: JsonObject, status: int) -> bytes:
    """Both events after a stream that began and ended with these bytes: whole events, of us or of a vendor."""
    begun = next(_events(first), {}).get("response")
    numbers = [event.get("sequence_number") for event in _events(last)]
    number = max((number for number in numbers if type(number) is int), default=-1)
    return failure(error, status, begun if isinstance(begun, dict) else None, number + 1)


def _events(data: bytes) -> Iterator[JsonObject]:
    """The events that can be read; a client may have got others, which say nothing here."""
    try:
        read = EventReader().feed(data)
    except EventTooLarge:
        return
    for _, payload in read:
        try:
            event = orjson.loads(payload)
        except orjson.JSONDecodeError:
            continue
        if isinstance(event, dict):
            yield event
