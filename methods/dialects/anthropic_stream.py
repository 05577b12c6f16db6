"""Streams of Anthropic messages, both ways: event by event, the plain text delta on a short path of its own."""

from collections.abc import Sequence
from typing import Any

import orjson

from methods.dialects.anthropic_errors import error_body, parse_stream_error
from methods.dialects.anthropic_reply import finish_reason_of, parse_usage, render_usage, stop_reason_of, untold
from methods.dialects.arguments import to_arguments
from methods.dialects.canonical import (
    ChatRequest,
    Finished,
    Json,
    JsonObject,
    ReasoningDelta,
    Started,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    UsageSeen,
    VendorError,
)
from methods.dialects.shared import tokens_of
from methods.dialects.sse import EventReader
from storage.records.usage import Usage


class AnthropicEventParser:
    """Reads one stream. Blocks of the vendor's own tools have no canonical event and are passed over."""

    __slots__ = (
        "_calls",
        "_counters",
        "_empty_calls",
        "_has_failed",
        "_has_finished",
        "_has_output",
        "_is_complete",
        "_reader",
    )

    def __init__(self) -> None:
        self._reader = EventReader()
        self._calls: dict[int, int] = {}
        """Block index → which tool call it is."""
        self._empty_calls: set[int] = set()
        """Blocks of tool calls that have had no arguments yet."""
        self._counters: dict[str, Json] = {}
        self._has_output = False
        """Whether what came out was counted after it had come."""
        self._has_finished = False
        self._is_complete = False
        self._has_failed = False

    @property
    def is_complete(self) -> bool:
        """True after `message_stop` in a stream that did not fail."""
        return self._is_complete and not self._has_failed

    def feed(self, data: bytes) -> Sequence[StreamEvent]:
        """The events completed by these bytes. Raises: ValueError when the stream is not one of this vendor."""
        events: list[StreamEvent] = []
        for name, payload in self._reader.feed(data):
            if name == b"ping":
                continue
            try:
                event = orjson.loads(payload)
            except orjson.JSONDecodeError as garbage:
                raise ValueError(f"an event of the stream ({len(payload)} bytes) is not JSON") from garbage
            if name == b"content_block_delta":
                text = _plain_text(event)
                if text is not None:
                    if text:
                        events.append(TextDelta(text, event["index"]))
                    continue
            if not isinstance(event, dict):
                raise ValueError("an event of the stream is no JSON object")  # noqa: TRY004 - the protocol promises ValueError
            self._read({**event, "type": "error"} if name == b"error" else event, events)
        return events

    def _read(self, event: JsonObject, events: list[StreamEvent]) -> None:
        """Any event but a plain text delta; kinds not known yet are passed over, as the vendor asks of clients."""
        given = event.get("index")
        index = given if isinstance(given, int) else 0
        match event:
            case {"type": "content_block_delta", "delta": dict(delta)}:
                self._read_delta(delta, index, events)
            case {"type": "content_block_start", "content_block": dict(block)}:
                self._read_start(block, index, events)
            case {"type": "content_block_stop"} if index in self._empty_calls:
                self._empty_calls.discard(index)
                events.append(ToolCallDelta(self._calls[index], arguments="{}"))
            case {"type": "message_start", "message": dict(message)}:
                reply_id, model = message.get("id"), message.get("model")
                events.append(
                    Started(reply_id if isinstance(reply_id, str) else None, model if isinstance(model, str) else None)
                )
                self._count(message.get("usage"), events)
            case {"type": "message_delta"}:
                self._count(event.get("usage"), events, is_last=True)
                self._finish(event.get("delta"), events)
            case {"type": "message_stop"}:
                self._is_complete = True
                if not self._has_finished:  # servers that speak this vendor's language may end without a reason
                    events.append(Finished("tool_calls" if self._calls else "other"))
            case {"type": "error"}:
                self._has_failed = True
                events.append(parse_stream_error(event))
            case _:
                pass

    def _read_start(self, block: JsonObject, index: int, events: list[StreamEvent]) -> None:
        """A block opens; the vendor opens it empty, but says nothing against a beginning in it."""
        match block:
            case {"type": "text", "text": str(text)} if text:
                events.append(TextDelta(text, index))
            case {"type": "thinking", "thinking": str(text)} if text:
                events.append(ReasoningDelta(text, index))
            case {"type": "redacted_thinking", "data": str(data)}:
                events.append(ReasoningDelta("", index, signature=data, is_redacted=True))
            case {"type": "tool_use", "id": str(call_id), "name": str(name)}:
                self._calls[index] = len(self._calls)
                given = block.get("input")
                if not given:
                    self._empty_calls.add(index)
                arguments = to_arguments(given) if given else ""
                events.append(ToolCallDelta(self._calls[index], call_id, name, arguments))
            case {"type": "tool_use"}:  # a call that nobody can read
                self._calls[index] = len(self._calls)
                events.append(ToolCallDelta(self._calls[index]))
            case _:
                pass

    def _read_delta(self, delta: JsonObject, index: int, events: list[StreamEvent]) -> None:
        match delta:
            case {"type": "text_delta", "text": str(text)} if (
                text
            ):  # An event without a name does not take the short path.
                events.append(TextDelta(text, index))
            case {"type": "thinking_delta", "thinking": str(text)} if text:
                events.append(ReasoningDelta(text, index))
            case {"type": "signature_delta", "signature": str(signature)}:
                events.append(ReasoningDelta("", index, signature=signature))
            case {"type": "input_json_delta", "partial_json": str(arguments)} if arguments and index in self._calls:
                self._empty_calls.discard(index)
                events.append(ToolCallDelta(self._calls[index], arguments=arguments))
            case _:
                pass

    def _count(self, usage: Json, events: list[StreamEvent], *, is_last: bool = False) -> None:
        """Counters are cumulative and overwrite what came before; null keeps it (the vendor's streaming page).

        What the beginning says of the output is no count of it, so that an end that says nothing leaves it untold. A beginning
        that counts no input counts nothing: servers that speak this vendor's language open with zeros and count at the end.
        """
        if not isinstance(usage, dict):
            return
        self._counters.update({name: value for name, value in usage.items() if value is not None})
        self._has_output = self._has_output or (is_last and tokens_of(usage, "output_tokens") is not None)
        seen = parse_usage(self._counters)
        if seen is not None and (self._has_output or seen.tokens_input):
            events.append(UsageSeen(seen, untold(self._counters) if self._has_output else "output"))

    def _finish(self, delta: Json, events: list[StreamEvent]) -> None:
        reason, stop = (
            (delta.get("stop_reason"), delta.get("stop_sequence")) if isinstance(delta, dict) else (None, None)
        )
        if isinstance(reason, str):
            self._has_finished = True
            events.append(Finished(finish_reason_of(reason), reason, stop if isinstance(stop, str) else None))


