"""Streams of OpenAI chat completions, both ways: chunk by chunk, the plain text delta on a short path of its own."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from methods.dialects.arguments import to_arguments
from methods.dialects.canonical import (
    ChatRequest,
    Finished,
    ImageMade,
    Json,
    JsonObject,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    Started,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    UsageSeen,
    VendorError,
)
from methods.dialects.openai_chunks import SameChunks
from methods.dialects.openai_errors import error_object, parse_stream_error, type_of
from methods.dialects.openai_messages import render_signature, signature_of
from methods.dialects.openai_reply import (
    FINISH_WORDS,
    called_of,
    finish_reason_of,
    parse_content,
    parse_images,
    render_image,
)
from methods.dialects.openai_usage import parse_usage, render_usage, untold
from methods.dialects.several import Answers
from methods.dialects.shared import tokens_of
from methods.dialects.sse import EventReader
from storage.records.usage import Usage

_DONE: Final = b"[DONE]"
_EXAMPLE_EVENTS: Final = 3


class OpenAIEventParser:
    """Reads one stream. Text and thinking are parts, numbered in the order in which they first appear.

    Of several answers all parts are told, and one end, once all that have begun have ended.
    """

    __slots__ = (
        "_answers",
        "_calls",
        "_count",
        "_has_ended",
        "_has_failed",
        "_has_finished",
        "_has_started",
        "_images",
        "_is_refused",
        "_reader",
        "_reasoning_index",
        "_same",
        "_text_index",
    )

    def __init__(self, answers: int = 1) -> None:
        self._count = answers
        self._answers = Answers(answers)
        self._reader = EventReader()
        self._same = SameChunks()
        self._has_started = False
        self._has_finished = False
        self._has_failed = False
        self._has_ended = False
        self._is_refused = False
        self._images = 0
        self._text_index: int | None = None
        self._reasoning_index: int | None = None
        self._calls: list[str | None] = []

    @property
    def is_complete(self) -> bool:
        """True after a finish reason, or after `[DONE]`, in a stream that did not fail."""
        return self._has_finished and not self._has_failed

    def feed(self, data: bytes) -> Sequence[StreamEvent]:
        """The events completed by these bytes. Raises: ValueError when the stream is not one of this vendor."""
        events: list[StreamEvent] = []
        while len(data) >= self._same.size_min:
            if self._same.wants_example:  # a few events at a time, until there is one
                cut = _after_events(data, _EXAMPLE_EVENTS)
                self._read(data[:cut], events)
                data = data[cut:]
                continue
            run = self._same.split(data) if self._reader.is_between and not self._has_ended else None
            if run is None:
                break
            before, texts, data = run
            self._read(before, events)
            if self._has_ended:
                return events
            index = self._text_index or 0
            events += [TextDelta(text, index) for text in texts if text]
        if data:
            self._read(data, events)
        return events

    def _read(self, data: bytes, events: list[StreamEvent]) -> None:
        """Chunk by chunk."""
        for name, payload in self._reader.feed(data):
            if payload.startswith(_DONE):
                self._end(events)
            if self._has_ended:
                break
            try:
                chunk = orjson.loads(payload)
            except orjson.JSONDecodeError as garbage:
                raise ValueError(f"an event of the stream ({len(payload)} bytes) is not JSON") from garbage
            text = self._plain_text(chunk)
            if text is None:
                self._read_chunk(chunk, events, name)
            elif text:
                if self._same.wants_example:
                    self._same.learn(payload, text)
                events.append(TextDelta(text, self._text_index or 0))

    def _plain_text(self, chunk: Any) -> str | None:  # Any: one of another shape raises, which is the answer
        """The text of a chunk that holds nothing else, or None."""
        try:
            (choice,) = chunk["choices"]
            delta = choice["delta"]
            if (
                len(delta) == 1
                and type(text := delta["content"]) is str
                and self._text_index is not None
                and choice.get("finish_reason") is None
                and not choice.get("index")
                and chunk.get("usage") is None
                and "error" not in chunk
            ):
                return text
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        return None

    def _end(self, events: list[StreamEvent]) -> None:
        """`[DONE]`: an answer without a finish reason is complete all the same; no answer at all is not."""
        if self._has_started and not self._has_finished and not self._has_failed:
            self._has_finished = True
            events.append(Finished("other"))
        self._has_ended = True

    def _read_chunk(self, chunk: Json, events: list[StreamEvent], name: bytes | None) -> None:
        """Any chunk but plain text."""
        if not isinstance(chunk, dict):
            raise ValueError("an event of the stream is no JSON object")  # noqa: TRY004 - the protocol promises ValueError
        error = chunk.get("error")
        if error or name == b"error" or chunk.get("object") == "error":
            self._has_failed = True
            events.append(parse_stream_error(error or chunk))
            return
        choices, usage = chunk.get("choices"), parse_usage(chunk.get("usage"))
        if not isinstance(choices, list) and usage is None:
            return  # nothing of an answer: compatible vendors send signs of life and notes of their own
        if not self._has_started:
            self._has_started = True
            events.append(Started(_word(chunk.get("id")), _word(chunk.get("model"))))
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                index = choice.get("index") or 0
                if isinstance(index, int) and 0 <= index < self._count:
                    self._read_choice(choice, index, events)
        if usage is not None:
            events.append(UsageSeen(usage, untold(chunk.get("usage"))))

    def _read_choice(self, choice: JsonObject, index: int, events: list[StreamEvent]) -> None:
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._read_delta(delta, index, events)
        word = choice.get("finish_reason")
        has_ended = self._answers.heard(index, is_end=isinstance(word, str) and bool(word))
        if isinstance(word, str) and has_ended and not self._has_finished:
            self._has_finished = True
            reason = finish_reason_of(word, calls_tools=bool(self._calls), is_refused=self._is_refused)
            stop = choice.get("stop_reason")  # vLLM: the stop text that matched
            events.append(Finished(reason, word, stop if isinstance(stop, str) and reason == "stop" else None))

    def _read_delta(self, delta: JsonObject, answer: int, events: list[StreamEvent]) -> None:
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thought, str) and thought:
            self._think(thought, events)
        for part in parse_content(delta.get("content")):
            if type(part) is Reasoning:
                self._think(part.text, events)
            else:
                events.append(TextDelta(part.text, self._text_place()))
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._is_refused = True
            events.append(RefusalDelta(refusal, self._text_place()))
        for image in parse_images(delta.get("images")):
            events.append(ImageMade(image, self._images))
            self._images += 1
        calls = delta.get("tool_calls")
        if isinstance(calls, list):
            events.extend([self._read_call(call, answer) for call in calls if isinstance(call, dict)])
        older = delta.get("function_call")  # by the vendor's older words there is only one
        if isinstance(older, dict) and any(older.values()):
            events.append(self._read_call({"index": 0, "function": older}, answer))

    def _text_place(self) -> int:
        if self._text_index is None:
            self._text_index = 0 if self._reasoning_index is None else self._reasoning_index + 1
        return self._text_index

    def _think(self, text: str, events: list[StreamEvent]) -> None:
        if self._reasoning_index is None:
            self._reasoning_index = 0 if self._text_index is None else self._text_index + 1
        events.append(ReasoningDelta(text, self._reasoning_index))

    def _read_call(self, call: JsonObject, answer: int) -> ToolCallDelta:
        """A fragment of a tool call. Without an index (some compatible vendors) a new id is a new call."""
        call_id, given = _word(call.get("id")), tokens_of(call, "index")
        key = f"{answer}#{given}" if given is not None else call_id
        if key is not None and key in self._calls:
            index, is_new = self._calls.index(key), False
        else:
            is_new = key is not None or not self._calls
            if is_new:
                self._calls.append(key)
            index = len(self._calls) - 1
        members = called_of(call)
        arguments = members.get("arguments", members.get("input"))
        return ToolCallDelta(
            index=index,
            id=call_id if is_new else None,
            name=_word(members.get("name")) if is_new else None,
            arguments=to_arguments(arguments) if isinstance(arguments, dict) else _word(arguments) or "",
            signature=signature_of(call),
        )


def _after_events(data: bytes, count: int) -> int:
    """Where so many events end; the end of the data where there are not as many."""
    at = 0
    for _ in range(count):
        at = data.find(b"\n\n", at) + 2
        if at < 2:  # noqa: PLR2004  # not found
            return len(data)
    return at


def _word(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


class OpenAIEventRenderer:
    """Writes one stream: a first chunk with the role, the deltas, the finish, the usage if it was asked for, `[DONE]`.

    The finish waits for `close`, because there must be one, and servers that speak Gemini's language may say one in every event.
    """

    __slots__ = (
        "_after",
        "_before",
        "_created",
        "_finish",
        "_has_failed",
        "_has_opened",
        "_id",
        "_model",
        "_usage",
        "_wants_usage",
    )

    def __init__(self, request: ChatRequest, *, created: int, reply_id: str) -> None:
        self._id = reply_id
        self._created = created
        self._model = request.model
        self._wants_usage = request.wants_stream_usage
        self._usage: Usage | None = None
        self._finish: str | None = None
        self._has_opened = False
        self._has_failed = False
        self._before = b""
        self._after = b""

    def render(self, event: StreamEvent) -> bytes:
        """The bytes of this event. The first one opens the stream, whatever it is (but for an error)."""
        kind = type(event)
        if kind is TextDelta and self._has_opened:
            return b"%b%b%b" % (self._before, orjson.dumps(event.text), self._after)  # type: ignore[union-attr]  # told by kind
        return self._render_rare(event)

    def _render_rare(self, event: StreamEvent) -> bytes:
        if isinstance(event, VendorError):
            self._has_failed = True
            error = error_object(event.message, kind=event.kind or type_of(event.status), code=str(event.status))
            return _frame({"error": error})
        rendered = b"" if self._has_opened else self._open(event)
        match event:
            case TextDelta(text):
                rendered += self._chunk({"content": text})
            case ReasoningDelta(text) if text:
                rendered += self._chunk({"reasoning_content": text})
            case ToolCallDelta():
                rendered += self._chunk({"tool_calls": [_call_fragment(event)]})
            case ImageMade(image, index):  # numbered, because the SDKs gather the items of a list by their numbers
                rendered += self._chunk({"images": [{"index": index, **render_image(image)}]})
            case UsageSeen(usage):
                self._usage = usage
            case Finished(reason):
                self._finish = FINISH_WORDS[reason]
            case _:
                pass  # A start has nothing to say beyond the opening, nor has a seal of thinking.
        return rendered

    def _open(self, event: StreamEvent) -> bytes:
        """The first chunk, and with it the bytes around every plain text that follows."""
        self._has_opened = True
        if isinstance(event, Started) and event.model:
            self._model = event.model
        marker = "\x00"
        frame = self._chunk({"content": marker})
        self._before, _, self._after = frame.rpartition(orjson.dumps(marker))
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def _chunk(self, delta: JsonObject, finish: str | None = None) -> bytes:
        choice: Json = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._frame_chunk([choice], {"usage": None} if self._wants_usage else {})

    def _frame_chunk(self, choices: list[Json], usage: JsonObject) -> bytes:
        head: JsonObject = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
        }
        return _frame({**head, "choices": choices, **usage})

    def close(self) -> bytes:
        """The usage, if the client asked for it and the vendor told it, and the end. A failed stream has had its end."""
        if self._has_failed:
            return b""
        finish = b"" if self._finish is None else self._chunk({}, self._finish)
        usage = b""
        if self._wants_usage and self._usage is not None:
            usage = self._frame_chunk([], {"usage": render_usage(self._usage)})
        return finish + usage + b"data: [DONE]\n\n"


def _frame(chunk: JsonObject) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _call_fragment(event: ToolCallDelta) -> JsonObject:
    """The first fragment of a call has its id, type and name; the others have only more arguments."""
    fragment: JsonObject = {"index": event.index}
    function: JsonObject = {"arguments": event.arguments}
    if event.id is not None or event.name is not None:
        fragment |= {"id": event.id or f"call_{event.index}", "type": "function"}
        function = {"name": event.name or "", **function}
    return {**fragment, "function": function, **render_signature(event.signature)}
