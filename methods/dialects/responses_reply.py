"""Complete replies of OpenAI's Responses, both ways, and the items that replies and streams are made of.

`ChatReply.extra` holds the reply's own further members and its items verbatim (created_at, output, instructions, tools, ...).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import (
    ChatReply,
    ChatRequest,
    FinishReason,
    Image,
    Json,
    JsonObject,
    Part,
    Reasoning,
    Text,
    ToolCall,
)
from methods.dialects.mixed import FOREIGN_THOUGHT
from methods.dialects.responses_items import DIALECT, call_of, render_thinking, thinking_of
from methods.dialects.responses_request import render_echo
from methods.dialects.responses_usage import parse_usage, render_usage, untold

_READ: Final = frozenset({"id", "object", "model", "usage"})
_CUT: Final[Mapping[str, FinishReason]] = {"max_output_tokens": "length", "content_filter": "content_filter"}
_WHY_CUT: Final[Mapping[FinishReason, str]] = {"length": "max_output_tokens", "content_filter": "content_filter"}
_UNFINISHED: Final = ("queued", "in_progress")
_PREFIX: Final = "resp_"


class ItemIds:
    """The ids of the items of one reply: always the same for the same reply."""

    __slots__ = ("_count", "_scope")

    def __init__(self, reply_id: str) -> None:
        self._scope = reply_id.removeprefix(_PREFIX)
        self._count = 0

    def next(self, kind: str) -> str:
        """The id of the next item; `kind` is the vendor's prefix, such as `msg`."""
        self._count += 1
        return f"{kind}_{self._scope}_{self._count - 1}"


def finish_of(body: Mapping[str, Json], *, calls_tools: bool, is_refused: bool) -> tuple[FinishReason, str]:
    """The canonical reason and the vendor's own word of a reply that ended."""
    status = body.get("status")
    if status in (None, "completed"):
        reason: FinishReason = "tool_calls" if calls_tools else "content_filter" if is_refused else "stop"
        return reason, "completed"
    if status == "incomplete":
        details = body.get("incomplete_details")
        word = details.get("reason") if isinstance(details, dict) else None
        return _CUT.get(str(word), "other"), word if isinstance(word, str) else "incomplete"
    return ("error" if status == "failed" else "other"), str(status)


def parse_reply(body: JsonObject) -> ChatReply:
    """A complete reply. Raises: ValueError when it is not one."""
    output = body.get("output")
    if not isinstance(output, list):
        raise ValueError("the reply has no output")  # noqa: TRY004 - the protocol promises ValueError
    if body.get("status") in _UNFINISHED:
        raise ValueError("the reply is not finished")
    parts = tuple([part for item in output for part in _read_item(item)])
    extra: dict[str, Json] = {name: value for name, value in body.items() if name not in _READ and value is not None}
    if body.get("status") == "failed" and not parts and body.get("usage") is None:
        raise ValueError("the answer failed before it began")
    reason, word = finish_of(
        body,
        calls_tools=any(type(part) is ToolCall for part in parts),
        is_refused=any(map(is_refusal, parts)),
    )
    reply_id, model = body.get("id"), body.get("model")
    return ChatReply(
        model=model if isinstance(model, str) else "",
        parts=parts,
        is_unread=not parts and bool(output),
        finish_reason=reason,
        usage=parse_usage(body.get("usage")),
        untold=untold(body.get("usage")),
        id=reply_id if isinstance(reply_id, str) else None,
        native_finish_reason=word,
        dialect=DIALECT,
        extra=extra,
    )


def _read_item(item: Json) -> list[Part]:
    """The parts of an item; none for one that the canonical form cannot say, or nobody can read."""
    try:
        return _parse_item(item) if isinstance(item, dict) else []
    except Untranslatable:
        return []


def _parse_item(item: JsonObject) -> list[Part]:
    """Raises: Untranslatable."""
    match item:
        case {"type": "message", "content": list(content)}:
            return [part for value in content for part in _parse_content(value)]
        case {"type": "function_call", "call_id": str(call_id), "name": str(name), "arguments": str(arguments)}:
            return [ToolCall(call_id, name, arguments)]
        case {"type": "reasoning"}:
            return [thinking_of(item)]
        case {"type": "image_generation_call", "result": str(data)} if data:
            return [Image(f"image/{item.get('output_format') or 'png'}", data=data)]
        case {"type": "function_call"}:
            return [ToolCall("", "", "{}")]
        case _:
            call = call_of(item)
            return [] if call is None else [call]


