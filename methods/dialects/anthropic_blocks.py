"""Content blocks and turns of Anthropic messages, both ways. What surrounds them in a request is `anthropic_request`.

A turn whose parts would not render to exactly the JSON that came in (documents, server tools, cache marks on tool blocks, one
text as an array) keeps its whole `content` in `Message.extra`; this dialect then renders that, so the vendor sees the
client's own bytes and its prompt cache holds. `untranslatable_blocks` tells what of it no other vendor can be told.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from methods.dialects.arguments import from_arguments, from_model_arguments, to_arguments
from methods.dialects.base import Untranslatable
from methods.dialects.canonical import Image, Json, JsonObject, Message, Part, Reasoning, Text, ToolCall, ToolResult
from methods.dialects.shared import flag_at, image_type_at, list_at, name_at, object_at, text_at, usual_type

DIALECT: Final = "anthropic"

_IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


def parse_blocks(content: Json, field: str) -> tuple[Part, ...]:
    """The parts of a content; blocks that the canonical form cannot say are left out. Raises: Untranslatable."""
    if isinstance(content, str):
        return (Text(content),)
    parts: list[Part] = []
    for place, item in enumerate(list_at(content, field)):
        part = parse_block(object_at(item, f"{field}[{place}]"), f"{field}[{place}]")
        if part:
            parts.append(part)
    return tuple(parts)


def read_blocks(content: Sequence[Json]) -> list[Part]:
    """The parts of a reply, which never raises: blocks that nobody can read are left out, and such calls have no name."""
    parts: list[Part] = []
    for block in content:
        if isinstance(block, dict):
            try:
                part = parse_block(block, "content")
            except Untranslatable:
                part = ToolCall("", "", "{}") if block.get("type") == "tool_use" else None
            if part is not None:
                parts.append(part)
    return parts


def parse_block(block: JsonObject, field: str) -> Part | None:
    """One block; None for one that the canonical form cannot say. Raises: Untranslatable."""
    read = _PARSERS.get(name_at(block.get("type"), f"{field}.type"))
    return read(block, field) if read else None


def _parse_text(block: JsonObject, field: str) -> Text:
    return Text(text_at(block.get("text"), f"{field}.text"), _others(block, "type", "text"))


def _parse_call(block: JsonObject, field: str) -> ToolCall:
    return ToolCall(
        id=name_at(block.get("id"), f"{field}.id"),
        name=name_at(block.get("name"), f"{field}.name"),
        arguments=to_arguments(object_at(block.get("input"), f"{field}.input")),
    )


def _parse_thinking(block: JsonObject, field: str) -> Reasoning:
    signature = block.get("signature")
    return Reasoning(
        text_at(block.get("thinking"), f"{field}.thinking"),
        signature=text_at(signature, f"{field}.signature") if signature else None,
    )


def _parse_redacted(block: JsonObject, field: str) -> Reasoning:
    return Reasoning("", signature=text_at(block.get("data"), f"{field}.data"), is_redacted=True)


def _others(block: JsonObject, *read: str) -> dict[str, Json]:
    return {name: value for name, value in block.items() if name not in read and value is not None}


def _parse_image(block: JsonObject, field: str) -> Image | None:
    source = object_at(block.get("source"), f"{field}.source")
    extra = _others(block, "type", "source")
    match name_at(source.get("type"), f"{field}.source.type"):
        case "base64":
            place = f"{field}.source.media_type"
            media_type = image_type_at(name_at(source.get("media_type"), place), place)
            return Image(media_type, data=text_at(source.get("data"), f"{field}.source.data"), extra=extra)
        case "url":
            return Image(url=name_at(source.get("url"), f"{field}.source.url"), extra=extra)
        case _:
            return None


def _parse_result(block: JsonObject, field: str) -> ToolResult:
    content, is_error = block.get("content"), block.get("is_error")
    parts = () if content is None else parse_blocks(content, f"{field}.content")
    return ToolResult(
        tool_call_id=name_at(block.get("tool_use_id"), f"{field}.tool_use_id"),
        content=tuple(part for part in parts if isinstance(part, Text | Image)),
        is_error=False if is_error is None else flag_at(is_error, f"{field}.is_error"),
    )


_PARSERS: Final[Mapping[str, Callable[[JsonObject, str], Part | None]]] = {
    "text": _parse_text,
    "image": _parse_image,
    "tool_use": _parse_call,
    "tool_result": _parse_result,
    "thinking": _parse_thinking,
    "redacted_thinking": _parse_redacted,
}


def parse_message(value: Json, field: str) -> Message:
    """One turn. A system turn inside the conversation is a user turn with its role in `extra`. Raises: Untranslatable."""
    member = object_at(value, field)
    role = name_at(member.get("role"), f"{field}.role")
    content = member.get("content")
    parts = parse_blocks(content, f"{field}.content")
    extra = _others(member, "role", "content")
    if render_content(parts) != content:
        extra["content"] = content
    match role:
        case "assistant":
            return Message("assistant", parts, extra)
        case "user":
            is_tool = bool(parts) and all(type(part) is ToolResult for part in parts) and "content" not in extra
            return Message("tool" if is_tool else "user", parts, extra)
        case "system":
            return Message("user", parts, {**extra, "role": "system"})
        case _:
            raise Untranslatable(f"{field}.role", "must be user, assistant or system")


def parse_system(value: Json) -> tuple[Text, ...]:
    """The system prompt, a string or text blocks. Raises: Untranslatable."""
    texts: list[Text] = []
    for part in () if value is None else parse_blocks(value, "system"):
        if not isinstance(part, Text):
            raise Untranslatable("system", "must be a string or an array of text blocks")
        texts.append(part)
    return tuple(texts)


def render_messages(messages: Sequence[Message], *, is_own: bool) -> list[Json]:
    """The `messages` of a request. Turns of other dialects that follow each other with the same role become one turn, as tool
    results must stand together; thinking of other vendors is left out, because only this vendor's seal opens it.

    Raises: Untranslatable.
    """  # noqa: D205 - one sentence and its reason
    rendered: list[Json] = []
    role_before: str | None = None
    open_blocks: list[Json] = []
    for place, message in enumerate(messages):
        if is_own:
            rendered.append(_render_own(message, f"messages[{place}]"))
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks: list[Json] = [
            render_block(part, f"messages[{place}].parts[{number}]", role=role)
            for number, part in enumerate(_results_first(message.parts))
            if not (type(part) is Reasoning or (type(part) is Text and not part.text))
        ]
        if not blocks:
            continue
        if role == role_before:
            open_blocks += blocks
        else:
            open_blocks = blocks
            rendered.append({"role": role, "content": open_blocks})
            role_before = role
    return rendered


def _results_first(parts: Sequence[Part]) -> list[Part]:
    """The vendor wants the answers of tools before anything else in a turn."""
    return sorted(parts, key=lambda part: type(part) is not ToolResult)


def _render_own(message: Message, field: str) -> Json:
    extra = dict(message.extra)
    role = extra.pop("role", "assistant" if message.role == "assistant" else "user")
    content = extra.pop("content") if "content" in extra else render_content(message.parts, field)
    return {"role": role, "content": content, **extra}


def render_content(parts: Sequence[Part], field: str | None = None) -> Json:
    """A content of this dialect's own: plain text where one text says it all, else an array of blocks."""
    if len(parts) == 1 and type(parts[0]) is Text and not parts[0].extra:
        return parts[0].text
    return [render_block(part, f"{field}.content", is_own=True) for part in parts]


