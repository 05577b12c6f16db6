"""Streams of Gemini, both ways: each event is a part of a reply, the plain text one on a short path of its own."""

from collections.abc import Sequence
from dataclasses import replace

import orjson

from methods.dialects.canonical import (
    ChatRequest,
    Finished,
    Image,
    ImageMade,
    Json,
    JsonObject,
    Part,
    Reasoning,
    ReasoningDelta,
    Started,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    UsageSeen,
    VendorError,
)
from methods.dialects.gemini_errors import error_body, parse_stream_error
from methods.dialects.gemini_parts import CallIds, render_reply_part
from methods.dialects.gemini_reply import (
    block_reason_of,
    finish_reason_of,
    finish_word_of,
    is_whole,
    read_part,
    word_of_finish,
)
from methods.dialects.gemini_usage import parse_usage, render_usage, untold
from methods.dialects.several import Answers
from methods.dialects.sse import EventReader
from storage.records.usage import Usage


class GeminiEventParser:
    """Reads one stream. Texts that follow each other are one part, also across events.

    Of several answers all parts are told, and an end once all that have begun have ended.
    """

    __slots__ = (
        "_answers",
        "_calls",
        "_count",
        "_counters",
        "_has_failed",
        "_has_started",
        "_ids",
        "_index",
        "_is_complete",
        "_kind",
        "_reader",
    )

    def __init__(self, answers: int = 1) -> None:
        self._count = answers
        self._answers = Answers(answers)
        self._reader = EventReader()
        self._ids = CallIds()
        self._calls = 0
        self._index = -1
        self._kind: type[Part] | None = None
        """What the part is that is open."""
        self._counters: Json = None
        self._has_started = False
        self._has_failed = False
        self._is_complete = False

    @property
    def is_complete(self) -> bool:
        """True after a finish reason or a refused prompt, in a stream that did not fail: this vendor has no terminator."""
        return self._is_complete and not self._has_failed

    def feed(self, data: bytes) -> Sequence[StreamEvent]:
        """The events completed by these bytes. Raises: ValueError when the stream is not one of this vendor."""
        events: list[StreamEvent] = []
        for _, payload in self._reader.feed(data):
            try:
                chunk = orjson.loads(payload)
            except orjson.JSONDecodeError as garbage:
                raise ValueError(f"an event of the stream ({len(payload)} bytes) is not JSON") from garbage
            if not isinstance(chunk, dict):
                raise ValueError("an event of the stream is no JSON object")  # noqa: TRY004 - the protocol promises ValueError
            self._read(chunk, events)
        return events

    def _read(self, chunk: JsonObject, events: list[StreamEvent]) -> None:
        if chunk.get("error"):
            self._has_failed = True
            events.append(parse_stream_error(chunk))
            return
        if not self._has_started:
            self._start(chunk, events)
        candidates = chunk.get("candidates")
        word: str | None = None
        for place, candidate in enumerate(candidates[: self._count] if isinstance(candidates, list) else ()):
            if isinstance(candidate, dict):
                word = self._read_candidate(candidate, place, events) or word
        counters = chunk.get("usageMetadata")
        if counters is not None and counters != self._counters:
            self._counters = counters
            usage = parse_usage(counters)
            if usage is not None:
                events.append(UsageSeen(usage, untold(counters)))
        blocked = None if word else block_reason_of(chunk)
        if word or blocked:
            self._finish(word, blocked, events)

    def _read_candidate(self, candidate: JsonObject, place: int, events: list[StreamEvent]) -> str | None:
        """What this event says of one answer; its finish word, if with it all answers have ended."""
        content = candidate.get("content")
        if isinstance(content, dict):
            self._read_parts(content.get("parts"), events)
        word = finish_word_of(candidate)
        return word if self._answers.heard(candidate.get("index", place), is_end=word is not None) else None

    def _start(self, chunk: JsonObject, events: list[StreamEvent]) -> None:
        self._has_started = True
        reply_id, model = chunk.get("responseId"), chunk.get("modelVersion")
        reply_id = reply_id if isinstance(reply_id, str) else None
        self._ids = CallIds(reply_id or "")
        events.append(Started(reply_id, model if isinstance(model, str) else None))

    def _read_parts(self, parts: Json, events: list[StreamEvent]) -> None:
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict) and len(part) == 1 and type(text := part.get("text")) is str:
                if text:
                    events.append(TextDelta(text, self._index_of(Text)))
            else:
                self._read_part(part, events)

    def _read_part(self, value: Json, events: list[StreamEvent]) -> None:
        """Any part but plain text; what nobody can read is passed over."""
        part = read_part(value, self._ids)
        match part:
            case Text(text) if text:
                events.append(TextDelta(text, self._index_of(Text)))
            case Reasoning(text, signature) if text or signature:
                events.append(ReasoningDelta(text, self._index_of(Reasoning), signature))
            case ToolCall():
                self._index_of(ToolCall)
                events.append(ToolCallDelta(self._calls, part.id, part.name, part.arguments, part.signature))
                self._calls += 1
            case Image():
                events.append(ImageMade(part, self._index_of(Image)))
            case _:
                pass

    def _index_of(self, kind: type[Part]) -> int:
        """The index of the open part, a new one when the kind changes."""
        if kind is not self._kind or kind is ToolCall or kind is Image:
            self._kind = kind
            self._index += 1
        return self._index

    def _finish(self, word: str | None, blocked: str | None, events: list[StreamEvent]) -> None:
        self._is_complete = True
        if word is None:
            events.append(Finished("content_filter", blocked))
        else:
            events.append(Finished(finish_reason_of(word, calls_tools=self._calls > 0), word))


