"""The messages of OpenAI chat completions, both ways. What surrounds them in a request is `openai_request`.

What the canonical form cannot say stays verbatim in a message's `extra`: under `content` or `tool_calls` the whole member as the
client sent it (it then stands in for the parts when this dialect renders), under any other name the member itself. A text of
`ChatRequest.system` that begins a message of its own carries that message's `role` in its `extra`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import Image, Json, JsonObject, Message, Part, Reasoning, Text, ToolCall, ToolResult
from methods.dialects.shared import from_data_url, image_type_at, list_at, name_at, object_at, text_at, to_data_url

DIALECT: Final = "openai"
VERBATIM_MEMBERS: Final = ("content", "tool_calls")
"""Members of a message whose presence in its `extra` means that its parts do not say everything."""
_UNTRANSLATABLE_EXTRA: Final = frozenset({*VERBATIM_MEMBERS, "audio", "function_call"})

_SYSTEM_ROLES: Final = ("system", "developer")
_READ: Final = frozenset({"role", "content", "tool_calls", "tool_call_id", "reasoning_content", "refusal"})


def parse_messages(value: Json) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """The system texts that open the conversation, and its turns. A later system message is a user turn with its role in `extra`.

    Raises: Untranslatable.
    """
    system: list[Text] = []
    messages: list[Message] = []
    for place, item in enumerate(list_at(value, "messages")):
        field = f"messages[{place}]"
        member = object_at(item, field)
        role = name_at(member.get("role"), f"{field}.role")
        if role in _SYSTEM_ROLES and not messages:
            system += _system_texts(member, role, field, is_first=not system)
        else:
            messages.append(_parse_turn(member, role, field))
    return tuple(system), tuple(messages)


def _system_texts(member: JsonObject, role: str, field: str, *, is_first: bool) -> list[Text]:
    texts = [_text_part(part, place) for part, place in _content_items(member.get("content"), f"{field}.content")]
    opening: dict[str, Json] = {} if is_first and role == "system" else {"role": role}
    if isinstance(member.get("name"), str):
        opening = {"role": role, "name": member["name"]}
    if texts and opening:
        texts[0] = Text(texts[0].text, extra={**texts[0].extra, **opening})
    return texts


def _parse_turn(member: JsonObject, role: str, field: str) -> Message:
    extra: dict[str, Json] = {name: value for name, value in member.items() if name not in _READ and value is not None}
    match role:
        case "user":
            return Message("user", _user_parts(member, extra, field), extra)
        case "system" | "developer":
            return Message("user", _user_parts(member, extra, field), {**extra, "role": role})
        case "function":  # the result of a call by the vendor's older words, which no other vendor has
            parts = () if member.get("content") is None else _user_parts(member, extra, field)
            return Message("user", parts, {**extra, "role": role})
        case "assistant":
            return Message("assistant", _assistant_parts(member, extra, field), extra)
        case "tool":
            items = _content_items(member.get("content"), f"{field}.content")
            content = tuple(_image_part(part, place) or _text_part(part, place) for part, place in items)
            call_id = name_at(member.get("tool_call_id"), f"{field}.tool_call_id")
            name = extra.pop("name", None)
            return Message("tool", (ToolResult(call_id, content, name=name if isinstance(name, str) else None),), extra)
        case _:
            raise Untranslatable(f"{field}.role", "must be system, developer, user, assistant or tool")


def untranslatable_members(system: Sequence[Text], messages: Sequence[Message]) -> Iterable[str]:
    """The members of messages of this dialect that another vendor must not simply leave out, each by its path for the client."""
    first = len(_openings(system, is_own=True))
    for place, message in enumerate(messages, first):
        if message.extra.get("role") == "function":
            yield f"messages[{place}].role"
        yield from (f"messages[{place}].{name}" for name in message.extra if name in _UNTRANSLATABLE_EXTRA)


def _user_parts(member: JsonObject, extra: dict[str, Json], field: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    for item, place in _content_items(member.get("content"), f"{field}.content"):
        image = _image_part(item, place)
        if image or item.get("type") == "text":
            parts.append(image or _text_part(item, place))
        else:  # Sound, files and whatever comes next: this vendor's own, carried as they are.
            name_at(item.get("type"), f"{place}.type")
            extra["content"] = member["content"]
    return tuple(parts)


def _assistant_parts(member: JsonObject, extra: dict[str, Json], field: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    thought = member.get("reasoning_content")
    if thought:
        parts.append(Reasoning(text_at(thought, f"{field}.reasoning_content")))
    if member.get("content") is not None:
        for item, place in _content_items(member["content"], f"{field}.content"):
            if item.get("type") == "refusal":
                parts.append(Text(text_at(item.get("refusal"), f"{place}.refusal"), extra={"type": "refusal"}))
            else:
                parts.append(_text_part(item, place))
    if member.get("refusal"):
        parts.append(Text(text_at(member["refusal"], f"{field}.refusal"), extra={"type": "refusal"}))
    calls = list_at(member.get("tool_calls") or [], f"{field}.tool_calls")
    for number, call in enumerate(calls):
        place = f"{field}.tool_calls[{number}]"
        parsed = _parse_call(object_at(call, place), place)
        if parsed:
            parts.append(parsed)
        else:
            extra["tool_calls"] = calls
    return tuple(parts)


def _parse_call(call: JsonObject, field: str) -> ToolCall | None:
    """A call of a function; None for the vendor's other kinds of tools."""
    if call.get("type", "function") != "function":
        return None
    function = object_at(call.get("function"), f"{field}.function")
    return ToolCall(
        id=name_at(call.get("id"), f"{field}.id"),
        name=name_at(function.get("name"), f"{field}.function.name"),
        arguments=text_at(function.get("arguments"), f"{field}.function.arguments"),
        signature=signature_of(call),
    )


