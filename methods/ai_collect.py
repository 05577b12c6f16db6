"""Gathers one answer, whole or in pieces, so that the final result is complete by itself. Nothing is sent or asked from here."""

from collections.abc import Sequence

from methods.ai_messages import FunctionCall
from methods.ai_result import (
    ExecuteResult,
    ReasoningReport,
    TextData,
    ToolCallReport,
    text_usage,
    usage_report,
)
from methods.dialects.canonical import (
    ChatReply,
    Finished,
    FinishReason,
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
from methods.progress import Progress
from monetization.tab import Meter


class _Thought:
    """One block of thinking that is still growing."""

    __slots__ = ("is_redacted", "signature", "texts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.signature: str | None = None
        self.is_redacted = False


class _Asked:
    """One tool call that is still growing."""

    __slots__ = ("arguments", "id", "name", "signature")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.signature: str | None = None


class Answer:
    """What has arrived of one answer. It tells the meter as it goes, so a break midway leaves the truth there."""

    __slots__ = ("_asked", "_meter", "_texts", "_thoughts", "finish_reason", "model")

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._texts: list[str] = []
        self._thoughts: dict[int, _Thought] = {}
        self._asked: dict[int, _Asked] = {}
        self.finish_reason: FinishReason = "other"
        self.model: str | None = None

    def take(self, events: Sequence[StreamEvent]) -> list[Progress]:
        """Add what one read brought, and return what a client may see of it."""
        seen: list[Progress] = []
        for event in events:
            if type(event) is TextDelta:  # nearly all of them
                self._texts.append(event.text)
                self._meter.bytes_delivered += bytes_of(event.text)
                seen.append(event)
            else:
                progress = self._take_other(event)
                if progress is not None:
                    seen.append(progress)
        return seen

    def take_reply(self, reply: ChatReply) -> None:
        """Add a whole answer at once."""
        meter = self._meter
        for index, part in enumerate(reply.parts):
            if type(part) is Text:
                self._texts.append(part.text)
                meter.bytes_delivered += bytes_of(part.text)
            elif type(part) is Reasoning:
                self._think(ReasoningDelta(part.text, index, part.signature, part.is_redacted))
            elif type(part) is ToolCall:
                self._ask(ToolCallDelta(index, part.id, part.name, part.arguments, part.signature))
        self.model = reply.model or None
        self.finish_reason = reply.finish_reason
        meter.usage = reply.usage
        meter.is_complete = True

    def result(self, request_id: str) -> ExecuteResult:
        """The whole answer in the documents' shape."""
        target = self._meter.target
        assert target is not None, "the router names the target before it asks"
        usage = self._meter.usage
        content = "".join(self._texts)
        model = self.model or target.model
        return ExecuteResult(
            content=content,
            data=TextData(
                content=content,
                usage=None if usage is None else text_usage(usage),
                model=model,
                provider=target.provider,
                request_id=request_id,
                finish_reason=self.finish_reason,
            ),
            usage=None if usage is None else usage_report(usage),
            request_id=request_id,
            model=model,
            provider=target.provider,
            finish_reason=self.finish_reason,
            tool_calls=tuple([_tool_call(asked) for asked in self._asked.values()]) or None,
            reasoning=tuple([_reasoning(thought) for thought in self._thoughts.values()]) or None,
        )

    def _take_other(self, event: StreamEvent) -> Progress | None:
        match event:
            case ReasoningDelta():
                self._think(event)
                return event
            case ToolCallDelta():
                self._ask(event)
                return event
            case UsageSeen():
                self._meter.usage = event.usage
                return event
            case Started():
                self.model = event.model or None
            case Finished():
                self.finish_reason = event.finish_reason
                self._meter.is_complete = True
            case TextDelta() | VendorError():  # the first is taken above, the second is raised by the provider
                pass
        return None

    def _think(self, delta: ReasoningDelta) -> None:
        thought = self._thoughts.setdefault(delta.index, _Thought())
        thought.texts.append(delta.text)
        thought.signature = delta.signature or thought.signature
        thought.is_redacted = delta.is_redacted or thought.is_redacted
        self._meter.bytes_delivered += bytes_of(delta.text)

    def _ask(self, delta: ToolCallDelta) -> None:
        asked = self._asked.setdefault(delta.index, _Asked())
        asked.id = delta.id or asked.id
        asked.name = delta.name or asked.name
        asked.signature = delta.signature or asked.signature
        asked.arguments.append(delta.arguments)
        self._meter.bytes_delivered += bytes_of(delta.arguments)


def bytes_of(text: str) -> int:
    """UTF-8 bytes of a text; free for ASCII, which CPython marks."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _tool_call(asked: _Asked) -> ToolCallReport:
    # Built without checks: a model may write a name that our own parameters would refuse, and the caller must see it.
    function = FunctionCall.model_construct(name=asked.name, arguments="".join(asked.arguments))
    return ToolCallReport.model_construct(id=asked.id, type="function", function=function, signature=asked.signature)


def _reasoning(thought: _Thought) -> ReasoningReport:
    return ReasoningReport(
        text="".join(thought.texts), signature=thought.signature, redacted=thought.is_redacted or None
    )