class GeminiEventRenderer:
    """Writes one stream: only `data: ` lines, as the vendor's Python SDK takes nothing else; the usage comes with the finish.

    Tool calls go out whole, because this vendor sends them so; the finish waits for `close`, because other vendors tell their
    usage after it.
    """

    __slots__ = ("_after", "_before", "_call", "_finished", "_has_failed", "_id", "_model", "_usage")

    def __init__(self, request: ChatRequest, *, reply_id: str) -> None:
        self._id = reply_id
        self._model = request.model
        self._call: ToolCallDelta | None = None
        """The tool call that is still growing."""
        self._usage: Usage | None = None
        self._finished: Finished | None = None
        self._has_failed = False
        self._before = self._after = b""
        self._frame_text()

    def _frame_text(self) -> None:
        """The bytes around every plain text, built once."""
        marker = "\x00"
        self._before, _, self._after = self._chunk([{"text": marker}]).rpartition(orjson.dumps(marker))

    def render(self, event: StreamEvent) -> bytes:
        """The bytes of this event."""
        if type(event) is TextDelta and self._call is None:
            return b"%b%b%b" % (self._before, orjson.dumps(event.text), self._after)
        return self._render_rare(event)

    def _render_rare(self, event: StreamEvent) -> bytes:
        rendered = b""
        match event:
            case Started():
                self._id, self._model = self._id or event.id or "", event.model or self._model
                self._frame_text()
            case UsageSeen(usage):
                self._usage = usage
            case VendorError():
                self._has_failed = True
                rendered = _frame(error_body(event.kind, event.status, event.message))
            case ToolCallDelta():
                rendered = self._grow(event)
            case Finished():
                self._finished = event
                rendered = self._end_call()
            case TextDelta(text):
                rendered = self._end_call() + self._chunk([{"text": text}])
            case ReasoningDelta(text) if text and not event.is_redacted:
                rendered = self._end_call() + self._chunk([{"text": text, "thought": True}])
            case ImageMade(image) if is_whole(image):
                rendered = self._end_call() + self._chunk([render_reply_part(image, is_own=False)])
            case _:
                pass
        return rendered

    def _grow(self, event: ToolCallDelta) -> bytes:
        call = self._call
        if call is not None and call.index == event.index:
            self._call = replace(
                call, arguments=call.arguments + event.arguments, signature=event.signature or call.signature
            )
            return b""
        rendered = self._end_call()
        self._call = event
        return rendered

    def _end_call(self) -> bytes:
        call, self._call = self._call, None
        if call is None:
            return b""
        whole = ToolCall(call.id or f"call_{call.index}", call.name or "", call.arguments, call.signature)
        return self._chunk([render_reply_part(whole, is_own=False)])

    def _chunk(self, parts: list[Json], finish: str | None = None) -> bytes:
        candidate: JsonObject = {"content": {"parts": parts, "role": "model"}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        chunk: JsonObject = {"candidates": [candidate]}
        if finish and self._usage is not None:
            chunk["usageMetadata"] = render_usage(self._usage)
        return _frame({**chunk, "modelVersion": self._model, "responseId": self._id})

    def close(self) -> bytes:
        """The finish with the usage. A stream that failed or was cut gets none, which is how this vendor's clients know."""
        if self._has_failed or self._finished is None:
            return b""
        word = word_of_finish(self._finished.finish_reason, self._finished.native_finish_reason)
        return self._end_call() + self._chunk([{"text": ""}], word)


def _frame(chunk: JsonObject) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\r\n\r\n"
