"""Usage counters of OpenAI chat completions into disjoint buckets and back. No prices."""

from collections.abc import Mapping

from methods.dialects.canonical import Json, JsonObject
from methods.dialects.shared import split_tokens, tokens_of, untold_of
from storage.records.usage import Side, Usage


def parse_usage(value: Json) -> Usage | None:
    """The vendor's counters taken apart. None: no usage, or counters that are none (absent is not zero).

    `prompt_tokens` includes cached, cache-written, sound and image tokens, `completion_tokens` includes thinking and sound; each
    part takes at most what the parts before it left, so that the buckets always sum to the whole. When the vendor's numbers
    contradict each other no token is lost: a detail above its whole raises the whole, and a `total_tokens` above the sum is
    thinking that the vendor counts beside `completion_tokens` (xAI, Gemini's compatible endpoint). A total below the sum is
    ignored. A side that is left out is zero here; `untold` names it.
    """
    if not isinstance(value, dict):
        return None
    prompt, completion = _sides(value)
    if prompt is None and completion is None:
        return None
    inward, outward = _details(value, "prompt_tokens_details"), _details(value, "completion_tokens_details")
    cached = max(_part(inward, "cached_tokens"), _part(value, "prompt_cache_hit_tokens"), _part(value, "cached_tokens"))
    written = _part(inward, "cache_write_tokens")
    heard, seen = _part(inward, "audio_tokens"), _part(inward, "image_tokens")
    fresh, read, written, heard, seen = split_tokens(prompt or 0, cached, written, heard, seen)
    thought = _part(outward, "reasoning_tokens")
    total = tokens_of(value, "total_tokens") or 0
    beside = max(0, total - max(prompt or 0, cached) - (completion or 0))
    said, inside, spoken, drawn = split_tokens(
        completion or 0,
        0 if beside else thought,
        _part(outward, "audio_tokens"),
        _part(outward, "image_tokens"),
    )
    return Usage(
        input=fresh,
        cache_read=read,
        cache_write_5m=written,
        audio_input=heard,
        image_input=seen,
        output=said,
        reasoning=inside + beside,
        audio_output=spoken,
        image_output=drawn,
    )


def untold(value: Json) -> Side | None:
    """The side that is nowhere counted."""
    return untold_of(*_sides(value)) if isinstance(value, dict) else None


def _sides(usage: Mapping[str, Json]) -> tuple[int | None, int | None]:
    """Tokens in and out; one that is left out is what the total has beyond the other, if it has anything."""
    prompt, completion = tokens_of(usage, "prompt_tokens"), tokens_of(usage, "completion_tokens")
    if (prompt is None) != (completion is None):
        rest = (tokens_of(usage, "total_tokens") or 0) - (prompt or 0) - (completion or 0)
        if rest > 0:
            return (rest, completion) if prompt is None else (prompt, rest)
    return prompt, completion


def _details(usage: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    details = usage.get(name)
    return details if isinstance(details, dict) else {}


def _part(counters: Mapping[str, Json], name: str) -> int:
    return (tokens_of(counters, name) or 0) if name in counters else 0


def render_usage(usage: Usage) -> JsonObject:
    """The counters as this vendor's clients read them, details included."""
    return {
        "prompt_tokens": usage.tokens_input,
        "completion_tokens": usage.tokens_output,
        "total_tokens": usage.tokens_total,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
            "audio_tokens": usage.audio_input,
            "image_tokens": usage.image_input,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.audio_output,
            "image_tokens": usage.image_output,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
