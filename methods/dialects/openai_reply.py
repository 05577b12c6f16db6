"""Complete replies of OpenAI chat completions, both ways. Streams are `openai_stream`'s matter.

`ChatReply.extra` holds the reply's own further members (created, system_fingerprint, ...), those of the choice under `choice`
(logprobs) and those of the message under `message` (annotations, audio), verbatim.
"""

from collections.abc import Mapping
from typing import Final

from methods.dialects.arguments import to_arguments
from methods.dialects.base import Untranslatable
from methods.dialects.canonical import ChatReply, FinishReason, Image, Json, JsonObject, Part, Reasoning, Text, ToolCall
from methods.dialects.openai_messages import DIALECT, render_call, signature_of
from methods.dialects.openai_usage import parse_usage, render_usage, untold
from methods.dialects.shared import from_data_url, to_data_url

# The vendor's own words first, then those of vendors that are compatible but for these.
FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "function_call": "tool_calls",
    "eos": "stop",
    "end_turn": "stop",
    "COMPLETE": "stop",
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "model_length": "length",
    "tool_use": "tool_calls",
    "safety": "content_filter",
    "error": "error",
    "insufficient_system_resource": "error",
}
# An answer that failed is not whole, which only `length` says among the vendor's words.
FINISH_WORDS: Final[Mapping[FinishReason, str]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "error": "length",
    "other": "stop",
}
_OWN_WORDS: Final = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
_REPLY_READ: Final = frozenset({"id", "object", "model", "choices", "usage"})
_CHOICE_READ: Final = frozenset({"index", "message", "finish_reason"})
_BESIDE_CONTENT: Final = ("tool_calls", "function_call", "reasoning_content", "reasoning", "refusal", "images")
_MESSAGE_READ: Final = frozenset({"role", "content", *_BESIDE_CONTENT})


def finish_reason_of(word: Json, *, calls_tools: bool, is_refused: bool) -> FinishReason:
    """The canonical reason. Compatible vendors say `stop` where a tool is asked for, and this vendor says it of a refusal."""
    reason = FINISH_REASONS.get(word, "other") if isinstance(word, str) else "other"
    if reason == "stop" and calls_tools:
        return "tool_calls"
    return "content_filter" if reason == "stop" and is_refused else reason


def parse_reply(body: JsonObject) -> ChatReply:
    """A complete reply: the first choice, and what the others say. Raises: ValueError when it is not one.

    One that holds no message and was counted all the same is one that nobody can read.
    """
    choices = _list(body.get("choices"))
    choice = choices[0] if choices and isinstance(choices[0], dict) else {}
    message = choice.get("message")
    is_unread = not isinstance(message, dict)
    if not isinstance(message, dict):
        if body.get("error") or parse_usage(body.get("usage")) is None:
            raise ValueError("the reply has no choices, or its first choice has no message")
        message = {}
    parts = _parse_parts(message, f"call_{_word(body.get('id')) or ''}_")
    word = choice.get("finish_reason")
    return ChatReply(
        model=_word(body.get("model")) or "",
        parts=parts,
        is_unread=is_unread or (not parts and bool(_list(message.get("content")) or _list(message.get("images")))),
        finish_reason=finish_reason_of(
            word,
            calls_tools=bool(_list(message.get("tool_calls"))),
            is_refused=bool(message.get("refusal")),
        ),
        usage=parse_usage(body.get("usage")),
        untold=untold(body.get("usage")),
        id=_word(body.get("id")),
        native_finish_reason=_word(word),
        dialect=DIALECT,
        extra=_extra(body, choice, message),
        others=() if len(choices) <= 1 else _said_by(choices[1:]),
    )


def _said_by(choices: list[Json]) -> tuple[Part, ...]:
    """The parts of further choices."""
    messages = [choice.get("message") for choice in choices if isinstance(choice, dict)]
    return tuple([part for message in messages if isinstance(message, dict) for part in _parse_parts(message, "call_")])


