"""Writes streams of OpenAI's Responses: named events, numbered from 0, in the order that the vendor's SDK needs."""

from typing import Final

import orjson

from methods.dialects import openai_errors
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
    ToolCall,
    ToolCallDelta,
    UsageSeen,
    VendorError,
)
from methods.dialects.mixed import FOREIGN_THOUGHT
from methods.dialects.responses_failure import code_of, failure, frame
from methods.dialects.responses_items import render_thinking
from methods.dialects.responses_reply import (
    ItemIds,
    call_item,
    ending_of,
    image_item,
    message_item,
    refusal_part,
    response_object,
    text_part,
)
from methods.dialects.responses_usage import render_usage
from storage.records.usage import Usage

_TEXTS: Final = (TextDelta, RefusalDelta)


class _Open:
    """The item that is being written."""

    __slots__ = ("call", "content", "id", "index", "key", "output_index", "pieces", "signature")

    def __init__(self, key: tuple[type[StreamEvent], int], item_id: str, output_index: int) -> None:
        self.key = key
        self.id = item_id
        self.output_index = output_index
        self.index = key[1]
        self.pieces: list[str] = []
        """Text of the part that is open, or arguments."""
        self.content: list[Json] = []
        self.call: ToolCallDelta | None = None
        self.signature: str | None = None


