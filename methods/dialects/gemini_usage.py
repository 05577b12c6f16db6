"""Usage counters of Gemini into disjoint buckets and back. No prices."""

from collections.abc import Mapping

from methods.dialects.canonical import Json, JsonObject
from methods.dialects.gemini_names import members_of
from methods.dialects.shared import split_tokens, tokens_of, untold_of
from storage.records.usage import Side, Usage


def parse_usage(value: Json) -> Usage | None:
    """The vendor's counters taken apart. None: no usage, or counters that are none (absent is not zero).

    `totalTokenCount` is the sum of prompt (which includes cached tokens), candidates, thoughts (which lie beside candidates) and
    tool-use prompts (the vendor's UsageMetadata). Text, video and documents are `input`; sound and images have buckets of their
    own as far as they were not read from the cache. When the vendor's numbers contradict each other no token is lost: a part
    above its whole raises the whole; a total above the sum is output that no counter names, and counts as thinking; a total
    below the sum is ignored.
    """
    if not isinstance(value, dict):
        return None
    counters = members_of(value)
    prompt, said = tokens_of(counters, "promptTokenCount"), tokens_of(counters, "candidatesTokenCount")
    total = tokens_of(counters, "totalTokenCount")
    if prompt is None and said is None and total is None:
        return None
    cached, used = _count(counters, "cachedContentTokenCount"), _count(counters, "toolUsePromptTokenCount")
    thought = _count(counters, "thoughtsTokenCount")
    heard, seen = _modalities(counters, "promptTokensDetails")
    if heard or seen:
        heard_cached, seen_cached = _modalities(counters, "cacheTokensDetails")
        heard, seen = max(0, heard - heard_cached), max(0, seen - seen_cached)
    spoken, drawn = _modalities(counters, "candidatesTokensDetails")
    fresh, cached, heard, seen = split_tokens(prompt or 0, cached, heard, seen)
    text, spoken, drawn = split_tokens(said or 0, spoken, drawn)
    known = fresh + cached + heard + seen + used + text + spoken + drawn + thought
    return Usage(
        input=fresh + used,
        cache_read=cached,
        audio_input=heard,
        image_input=seen,
        output=text,
        reasoning=thought + max(0, (total or 0) - known),
        audio_output=spoken,
        image_output=drawn,
    )


def untold(value: Json) -> Side | None:
    """The side that is nowhere counted. This vendor leaves zeros out; where it tells the total, that says everything."""
    counters = members_of(value) if isinstance(value, dict) else {}
    if tokens_of(counters, "totalTokenCount") is not None:
        return None
    return untold_of(tokens_of(counters, "promptTokenCount"), tokens_of(counters, "candidatesTokenCount"))


def _count(counters: Mapping[str, Json], name: str) -> int:
    return tokens_of(counters, name) or 0


def _modalities(counters: Mapping[str, Json], name: str) -> tuple[int, int]:
    """Tokens of sound and of images."""
    details = counters.get(name)
    if not isinstance(details, list):
        return 0, 0
    sound = image = 0
    for item in details:
        if isinstance(item, dict):
            modality = item.get("modality")
            if modality == "AUDIO":
                sound += _count(members_of(item), "tokenCount")
            elif modality == "IMAGE":
                image += _count(members_of(item), "tokenCount")
    return sound, image


def render_usage(usage: Usage) -> JsonObject:
    """The counters as this vendor's clients read them; cache writes are part of the prompt here."""
    said = usage.output + usage.audio_output + usage.image_output
    rendered: JsonObject = {
        "promptTokenCount": usage.tokens_input,
        "candidatesTokenCount": said,
        "totalTokenCount": usage.tokens_total,
    }
    if usage.cache_read:
        rendered["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        rendered["thoughtsTokenCount"] = usage.reasoning
    if usage.audio_input or usage.image_input:
        text = usage.tokens_input - usage.audio_input - usage.image_input
        rendered["promptTokensDetails"] = _details(text, usage.audio_input, usage.image_input)
    if usage.audio_output or usage.image_output:
        rendered["candidatesTokensDetails"] = _details(usage.output, usage.audio_output, usage.image_output)
    return rendered


def _details(text: int, sound: int, image: int) -> list[Json]:
    counts = (("TEXT", text), ("AUDIO", sound), ("IMAGE", image))
    return [{"modality": modality, "tokenCount": count} for modality, count in counts if count]
