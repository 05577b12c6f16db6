"""What the simulator says: words, thoughts, tool calls as pure functions of a request. `simulator` states the counting rule."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import orjson

from methods.dialects.canonical import (
    ChatRequest,
    FinishReason,
    Json,
    JsonObject,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from storage.records.usage import Usage

_WORDS: Final = (  # noqa: SIM905  # a hundred words read better as lines than as a list
    "the a one every another this answer question reader writer model river road garden window number letter morning "
    "evening winter summer city village market harbor bridge engine signal pattern reason method measure balance account "
    "record ledger page story example detail context result promise limit choice change moment circle corner surface "
    "carries follows opens closes keeps finds shows makes turns holds reaches crosses counts moves meets gives needs "
    "slowly quickly quietly clearly often always seldom again together alone early late near far under over beside "
    "small large plain bright steady simple careful honest useful open certain common gentle narrow deep exact and but "
    "while because so then when where with without into from"
).split()
_WORDS_LEAST: Final = 24
_WORDS_SPREAD: Final = 64
_SENTENCE_WORDS: Final = 9
_THOUGHT_WORDS: Final = 12
_PIECE_WORDS: Final = 3
_LONG_WORDS: Final = 256
"""Words of a `long` answer whose request bounds nothing."""
_DEPTH_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class SimulatedAnswer:
    """Everything about one answer."""

    seed: str
    text: str
    thoughts: str
    call: tuple[str, str, str] | None
    """Id, name and JSON arguments of a tool call, which stands in place of the text."""
    finish_reason: FinishReason
    stop_sequence: str | None
    usage: Usage


def answer_to(request: ChatRequest, *, is_long: bool, thinks: bool, calls_tool: bool) -> SimulatedAnswer:
    """The answer that this request always gets."""
    prompt = "\x1f".join(_texts(request))
    digest = hashlib.sha256(f"{request.model}\x1e{prompt}".encode("utf-8", "surrogatepass")).digest()
    left = request.max_tokens if request.max_tokens is not None else _LONG_WORDS
    thoughts = _sentences(digest[::-1], min(left, _THOUGHT_WORDS)) if thinks else ""
    left -= tokens_of(thoughts)
    finish: FinishReason = "stop"
    stop_sequence: str | None = None
    call: tuple[str, str, str] | None = None
    text = ""
    if calls_tool:
        call = _call(request, digest)
        finish = "tool_calls"
    else:
        text = _said(request, digest, left, is_long=is_long)
        words = text.split(" ") if text else []
        if len(words) > left:
            text, finish = " ".join(words[: max(0, left)]), "length"
        elif is_long and len(words) == left:
            finish = "length"
        text, stop_sequence = _stopped(text, request.stop)
        finish = finish if stop_sequence is None else "stop"
    usage = Usage(
        input=tokens_in(request),
        output=tokens_of(text) if call is None else tokens_of(call[1]) + tokens_of(call[2]),
        reasoning=tokens_of(thoughts),
    )
    return SimulatedAnswer(digest[:8].hex(), text, thoughts, call, finish, stop_sequence, usage)


def tokens_in(request: ChatRequest) -> int:
    """Tokens of a whole request by the simulator's own rule."""
    return tokens_of(" ".join(_texts(request)))


def tokens_of(text: str) -> int:
    """Tokens by the simulator's own rule: runs of characters between blanks."""
    return len(text.split())


def pieces(text: str) -> list[str]:
    """The text in pieces of a few words, which joined are the text again."""
    words = text.split(" ")
    return [
        " ".join(words[at : at + _PIECE_WORDS]) + (" " if at + _PIECE_WORDS < len(words) else "")
        for at in range(0, len(words) if text else 0, _PIECE_WORDS)
    ]


def last_text(request: ChatRequest) -> str:
    """All text of the last message."""
    if not request.messages:
        return ""
    return " ".join([part.text for part in request.messages[-1].parts if type(part) is Text])


def _texts(request: ChatRequest) -> Iterator[str]:
    for instruction in request.system:
        yield instruction.text
    for message in request.messages:
        for part in message.parts:
            yield from _part_texts(part)
    for tool in request.tools:
        yield tool.name


def _part_texts(part: Part) -> Iterator[str]:
    match part:
        case Text() | Reasoning():
            yield part.text
        case ToolCall():
            yield part.name
            yield part.arguments
        case ToolResult():
            for inner in part.content:
                yield from _part_texts(inner)
        case _:
            yield part.url or part.media_type or "image"


def _said(request: ChatRequest, digest: bytes, left: int, *, is_long: bool) -> str:
    wanted = request.response_format
    if wanted is not None and wanted.kind != "text":
        schema: JsonObject = wanted.schema or {"type": "object", "properties": {"answer": {"type": "string"}}}
        return orjson.dumps(_instance(schema, digest)).decode()
    count = left if is_long else _WORDS_LEAST + digest[0] % _WORDS_SPREAD
    return _sentences(digest, min(count, left + 1))


def _sentences(seed: bytes, count: int) -> str:
    """`count` words in sentences."""
    if count <= 0:
        return ""
    choices = hashlib.shake_128(seed).digest(count)
    words = [_WORDS[choice % len(_WORDS)] for choice in choices]
    for start in range(0, count, _SENTENCE_WORDS):
        words[start] = words[start].capitalize()
        end = min(start + _SENTENCE_WORDS, count) - 1
        words[end] += "."
    return " ".join(words)


def _stopped(text: str, stops: tuple[str, ...]) -> tuple[str, str | None]:
    """The text before the first stop sequence, and which one it was."""
    found = [(at, stop) for stop in stops if stop and (at := text.find(stop)) >= 0]
    if not found:
        return text, None
    at, stop = min(found)
    return text[:at], stop


def _call(request: ChatRequest, digest: bytes) -> tuple[str, str, str]:
    choice = request.tool_choice
    named = [tool for tool in request.tools if choice is not None and tool.name == choice.name]
    tool = (named or list(request.tools))[0]
    return f"call_{digest[:6].hex()}", tool.name, orjson.dumps(_instance(tool.parameters, digest)).decode()


def _instance(schema: Json, digest: bytes, depth: int = 0) -> Json:
    """A small value that fits a JSON Schema's types; a word of the hash where text is wanted."""
    if not isinstance(schema, dict) or depth > _DEPTH_MAX:
        return None
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return choices[digest[depth] % len(choices)]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "array":
        return [_instance(schema.get("items"), digest, depth + 1)]
    plain: dict[str, Json] = {
        "string": _WORDS[digest[depth + 1] % len(_WORDS)],
        "integer": digest[depth] % 100,
        "number": digest[depth] % 100,
        "boolean": digest[depth] % 2 == 0,
        "null": None,
    }
    if isinstance(kind, str) and kind in plain:
        return plain[kind]
    members = schema.get("properties")
    if not isinstance(members, dict):
        return {}
    return {name: _instance(member, digest[1:] + digest[:1], depth + 1) for name, member in members.items()}
