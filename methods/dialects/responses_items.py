"""The input items of OpenAI's Responses, both ways. What surrounds them in a request is `responses_request`.

Items lie flat in this vendor's input; the model's side of a turn (thinking, text, calls of functions) becomes one message, as do
answers of functions that follow each other. A message that holds what the canonical form cannot say keeps its items in its
`extra` under `items`; this dialect then renders those. Ids and marks of items are left out: a client's own body goes to a vendor
of this dialect as it is (`Responses.amended`). A text of `ChatRequest.system` that was an item keeps it under `item`.
Under `place` stands where they were. `untranslatable_items` tells what of all that no other vendor can be told.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from methods.dialects.arguments import to_arguments
from methods.dialects.base import Untranslatable
from methods.dialects.canonical import (
    Image,
    Json,
    JsonObject,
    Message,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from methods.dialects.shared import from_data_url, image_type_at, list_at, name_at, object_at, text_at, to_data_url

DIALECT: Final = "responses"

_SYSTEM_ROLES: Final = ("system", "developer")
_ROLES: Final[Mapping[str, Role]] = {
    "user": "user",
    "system": "user",
    "developer": "user",
    "assistant": "assistant",
}
_SAYABLE: Final = ("message", "reasoning", "function_call", "function_call_output")
_CALLS: Final[Mapping[str, str]] = {
    "custom_tool_call": "input",
    "local_shell_call": "action",
    "apply_patch_call": "operation",
}
"""Calls of the client's own tools, beside those of functions, and the member that holds what the model wrote."""
_PARAGRAPH: Final = "\n\n"


def parse_input(value: Json) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """The system texts that open the conversation, and its turns. A later one is a user turn with its role in `extra`.

    Raises: Untranslatable.
    """
    if isinstance(value, str):
        return (), (Message("user", (Text(value),), {"is_input": True}),)
    system: list[Text] = []
    groups: list[tuple[int, Role, str, list[Json], list[Part]]] = []
    for place, item in enumerate(list_at(value, "input", "text or an array of items")):
        field = f"input[{place}]"
        member = object_at(item, field)
        kind = _kind_of(member, field)
        role = _role_of(member, kind, field)
        if kind == "message" and member.get("role") in _SYSTEM_ROLES and not groups:
            system += _system_texts(member, place)
            continue
        parts = _parse_item(member, kind, field)
        word = str(member.get("role")) if kind == "message" else role
        if groups and role != "user" and groups[-1][1] == role:
            groups[-1][3].append(item)
            groups[-1][4].extend(parts)
        else:
            groups.append((place, role, word, [item], list(parts)))
    return tuple(system), tuple([_message(*group) for group in groups])


def _kind_of(item: JsonObject, field: str) -> str:
    """The type of an item; messages may leave theirs out."""
    kind = item.get("type")
    return "message" if kind is None and "role" in item else name_at(kind, f"{field}.type")


def _role_of(item: JsonObject, kind: str, field: str) -> Role:
    if kind == "message":
        role = _ROLES.get(name_at(item.get("role"), f"{field}.role"))
        if role is None:
            raise Untranslatable(f"{field}.role", "must be user, assistant, system or developer")
        return role
    if kind.endswith("_output"):
        return "tool"
    return "assistant" if kind.endswith("_call") or kind == "reasoning" else "user"


def _message(place: int, role: Role, word: str, items: list[Json], parts: list[Part]) -> Message:
    extra: dict[str, Json] = {"role": word} if word in _SYSTEM_ROLES else {}
    message = Message(role, tuple(parts), extra)
    if any(True for _ in untranslatable_items(items, place)):
        extra |= {"items": items, "place": place}
    return message


def _system_texts(item: JsonObject, place: int) -> list[Text]:
    """The texts of an item that gives instructions; the first of them carries the item, the others that they are of it."""
    field = f"input[{place}].content"
    texts = [part for part in _content_parts(item.get("content"), field) if type(part) is Text]
    if not texts:
        raise Untranslatable(field, "instructions need text")
    return [Text(text.text, {"item": item if n == 0 else None, "place": place}) for n, text in enumerate(texts)]


