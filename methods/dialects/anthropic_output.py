"""How long, how thoughtful and in which shape an Anthropic answer shall be: `max_tokens`, `thinking`, `output_config`.

The three depend on each other (a thinking budget must be below `max_tokens`), so they are translated together.
"""

import re
from typing import Final, Literal, TypeAlias

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import ChatRequest, Json, JsonObject, ReasoningSettings, ResponseFormat
from methods.dialects.shared import budget_of, count_at, effort_of, name_at, object_at

Thinking: TypeAlias = Literal["adaptive", "budget"]

THINKING_TOKENS_MIN: Final = 1024
"""The least budget that the vendor takes (ThinkingConfigEnabledParam)."""

_EFFORTS: Final = {"minimal": "low"}
_BY_BUDGET: Final = re.compile(
    r"claude-(?:[123]|instant|(?:opus|sonnet|haiku)-4(?:[-.][0-5](?!\d)|-\d{8}|-latest|[@:]|$))"
)
"""Models before 4.6: they refuse adaptive thinking and effort, which those since 4.7 take alone (the vendor's page on it)."""


def thinking_of(model: str) -> Thinking | None:
    """How a model is told to think, by its name; None where that is no name of this vendor's: then as the client said it."""
    if "claude-" not in model:
        return None
    return "budget" if _BY_BUDGET.search(model) else "adaptive"


def parse_output(
    output: Json, thinking: Json, extra: dict[str, Json]
) -> tuple[ResponseFormat | None, ReasoningSettings | None]:
    """Structured output and how much the model may think; what the two do not say stays in `extra`. Raises: Untranslatable."""
    config = {} if output is None else object_at(output, "output_config")
    effort = config.get("effort")
    if effort is not None:
        effort = name_at(effort, "output_config.effort")
    settings = None if effort is None else ReasoningSettings(effort=effort)
    if thinking is not None:
        settings, is_said = _parse_thinking(object_at(thinking, "thinking"), effort, settings)
        if not is_said:
            extra["thinking"] = thinking
            if output is not None:
                extra["output_config"] = output
    if not is_output_said(config):
        extra["output_config"] = output
    wanted = config.get("format")
    if wanted is None:
        return None, settings
    member = object_at(wanted, "output_config.format")
    if member.get("type") != "json_schema":
        return None, settings
    return ResponseFormat(
        "json_schema", schema=object_at(member.get("schema"), "output_config.format.schema")
    ), settings


def is_output_said(config: Json) -> bool:
    """Whether the canonical form says all of an `output_config`."""
    if not isinstance(config, dict) or not config.keys() <= {"format", "effort"}:
        return False
    wanted = config.get("format")
    return wanted is None or (isinstance(wanted, dict) and wanted.keys() == {"type", "schema"})


def _parse_thinking(
    config: JsonObject, effort: str | None, settings: ReasoningSettings | None
) -> tuple[ReasoningSettings | None, bool]:
    """Adaptive thinking without an effort word is the vendor's `high`, its documented default."""
    match name_at(config.get("type"), "thinking.type"):
        case "enabled":
            budget = count_at(config.get("budget_tokens"), "thinking.budget_tokens", least=1)
            return ReasoningSettings(effort, budget), config.keys() == {"type", "budget_tokens"}
        case "disabled":
            return ReasoningSettings(), effort is None
        case "adaptive":
            return ReasoningSettings(effort=effort or "high"), False
        case _:
            return settings, False


def render_output(
    request: ChatRequest, *, is_own: bool, is_verbatim: bool, thinking: Thinking | None, max_tokens_default: int
) -> JsonObject:
    """The three members. `is_verbatim`: the client's own `thinking` and `output_config` will follow, so only the rest is said.

    Raises: Untranslatable.
    """
    effort, budget = None, None
    if request.reasoning and not is_verbatim:
        effort, budget = _effort_and_budget(request.reasoning, thinking, is_own=is_own)
    max_tokens = request.max_tokens if request.max_tokens is not None else max_tokens_default + (budget or 0)
    rendered: JsonObject = {"max_tokens": max_tokens}
    if budget is not None:
        budget = budget if is_own else _fitting(budget, max_tokens)
        rendered["thinking"] = {"type": "enabled", "budget_tokens": budget}
    elif request.reasoning and not is_verbatim and not (is_own and effort):
        rendered["thinking"] = {"type": "adaptive" if effort else "disabled"}
    output: JsonObject = {"effort": effort} if effort else {}
    if request.response_format:
        output.update(_render_format(request.response_format))
    if output:
        rendered["output_config"] = output
    return rendered


def _effort_and_budget(
    reasoning: ReasoningSettings, thinking: Thinking | None, *, is_own: bool
) -> tuple[str | None, int | None]:
    effort, budget = reasoning.effort, reasoning.budget_tokens
    if is_own:
        return effort, budget
    if budget is not None and thinking != "adaptive":
        return None, budget
    if effort is None:
        return (None if budget is None else effort_of(budget)), None
    if thinking == "budget":
        return None, budget_of(effort)
    return _EFFORTS.get(effort, effort), None


def _fitting(budget: int, max_tokens: int) -> int:
    """A budget is a most, so a foreign one shrinks below `max_tokens`; it also grows to the least that the vendor takes."""
    if max_tokens <= THINKING_TOKENS_MIN:
        raise Untranslatable("max_tokens", f"must be above {THINKING_TOKENS_MIN} where this vendor's model shall think")
    return max(THINKING_TOKENS_MIN, min(budget, max_tokens - 1))


def _render_format(wanted: ResponseFormat) -> JsonObject:
    if wanted.kind == "json_object":
        raise Untranslatable("response_format", "this vendor has no free JSON mode; give a JSON schema")
    if wanted.kind == "text":
        return {}
    return {"format": {"type": "json_schema", "schema": wanted.schema or {}}}
