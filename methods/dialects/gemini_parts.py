"""Parts and turns of Gemini's `contents`, both ways. What surrounds them in a request is `gemini_request`.

A turn whose parts would not render to exactly the JSON that came in (files, code, video, snake_case names) keeps its whole
`parts` in `Message.extra`; this dialect then renders that, so the vendor sees what the client wrote. `untranslatable_parts` tells
what of it no other vendor can be told.

The vendor may leave out the ids of calls. They are then made here, always the same for the same conversation, and begin with
`MADE_ID`, by which they are left out again when this dialect renders.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from methods.dialects.arguments import from_arguments, from_model_arguments, object_of, to_arguments
from methods.dialects.base import Untranslatable
from methods.dialects.canonical import Image, Json, JsonObject, Message, Part, Reasoning, Text, ToolCall, ToolResult
from methods.dialects.gemini_images import file_of
from methods.dialects.gemini_names import items_of, members_of
from methods.dialects.shared import list_at, name_at, object_at, text_at, usual_type

MADE_ID: Final = "gemini_call_"

_KINDS: Final = ("text", "functionCall", "functionResponse", "inlineData", "fileData")
UNSEALED: Final = "skip_thought_signature_validator"
"""The vendor's word for a call that another model made (its page on thought signatures)."""
_OWN_URLS: Final = ("https://generativelanguage.googleapis.com/", "gs://")


class CallIds:
    """The ids of one conversation or reply. `scope` keeps those of different replies apart."""

    __slots__ = ("_by_id", "_by_name", "_count", "_open", "_scope")

    def __init__(self, scope: str = "") -> None:
        self._scope = "".join([letter for letter in scope if letter.isalnum() or letter in "-_"])
        self._count = 0
        self._open: dict[int, str] = {}
        """The ids of calls without an answer, by their numbers. The others say which numbers have an id or a name, in order."""
        self._by_id: dict[str, deque[int]] = {}
        self._by_name: dict[str, deque[int]] = {}

    def of_call(self, given: Json, name: str) -> str:
        """The id of a call, made if the vendor gave none."""
        scope = f"{self._scope}_" if self._scope else ""
        call_id = given if isinstance(given, str) and given else f"{MADE_ID}{scope}{self._count}"
        self._open[self._count] = call_id
        self._by_id.setdefault(call_id, deque()).append(self._count)
        self._by_name.setdefault(name, deque()).append(self._count)
        self._count += 1
        return call_id

    def of_answer(self, given: Json, name: str) -> str:
        """The id of the call that this answers: the one given, else that of the first call of this name without an answer."""
        said = given if isinstance(given, str) and given else None
        waiting = None if given and said is None else self._by_name.get(name) if said is None else self._by_id.get(said)
        while waiting:
            call_id = self._open.pop(waiting.popleft(), None)
            if call_id is not None:
                return call_id
        self._count += 1
        return said or f"{MADE_ID}{self._count - 1}"


def parse_part(value: Json, field: str, ids: CallIds) -> Part | None:
    """One part; None for one that the canonical form cannot say. Raises: Untranslatable."""
    part = members_of(object_at(value, field))
    for kind, read in _PARSERS.items():
        if kind in part:
            return read(part, field, ids)
    return None


def _others(part: JsonObject, *read: str) -> dict[str, Json]:
    return {name: value for name, value in part.items() if name not in read and value is not None}


def _seal(part: JsonObject, field: str) -> str | None:
    seal = part.get("thoughtSignature")
    return None if seal in (None, UNSEALED) else text_at(seal, f"{field}.thoughtSignature")


def _parse_text(part: JsonObject, field: str, ids: CallIds) -> Part:  # noqa: ARG001 - one signature for all kinds
    text = text_at(part["text"], f"{field}.text")
    if part.get("thought") is True:
        return Reasoning(text, signature=_seal(part, field))
    return Text(text) if len(part) == 1 else Text(text, _others(part, "text", "thought"))


def _parse_inline(part: JsonObject, field: str, ids: CallIds) -> Part | None:  # noqa: ARG001 - one signature for all kinds
    blob = members_of(object_at(part["inlineData"], f"{field}.inlineData"))
    media_type = name_at(blob.get("mimeType"), f"{field}.inlineData.mimeType")
    data = text_at(blob.get("data"), f"{field}.inlineData.data")
    if not media_type.lower().startswith("image/"):
        return None
    return Image(media_type, data=data, extra=_others(part, "inlineData"))


def _parse_file(part: JsonObject, field: str, ids: CallIds) -> Part | None:  # noqa: ARG001 - one signature for all kinds
    file = members_of(object_at(part["fileData"], f"{field}.fileData"))
    url = name_at(file.get("fileUri"), f"{field}.fileData.fileUri")
    media_type = file.get("mimeType")
    if media_type is None:
        return Image(url=url, extra=_others(part, "fileData"))
    if not text_at(media_type, f"{field}.fileData.mimeType").lower().startswith("image/"):
        return None
    return Image(text_at(media_type, field), url=url, extra=_others(part, "fileData"))


