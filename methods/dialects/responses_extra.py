"""What requests of OpenAI's Responses hold beyond the canonical form, as data: harmless, untranslatable, priced. No translation.

Before a request goes to another dialect, `untranslatable_fields` names what would be lost and matters; before it goes anywhere,
`unpriced_fields` names what the vendor charges in a way that no price of ours knows.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from methods.dialects.canonical import ChatRequest, Json, JsonObject
from methods.dialects.relays import RELAYED, RELAYED_USUAL
from methods.dialects.responses_items import DIALECT, untranslatable_items
from methods.dialects.shared import asks_nothing, in_other_letters, inside_in_other_letters

HARMLESS_EXTRA: Final = frozenset(
    {
        "include",  # judged by what stands in it
        "instructions",  # the client's own writing of what `ChatRequest.system` says
        "max_tool_calls",  # bounds the vendor's own tools, which are refused
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",  # how it shall think and tell of it; how much stands in `ChatRequest.reasoning`
        "safety_identifier",
        "service_tier",
        "store",
        "stream_options",
        "text",  # judged by what stands in it
    }
)
"""Members that another vendor may leave out: they change neither what is answered nor its shape."""

UNTRANSLATABLE_EXTRA: Final = frozenset(
    {
        "access_programs",
        "background",
        "context_management",
        "conversation",
        "image",
        "moderation",
        "personality",
        "previous_response_id",
        "prompt",
        "tool_choice",
        "top_logprobs",
        "truncation",
    }
    | RELAYED
)
"""The vendor's known members that no other vendor may leave out. Unknown members count as these."""

PRICED_EXTRA: Final[Mapping[str, tuple[Json, ...]]] = {
    **dict.fromkeys(RELAYED, ()),
    **RELAYED_USUAL,
    "background": (False,),  # the answer is fetched later, past the hold
    "context_management": (),  # the vendor lets a model shorten the conversation, beside the answer
    "conversation": (),  # tokens that lie at the vendor and that nobody here can count
    "previous_response_id": (),  # the same
    "prompt": (),  # the same
    "service_tier": ("auto", "default"),
}
"""Members that change what is charged beyond the model's tokens at their usual rate, with the values that do not."""

_SPELLED: Final = PRICED_EXTRA.keys() | {"input", "instructions", "max_output_tokens", "model", "stream", "tools"}
"""Members that some compatible servers take in any letters, while only these are read here."""
_ITEM: Final = frozenset(
    {
        *("arguments", "call_id", "content", "encrypted_content", "id", "input", "name", "output", "role", "status"),
        *("summary", "type"),
    }
)
_PART: Final = frozenset({"annotations", "detail", "image_url", "logprobs", "refusal", "text", "type"})
"""The same of an item and of a part of its content."""
_DEFAULTS: Final[Mapping[str, Json]] = {
    "background": False,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "truncation": "disabled",
}
# Tuples, because anything may stand where these words are looked for, also what has no hash.
_HARMLESS_INCLUDES: Final = (
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
)
_OWN_TOOLS: Final = ("function", "custom", "namespace", "apply_patch", "local_shell")
"""Tools that the client itself runs: the vendor charges for them nothing but tokens."""
_FREE_ITEMS: Final = (
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "local_shell_call",
    "local_shell_call_output",
)
_FREE_PARTS: Final = ("input_text", "output_text", "reasoning_text", "refusal")
_IMAGE_PLACES: Final = (("message", "content"), ("function_call_output", "output"))
_SHORT_LIVED: Final = "30m"