def _parse_item(item: JsonObject, kind: str, field: str) -> list[Part]:
    """The parts of an item; none for one that the canonical form cannot say."""
    match kind:
        case "message":
            return _content_parts(item.get("content"), f"{field}.content")
        case "reasoning":
            return [_parse_reasoning(item, field)]
        case "function_call":
            return [
                ToolCall(
                    id=name_at(item.get("call_id"), f"{field}.call_id"),
                    name=name_at(item.get("name"), f"{field}.name"),
                    arguments=text_at(item.get("arguments"), f"{field}.arguments"),
                )
            ]
        case "function_call_output":
            parts = _content_parts(item.get("output"), f"{field}.output")
            seen = tuple([part for part in parts if isinstance(part, Text | Image)])
            return [ToolResult(name_at(item.get("call_id"), f"{field}.call_id"), seen)]
        case _:
            return []


def _parse_reasoning(item: JsonObject, field: str) -> Reasoning:
    """Thinking: its summary, else its raw text; the seal holds what only the vendor reads."""
    seal = item.get("encrypted_content")
    texts = _texts_of(item.get("summary"), f"{field}.summary") or _texts_of(item.get("content"), f"{field}.content")
    text = _PARAGRAPH.join(texts)
    return Reasoning(
        text,
        signature=None if seal is None else text_at(seal, f"{field}.encrypted_content"),
        is_redacted=not text,
    )


def _texts_of(value: Json, field: str) -> list[str]:
    items = [] if value is None else list_at(value, field)
    return [
        text_at(object_at(item, f"{field}[{place}]").get("text"), f"{field}[{place}].text")
        for place, item in enumerate(items)
    ]


def thinking_of(item: JsonObject) -> Reasoning:
    """The thinking of an item of a reply. Raises: Untranslatable."""
    return _parse_reasoning(item, "output")


def call_of(item: JsonObject) -> ToolCall | None:
    """The call that an item is of a tool which the client runs itself, whatever its kind; None for other items."""
    kind, call_id, name = item.get("type"), item.get("call_id"), item.get("name")
    said = item.get(_CALLS.get(str(kind), ""))
    if said is None:
        return None
    text = said if isinstance(said, str) else to_arguments(said)
    return ToolCall(call_id if isinstance(call_id, str) else "", name if isinstance(name, str) else str(kind), text)


def _content_parts(content: Json, field: str) -> list[Part]:
    """The parts of a content; those that the canonical form cannot say are left out."""
    if isinstance(content, str):
        return [Text(content)]
    parts: list[Part] = []
    for place, value in enumerate(list_at(content, field, "text or an array of parts")):
        part = _parse_part(object_at(value, f"{field}[{place}]"), f"{field}[{place}]")
        if part is not None:
            parts.append(part)
    return parts


def _parse_part(part: JsonObject, field: str) -> Part | None:
    match name_at(part.get("type"), f"{field}.type"):
        case "input_text" | "output_text":
            return Text(text_at(part.get("text"), f"{field}.text"), _others(part, "type", "text"))
        case "refusal":
            return Text(text_at(part.get("refusal"), f"{field}.refusal"), {"type": "refusal"})
        case "input_image":
            return _parse_image(part, field)
        case _:
            return None


def _parse_image(part: JsonObject, field: str) -> Image | None:
    """An image by URL or as data; None for one that the vendor keeps under an id of its own."""
    url = part.get("image_url")
    if url is None:
        return None
    url = name_at(url, f"{field}.image_url")
    extra = _others(part, "type", "image_url")
    inline = from_data_url(url, f"{field}.image_url")
    if inline is None:
        return Image(url=url, extra=extra)
    return Image(media_type=image_type_at(inline[0], f"{field}.image_url"), data=inline[1], extra=extra)


def _others(members: JsonObject, *read: str) -> dict[str, Json]:
    return {name: value for name, value in members.items() if name not in read and value is not None}


