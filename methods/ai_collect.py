"""Gathers one answer, whole or in pieces, so that the final result is complete by itself. Nothing is sent or asked from here."""

from collections.abc import Sequence

from methods.ai_result import (
    ExecuteResult,
    ReasoningReport,
    ToolCallReport,
    text_usage,
    usage_report,
)
from methods.dialects.canonical import (
    ChatReply,
    Finished,
    FinishReason,
    Image,
    ImageMade,
    Passed,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
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
from monetization.counting import tokens_likely
from monetization.estimate import IMAGE_TOKENS_LIKELY
from monetization.settling import BYTES_PER_TOKEN
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

    __slots__ = ("_asked", "_images", "_meter", "_texts", "_thoughts", "finish_reason", "model")

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._texts: list[str] = []
        self._thoughts: dict[int, _Thought] = {}
        self._asked: dict[int, _Asked] = {}
        self._images = 0
        self.finish_reason: FinishReason = "other"
        self.model: str | None = None

    @property
    def lacks_usage(self) -> bool:
        """Whether the answer is finished, and the vendor has not counted all of it."""
        meter = self._meter
        return meter.is_complete and (meter.usage is None or meter.untold is not None)

    def take(self, events: Sequence[StreamEvent | Passed]) -> list[Progress]:
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
        for index, part in enumerate(reply.parts + reply.others):
            if type(part) is Text:
                self._texts.append(part.text)
                meter.bytes_delivered += bytes_of(part.text)
            elif type(part) is Reasoning:
                self._think(ReasoningDelta(part.text, index, part.signature, part.is_redacted))
            elif type(part) is ToolCall:
                self._ask(ToolCallDelta(index, part.id, part.name, part.arguments, part.signature))
            elif type(part) is Image:
                self._see()
        self.model = reply.model or None
        self.finish_reason = reply.finish_reason
        meter.usage, meter.untold = reply.usage, reply.untold
        meter.is_complete = True

    def result(self, request_id: str) -> ExecuteResult:
        """The whole answer in the documents' shape."""
        target = self._meter.target
        assert target is not None, "the router names the target before it asks"
        content = "".join(self._texts)
        model = self.model or target.model
        result: ExecuteResult = {
            "content": content,
            "success": True,
            "data": {
                "content": content,
                "model": model,
                "provider": target.provider,
                "requestId": request_id,
                "finishReason": self.finish_reason,
            },
            "requestId": request_id,
            "model": model,
            "provider": target.provider,
            "finishReason": self.finish_reason,
        }
        if self._meter.usage is not None:
            result["usage"] = usage = usage_report(self._meter.usage)
            result["data"]["usage"] = text_usage(usage)
        if self._asked:
            result["toolCalls"] = [_tool_call(asked) for asked in self._asked.values()]
        if self._thoughts:
            result["reasoning"] = [_reasoning(thought) for thought in self._thoughts.values()]
        return result

    def tokens_likely(self) -> int:
        """The tokens of all that has arrived, for a vendor who never said. Slow: call it in a thread, once nothing more comes."""
        thoughts = ["".join(thought.texts) for thought in self._thoughts.values()]
        asked = [asked.name + "".join(asked.arguments) for asked in self._asked.values()]
        images = self._images * IMAGE_TOKENS_LIKELY
        return images + sum(map(tokens_likely, ["".join(self._texts), *thoughts, *asked]))

    def _take_other(self, event: StreamEvent | Passed) -> Progress | None:
        match event:
            case ReasoningDelta():
                self._think(event)
                return event
            case ToolCallDelta():
                self._ask(event)
                return event
            case UsageSeen():
                self._meter.usage, self._meter.untold = event.usage, event.untold
                return event
            case RefusalDelta():
                self._texts.append(event.text)
                self._meter.bytes_delivered += bytes_of(event.text)
                return event
            case ImageMade():
                self._see()
            case Started():
                self.model = event.model or None
            case Finished():
                self.finish_reason = event.finish_reason
                self._meter.is_complete = True
            case TextDelta() | VendorError() | Passed():  # taken above; raised by the provider; goes another way
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

    def _see(self) -> None:
        """An image has come, whose bytes say nothing of its tokens."""
        self._images += 1
        self._meter.bytes_delivered += IMAGE_TOKENS_LIKELY * BYTES_PER_TOKEN


def bytes_of(text: str) -> int:
    """UTF-8 bytes of a text; free for ASCII, which CPython marks."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _tool_call(asked: _Asked) -> ToolCallReport:
    report: ToolCallReport = {
        "id": asked.id,
        "type": "function",
        "function": {"name": asked.name, "arguments": "".join(asked.arguments)},
    }
    if asked.signature is not None:
        report["signature"] = asked.signature
    return report


def _reasoning(thought: _Thought) -> ReasoningReport:
    report: ReasoningReport = {"type": "reasoning", "text": "".join(thought.texts)}
    if thought.signature is not None:
        report["signature"] = thought.signature
    if thought.is_redacted:
        report["redacted"] = True
    return report
