"""A request on its way to a vendor of another language: what that one cannot be told is refused in the client's words.

And a reply on its way back: which of them another language can tell.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import ChatReply, ChatRequest, ToolCall

_Rendered = TypeVar("_Rendered")
_OWN: Final[Mapping[str, Mapping[str, str]]] = {
    "openai": {"max_tokens": "max_completion_tokens", "answers": "n"},
    "responses": {"max_tokens": "max_output_tokens", "response_format": "text.format", "messages": "input"},
    "anthropic": {
        "stop": "stop_sequences",
        "response_format": "output_config.format",
        "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    },
    "gemini": {
        "max_tokens": "generationConfig.maxOutputTokens",
        "answers": "generationConfig.candidateCount",
        "temperature": "generationConfig.temperature",
        "top_p": "generationConfig.topP",
        "top_k": "generationConfig.topK",
        "stop": "generationConfig.stopSequences",
        "response_format": "generationConfig.responseMimeType",
        "messages": "contents",
        "system": "systemInstruction",
    },
}
"""Dialect → a member of the canonical form → the member that says it. What is not here has the same name."""
_CONTENTS: Final[Mapping[str, str]] = {"anthropic": "content", "gemini": "parts"}
"""What a turn holds, in the dialects whose turns are counted as those of the canonical form."""
_TURN: Final = re.compile(r"messages\[(\d+)\]")


def member_of(dialect: str, field: str) -> str:
    """A dialect's own name for a member of the canonical form."""
    return _OWN.get(dialect, {}).get(field, field)


def own_field(field: str, request: ChatRequest) -> str:
    """The client's name for a field of the canonical form.

    Turns are told apart only where the client counts them alike, and their parts never, because they may have changed places.
    """
    dialect = request.dialect or ""
    turn = _TURN.match(field)
    if turn is None or dialect not in _OWN:
        # OpenAI has two names for the bound; the old one is kept where a client used it.
        return field if field in request.extra else member_of(dialect, field)
    turns, content = member_of(dialect, "messages"), _CONTENTS.get(dialect)
    return turns if content is None else f"{turns}[{turn[1]}].{content}"


def is_tellable(reply: ChatReply) -> bool:
    """Whether a reply can be told in another language: parts that nobody can read are left out of it.

    An answer that is nothing else, and a call of which nobody knows which, would be another answer without them.
    """
    return not reply.is_unread and all(part.name for part in reply.parts if type(part) is ToolCall)


def crossed(lost: Sequence[str], request: ChatRequest | None, render: Callable[[], _Rendered]) -> _Rendered:
    """What `render` makes of a request. `lost`: what of it no other language says. Raises: Untranslatable.

    None for `request`: the fields of what is no chat have the same names everywhere.
    """
    if lost:
        raise Untranslatable(lost[0], "this vendor has nothing that stands for it; leave it out")
    try:
        return render()
    except Untranslatable as why:
        raise why if request is None else Untranslatable(own_field(why.field, request), why.why) from None