def _parse_call(part: JsonObject, field: str, ids: CallIds) -> Part:
    call = members_of(object_at(part["functionCall"], f"{field}.functionCall"))
    name, arguments = name_at(call.get("name"), f"{field}.functionCall.name"), call.get("args")
    return ToolCall(
        id=ids.of_call(call.get("id"), name),
        name=name,
        arguments="{}" if arguments is None else to_arguments(object_at(arguments, f"{field}.functionCall.args")),
        signature=_seal(part, field),
    )


def _parse_answer(part: JsonObject, field: str, ids: CallIds) -> Part:
    """The vendor's convention: an object, with the answer under `output` or the failure under `error` where it is one text."""
    answer = members_of(object_at(part["functionResponse"], f"{field}.functionResponse"))
    name = name_at(answer.get("name"), f"{field}.functionResponse.name")
    response = answer.get("response")
    content: list[Text | Image] = []
    is_error = False
    match {} if response is None else object_at(response, f"{field}.functionResponse.response"):
        case {"output": str(text), **rest} if not rest and _object_of(text) is None:
            content.append(Text(text))
        case {"error": str(text), **rest} if not rest:
            content.append(Text(text))
            is_error = True
        case members if members:
            content.append(Text(to_arguments(members)))
    for place, item in enumerate(list_at(items_of(answer.get("parts")) or [], f"{field}.functionResponse.parts")):
        inner = parse_part(item, f"{field}.functionResponse.parts[{place}]", ids)
        if isinstance(inner, Image):
            content.append(inner)
    return ToolResult(ids.of_answer(answer.get("id"), name), tuple(content), name=name, is_error=is_error)


def _object_of(text: str) -> JsonObject | None:
    return object_of(text) or None


_PARSERS: Final[Mapping[str, Callable[[JsonObject, str, CallIds], Part | None]]] = {
    "text": _parse_text,
    "functionCall": _parse_call,
    "functionResponse": _parse_answer,
    "inlineData": _parse_inline,
    "fileData": _parse_file,
}


def parse_message(value: Json, field: str, ids: CallIds) -> Message:
    """One turn. Raises: Untranslatable."""
    member = members_of(object_at(value, field))
    given = list_at(items_of(member.get("parts")), f"{field}.parts")
    parsed = [parse_part(item, f"{field}.parts[{place}]", ids) for place, item in enumerate(given)]
    parts = tuple(part for part in parsed if part is not None)
    extra = _others(member, "role", "parts")
    if [render_part(part, f"{field}.parts", is_own=True) for part in parts] != given:
        extra["parts"] = given
    match member.get("role"):
        case "model":
            return Message("assistant", parts, extra)
        case "user" | "function" | None:
            is_tool = bool(parts) and all(type(part) is ToolResult for part in parts) and "parts" not in extra
            return Message("tool" if is_tool else "user", parts, extra)
        case _:
            raise Untranslatable(f"{field}.role", "must be user or model")


def render_messages(messages: Sequence[Message], *, is_own: bool) -> list[Json]:
    """The `contents` of a request. Thinking of other vendors is left out; the seal of a call is this vendor's.

    Turns of other dialects that follow each other with the same role become one turn, as answers of tools must stand together;
    the first call of such a turn that lost its seal says so. Raises: Untranslatable.
    """
    names: dict[str, str] = {}
    rendered: list[Json] = []
    role_before: str | None = None
    open_parts: list[Json] = []
    is_sealed = False
    for place, message in enumerate(messages):
        names.update({part.id: part.name for part in message.parts if type(part) is ToolCall})
        role = "model" if message.role == "assistant" else "user"
        parts: list[Json] = [
            render_part(part, f"messages[{place}].parts[{number}]", is_own=is_own, names=names)
            for number, part in enumerate(message.parts)
            if is_own or not (type(part) is Reasoning or (type(part) is Text and not part.text))
        ]
        if is_own:
            rendered.append({"role": role, "parts": parts, **message.extra})
        elif parts and role == role_before:
            open_parts += parts
        elif parts:
            open_parts, role_before, is_sealed = parts, role, False
            rendered.append({"role": role, "parts": open_parts})
        if not is_own and role == "model" and not is_sealed:
            is_sealed = _seal_first_call(parts)
    return rendered


def _seal_first_call(parts: Sequence[Json]) -> bool:
    """Whether there is a call; the first one gets a seal if it has none.

    Models since Gemini 3 refuse a turn whose first call has no seal; conversations from elsewhere are let in by this word.
    """
    for part in parts:
        if isinstance(part, dict) and "functionCall" in part:
            part.setdefault("thoughtSignature", UNSEALED)
            return True
    return False