def _word(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


def _rest(members: JsonObject, read: frozenset[str]) -> dict[str, Json]:
    return {name: value for name, value in members.items() if name not in read and value is not None}


def _extra(body: JsonObject, choice: JsonObject, message: JsonObject) -> dict[str, Json]:
    extra = _rest(body, _REPLY_READ)
    of_choice, of_message = _rest(choice, _CHOICE_READ), _rest(message, _MESSAGE_READ)
    if of_choice:
        extra["choice"] = of_choice
    if of_message:
        extra["message"] = of_message
    return extra


def _parse_parts(message: JsonObject, scope: str) -> tuple[Part, ...]:
    """What a message says. `scope`: how the ids of calls begin that have none."""
    content = message.get("content")
    if type(content) is str and content and not any(map(message.get, _BESIDE_CONTENT)):  # most replies
        return (Text(content),)
    parts: list[Part] = []
    thought = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(thought, str) and thought:
        parts.append(Reasoning(thought))
    parts += parse_content(content)
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        parts.append(Text(refusal, extra={"type": "refusal"}))
    parts += parse_images(message.get("images"))
    parts += [_parse_call(call, f"{scope}{place}") for place, call in enumerate(_list(message.get("tool_calls")))]
    older = message.get("function_call")
    if isinstance(older, dict) and older.get("name"):
        parts.append(_parse_call({"function": older}, f"{scope}0"))
    return tuple(parts)


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def parse_content(content: Json) -> list[Text | Reasoning]:
    """Content as text, or as the array of text and thinking parts that some compatible vendors send (Mistral).

    What is neither is left out: the vendor has billed the answer, and the client can read the rest of it.
    """
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [Text(content)]
    parts: list[Text | Reasoning] = []
    for item in _list(content):
        match item:
            case {"type": "text", "text": str(text)}:
                parts.append(Text(text))
            case {"type": "thinking", "thinking": list(thoughts)}:
                parts.append(Reasoning("".join([part.text for part in parse_content(thoughts)])))
            case _:
                pass
    return parts


def _parse_call(call: Json, made_id: str) -> ToolCall:
    """A call. Some compatible vendors send no id, no arguments, or the arguments themselves instead of their text.

    One that names no function is one that nobody can read.
    """
    members = call if isinstance(call, dict) else {}
    function = called_of(members)
    arguments = function.get("arguments", function.get("input"))
    text = to_arguments(arguments) if isinstance(arguments, dict) else _word(arguments)
    name = _word(function.get("name")) or ""
    return ToolCall(_word(members.get("id")) or made_id, name, text or "", signature_of(call))


def called_of(call: JsonObject) -> JsonObject:
    """What a call says: a function with its arguments, or a tool of the client's own kind with its input."""
    for name in ("function", "custom"):
        called = call.get(name)
        if isinstance(called, dict):
            return called
    return {}


def parse_images(images: Json) -> list[Image]:
    """The images that some compatible vendors send beside the text; one without an address is left out."""
    found: list[Image] = []
    for image in _list(images):
        match image:
            case {"image_url": {"url": str(url)}} if url:
                try:
                    inline = from_data_url(url, "images")
                except Untranslatable:
                    continue
                found.append(Image(media_type=inline[0], data=inline[1]) if inline else Image(url=url))
            case _:
                pass
    return found


def render_reply(reply: ChatReply) -> JsonObject:
    """A complete reply for a client of this vendor.

    The canonical reply knows no time and maybe no id: `created` is 0 and `id` empty unless they came along; the door sets them.
    """
    is_own = reply.dialect == DIALECT
    extra = dict(reply.extra) if is_own else {}
    of_choice, of_message = extra.pop("choice", None), extra.pop("message", None)
    word = reply.native_finish_reason if is_own and reply.native_finish_reason in _OWN_WORDS else None
    choice: JsonObject = {
        "index": 0,
        "message": {
            **_render_message(reply.parts, is_own=is_own),
            **(of_message if isinstance(of_message, dict) else {}),
        },
        "logprobs": None,
        "finish_reason": word or FINISH_WORDS[reply.finish_reason],
    }
    if isinstance(of_message, dict):
        choice["message"] = {**_render_message(reply.parts, is_own=is_own), **of_message}
    if isinstance(of_choice, dict):
        choice |= of_choice
    body: JsonObject = {"id": reply.id or "", "object": "chat.completion", "created": 0, "model": reply.model}
    body["choices"] = [choice]
    if reply.usage is not None:
        body["usage"] = render_usage(reply.usage)
    return {**body, **extra}


def render_image(image: Image) -> JsonObject:
    """An image of the model, as compatible vendors write it."""
    url = image.url if image.data is None else to_data_url(image.media_type, image.data)
    return {"type": "image_url", "image_url": {"url": url}}


def _render_message(parts: tuple[Part, ...], *, is_own: bool) -> JsonObject:
    said, refused, thought = "", "", ""
    calls: list[Json] = []
    images: list[Json] = []
    for part in parts:
        match part:
            case Text(text, extra) if is_own and extra.get("type") == "refusal":
                refused += text
            case Text(text):
                said += text
            case Reasoning(text, is_redacted=False):
                thought += text
            case ToolCall():
                calls.append(render_call(part))
            case Image():
                images.append(render_image(part))
            case _:
                pass  # Sealed thinking and tool results have no place in this vendor's replies.
    message: JsonObject = {"role": "assistant", "content": said or None, "refusal": refused or None}
    optional: JsonObject = {"reasoning_content": thought, "images": images, "tool_calls": calls}
    return {**message, **{name: value for name, value in optional.items() if value}}
