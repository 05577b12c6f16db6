"""Usage counters of OpenAI's Responses into disjoint buckets and back. No prices."""

from typing import Final

from methods.dialects import openai_usage
from methods.dialects.canonical import Json, JsonObject
from storage.records.usage import Side, Usage

_CHAT_NAMES: Final = {
    "input_tokens": "prompt_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens": "completion_tokens",
    "output_tokens_details": "completion_tokens_details",
}


def parse_usage(value: Json) -> Usage | None:
    """The vendor's counters taken apart, by the rules of its chat completions, which have other names for the same."""
    return openai_usage.parse_usage(_as_chat(value))


def untold(value: Json) -> Side | None:
    """The side that is nowhere counted."""
    return openai_usage.untold(_as_chat(value))


def _as_chat(value: Json) -> Json:
    return {_CHAT_NAMES.get(name, name): member for name, member in value.items()} if isinstance(value, dict) else None


def render_usage(usage: Usage) -> JsonObject:
    """The counters as this vendor's clients read them, details included."""
    return {
        "input_tokens": usage.tokens_input,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
        },
        "output_tokens": usage.tokens_output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.tokens_total,
    }