def render_block(part: Part, field: str, *, is_own: bool = False, role: str | None = None) -> JsonObject:
    """One block of a request. Raises: Untranslatable."""
    if type(part) is ToolCall:
        arguments = from_arguments(part.arguments, f"{field}.arguments")
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": arguments}
    if type(part) is Image:
        return _render_image(part, field, is_own=is_own, role=role)
    if type(part) is ToolResult:
        return _render_result(part, field, is_own=is_own)
    return _render_words(part, is_own=is_own)


def _render_words(part: Part, *, is_own: bool) -> JsonObject:
    if type(part) is Text:
        return {"type": "text", "text": part.text, **(part.extra if is_own else {})}
    assert type(part) is Reasoning
    if part.is_redacted:
        return {"type": "redacted_thinking", "data": part.signature or ""}
    return {"type": "thinking", "thinking": part.text, "signature": part.signature or ""}


def render_reply_block(part: Part, *, is_own: bool) -> JsonObject | None:
    """One block of a reply, which never raises; None for what this vendor's replies cannot hold."""
    if type(part) is ToolCall:
        arguments = from_model_arguments(part.arguments)
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": arguments}
    if isinstance(part, Text | Reasoning):
        return _render_words(part, is_own=is_own)
    return None


def _render_result(result: ToolResult, field: str, *, is_own: bool) -> JsonObject:
    block: JsonObject = {"type": "tool_result", "tool_use_id": result.tool_call_id}
    if is_own and result.content:
        block["content"] = render_content(result.content, field)
    else:  # many tools have nothing to say, and the vendor refuses a text that is empty
        said = [part for part in result.content if isinstance(part, Image) or part.text]
        if said:
            block["content"] = [render_block(part, f"{field}.content", role="user") for part in said]
    if result.is_error:
        block["is_error"] = True
    return block


def _render_image(image: Image, field: str, *, is_own: bool, role: str | None) -> JsonObject:
    extra: Mapping[str, Json] = image.extra if is_own else {}
    if role == "assistant":
        raise Untranslatable(field, "this vendor takes no images in the assistant's turns")
    if image.data is None:
        if not image.url:
            raise Untranslatable(field, "an image needs data or a URL")
        return {"type": "image", "source": {"type": "url", "url": image.url}, **extra}
    media_type = image.media_type if is_own else usual_type(image.media_type or "")
    if not is_own and media_type not in _IMAGE_TYPES:
        raise Untranslatable(field, f"this vendor takes no images of type {image.media_type!r}")
    source: JsonObject = {"type": "base64", "media_type": media_type, "data": image.data}
    return {"type": "image", "source": source, **extra}


def untranslatable_blocks(message: Message, field: str) -> Iterable[str]:
    """The blocks of a turn that only this vendor understands, each by its path."""
    content = message.extra.get("content")
    for place, block in enumerate(content if isinstance(content, list) else []):
        yield from _untranslatable(block, f"{field}.content[{place}]")


def _untranslatable(block: Json, field: str) -> Iterable[str]:
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(block, dict) or kind not in _PARSERS:
        yield field
    elif kind == "image" and parse_block(block, field) is None:
        yield f"{field}.source"
    elif kind == "tool_result":
        inner = block.get("content")
        for place, item in enumerate(inner if isinstance(inner, list) else []):
            yield from _untranslatable(item, f"{field}.content[{place}]")
