"""Gemini's `generationConfig`, both ways: bounds, sampling, the answer's shape, and how much the model may think."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypeVar

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import ChatRequest, Json, JsonObject, ReasoningSettings, ResponseFormat
from methods.dialects.gemini_names import members_of, to_json_schema
from methods.dialects.shared import (
    answers_at,
    budget_of,
    count_at,
    effort_of,
    list_at,
    name_at,
    number_at,
    object_at,
    text_at,
)

_Value = TypeVar("_Value")

Thinking: TypeAlias = Literal["level", "budget"]

HARMLESS_CONFIG: Final = frozenset(
    {
        "audioTimestamp",
        "enableEnhancedCivicAnswers",
        "mediaResolution",
        "responseMimeType",  # judged by the format that was read from it
        "responseSchema",  # stands beside its translation
        "routingConfig",
        "seed",  # best effort by the vendor's own documentation
        "thinkingConfig",  # what another vendor can be told stands in `ChatRequest.reasoning`
    }
)
"""Members of `generationConfig` that another vendor may leave out."""

_DEFAULTS: Final[Mapping[str, Json]] = {
    "candidateCount": 1,
    "frequencyPenalty": 0,
    "presencePenalty": 0,
    "responseLogprobs": False,
    "responseModalities": ["TEXT"],
}
_ANSWERS_MAX: Final = 8
"""The vendor's own bound of `candidateCount` (API reference of `GenerationConfig`)."""
_JSON: Final = "application/json"
_EXACT_MAX: Final = 2.0**53
_BUDGET_MAX: Final = 24_576
"""What all models take that are told a budget."""
_LEVELS: Final = {"max": "XHIGH", "none": "LOW"}
_READ: Final = frozenset(
    {
        "maxOutputTokens",
        "temperature",
        "topP",
        "topK",
        "stopSequences",
        "responseMimeType",
        "responseJsonSchema",
        "thinkingConfig",
    }
)


def thinking_of(model: str) -> Thinking:
    """How a model is told to think, by its name: those before Gemini 3 know no levels."""
    return "budget" if "gemini-2" in model else "level"


@dataclass(frozen=True, slots=True)
class Config:
    """What of a `generationConfig` has a place in the canonical form."""

    max_tokens: int | None = None
    answers: int = 1
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    response_format: ResponseFormat | None = None
    reasoning: ReasoningSettings | None = None


def parse_config(value: Json, extra: dict[str, Json]) -> Config:
    """Read it; what the canonical form does not say stays in `extra` under `generationConfig`. Raises: Untranslatable."""
    if value is None:
        return Config()
    given = members_of(object_at(value, "generationConfig"))
    kept: dict[str, Json] = {name: member for name, member in given.items() if name not in _READ and member is not None}
    config = Config(
        max_tokens=_member(given, "maxOutputTokens", count_at),
        answers=answers_at(kept.get("candidateCount"), "generationConfig.candidateCount", most=_ANSWERS_MAX),
        temperature=_member(given, "temperature", number_at),
        top_p=_member(given, "topP", number_at),
        top_k=_member(given, "topK", _whole_at),
        stop=_parse_stop(given.get("stopSequences")),
        response_format=_parse_format(given, kept),
        reasoning=_parse_thinking(given.get("thinkingConfig"), kept),
    )
    if kept:
        extra["generationConfig"] = kept
    return config


def _member(given: JsonObject, name: str, read: Callable[[Json, str], _Value]) -> _Value | None:
    value = given.get(name)
    return None if value is None else read(value, f"generationConfig.{name}")


def _whole_at(value: Json, field: str) -> int:
    """The vendor writes `topK` as a number that may have a point; a vast one would be no JSON integer any more."""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_MAX
    return count_at(int(value) if is_whole and isinstance(value, float) else value, field)


def _parse_stop(value: Json) -> tuple[str, ...]:
    field = "generationConfig.stopSequences"
    items = [] if value is None else list_at(value, field)
    return tuple(text_at(item, f"{field}[{place}]") for place, item in enumerate(items))


