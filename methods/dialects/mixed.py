"""What answers of other vendors leave in a conversation that its own vendor refuses. Nothing a vendor wrote itself is touched.

A door translates answers of any vendor, so a client may hold turns of several; when a vendor of its own language serves the next
turn, the client's body goes on as it is, but for these.
"""

from collections.abc import Callable
from typing import Final

from methods.dialects.canonical import Json, JsonObject

FOREIGN_THOUGHT: Final = "rs_tollgate"
"""How the id of an item of thinking begins that was made here: OpenAI looks up the others, and would not find this one."""


def without_unsigned_thinking(messages: Json) -> Json:
    """Anthropic's messages without thinking that nobody signed: the vendor signs its own and refuses any other.

    The same object where there is none; a turn that held nothing else stays as it is.
    """
    return _each(messages, _signed_turn)


def _signed_turn(message: Json) -> Json:
    if not isinstance(message, dict) or message.get("role") != "assistant":
        return message
    content = message.get("content")
    if not isinstance(content, list) or not any(map(_is_unsigned, content)):
        return message
    kept: list[Json] = [block for block in content if not _is_unsigned(block)]
    return {**message, "content": kept} if kept else message


def _is_unsigned(block: Json) -> bool:
    return isinstance(block, dict) and block.get("type") == "thinking" and not block.get("signature")


def without_foreign_thinking(items: Json) -> Json:
    """The items of a Responses input without thinking that was made here. The same object where there is none."""
    if not isinstance(items, list) or not any(map(_is_foreign, items)):
        return items
    return [item for item in items if not _is_foreign(item)]


def _is_foreign(item: Json) -> bool:
    if not isinstance(item, dict) or item.get("type") != "reasoning":
        return False
    item_id = item.get("id")
    return isinstance(item_id, str) and item_id.startswith(FOREIGN_THOUGHT)


def without_seals(messages: Json) -> Json:
    """Messages of chat completions without Gemini's seals of calls, which OpenAI itself does not know.

    The same object where there is none.
    """
    return _each(messages, _unsealed_turn)


def _unsealed_turn(message: Json) -> Json:
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(calls, list):
        return message
    unsealed = _each(calls, _unsealed)
    return message if unsealed is calls else {**message, "tool_calls": unsealed}


def _unsealed(call: Json) -> Json:
    if not isinstance(call, dict) or "extra_content" not in call:
        return call
    return {name: value for name, value in call.items() if name != "extra_content"}


def _each(items: Json, change: Callable[[Json], Json]) -> Json:
    """The items, each as it shall be; the same object where none changes."""
    if not isinstance(items, list):
        return items
    changed = [change(item) for item in items]
    return items if all(new is old for new, old in zip(changed, items, strict=True)) else changed


def replaced(body: JsonObject, name: str, change: Callable[[Json], Json]) -> JsonObject:
    """A body with one member changed; the same object where nothing of it changes."""
    given = body.get(name)
    wanted = change(given)
    return body if wanted is given else {**body, name: wanted}
