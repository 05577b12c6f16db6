"""What more than one dialect needs: members of foreign JSON, data URLs, waiting times, bounded words. No vendor's names."""

import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

import orjson

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import Json, JsonObject, Text
from storage.records.usage import Side

_Value = TypeVar("_Value")

TOKENS_MAX: Final = 10**10
"""The greatest count that is believed: thousands of times what any model reads, and its price fits into every account."""
MESSAGE_CHARACTERS_MAX: Final = 500
"""The greatest length of a vendor's error message that travels on."""

_BLANKS: Final = re.compile(r"[\s\x00-\x1f\x7f]+")
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)

# Effort words and the thinking budgets that stand for them where a vendor knows only the other; from least to most.
_BUDGETS: Final = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 65536}


def object_at(value: Json, field: str) -> JsonObject:
    """A member of a request that must be a JSON object. Raises: Untranslatable."""
    if isinstance(value, dict):
        return value
    raise Untranslatable(field, "must be an object")


def strictness_of(tool: JsonObject) -> bool | None:
    """Whether a tool is strict: three vendors say it by the same word."""
    strict = tool.get("strict")
    return strict if isinstance(strict, bool) else None


def is_closed(schema: Json) -> bool:
    """Whether a schema is one that OpenAI can keep to: each of its objects requires all that it names and allows no more."""
    if isinstance(schema, list):
        return all(map(is_closed, schema))
    if not isinstance(schema, dict):
        return True
    named, required = schema.get("properties"), schema.get("required")
    if isinstance(named, dict) or schema.get("type") == "object":
        names = named.keys() if isinstance(named, dict) else set()
        known = {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()
        if schema.get("additionalProperties") is not False or not names <= known:
            return False
    return all(map(is_closed, schema.values()))


def list_at(value: Json, field: str, wanted: str = "an array") -> list[Json]:
    """A member of a request that must be an array. `wanted`: what else was looked for before. Raises: Untranslatable."""
    if isinstance(value, list):
        return value
    raise Untranslatable(field, f"must be {wanted}")


def text_at(value: Json, field: str) -> str:
    """A member of a request that must be a string. Raises: Untranslatable."""
    if isinstance(value, str):
        return value
    raise Untranslatable(field, "must be a string")


def name_at(value: Json, field: str) -> str:
    """A member of a request that must be a string with something in it. Raises: Untranslatable."""
    if isinstance(value, str) and value:
        return value
    raise Untranslatable(field, "must be a string that is not empty")


def flag_at(value: Json, field: str) -> bool:
    """A member of a request that must be true or false. Raises: Untranslatable."""
    if isinstance(value, bool):
        return value
    raise Untranslatable(field, "must be true or false")


def number_at(value: Json, field: str) -> float:
    """A member of a request that must be a number. Raises: Untranslatable."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise Untranslatable(field, "must be a number")


def count_at(value: Json, field: str, *, least: int = 0) -> int:
    """A member of a request that must be a whole number, at least `least`. Raises: Untranslatable."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return value
    raise Untranslatable(field, f"must be a whole number, at least {least}")


def answers_at(value: Json, field: str, *, most: int) -> int:
    """How many answers a member asks for, one where it is left out. Raises: Untranslatable."""
    count = 1 if value is None else count_at(value, field, least=1)
    if count > most:
        raise Untranslatable(field, f"must be a whole number, at most {most}")
    return count


def optional_at(members: JsonObject, name: str, read: Callable[[Json, str], _Value]) -> _Value | None:
    """A member that may be absent or null, read by one of the readers above. Raises: Untranslatable."""
    value = members.get(name)
    return None if value is None else read(value, name)


def asks_nothing(value: Json) -> bool:
    """Whether a member says no more than its absence: many clients write all members, also those that they do not use.

    An empty object is something: that is how some vendors' own tools are switched on.
    """
    return value is None or value == []


def in_other_letters(body: JsonObject, names: AbstractSet[str]) -> list[str]:
    """The members that some servers take for one of these names, and that nobody here reads: Go's JSON takes any letters.

    It also takes the long s and the Kelvin sign for the letters that they are folded to, as `casefold` does.
    """
    return [name for name in body if name not in names and name.casefold() in names]


def inside_in_other_letters(value: JsonObject, names: AbstractSet[str], field: str) -> list[str]:
    """The same of an object inside of a body, each by its path: a turn or a part of it that would be read as another one."""
    return [f"{field}.{name}" for name in in_other_letters(value, names)]


def tokens_of(counters: Mapping[str, Json], name: str) -> int | None:
    """A token counter of a reply: None when it is absent, null, or no count at all (unknown is not zero).

    A count that no model can reach is none either: it would be refused by the books after the answer was delivered.
    """
    value = counters.get(name)
    if value is None or (type(value) is int and 0 <= value <= TOKENS_MAX):  # nearly always
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= TOKENS_MAX:
        return value
    return None


def untold_of(tokens_input: int | None, tokens_output: int | None) -> Side | None:
    """The side that a vendor has not counted, of a usage that it did send: absent is not zero."""
    if tokens_output is None:
        return "output"
    return "input" if tokens_input is None else None


def split_tokens(whole: int, *parts: int) -> list[int]:
    """The rest, then the parts, summing to the whole; a single part above the whole raises the whole."""
    if not any(parts):
        return [whole, *parts]
    left = max(whole, *parts)
    taken: list[int] = []
    for part in parts:
        taken.append(min(part, left))
        left -= taken[-1]
    return [left, *taken]


def from_data_url(url: str, field: str) -> tuple[str, str] | None:
    """Media type and base64 data of a `data:` URL (RFC 2397), or None for any other URL. Raises: Untranslatable."""
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url[5:].partition(",")
    media_type, *parameters = head.split(";")
    if not comma or not data or "base64" not in [parameter.lower() for parameter in parameters]:
        raise Untranslatable(field, "a data URL must look like 'data:image/png;base64,...'")
    return media_type or "application/octet-stream", data


def image_type_at(media_type: str, field: str) -> str:
    """The media type of what a client calls an image. Raises: Untranslatable.

    Some vendors read by its type whatever stands there, and one file may hold a thousand pages or an hour of sound.
    """
    if media_type[:6].lower() == "image/":
        return media_type
    raise Untranslatable(field, f"must be an image, and {media_type[:40]!r} is none")


def usual_type(media_type: str) -> str:
    """An image's type as vendors know it: in small letters (RFC 2045, section 5.1), and by the name that is registered."""
    kind = media_type.strip().lower()
    return "image/jpeg" if kind == "image/jpg" else kind


def to_data_url(media_type: str | None, data: str) -> str:
    """A `data:` URL (RFC 2397) of base64 data."""
    return f"data:{media_type or 'application/octet-stream'};base64,{data}"


def bounded(text: str, characters_max: int = MESSAGE_CHARACTERS_MAX) -> str:
    """A foreign text on one line, without control characters, cut where it gets too long."""
    line = _BLANKS.sub(" ", text[: characters_max * 8]).strip()
    return line if len(line) <= characters_max else line[: characters_max - 1] + "…"


def load_error_body(body: bytes) -> Json:
    """The JSON of an error reply, or its words (an HTML page's title) where it is not JSON. Never raises."""
    try:
        parsed: Json = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body[: MESSAGE_CHARACTERS_MAX * 32].decode("utf-8", "replace")
        if text.lstrip()[:1] == "<":
            title = _TITLE.search(text)
            return bounded(title.group(1)) if title else ""
        return bounded(text)
    return parsed


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """The wait that a vendor asks for: `retry-after-ms`, else `Retry-After` in seconds or as a date (RFC 9110, 10.2.3).

    A date counts from the reply's own `Date`, so that no clock is needed; without one it says nothing, and the answer is None.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(lowered[name]) / unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        until = parsedate_to_datetime(lowered["retry-after"])
        return max(0.0, (until - parsedate_to_datetime(lowered["date"])).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None


def says_something(system: Sequence[Text]) -> bool:
    """Whether any of these texts holds a word: many clients send instructions that are empty, and vendors refuse such texts."""
    return any(text.text for text in system)


def turns_of(rendered: list[Json]) -> list[Json]:
    """The turns of a conversation from elsewhere, at least one. Raises: Untranslatable."""
    if rendered:
        return rendered
    raise Untranslatable("messages", "this vendor wants a turn that says something; instructions alone are not enough")


def effort_of(budget_tokens: int) -> str:
    """The effort word (low, medium, high) nearest to a thinking budget, for vendors that know only words."""
    if budget_tokens <= _BUDGETS["low"]:
        return "low"
    return "medium" if budget_tokens <= _BUDGETS["medium"] else "high"


def budget_of(effort: str) -> int:
    """The thinking budget in tokens that stands for an effort word; an unknown word counts as `medium`."""
    return _BUDGETS.get(effort, _BUDGETS["medium"])