def _parse_format(given: JsonObject, kept: dict[str, Json]) -> ResponseFormat | None:
    mime_type, schema = given.get("responseMimeType"), given.get("responseJsonSchema")
    own = given.get("responseSchema")
    if own is not None:
        schema = to_json_schema(object_at(own, "generationConfig.responseSchema"))
    if mime_type is None and schema is None:
        return None
    match mime_type:
        case None | "application/json" if schema is not None:
            wanted = ResponseFormat("json_schema", object_at(schema, "generationConfig.responseJsonSchema"))
        case "application/json":
            wanted = ResponseFormat("json_object")
        case "text/plain" if schema is None:
            wanted = ResponseFormat("text")
        case _:
            kept["responseMimeType"] = mime_type
            if own is None and schema is not None:
                kept["responseJsonSchema"] = schema
            return None
    return wanted


def _parse_thinking(value: Json, kept: dict[str, Json]) -> ReasoningSettings | None:
    """A budget of 0 is off; -1 leaves it to the model, as an absent one does (the vendor's ThinkingConfig)."""
    if value is None:
        return None
    config = members_of(object_at(value, "generationConfig.thinkingConfig"))
    budget, level = config.get("thinkingBudget"), config.get("thinkingLevel")
    reasoning = None
    if level is not None:
        effort = name_at(level, "generationConfig.thinkingConfig.thinkingLevel").lower()
        reasoning = None if effort == "thinking_level_unspecified" else ReasoningSettings(effort=effort)
    elif budget is not None and budget != -1:
        tokens = count_at(budget, "generationConfig.thinkingConfig.thinkingBudget")
        reasoning = ReasoningSettings(budget_tokens=tokens) if tokens else ReasoningSettings()
    if reasoning is None or _render_thinking(reasoning, is_own=True, thinking="level") != value:
        kept["thinkingConfig"] = value
    return reasoning


def untranslatable_config(kept: Json) -> list[str]:
    """The members that stayed behind, matter, and that no other vendor can be told."""
    if not isinstance(kept, dict):
        return []
    fields = [
        f"generationConfig.{name}"
        for name, value in kept.items()
        if name not in HARMLESS_CONFIG and value != _DEFAULTS.get(name)
    ]
    mime_type = kept.get("responseMimeType")
    if mime_type is not None and mime_type not in (_JSON, "text/plain"):
        fields.append("generationConfig.responseMimeType")
    return fields


def render_config(request: ChatRequest, kept: JsonObject, *, is_own: bool, thinking: Thinking) -> JsonObject:
    """The members that somebody set. `kept`: this dialect's own, as `parse_config` left them. Raises: Untranslatable."""
    values: JsonObject = {
        "maxOutputTokens": request.max_tokens,
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k,
        "stopSequences": list(request.stop) or None,
    }
    config: JsonObject = {name: value for name, value in values.items() if value is not None}
    if not is_own and request.temperature is not None and not 0 <= request.temperature <= 2:  # noqa: PLR2004 - the vendor's range
        raise Untranslatable("temperature", "this vendor takes 0 to 2")
    if request.response_format:
        config.update(_render_format(request.response_format))
        if "responseSchema" in kept:
            config.pop("responseJsonSchema", None)
    if request.reasoning:
        config["thinkingConfig"] = _render_thinking(request.reasoning, is_own=is_own, thinking=thinking)
    return {**config, **kept}


def _render_format(wanted: ResponseFormat) -> JsonObject:
    if wanted.kind == "text":
        return {"responseMimeType": "text/plain"}
    if wanted.kind == "json_object":
        return {"responseMimeType": _JSON}
    return {"responseMimeType": _JSON, "responseJsonSchema": wanted.schema or {}}


def _render_thinking(reasoning: ReasoningSettings, *, is_own: bool, thinking: Thinking) -> JsonObject:
    """Models since Gemini 3 know levels and cannot be switched off: `LOW` is the least that all of them take."""
    effort, budget = reasoning.effort, reasoning.budget_tokens
    if is_own:
        if effort is not None:
            return {"thinkingLevel": effort.upper()}
        return {"thinkingBudget": budget or 0}
    if effort is None and budget is None:
        return {"thinkingLevel": "LOW"} if thinking == "level" else {"thinkingBudget": 0}
    if thinking == "budget":
        most = budget if budget is not None else budget_of(effort or "")
        return {"thinkingBudget": min(most, _BUDGET_MAX), "includeThoughts": True}
    word = effort if effort is not None else effort_of(budget or 0)
    return {"thinkingLevel": _LEVELS.get(word, word.upper()), "includeThoughts": True}