def untranslatable_fields(request: ChatRequest) -> list[str]:
    """The fields of a request of this dialect that matter and that no other dialect can be told; none for other requests."""
    if request.dialect != DIALECT:
        return []
    fields = [
        name
        for name, value in request.extra.items()
        if not (name in HARMLESS_EXTRA or asks_nothing(value)) and (name not in _DEFAULTS or value != _DEFAULTS[name])
    ]
    fields += _untranslatable_text(request.extra.get("text"))
    includes = request.extra.get("include")
    if isinstance(includes, list) and not all(item in _HARMLESS_INCLUDES for item in includes):
        fields.append("include")
    fields += [f"tools[{place}]" for place, tool in enumerate(request.tools) if "type" in tool.extra]
    for text in request.system:
        if text.extra.get("item") is not None:
            fields += untranslatable_items([text.extra["item"]], _place_of(text.extra))
    for message in request.messages:
        fields += untranslatable_items(message.extra.get("items"), _place_of(message.extra))
    return fields


def _place_of(extra: Mapping[str, Json]) -> int:
    place = extra.get("place")
    return place if isinstance(place, int) else 0


def _untranslatable_text(value: Json) -> list[str]:
    """What stands in `text` beside the format that the canonical form says."""
    if not isinstance(value, dict):
        return []
    fields = [f"text.{name}" for name in value if name not in ("format", "verbosity")]
    if value.get("verbosity") not in (None, "medium"):
        fields.append("text.verbosity")
    wanted = value.get("format")
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if wanted is not None and kind not in ("text", "json_object", "json_schema"):
        fields.append("text.format")
    return fields


def unpriced_fields(body: JsonObject) -> list[str]:
    """The fields of a client's body that change what the vendor charges in a way that no price of ours knows, by their paths."""
    fields = [
        name
        for name, harmless in PRICED_EXTRA.items()
        if not asks_nothing(body.get(name)) and body[name] not in harmless
    ]
    fields += in_other_letters(body, _SPELLED)
    tools = body.get("tools")
    for place, tool in enumerate(tools if isinstance(tools, list) else []):
        if isinstance(tool, dict) and tool.get("type") not in _OWN_TOOLS:
            fields.append(f"tools[{place}]")
    fields += _unpriced_items(body.get("input"))
    reasoning = body.get("reasoning")
    if isinstance(reasoning, dict) and reasoning.get("mode") not in (None, "standard"):
        fields.append("reasoning.mode")
    return [*fields, *unpriced_caching(body)]


def unpriced_caching(body: JsonObject) -> list[str]:
    """A prompt cache that lives longer than the usual one, or is filled ahead of the call; chat completions have it, too."""
    caching = body.get("prompt_cache_options")
    if isinstance(caching, dict) and (is_long_lived(caching) or caching.get("prewarm")):
        return ["prompt_cache_options"]
    return []


def is_long_lived(caching: Json) -> bool:
    """Whether a cache, or a mark of where one ends, is to live longer than the usual one."""
    return isinstance(caching, dict) and caching.get("ttl") not in (None, _SHORT_LIVED)


def _unpriced_items(value: Json) -> Iterable[str]:
    """Items and parts whose tokens depend on something that is not in the request, or that the vendor's own tools left behind."""
    for place, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, dict) and not _ITEM.issuperset(item):  # seldom
            yield from inside_in_other_letters(item, _ITEM, f"input[{place}]")
        kind = (item.get("type") if isinstance(item, dict) else None) or "message"
        if kind not in _FREE_ITEMS:
            yield f"input[{place}]"
        for name in ("content", "output"):
            content = item.get(name) if isinstance(item, dict) else None
            for number, part in enumerate(content if isinstance(content, list) else []):
                if not isinstance(part, dict):
                    continue
                if not _PART.issuperset(part):
                    yield from inside_in_other_letters(part, _PART, f"input[{place}].{name}[{number}]")
                if not _is_foreseen(part, (kind, name)):
                    yield f"input[{place}].{name}[{number}]"


def _is_foreseen(part: JsonObject, place: tuple[Json, str]) -> bool:
    """Whether the request itself tells what a part costs at most: files are read by the vendor, page by page.

    Images are counted only in messages and in results of functions.
    """
    kind = part.get("type")
    if is_long_lived(part.get("prompt_cache_breakpoint")):
        return False
    is_counted = place in _IMAGE_PLACES and part.get("image_url") is not None
    return kind in _FREE_PARTS or (kind == "input_image" and is_counted)