def _parse_content(part: Json) -> list[Part]:
    match part:
        case {"type": "output_text", "text": str(text)}:
            return [Text(text)]
        case {"type": "refusal", "refusal": str(text)}:
            return [Text(text, {"type": "refusal"})]
        case _:
            return []


def render_reply(reply: ChatReply, request: ChatRequest | None = None) -> JsonObject:
    """A complete reply for a client of this dialect; with the request, what the vendor repeats of it.

    The canonical reply knows no time and maybe no id: `created_at` is 0 and `id` empty unless they came along.
    """
    body = response_object(reply.id or "", reply.model, 0, request)
    body["output"] = render_output(reply.parts, ItemIds(reply.id or ""))
    body["usage"] = None if reply.usage is None else render_usage(reply.usage)
    body.update(ending_of(reply.finish_reason, is_refused=any(map(is_refusal, reply.parts))))
    return {**body, **(reply.extra if reply.dialect == DIALECT else {})}


def is_refusal(part: Part) -> bool:
    """Whether these are the words by which the model refuses; chat completions mark them in the same way."""
    return type(part) is Text and part.extra.get("type") == "refusal"


def response_object(reply_id: str, model: str, created: int, request: ChatRequest | None) -> JsonObject:
    """The object that replies and the events of a stream hold, as it is when the answer begins. `created` is Unix seconds."""
    return {
        "id": reply_id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        "usage": None,
        **render_echo(request),
    }


def ending_of(reason: FinishReason, *, is_refused: bool = False) -> JsonObject:
    """Status, and why the answer is not whole where it is not. A refusal in the model's own words is a whole answer."""
    if reason == "error":
        error: JsonObject = {"code": "server_error", "message": "the model did not finish its answer"}
        return {"status": "failed", "error": error}
    if reason not in _WHY_CUT or is_refused:
        return {"status": "completed"}
    return {"status": "incomplete", "incomplete_details": {"reason": _WHY_CUT[reason]}}


def render_output(parts: Sequence[Part], ids: ItemIds) -> list[Json]:
    """The items of a whole reply; texts that follow each other are one message."""
    items: list[Json] = []
    content: list[Json] = []
    for part in parts:
        if type(part) is Text:
            if not content:
                items.append(message_item(ids.next("msg"), content))
            content.append(refusal_part(part.text) if is_refusal(part) else text_part(part.text))
            continue
        content = []
        render = _RENDERERS.get(type(part))
        if render is not None:
            items.append(render(part, ids))
    return items


def message_item(item_id: str, content: list[Json], status: str = "completed") -> JsonObject:
    """A message of the model. The content is taken as it is, and may still grow."""
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def text_part(text: str) -> JsonObject:
    """One text of a message's content."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def refusal_part(text: str) -> JsonObject:
    """The words of a refusal in a message's content."""
    return {"type": "refusal", "refusal": text}


def call_item(item_id: str, call: ToolCall, status: str = "completed") -> JsonObject:
    """A call of a function."""
    return {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
    }


def image_item(item_id: str, image: Image) -> JsonObject:
    """An image of the model: its data, or its address where it has none."""
    result = image.url if image.data is None else image.data
    return {"id": item_id, "type": "image_generation_call", "status": "completed", "result": result}


def _render_call(part: Part, ids: ItemIds) -> JsonObject:
    assert type(part) is ToolCall
    return call_item(ids.next("fc"), part)


def _render_reasoning(part: Part, ids: ItemIds) -> JsonObject:
    assert type(part) is Reasoning
    return render_thinking(part, ids.next(FOREIGN_THOUGHT))


def _render_image(part: Part, ids: ItemIds) -> JsonObject:
    assert type(part) is Image
    return image_item(ids.next("ig"), part)


_RENDERERS: Final[Mapping[type[Part], Callable[[Part, ItemIds], JsonObject]]] = {
    ToolCall: _render_call,
    Reasoning: _render_reasoning,
    Image: _render_image,
}