class ResponsesEventRenderer:
    """Writes one stream. The end waits for `close`, because other vendors tell their usage after the finish."""

    __slots__ = (
        "_after",
        "_before",
        "_calls",
        "_created",
        "_finished",
        "_has_failed",
        "_has_opened",
        "_id",
        "_ids",
        "_is_refused",
        "_model",
        "_number",
        "_open",
        "_output",
        "_request",
        "_usage",
    )

    def __init__(self, request: ChatRequest, *, created: int, reply_id: str) -> None:
        self._request = request
        self._created = created
        self._id = reply_id
        self._ids = ItemIds(reply_id)
        self._model = request.model
        self._number = 0
        self._usage: Usage | None = None
        self._finished: Finished | None = None
        self._has_opened = False
        self._has_failed = False
        self._is_refused = False
        self._open: _Open | None = None
        self._calls: dict[int, _Open] = {}
        """Which tool call → its item."""
        self._output: list[Json] = []
        """The items that are complete."""
        self._before = self._after = b""
        """The bytes around every plain text of the part that is open, but for the number."""

    def render(self, event: StreamEvent) -> bytes:
        """The bytes of this event. The first one opens the stream, whatever it is."""
        if type(event) is TextDelta and self._open is not None and self._open.key == (TextDelta, event.index):
            self._open.pieces.append(event.text)
            self._number += 1
            return b"%b%b%b%d}\n\n" % (self._before, orjson.dumps(event.text), self._after, self._number - 1)
        if type(event) is Started and event.model:
            self._model = event.model
        return self._begin() + self._render_rare(event)

    def _render_rare(self, event: StreamEvent) -> bytes:
        rendered = b""
        match event:
            case TextDelta():
                rendered = self._say(event)
            case ReasoningDelta():
                rendered = self._think(event)
            case ToolCallDelta():
                rendered = self._call(event)
            case ImageMade():
                rendered = self._show(event)
            case VendorError():
                rendered = self._fail(event)
            case UsageSeen(usage):
                self._usage = usage
            case Finished():
                self._finished = event
                rendered = self._leave()
            case _:
                pass
        return rendered

    def close(self) -> bytes:
        """The whole answer as one object, which ends the stream. A stream that failed or was cut gets no such end."""
        if self._has_failed or self._finished is None:
            return b""
        rendered = self._begin() + self._leave()
        ending = ending_of(self._finished.finish_reason, is_refused=self._is_refused)
        return rendered + self._frame(f"response.{ending['status']}", {"response": self._response(**ending)})

    def _begin(self) -> bytes:
        if self._has_opened:
            return b""
        self._has_opened = True
        response: JsonObject = {"response": self._response()}
        return self._frame("response.created", response) + self._frame("response.in_progress", response)

    def _response(self, **members: Json) -> JsonObject:
        usage = None if self._usage is None or not members else render_usage(self._usage)
        body = response_object(self._id, self._model, self._created, self._request)
        return {**body, "output": list(self._output), "usage": usage, **members}

    def _frame(self, kind: str, members: JsonObject) -> bytes:
        self._number += 1
        return frame(kind, self._number - 1, members)

    def _enter(self, event: TextDelta | ReasoningDelta | ToolCallDelta | ImageMade, prefix: str) -> tuple[_Open, bytes]:
        """Close what is open and open an item."""
        rendered = self._leave()
        self._open = _Open((type(event), event.index), self._ids.next(prefix), len(self._output))
        return self._open, rendered

    def _at(self, opened: _Open, **members: Json) -> JsonObject:
        return {"item_id": opened.id, "output_index": opened.output_index, **members}

    def _say(self, event: TextDelta) -> bytes:
        """Text of a part that is not open: a new one of the message that is open, or of a new message."""
        opened = self._open
        is_refusal = type(event) is RefusalDelta
        if is_refusal and opened is not None and opened.key == (RefusalDelta, event.index):
            return self._refuse(opened, event.text)
        if opened is not None and opened.key[0] in _TEXTS:
            rendered = self._end_text(opened)
            opened.key = (type(event), event.index)
        else:
            opened, rendered = self._enter(event, "msg")
            item = message_item(opened.id, [], "in_progress")
            rendered += self._frame("response.output_item.added", {"output_index": opened.output_index, "item": item})
        place = self._at(opened, content_index=len(opened.content))
        part = refusal_part("") if is_refusal else text_part("")
        rendered += self._frame("response.content_part.added", {**place, "part": part})
        if is_refusal:
            return rendered + self._refuse(opened, event.text)
        marker = "\x00"
        head = orjson.dumps({"type": "response.output_text.delta", **place, "delta": marker, "logprobs": []})
        before, _, after = head[:-1].rpartition(orjson.dumps(marker))
        self._before = b"event: response.output_text.delta\ndata: " + before
        self._after = after + b',"sequence_number":'
        return rendered + self.render(event)

    def _refuse(self, opened: _Open, text: str) -> bytes:
        """More of the words by which the model refuses, which are a part of their own."""
        self._is_refused = True
        opened.pieces.append(text)
        return self._frame("response.refusal.delta", self._at(opened, content_index=len(opened.content), delta=text))

    def _show(self, event: ImageMade) -> bytes:
        """An image, whole: an item that begins and ends at once."""
        opened, rendered = self._enter(event, "ig")
        self._open, item = None, image_item(opened.id, event.image)
        place: JsonObject = {"output_index": opened.output_index}
        begun: JsonObject = {**item, "status": "in_progress", "result": None}
        self._output.append(item)
        rendered += self._frame("response.output_item.added", {**place, "item": begun})
        return rendered + self._frame("response.output_item.done", {**place, "item": item})

    def _end_text(self, opened: _Open) -> bytes:
        place, text = self._at(opened, content_index=len(opened.content)), "".join(opened.pieces)
        opened.pieces = []
        if opened.key[0] is RefusalDelta:
            opened.content.append(refusal_part(text))
            return self._frame("response.refusal.done", {**place, "refusal": text}) + self._frame(
                "response.content_part.done", {**place, "part": refusal_part(text)}
            )
        opened.content.append(text_part(text))
        return self._frame("response.output_text.done", {**place, "text": text, "logprobs": []}) + self._frame(
            "response.content_part.done", {**place, "part": text_part(text)}
        )

    def _think(self, event: ReasoningDelta) -> bytes:
        opened, rendered = self._open, b""
        if opened is None or opened.key != (ReasoningDelta, event.index):
            opened, rendered = self._enter(event, FOREIGN_THOUGHT)
            item = render_thinking(Reasoning(""), opened.id)
            rendered += self._frame("response.output_item.added", {"output_index": opened.output_index, "item": item})
        opened.signature = event.signature or opened.signature
        if event.text:
            place = self._at(opened, summary_index=0)
            if not opened.pieces:
                part: JsonObject = {"type": "summary_text", "text": ""}
                rendered += self._frame("response.reasoning_summary_part.added", {**place, "part": part})
            opened.pieces.append(event.text)
            rendered += self._frame("response.reasoning_summary_text.delta", {**place, "delta": event.text})
        return rendered

    def _call(self, event: ToolCallDelta) -> bytes:
        opened, rendered = self._open, b""
        if event.index in self._calls and (opened is None or opened is not self._calls[event.index]):
            rendered = (
                self._leave()
            )  # A fragment that comes late still belongs to its own call, which then ends once more.
            opened = self._open = self._calls[event.index]
        elif opened is None or opened.key != (ToolCallDelta, event.index):
            opened, rendered = self._enter(event, "fc")
            opened.call, self._calls[event.index] = event, opened
            item = call_item(opened.id, self._call_of(opened), "in_progress")
            rendered += self._frame("response.output_item.added", {"output_index": opened.output_index, "item": item})
        if event.arguments:
            opened.pieces.append(event.arguments)
            delta = self._at(opened, delta=event.arguments)
            rendered += self._frame("response.function_call_arguments.delta", delta)
        return rendered

    def _call_of(self, opened: _Open) -> ToolCall:
        call = opened.call
        assert call is not None, "an item of a call knows its call"
        return ToolCall(call.id or f"call_{call.index}", call.name or "", "".join(opened.pieces))

    def _leave(self) -> bytes:
        """End the item that is open."""
        opened, self._open = self._open, None
        if opened is None:
            return b""
        kind, text = opened.key[0], "".join(opened.pieces)
        rendered = b""
        if kind in _TEXTS:
            rendered = self._end_text(opened)
            item = message_item(opened.id, opened.content)
        elif kind is ToolCallDelta:
            item = call_item(opened.id, self._call_of(opened))
            rendered = self._frame("response.function_call_arguments.done", self._at(opened, arguments=text))
        else:
            item = render_thinking(Reasoning(text, opened.signature), opened.id)
            if text:
                place = self._at(opened, summary_index=0)
                part: JsonObject = {"type": "summary_text", "text": text}
                rendered = self._frame("response.reasoning_summary_text.done", {**place, "text": text})
                rendered += self._frame("response.reasoning_summary_part.done", {**place, "part": part})
        self._output[opened.output_index :] = [item, *self._output[opened.output_index + 1 :]]
        return rendered + self._frame("response.output_item.done", {"output_index": opened.output_index, "item": item})

    def _fail(self, error: VendorError) -> bytes:
        """The stream ends here, without the end of an answer."""
        self._has_failed = True
        kind = error.kind or openai_errors.type_of(error.status)
        shown = openai_errors.error_object(error.message, kind=kind, code=code_of(error.status))
        self._number += 2
        return failure(shown, error.status, self._response(status="failed"), self._number - 2)
