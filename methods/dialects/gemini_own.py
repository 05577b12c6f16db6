"""A client's own content on its way to its own vendor: what is set in it, what is refused, what of its stream passes."""

from collections.abc import Iterator
from typing import Final

import orjson

from methods.dialects.canonical import ChatRequest, Json, JsonObject
from methods.dialects.gemini_images import is_read_as_found
from methods.dialects.gemini_names import items_of, members_of, resource_of
from methods.dialects.gemini_request import PRICED_EXTRA
from methods.dialects.passing import EventPasser
from methods.dialects.shared import asks_nothing

_USUAL: Final[dict[str, tuple[Json, ...]]] = {
    "serviceTier": ("standard", "STANDARD", "SERVICE_TIER_STANDARD", "unspecified", "SERVICE_TIER_UNSPECIFIED")
}
"""Priced members at what costs no more than leaving them out."""
_TOOLS: Final = frozenset({"functionDeclarations"})
_SPOKEN: Final = ("speechConfig", "imageConfig", "videoConfig")
_ROUTED: Final = ("modelConfig", "modelSelectionConfig", "routingConfig")
"""Members by which Vertex answers with another model than the one that was allowed and quoted."""
_EXACT: Final = frozenset(
    {
        *("cachedContent", "candidateCount", "contents", "fileData", "functionResponse", "generationConfig"),
        *(
            "inlineData",
            "maxOutputTokens",
            "parts",
            "responseModalities",
            "serviceTier",
            "systemInstruction",
            "text",
            "tools",
        ),
    }
)
_FOLDED: Final = frozenset(
    {
        *("cachedcontent", "candidatecount", "contents", "filedata", "functionresponse", "generationconfig"),
        *(
            "inlinedata",
            "maxoutputtokens",
            "parts",
            "responsemodalities",
            "servicetier",
            "systeminstruction",
            "text",
            "tools",
        ),
    }
)
"""Members that some compatible servers take in any letters, while only the first are read here."""
_CONFIGS: Final = ("generationConfig", "generation_config")
_BOUNDS: Final = ("maxOutputTokens", "max_output_tokens")


def unpriced(body: JsonObject) -> list[str]:
    """The members whose use the vendor charges apart from tokens at their usual rate, or whose tokens nobody can foresee."""
    given = members_of(body)
    found = [
        name
        for name in sorted(PRICED_EXTRA & given.keys())
        if not asks_nothing(given[name]) and given[name] not in _USUAL.get(name, ())
    ]
    found += _in_other_letters(given)
    tools = items_of(given.get("tools"))
    for place, tool in enumerate(tools if isinstance(tools, list) else ()):
        if isinstance(tool, dict):
            members = members_of(tool)
            found += [f"tools[{place}].{name}" for name in members.keys() - _TOOLS if not asks_nothing(members[name])]
    config = given.get("generationConfig")
    if isinstance(config, dict):
        said = members_of(config)
        found += [f"generationConfig.{name}" for name in _in_other_letters(said)]
        found += [f"generationConfig.{name}" for name in (*_SPOKEN, *_ROUTED) if not asks_nothing(said.get(name))]
        if said.get("responseModalities") not in (None, [], ["TEXT"], ["text"]):
            found.append("generationConfig.responseModalities")
    turns = items_of(given.get("contents"))
    for place, turn in enumerate(turns if isinstance(turns, list) else ()):
        found += _unforeseen(turn, f"contents[{place}]")
    return [*found, *_unforeseen(given.get("systemInstruction"), "systemInstruction")]


def _unforeseen(holder: Json, field: str) -> Iterator[str]:
    """Parts whose tokens depend on something that is not in the request, or that are priced apart: files, audio, video, PDF."""
    members = members_of(holder) if isinstance(holder, dict) else {}
    yield from (f"{field}.{name}" for name in _in_other_letters(members))
    parts = items_of(members.get("parts"))
    for number, part in enumerate(parts if isinstance(parts, list) else ()):
        members, here = members_of(part) if isinstance(part, dict) else {}, f"{field}.parts[{number}]"
        yield from (f"{here}.{name}" for name in _in_other_letters(members))
        for name in ("inlineData", "fileData"):
            blob = members.get(name)
            if blob is not None and not (isinstance(blob, dict) and _is_image(members_of(blob))):
                yield f"{here}.{name}"
        yield from _unforeseen(members.get("functionResponse"), f"{here}.functionResponse")


def _in_other_letters(given: JsonObject) -> list[str]:
    """Google itself takes its two spellings alone, so this is about servers that speak its language."""
    if _EXACT.issuperset(given):  # nearly always
        return []
    return [name for name in given if name not in _EXACT and name.casefold() in _FOLDED]


def _is_image(blob: JsonObject) -> bool:
    """Whether it can be nothing else: a video's address, and a file that lies at the vendor, are read as what they are."""
    kind, address = blob.get("mimeType"), blob.get("fileUri")
    if not isinstance(kind, str) or not kind.lower().startswith("image/"):
        return False
    return not isinstance(address, str) or not is_read_as_found(address)


def amended(body: JsonObject, request: ChatRequest) -> JsonObject:
    """The body with the request's bound; model and stream stand in the URL. The same object where nothing has to change.

    A body that names a model, too, names the one of the URL afterwards.
    """
    if body.get("model") not in (None, request.model, resource_of(request.model)):
        body = {**body, "model": resource_of(request.model)}
    place = next((name for name in _CONFIGS if isinstance(body.get(name), dict)), _CONFIGS[0])
    config = body.get(place)
    given: JsonObject = config if isinstance(config, dict) else {}
    bound = next((name for name in _BOUNDS if given.get(name) is not None), _BOUNDS[0])
    if given.get(bound) == request.max_tokens:
        return body
    return {**body, place: {**given, bound: request.max_tokens}}


def passer() -> EventPasser:
    """Everything passes but errors."""
    return EventPasser(is_error=_is_error)


def _is_error(name: bytes | None, payload: bytes) -> bool:
    del name
    try:
        event = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return False
    return isinstance(event, dict) and bool(event.get("error"))
