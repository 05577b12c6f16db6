"""Reads streams of OpenAI's Responses, event by event. Writing them is `responses_events`' matter."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import orjson

from methods.dialects import openai_errors
from methods.dialects.canonical import (
    Finished,
    Json,
    JsonObject,
    ReasoningDelta,
    Started,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    UsageSeen,
)
from methods.dialects.responses_items import call_of
from methods.dialects.responses_reply import finish_of
from methods.dialects.responses_usage import parse_usage, untold
from methods.dialects.shared import tokens_of
from methods.dialects.sse import EventReader

_TEXT: Final = b"response.output_text.delta"
_DONE: Final = b"[DONE]"
_PARAGRAPH: Final = "\n\n"
# Words of the vendor's failed answers that blame the request; `openai_errors` knows the others.
_ABOUT_REQUEST: Final = (
    "invalid_",
    "image_",
    "unsupported_",
    "empty_",
    "failed_to_download",
    "bio_policy",
    "data_residency",
)


class ResponsesEventParser:
    """Reads one stream. Parts are numbered as they first appear; items of the vendor's own tools are passed over."""

    __slots__ = ("_calls", "_finished", "_has_failed", "_indexes", "_is_refused", "_reader", "_thought", "_whole")

    def __init__(self) -> None:
        self._reader = EventReader()
        self._indexes: dict[tuple[int | None, int | None], int] = {}
        """Place of an item in the output, place in its content → which part it is."""
        self._calls: dict[int | None, int] = {}
        """Place of an item in the output → which tool call it is."""
        self._whole: set[int | None] = set()
        """Calls whose arguments have come."""
        self._thought: dict[int | None, str] = {}
        """Place of an item in the output → which of the two kinds of thinking is read of it."""
        self._is_refused = False
        self._finished = False
        self._has_failed = False

    @property
    def is_complete(self) -> bool:
        """True after the event that ends an answer, in a stream that did not fail."""
        return self._finished and not self._has_failed

    def feed(self, data: bytes) -> Sequence[StreamEvent]:
        """The events completed by these bytes. Raises: ValueError when the stream is not one of this vendor."""
        events: list[StreamEvent] = []
        for name, payload in self._reader.feed(data):
            if payload.startswith(_DONE) or self._has_failed:
                continue
            try:
                event = orjson.loads(payload)
            except orjson.JSONDecodeError as garbage:
                raise ValueError(f"an event of the stream ({len(payload)} bytes) is not JSON") from garbage
            if not isinstance(event, dict):
                raise ValueError("an event of the stream is no JSON object")  # noqa: TRY004 - the protocol promises ValueError
            if name == _TEXT and type(text := event.get("delta")) is str:
                if text:
                    events.append(TextDelta(text, self._index_of(event)))
            else:
                self._read({**event, "type": "error"} if name == b"error" else event, events)
        return events

    def _read(self, event: JsonObject, events: list[StreamEvent]) -> None:
        """Any event but a plain text delta; kinds not known yet are passed over."""
        match event:
            case {"type": "response.created", "response": dict(response)}:
                events.append(Started(_word(response.get("id")), _word(response.get("model"))))
            case {"type": "response.output_text.delta", "delta": str(text)} if text:
                events.append(TextDelta(text, self._index_of(event)))
            case {"type": "response.refusal.delta", "delta": str(text)} if text:
                self._is_refused = True
                events.append(TextDelta(text, self._index_of(event)))
            case {"type": "response.function_call_arguments.delta" | "response.function_call_arguments.done"}:
                self._read_arguments(event, events)
            case {"type": "response.output_item.added" | "response.output_item.done", "item": dict(item)}:
                self._read_item(event, item, events)
            case {"type": str(kind)} if kind.startswith("response.reasoning"):
                self._think(kind, event, events)
            case {"type": "response.completed" | "response.incomplete" | "response.failed", "response": dict(response)}:
                self._end(response, events)
            case {"type": "error"} | {"error": dict() | str()}:
                self._fail(
                    event.get("error") or {name: value for name, value in event.items() if name != "type"}, events
                )
            case {"type": str(kind), "delta": str(delta)} if delta and kind.endswith(".delta"):
                self._tell(tokens_of(event, "output_index"), delta, events)
            case _:
                pass

    def _tell(self, place: int | None, text: str, events: list[StreamEvent]) -> None:
        """More of an item that is no function's call: whatever the client gets of the model's words counts as delivered."""
        self._whole.add(place)
        events.append(ToolCallDelta(self._calls.setdefault(place, len(self._calls)), arguments=text))

    def _index_of(self, event: JsonObject) -> int:
        """Which part an event is of."""
        place = (tokens_of(event, "output_index"), tokens_of(event, "content_index"))
        return self._indexes.setdefault(place, len(self._indexes))

    def _think(self, kind: str, event: JsonObject, events: list[StreamEvent]) -> None:
        """More of a summary, or of raw thinking; of an item that tells both, the one that came first."""
        place = tokens_of(event, "output_index")
        source = "summary" if "summary" in kind else "text"
        delta = event.get("delta")
        if kind.endswith("_part.added") and (tokens_of(event, "summary_index") or 0) > 0:
            delta = _PARAGRAPH
        elif not kind.endswith("_text.delta"):
            return
        if isinstance(delta, str) and delta and self._thought.setdefault(place, source) == source:
            index = self._indexes.setdefault((place, None), len(self._indexes))
            events.append(ReasoningDelta(delta, index))

    def _read_item(self, event: JsonObject, item: JsonObject, events: list[StreamEvent]) -> None:
        """An item begins or ends. A seal of thinking counts when it ends: before, it may be unfinished (the vendor's types)."""
        place, is_done = tokens_of(event, "output_index"), event["type"] == "response.output_item.done"
        match item:
            case {"type": "function_call", "call_id": str(call_id), "name": str(name)}:
                arguments = item.get("arguments")
                arguments = arguments if isinstance(arguments, str) else ""
                if place not in self._calls:
                    self._calls[place] = len(self._calls)
                    events.append(ToolCallDelta(self._calls[place], call_id, name, arguments))
                elif is_done and arguments and place not in self._whole:
                    events.append(ToolCallDelta(self._calls[place], arguments=arguments))
                if arguments:
                    self._whole.add(place)
            case {"type": "reasoning", "encrypted_content": str(seal)} if is_done and seal:
                index = self._indexes.setdefault((place, None), len(self._indexes))
                events.append(ReasoningDelta("", index, signature=seal, is_redacted=place not in self._thought))
            case _ if is_done and place not in self._whole:
                call = call_of(item)
                if call is not None:
                    self._tell(place, call.arguments, events)
            case _:
                pass

    def _read_arguments(self, event: JsonObject, events: list[StreamEvent]) -> None:
        """More arguments, or all of them, which count where no part of them came before."""
        place = tokens_of(event, "output_index")
        is_done = event["type"] == "response.function_call_arguments.done"
        arguments = event.get("arguments" if is_done else "delta")
        if place not in self._calls or not isinstance(arguments, str) or not arguments:
            return
        if is_done and place in self._whole:
            return
        self._whole.add(place)
        events.append(ToolCallDelta(self._calls[place], arguments=arguments))

    def _end(self, response: JsonObject, events: list[StreamEvent]) -> None:
        """The answer ended; a failed one may have cost something all the same."""
        usage = parse_usage(response.get("usage"))
        if usage is not None:
            events.append(UsageSeen(usage, untold(response.get("usage"))))
        if response.get("status") == "failed":
            self._fail(response.get("error") or {}, events)
            return
        self._finished = True
        reason, word = finish_of(response, calls_tools=bool(self._calls), is_refused=self._is_refused)
        events.append(Finished(reason, word))

    def _fail(self, error: Json, events: list[StreamEvent]) -> None:
        self._has_failed = True
        found = openai_errors.parse_stream_error(error)
        code = error.get("code") if isinstance(error, dict) else None
        if isinstance(code, str) and found.status == 500 and code.startswith(_ABOUT_REQUEST):  # noqa: PLR2004  # HTTP: unknown
            found = replace(found, status=400)
        events.append(found)


def _word(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


def is_failure(name: bytes | None, payload: bytes) -> bool:
    """Whether an event that speaks of an error says that the answer failed; most only say that there is none."""
    if name in (b"error", b"response.failed"):
        return True
    event = orjson.loads(payload) if name in (None, b"message") else None
    if not isinstance(event, dict):
        return False
    return event.get("type") in ("error", "response.failed") or bool(event.get("error"))
