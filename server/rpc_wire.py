"""Progress as `$/progress` messages. One per running call: it counts `seq`. It knows no transport and sends nothing."""

from collections.abc import Sequence

import orjson

from methods.dialects.canonical import Passed, ReasoningDelta, TextDelta, ToolCallDelta, UsageSeen
from methods.progress import Notice, Progress, RunStarted


class ProgressWire:
    """Renders progress items; `seq` is gapless from 0. Source: Language Server Protocol, `$/progress`, with our own values."""

    def __init__(self, token: str | float | None, request_id: str, *, before: bytes = b"", after: bytes = b"") -> None:
        head = b'%b{"jsonrpc":"2.0","method":"$/progress","params":{"token":%b,"value":{' % (
            before,
            orjson.dumps(token),
        )
        # Text comes by the thousand, so everything around it is built once; a percent sign in a token must survive that.
        self._delta = (
            head.replace(b"%", b"%%") + b'"kind":"delta","seq":%d,"index":%d,"delta":{"type":"text","text":%b}}}}'
        )
        self._delta += after
        self._head = head
        self._tail = b"}}" + after
        self._request_id = request_id
        self.seq = 0

    def render(self, items: Sequence[Progress]) -> list[bytes]:
        """One message per item."""
        rendered: list[bytes] = []
        for item in items:
            if type(item) is TextDelta:
                rendered.append(self._delta % (self.seq, item.index, _text(item.text)))
            else:
                # The braces of `value` are part of head and tail, so those of the rendered object go.
                value = _dumps({"kind": _kind(item), "seq": self.seq, **self._value(item)})
                rendered.append(self._head + value[1:] + self._tail)
            self.seq += 1
        return rendered

    def _value(self, item: Progress) -> dict[str, object]:
        match item:
            case RunStarted():
                return {"model": item.model, "provider": item.provider, "requestId": self._request_id}
            case ReasoningDelta():
                return {"index": item.index, "delta": _reasoning(item)}
            case ToolCallDelta():
                return {"index": item.index, "delta": _tool_call(item)}
            case UsageSeen():
                return {"usage": _usage(item)}
            case Notice():
                return {"message": item.text}
            case TextDelta():
                return {"index": item.index, "delta": {"type": "text", "text": item.text}}
            case Passed():
                raise AssertionError("a vendor's own bytes go to that vendor's door")


def _kind(item: Progress) -> str:
    match item:
        case RunStarted():
            return "start"
        case UsageSeen():
            return "usage"
        case Notice():
            return "notice"
        case _:
            return "delta"


def _reasoning(item: ReasoningDelta) -> dict[str, object]:
    delta: dict[str, object] = {"type": "reasoning", "text": item.text}
    if item.signature is not None:
        delta["signature"] = item.signature
    if item.is_redacted:
        delta["redacted"] = True
    return delta


def _tool_call(item: ToolCallDelta) -> dict[str, object]:
    delta: dict[str, object] = {"type": "tool_call", "argumentsDelta": item.arguments}
    named = (("id", item.id), ("name", item.name), ("signature", item.signature))
    delta.update((name, value) for name, value in named if value is not None)
    return delta


def _usage(item: UsageSeen) -> dict[str, int]:
    usage = item.usage
    return {
        "inputTokens": usage.tokens_input,
        "outputTokens": usage.tokens_output,
        "cachedInputTokens": usage.cache_read,
        "totalTokens": usage.tokens_total,
    }


def _text(text: str) -> bytes:
    try:
        return orjson.dumps(text)
    except TypeError:  # a lone surrogate: half a character that a vendor cut in two (RFC 8259, section 8.2)
        return orjson.dumps(text.encode("utf-8", "replace").decode())


def _dumps(value: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_cleaned(value))


def _cleaned(value: object) -> object:
    if isinstance(value, dict):
        return {key: _cleaned(inner) for key, inner in value.items()}
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