def render_part(part: Part, field: str, *, is_own: bool, names: Mapping[str, str] | None = None) -> JsonObject:
    """One part of a request. Raises: Untranslatable."""
    if type(part) is ToolCall:
        return _render_call(part, from_arguments(part.arguments, f"{field}.arguments"))
    if type(part) is ToolResult:
        return _render_answer(part, field, is_own=is_own, names=names or {})
    if type(part) is Image:
        return _render_asked_image(part, field, is_own=is_own)
    return _render_plain(part, field, is_own=is_own)


def render_reply_part(part: Part, *, is_own: bool) -> JsonObject:
    """One part of a reply, which never raises. A call of another vendor's model is marked as such, since it will come back."""
    if type(part) is ToolCall:
        rendered = _render_call(part, from_model_arguments(part.arguments))
        return rendered if is_own else {"thoughtSignature": UNSEALED, **rendered}
    return _render_plain(part, "parts", is_own=is_own)


def _render_plain(part: Part, field: str, *, is_own: bool) -> JsonObject:
    if type(part) is Text:
        return {"text": part.text, **(part.extra if is_own else {})}
    if type(part) is Image:
        return _render_image(part, field, is_own=is_own)
    assert type(part) is Reasoning
    rendered: JsonObject = {"text": part.text, "thought": True}
    if part.signature is not None and is_own:
        rendered["thoughtSignature"] = part.signature
    return rendered


def _render_call(call: ToolCall, arguments: JsonObject) -> JsonObject:
    inner: JsonObject = {"name": call.name, "args": arguments}
    if not call.id.startswith(MADE_ID):
        inner = {"id": call.id, **inner}
    rendered: JsonObject = {"functionCall": inner}
    if call.signature is not None:
        rendered["thoughtSignature"] = call.signature
    return rendered


def _render_asked_image(image: Image, field: str, *, is_own: bool) -> JsonObject:
    """An image of a request, where another dialect's client may have called anything one. Raises: Untranslatable."""
    if is_own or image.data is not None:
        return _render_image(image, field, is_own=is_own)
    return {"fileData": file_of(image, field)}


def _render_image(image: Image, field: str, *, is_own: bool) -> JsonObject:
    extra = image.extra if is_own else {}
    if image.data is not None:
        media_type = image.media_type or "image/png"
        media_type = media_type if is_own else usual_type(media_type)
        return {"inlineData": {"mimeType": media_type, "data": image.data}, **extra}
    if not image.url:
        raise Untranslatable(field, "an image needs data or a URL")
    file: JsonObject = {"fileUri": image.url}
    if image.media_type is not None:
        file = {"mimeType": image.media_type, **file}
    return {"fileData": file, **extra}


def _render_answer(result: ToolResult, field: str, *, is_own: bool, names: Mapping[str, str]) -> JsonObject:
    name = result.name or names.get(result.tool_call_id)
    if not name:
        raise Untranslatable(field, f"no call {result.tool_call_id!r} before it, and this vendor needs the tool's name")
    text = "".join([part.text for part in result.content if type(part) is Text])
    response: JsonObject = {"error": text} if result.is_error else _object_of(text) or {"output": text}
    if not result.content or (not text and not result.is_error):
        response = {} if is_own else response
    inner: JsonObject = {"name": name, "response": response}
    if not result.tool_call_id.startswith(MADE_ID):
        inner = {"id": result.tool_call_id, **inner}
    images: list[Json] = [
        _render_asked_image(part, field, is_own=is_own) for part in result.content if type(part) is Image
    ]
    if images:
        inner["parts"] = images
    return {"functionResponse": inner}


def untranslatable_parts(message: Message, field: str) -> Iterable[str]:
    """The parts of a turn that only this vendor understands, each by its path."""
    for place, part in enumerate(message.parts):
        if isinstance(part, Image) and part.data is None and (part.url or "").startswith(_OWN_URLS):
            yield f"{field}.parts[{place}].fileData.fileUri"
    given = message.extra.get("parts")
    for place, item in enumerate(given if isinstance(given, list) else []):
        if not _is_sayable(item):
            yield f"{field}.parts[{place}]"


def _is_sayable(item: Json) -> bool:
    part = members_of(item) if isinstance(item, dict) else {}
    if not any(kind in part for kind in _KINDS):
        return False
    answer = part.get("functionResponse")
    inner = items_of(members_of(answer).get("parts")) if isinstance(answer, dict) else None
    if isinstance(inner, list) and not all(_is_sayable(nested) for nested in inner):
        return False
    return parse_part(part, "parts", CallIds()) is not None