def render_input(system: Sequence[Text], messages: Sequence[Message], *, is_own: bool) -> Json:
    """The `input` of a request: plain text if it came so, else items. Thinking of other vendors is left out.

    Raises: Untranslatable.
    """
    rendered: list[Json] = [text.extra["item"] for text in system if is_own and text.extra.get("item") is not None]
    for place, message in enumerate(messages):
        if is_own and "is_input" in message.extra and len(messages) == 1 and not rendered:
            return "".join([part.text for part in message.parts if type(part) is Text])
        verbatim = message.extra.get("items") if is_own else None
        if isinstance(verbatim, list):
            rendered += verbatim
        else:
            rendered += _render_own(message, f"messages[{place}]", is_own=is_own)
    return rendered


def _render_own(message: Message, field: str, *, is_own: bool = True) -> list[Json]:
    """The items of one message, in the order of its parts; parts of a content stand together."""
    items: list[Json] = []
    content: list[Text | Image] = []
    role = str(message.extra.get("role", "user")) if message.role != "assistant" else "assistant"

    def end_content() -> None:
        if content:
            items.append({"role": role, "content": _render_content(content, role, field, is_own=is_own)})
            content.clear()

    for part in message.parts:
        if isinstance(part, Text | Image):
            content.append(part)
        elif is_own or type(part) is not Reasoning:
            end_content()
            items.append(_render_item(part, field, is_own=is_own))
    end_content()
    return items


def _render_item(part: Part, field: str, *, is_own: bool) -> JsonObject:
    if type(part) is ToolCall:
        return {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": part.arguments}
    if type(part) is ToolResult:
        output = _render_content(part.content, "user", field, is_own=is_own)
        return {"type": "function_call_output", "call_id": part.tool_call_id, "output": output}
    assert type(part) is Reasoning
    return render_thinking(part, None)


def render_thinking(part: Reasoning, item_id: str | None) -> JsonObject:
    """An item of thinking, with an id where there is one."""
    summary: list[Json] = [{"type": "summary_text", "text": part.text}] if part.text else []
    item: JsonObject = {"type": "reasoning", "summary": summary}
    if item_id is not None:
        item = {"id": item_id, **item}
    if part.signature is not None:
        item["encrypted_content"] = part.signature
    return item


def _render_content(parts: Sequence[Text | Image], role: str, field: str, *, is_own: bool) -> Json:
    """Plain text where one text says it all, else an array of parts."""
    if not parts:
        return ""
    if len(parts) == 1 and type(parts[0]) is Text and not (is_own and parts[0].extra):
        return parts[0].text
    return [_render_part(part, role, field, is_own=is_own) for part in parts]


def _render_part(part: Text | Image, role: str, field: str, *, is_own: bool) -> JsonObject:
    extra = part.extra if is_own else {}
    if isinstance(part, Text):
        if extra.get("type") == "refusal":
            return {"type": "refusal", "refusal": part.text}
        return {"type": "output_text" if role == "assistant" else "input_text", "text": part.text, **extra}
    if role == "assistant":
        raise Untranslatable(field, "this vendor takes no images in the assistant's turns")
    if part.data is None and not part.url:
        raise Untranslatable(field, "an image needs data or a URL")
    url = part.url if part.data is None else to_data_url(part.media_type, part.data)
    return {"type": "input_image", "detail": "auto", "image_url": url, **extra}


def untranslatable_items(value: Json, first: int) -> Iterable[str]:
    """The items, and the parts of their contents, that only this vendor understands, each by its path in the input.

    `first`: the place of the first one.
    """
    for place, item in enumerate(value if isinstance(value, list) else [], first):
        kind = item.get("type", "message") if isinstance(item, dict) else None
        if not isinstance(item, dict) or kind not in _SAYABLE:
            yield f"input[{place}]"
            continue
        name = "output" if kind == "function_call_output" else "content"
        content = item.get(name)
        for number, part in enumerate(content if isinstance(content, list) and kind != "reasoning" else []):
            if not isinstance(part, dict) or _parse_part(part, name) is None:
                yield f"input[{place}].{name}[{number}]"