def _plain_text(event: Any) -> str | None:  # Any: one of another shape raises, which is the answer
    """The text of a delta that is whole and of a text, or None."""
    try:
        delta = event["delta"]
        if delta["type"] == "text_delta" and type(text := delta["text"]) is str and type(event["index"]) is int:
            return text
    except (KeyError, TypeError):
        return None
    return None


class AnthropicEventRenderer:
    """Writes one stream in the order that the vendor's SDK needs.

    `message_start` waits for the event after `Started`, because it carries the usage of the input where that is known by then;
    `message_delta` waits for `close`, because other vendors tell their usage after the finish.
    """

    __slots__ = (
        "_block",
        "_calls",
        "_finished",
        "_has_failed",
        "_has_opened",
        "_id",
        "_model",
        "_next",
        "_open",
        "_usage",
    )

    def __init__(self, request: ChatRequest, *, reply_id: str) -> None:
        self._id = reply_id
        self._model = request.model
        self._usage: Usage | None = None
        self._finished: Finished | None = None
        self._has_opened = False
        self._has_failed = False
        self._block: tuple[str, int] | None = None
        """Kind and canonical index of the block that is open."""
        self._open = 0
        self._next = 0
        self._calls: dict[int, int] = {}
        """Which tool call → its block."""

    def render(self, event: StreamEvent) -> bytes:
        """The bytes of this event."""
        if type(event) is TextDelta and self._block == ("text", event.index):
            return _text_delta(self._open, event.text)
        if type(event) is VendorError:
            self._has_failed = True
            return _frame(error_body(event.kind, event.status, event.message), name="error")
        if type(event) is Started:
            self._id, self._model = self._id or event.id or "", event.model or self._model
            return b""
        if type(event) is UsageSeen:
            self._usage = event.usage
            return self._message_start()
        return self._message_start() + self._render_content(event)

    def _render_content(self, event: StreamEvent) -> bytes:
        match event:
            case TextDelta(text, index):
                return self._enter("text", index, {"type": "text", "text": ""}) + _text_delta(self._open, text)
            case ReasoningDelta():
                return self._render_reasoning(event)
            case ToolCallDelta():
                return self._render_call(event)
            case Finished():
                self._finished = event
                return self._leave()
            case _:
                return b""

    def _render_reasoning(self, event: ReasoningDelta) -> bytes:
        if event.is_redacted:
            opening = self._leave() + self._start({"type": "redacted_thinking", "data": event.signature or ""})
            self._block = ("redacted", event.index)
            return opening + self._leave()
        rendered = self._enter("thinking", event.index, {"type": "thinking", "thinking": "", "signature": ""})
        if event.text:
            rendered += self._delta(self._open, {"type": "thinking_delta", "thinking": event.text})
        if event.signature is not None:
            rendered += self._delta(self._open, {"type": "signature_delta", "signature": event.signature})
        return rendered

    def _render_call(self, event: ToolCallDelta) -> bytes:
        """A fragment of a call. One that comes late, after another block has begun, still names its own block."""
        rendered = b""
        if event.index not in self._calls:
            call_id = event.id or f"toolu_{event.index}"
            block: JsonObject = {"type": "tool_use", "id": call_id, "name": event.name or "", "input": {}}
            rendered = self._enter("tool_use", event.index, block)
            self._calls[event.index] = self._open
        if event.arguments:
            delta: JsonObject = {"type": "input_json_delta", "partial_json": event.arguments}
            rendered += self._delta(self._calls[event.index], delta)
        return rendered

    def _enter(self, kind: str, index: int, block: JsonObject) -> bytes:
        """Make the block of this kind and index the open one."""
        if self._block == (kind, index):
            return b""
        rendered = self._leave() + self._start(block)
        self._block = (kind, index)
        return rendered

    def _start(self, block: JsonObject) -> bytes:
        self._open = self._next
        self._next += 1
        return _frame({"type": "content_block_start", "index": self._open, "content_block": block})

    def _leave(self) -> bytes:
        if self._block is None:
            return b""
        self._block = None
        return _frame({"type": "content_block_stop", "index": self._open})

    def _delta(self, index: int, delta: JsonObject) -> bytes:
        return _frame({"type": "content_block_delta", "index": index, "delta": delta})

    def _message_start(self) -> bytes:
        if self._has_opened:
            return b""
        self._has_opened = True
        message: JsonObject = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": render_usage(self._usage),
        }
        return _frame({"type": "message_start", "message": message})

    def close(self) -> bytes:
        """The stop reason with the whole usage, and the end. A stream that failed or was cut gets no end."""
        if self._has_failed or self._finished is None:
            return b""
        finished = self._finished
        counters = render_usage(self._usage)
        del counters["cache_creation"]  # It belongs to `message_start` only.
        delta: JsonObject = {
            "stop_reason": stop_reason_of(
                finished.finish_reason, stop_sequence=finished.stop_sequence, native=finished.native_finish_reason
            ),
            "stop_sequence": finished.stop_sequence,
        }
        end = _frame({"type": "message_delta", "delta": delta, "usage": counters}) + _frame({"type": "message_stop"})
        return self._message_start() + self._leave() + end


def _text_delta(index: int, text: str) -> bytes:
    return (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":%b}}\n\n'
        % (index, orjson.dumps(text))
    )


def _frame(event: JsonObject, name: str | None = None) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(name or event["type"]).encode(), orjson.dumps(event))