def signature_of(call: Json) -> str | None:
    """Gemini's seal of a call, where its own endpoint for this dialect puts it (the vendor's page on thought signatures)."""
    match call.get("extra_content") if isinstance(call, dict) else None:
        case {"google": {"thought_signature": str(seal)}} if seal:
            return seal
        case _:
            return None


def _content_items(content: Json, field: str) -> Iterable[tuple[JsonObject, str]]:
    """The parts of a content with the path of each; plain text is one part."""
    if isinstance(content, str):
        return [({"type": "text", "text": content}, field)]
    return [
        (object_at(item, f"{field}[{place}]"), f"{field}[{place}]")
        for place, item in enumerate(list_at(content, field, "text or an array of parts"))
    ]


def _text_part(part: JsonObject, field: str) -> Text:
    if part.get("type") != "text":
        raise Untranslatable(f"{field}.type", "only text can stand here")
    text = text_at(part.get("text"), f"{field}.text")
    if len(part) == 2:  # noqa: PLR2004 - type and text, nothing else
        return Text(text)
    return Text(text, extra={name: value for name, value in part.items() if name not in ("type", "text")})


def _image_part(part: JsonObject, field: str) -> Image | None:
    if part.get("type") != "image_url":
        return None
    image = part.get("image_url")
    image = {"url": image} if isinstance(image, str) else object_at(image, f"{field}.image_url")
    url = name_at(image.get("url"), f"{field}.image_url.url")
    extra = {name: value for name, value in part.items() if name not in ("type", "image_url")}
    extra.update({name: value for name, value in image.items() if name == "detail" and value is not None})
    inline = from_data_url(url, f"{field}.image_url.url")
    if inline:
        media_type = image_type_at(inline[0], f"{field}.image_url.url")
        return Image(media_type=media_type, data=inline[1], extra=extra)
    return Image(url=url, extra=extra)


def render_messages(
    system: Sequence[Text], messages: Sequence[Message], *, is_own: bool, sends_reasoning: bool
) -> list[Json]:
    """The `messages` of a request. `is_own`: they came from this dialect, so their `extra` is rendered too.

    Images inside tool results from other vendors follow in a user turn after the results, because tool messages hold only text.
    """
    rendered: list[Json] = [*_render_system(system, is_own=is_own)]
    waiting: list[Part] = []
    for message in messages:
        results = [part for part in message.parts if type(part) is ToolResult]
        others = [part for part in message.parts if type(part) is not ToolResult]
        if waiting and not results:
            rendered.append(_render_user(waiting, {}, is_own=is_own))
            waiting = []
        extra = message.extra if is_own else {}
        for result in results:
            rendered.append(_render_result(result, extra, is_own=is_own))
            if not is_own:
                waiting += [part for part in result.content if type(part) is Image]
        if message.role == "assistant":
            rendered.append(_render_assistant(others, extra, is_own=is_own, sends_reasoning=sends_reasoning))
        elif others or not results:
            rendered.append(_render_user([*waiting, *others], extra, is_own=is_own))
            waiting = []
    if waiting:
        rendered.append(_render_user(waiting, {}, is_own=is_own))
    return rendered


def _render_system(system: Sequence[Text], *, is_own: bool) -> list[Json]:
    rendered: list[Json] = []
    for group in _openings(system, is_own=is_own):
        opening = group[0].extra if is_own else {}
        message: JsonObject = {"role": opening.get("role", "system")}
        message["content"] = _render_content(group, is_own=is_own, hidden=("role", "name"))
        if "name" in opening:
            message["name"] = opening["name"]
        rendered.append(message)
    return rendered


def _openings(system: Sequence[Text], *, is_own: bool) -> list[list[Text]]:
    """One message for all texts, but for those that began a message of their own in this dialect."""
    groups: list[list[Text]] = []
    for text in system:
        if not groups or (is_own and "role" in text.extra):
            groups.append([])
        groups[-1].append(text)
    return groups


def _render_user(parts: Sequence[Part], extra: Mapping[str, Json], *, is_own: bool) -> Json:
    content = _render_content(parts, is_own=is_own)
    return {"role": "user", "content": content, **extra}


def _render_assistant(parts: Sequence[Part], extra: Mapping[str, Json], *, is_own: bool, sends_reasoning: bool) -> Json:
    message: JsonObject = {"role": "assistant"}
    texts = [part for part in parts if type(part) is Text]
    refused = "".join([part.text for part in texts if is_own and part.extra.get("type") == "refusal"])
    said = [part for part in texts if not (is_own and part.extra.get("type") == "refusal")]
    message["content"] = _render_content(said, is_own=is_own) if said else None
    if refused:
        message["refusal"] = refused
    calls: list[Json] = [render_call(part) for part in parts if type(part) is ToolCall]
    if calls:
        message["tool_calls"] = calls
    elif not said and not refused and not extra:
        message["content"] = ""  # The vendor wants content where there is nothing else.
    thoughts = "".join([part.text for part in parts if type(part) is Reasoning and not part.is_redacted])
    if thoughts and sends_reasoning:
        message["reasoning_content"] = thoughts
    return {**message, **extra}


def _render_result(result: ToolResult, extra: Mapping[str, Json], *, is_own: bool) -> Json:
    parts = result.content if is_own else [part for part in result.content if type(part) is Text]
    message: JsonObject = {"role": "tool", "tool_call_id": result.tool_call_id}
    message["content"] = _render_content(parts, is_own=is_own)
    if is_own and result.name:
        message["name"] = result.name
    return {**message, **extra}


def render_call(call: ToolCall) -> JsonObject:
    """A tool call as it stands in messages and replies."""
    function: JsonObject = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function, **render_signature(call.signature)}


def render_signature(seal: str | None) -> JsonObject:
    """The member of a call that carries Gemini's seal; nothing for a call without one."""
    return {} if seal is None else {"extra_content": {"google": {"thought_signature": seal}}}


def _render_content(parts: Sequence[Part], *, is_own: bool, hidden: tuple[str, ...] = ()) -> Json:
    """Plain text where one text says it all, else an array of parts."""
    rendered: list[Json] = []
    for part in parts:
        if type(part) is Text:
            extra = {name: value for name, value in part.extra.items() if name not in hidden} if is_own else {}
            if len(parts) == 1 and not extra:
                return part.text
            rendered.append({"type": "text", "text": part.text, **extra})
        elif type(part) is Image:
            rendered.append(_render_image(part, is_own=is_own))
    return rendered or ""


def _render_image(image: Image, *, is_own: bool) -> Json:
    url = image.url if image.data is None else to_data_url(image.media_type, image.data)
    inner: JsonObject = {"url": url}
    extra = dict(image.extra) if is_own else {}
    if "detail" in extra:
        inner["detail"] = extra.pop("detail")
    return {"type": "image_url", "image_url": inner, **extra}
