"""An event: usage that somebody tells us of, parsed from JSON into a value that cannot be wrong. Nothing is rated here.

Members are OpenMonetize's (seeds inventory, 3.2 and 3.8), in snake_case or camelCase; kinds and providers in any case. A member
that nobody knows is refused, because a misspelled count would make usage free.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

import orjson

from monetization.ingestion.cloudevents import SPECVERSION, flattened
from monetization.ingestion.rejecting import Rejected
from monetization.prices.rates import STANDARD, Processing
from storage.records.fact import fact
from storage.records.usage import Usage

# Any: an element is JSON that nobody has looked at.

Kind = Literal["TOKEN_USAGE", "IMAGE_GENERATION", "VIDEO_GENERATION", "AUDIO_PROCESSING", "API_CALL", "CUSTOM"]
KINDS: Final[dict[str, Kind]] = {
    "TOKEN_USAGE": "TOKEN_USAGE",
    "IMAGE_GENERATION": "IMAGE_GENERATION",
    "VIDEO_GENERATION": "VIDEO_GENERATION",
    "AUDIO_PROCESSING": "AUDIO_PROCESSING",
    "API_CALL": "API_CALL",
    "CUSTOM": "CUSTOM",
}
UNITS: Final[dict[Kind, str]] = {
    "IMAGE_GENERATION": "image",
    "VIDEO_GENERATION": "second",
    "AUDIO_PROCESSING": "second",
    "API_CALL": "call",
}
"""What a kind is counted in where the event names no unit."""
SOURCE: Final = "api"
"""The source of an event that names none."""
OURS: Final = "gateway"
"""The source of the calls that passed through us; no event may claim it."""

NANO: Final = 1_000_000_000
ID_CHARS_MAX: Final = 255
NAME_CHARS_MAX: Final = 200
LABELS_MAX: Final = 32
LABELS_BYTES_MAX: Final = 4_096
TOKENS_MAX: Final = 2**40
QUANTITY_MAX: Final = 10**9
"""Units of one event."""
_DIGITS_MAX: Final = 40
_PLACES: Final = 9

_SPELLINGS: Final = (
    ("event_id", "eventId"), ("customer_id", "customerId"), ("user_id", "userId"),
    ("team_id", "teamId", "organization_id", "organizationId"), ("event_type", "eventType"),
    ("feature_id", "featureId"), ("provider",), ("model",), ("source",), ("timestamp",), ("metadata",),
    ("idempotency_key", "idempotencyKey"), ("input_tokens", "inputTokens"), ("output_tokens", "outputTokens"),
    ("cached_input_tokens", "cachedInputTokens"), ("cache_write_tokens", "cacheWriteTokens"),
    ("reasoning_tokens", "reasoningTokens"), ("audio_input_tokens", "audioInputTokens"),
    ("image_input_tokens", "imageInputTokens"), ("audio_output_tokens", "audioOutputTokens"),
    ("image_output_tokens", "imageOutputTokens"), ("image_count", "imageCount"), ("image_size", "imageSize"),
    ("quality",), ("resolution",), ("duration_seconds", "durationSeconds"), ("unit_type", "unitType"), ("quantity",),
    ("processing", "service_tier", "serviceTier"),
)  # fmt: skip
MEMBERS: Final = {spelling: spellings[0] for spellings in _SPELLINGS for spelling in spellings}
"""Every member as it may be spelled → its name."""
_PROCESSING: Final[Mapping[str, Processing]] = {
    "standard": "standard",
    "default": "standard",
    "batch": "batch",
    "flex": "flex",
    "priority": "priority",
    "fast": "fast",
}
"""What vendors say in their answers (OpenAI's and Anthropic's `service_tier`), and batches."""
_NAMES: Final = frozenset(MEMBERS.values())
_INSIDE_INPUT: Final = (
    ("cached_input_tokens", "cache_read"),
    ("cache_write_tokens", "cache_write_5m"),
    ("audio_input_tokens", "audio_input"),
    ("image_input_tokens", "image_input"),
)
"""Members that are parts of `input_tokens`, and their buckets."""
_INSIDE_OUTPUT: Final = (
    ("reasoning_tokens", "reasoning"),
    ("audio_output_tokens", "audio_output"),
    ("image_output_tokens", "image_output"),
)
"""Members that are parts of `output_tokens`, and their buckets."""
_INSIDE: Final = frozenset(name for name, _ in _INSIDE_INPUT + _INSIDE_OUTPUT)
_COUNTED: Final[dict[Kind, tuple[str, ...]]] = {
    "IMAGE_GENERATION": ("image_count", "quantity"),
    "VIDEO_GENERATION": ("duration_seconds", "quantity"),
    "AUDIO_PROCESSING": ("duration_seconds", "quantity"),
    "API_CALL": ("quantity",),
    "CUSTOM": ("quantity",),
}
"""Which members say how many units an event is of."""
_COUNTS: Final = frozenset(name for names in _COUNTED.values() for name in names)
_NAMING: Final = ("customer_id", "image_size", "resolution", "quality", "unit_type")
"""Members that any event may hold, also where nothing is made of them; they too are kept until it can be rated."""
_ONE: Final = frozenset({"IMAGE_GENERATION", "API_CALL"})
"""Kinds of which an event without a count is one unit."""
_PLAIN: Final = re.compile(r"[0-9]+(\.[0-9]+)?")
_BAD: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@fact
class Event:
    """One use of something by one user."""

    id: str
    source: str
    """With the tenant and the id: the event's identity."""
    kind: Kind
    user_id: str
    occurred_us: int
    organization_id: str | None = None
    feature: str | None = None
    provider: str | None = None
    """In lower case."""
    model: str | None = None
    usage: Usage = Usage()
    processing: Processing = STANDARD
    """How the provider handled it, which decides what tokens cost."""
    unit: str | None = None
    """None exactly where tokens were used."""
    quantity_nano: int | None = None
    """Units used, scale 9. None exactly where tokens were used."""
    variant: tuple[str, ...] = ()
    """Size and quality, as far as they were said."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    said: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """The members as they were said, by their names; for what must be kept until it can be rated."""


@fact
class Window:
    """When an event may have happened to be taken."""

    now_us: int
    future_us: int
    late_us: int


def event_of(element: object, window: Window) -> Event:
    """The event that an element of a batch is. Raises: Rejected, also the one that stands for what could not be read."""
    if not isinstance(element, dict):
        raise element if isinstance(element, Rejected) else Rejected("invalid_event", "an event is a JSON object")
    said = _members(flattened(element, KINDS) if SPECVERSION in element else element)
    kind = _kind(said)
    usage = _usage(said)
    unit, quantity = (None, None) if kind == "TOKEN_USAGE" else _units(said, kind)
    stray = None if _COUNTS.isdisjoint(said) else _stray(said, kind)
    if usage is not None and (quantity is not None or stray is not None):
        raise Rejected("invalid_event", "tokens and units are told of in two events, each with an id of its own")
    if usage is None and quantity is None:
        counted = "input_tokens or output_tokens" if kind == "TOKEN_USAGE" else " or ".join(_COUNTED[kind])
        raise Rejected("missing_quantity", f"say how much was used: {counted}")
    if stray is not None:
        raise Rejected("invalid_quantity", f"{stray}: {kind} is not counted by it; tell of it in an event of that kind")
    for name in _NAMING:
        _name(said, name)
    provider = _name(said, "provider")
    model = _name(said, "model")
    if usage is not None and (provider is None or model is None):
        raise Rejected("missing_model", "tokens are priced by provider and model; give both")
    return Event(
        id=_required(said, "event_id", ID_CHARS_MAX),
        source=_source(said),
        kind=kind,
        user_id=_required(said, "user_id", NAME_CHARS_MAX),
        occurred_us=_occurred(said.get("timestamp"), window),
        organization_id=_name(said, "team_id") if "team_id" in said else None,
        feature=_name(said, "feature_id") if "feature_id" in said else None,
        provider=None if provider is None else provider.lower(),
        model=model,
        usage=usage or Usage(),
        processing=_processing(said, usage) if "processing" in said else STANDARD,
        unit=unit,
        quantity_nano=quantity,
        variant=() if usage is not None else _variant(said),
        metadata=_labels(said["metadata"]) if "metadata" in said else {},
        idempotency_key=_name(said, "idempotency_key", ID_CHARS_MAX) if "idempotency_key" in said else None,
        said=said,
    )


def _members(element: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if _NAMES.issuperset(element) and None not in element.values():  # as nearly all are
        said.update(element)
        return said
    for spelling, value in element.items():
        name = MEMBERS.get(spelling)
        if name is None:
            raise Rejected(
                "unknown_member", f"{spelling[:64]!r} is no member of an event; /openapi.json names those that are"
            )
        if name in said:
            raise Rejected("ambiguous_member", f"{name} is said twice; keep one spelling")
        if value is not None:
            said[name] = value
    return said


def _kind(said: Mapping[str, Any]) -> Kind:
    value = said.get("event_type")
    kind = KINDS.get(value) if isinstance(value, str) else None
    if kind is None and isinstance(value, str):
        kind = KINDS.get(value.strip().upper().replace("-", "_").replace(" ", "_"))
    if kind is None:
        raise Rejected("unknown_type", f"event_type: must be one of {', '.join(KINDS)}")
    return kind


def _text(value: object, name: str, chars_max: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= chars_max:
        raise Rejected(f"invalid_{name}", f"{name}: must be a text of 1 to {chars_max} characters")
    if not value.isprintable() and _BAD.search(value):  # the first asks for more, and is fast
        raise Rejected(f"invalid_{name}", f"{name}: must hold no control characters")
    return value


def _required(said: Mapping[str, Any], name: str, chars_max: int) -> str:
    if name not in said:
        raise Rejected(f"missing_{name}", f"{name}: is required")
    return _text(said[name], name, chars_max)


def _name(said: Mapping[str, Any], name: str, chars_max: int = NAME_CHARS_MAX) -> str | None:
    value = said.get(name)
    return None if value is None else _text(value, name, chars_max)


def _source(said: Mapping[str, Any]) -> str:
    source = _text(said["source"], "source", ID_CHARS_MAX) if "source" in said else SOURCE
    if source == OURS:
        raise Rejected("invalid_source", f"source: {OURS!r} is this server's own; name yours")
    return source


def _processing(said: Mapping[str, Any], usage: Usage | None) -> Processing:
    """How the provider handled it. A word that nobody can price is refused: it might stand for more than the standard price."""
    value = said["processing"]
    found = _PROCESSING.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        raise Rejected("invalid_processing", f"processing: must be one of {', '.join(_PROCESSING)}")
    if usage is None and found != STANDARD:
        raise Rejected("invalid_processing", "processing: only tokens are priced by it; name such units apart")
    return found


def _variant(said: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        name.lower() for place in ("image_size", "resolution", "quality") if (name := _name(said, place)) is not None
    )


def _tokens(said: Mapping[str, Any], name: str) -> int:
    value = said.get(name, 0)
    if type(value) is not int or not 0 <= value <= TOKENS_MAX:
        raise Rejected("invalid_tokens", f"{name}: must be a whole number from 0 to {TOKENS_MAX}")
    return value


def _usage(said: Mapping[str, Any]) -> Usage | None:
    """The tokens in disjoint buckets. None: the event says nothing of tokens."""
    if "input_tokens" not in said and "output_tokens" not in said:
        stray = next((name for name, _ in _INSIDE_INPUT + _INSIDE_OUTPUT if name in said), None)
        if stray is not None:
            raise Rejected("invalid_tokens", f"{stray}: is a part of input_tokens or output_tokens; give that too")
        return None
    went_in, came_out = _tokens(said, "input_tokens"), _tokens(said, "output_tokens")
    if _INSIDE.isdisjoint(said):
        return Usage(input=went_in, output=came_out)
    buckets = {bucket: _tokens(said, name) for name, bucket in _INSIDE_INPUT if name in said}
    inside = sum(buckets.values())
    thought = {bucket: _tokens(said, name) for name, bucket in _INSIDE_OUTPUT if name in said}
    beside = sum(thought.values())
    if inside > went_in or beside > came_out:
        raise Rejected("invalid_tokens", "input_tokens and output_tokens hold all their parts; they cannot be smaller")
    return Usage(input=went_in - inside, output=came_out - beside, **buckets, **thought)


def _units(said: Mapping[str, Any], kind: Kind) -> tuple[str | None, int | None]:
    """Unit and quantity; neither where the event tells of tokens alone."""
    counted = [name for name in _COUNTED[kind] if name in said]
    if len(counted) > 1:
        raise Rejected("invalid_quantity", f"{' and '.join(counted)} say the same; keep one")
    unit = _name(said, "unit_type", 64)
    if not counted and (kind not in _ONE or "input_tokens" in said or "output_tokens" in said):
        return None, None
    unit = (unit or UNITS.get(kind, "")).lower()
    if not unit:
        raise Rejected("missing_unit_type", "unit_type: say what the quantity counts")
    return unit, quantity_of(said[counted[0]], counted[0]) if counted else NANO


def _stray(said: Mapping[str, Any], kind: Kind) -> str | None:
    """A count that would be free, because events of this kind are not charged by it."""
    used = _COUNTED.get(kind, ())
    return next((name for name in sorted(_COUNTS) if name not in used and said.get(name, 0) not in (0, "0")), None)


def quantity_of(value: object, name: str) -> int:
    """A number of units of JSON in scale 9. Raises: Rejected for what is negative, too fine, too large or no number."""
    wrong = Rejected("invalid_quantity", f"{name}: must be a number above 0 and up to {QUANTITY_MAX}, at most 9 places")
    if type(value) is int:
        if not 0 < value <= QUANTITY_MAX:
            raise wrong
        return value * NANO
    is_number = (
        _PLAIN.fullmatch(value) is not None if isinstance(value, str) else not isinstance(value, bool | dict | list)
    )
    text = str(value) if is_number else ""
    try:
        number = Decimal(text if len(text) <= _DIGITS_MAX else "")
    except InvalidOperation:
        raise wrong from None
    if not number.is_finite() or not 0 < number <= QUANTITY_MAX:
        raise wrong
    exponent = number.normalize().as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_PLACES:
        raise wrong
    return int(number.scaleb(_PLACES))


def _occurred(value: object, window: Window) -> int:
    """When it happened; without a timestamp, now."""
    if value is None:
        return window.now_us
    try:
        text = value.upper() if isinstance(value, str) else ""  # RFC 3339 lets T and Z be small
        at = datetime.fromisoformat(text) if len(text) <= 64 else None  # noqa: PLR2004  # no instant is longer
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Rejected(
            "invalid_timestamp", "timestamp: must be an ISO 8601 instant with its zone: 2026-11-01T09:00:00Z"
        )
    occurred_us = (at - _EPOCH) // _MICROSECOND
    if occurred_us > window.now_us + window.future_us:
        raise Rejected(
            "timestamp_in_future", "timestamp: lies ahead of this server's clock; correct the sender's clock"
        )
    if occurred_us < window.now_us - window.late_us:
        days = window.late_us // (24 * 3600 * 1_000_000)
        raise Rejected("timestamp_too_old", f"timestamp: events are taken for {days} days; book older use by hand")
    return occurred_us


def _labels(value: object) -> Mapping[str, str]:
    """Metadata as labels: texts as they are, anything else as JSON."""
    if not isinstance(value, dict) or len(value) > LABELS_MAX:
        raise Rejected("invalid_metadata", f"metadata: must be an object of at most {LABELS_MAX} members")
    labels = {name: said if isinstance(said, str) else orjson.dumps(said).decode() for name, said in value.items()}
    text = "".join([*labels, *labels.values()])
    if len(text.encode("utf-8", "replace")) > LABELS_BYTES_MAX:
        raise Rejected("invalid_metadata", f"metadata: may hold at most {LABELS_BYTES_MAX} bytes")
    if _UNSTORABLE.search(text):
        raise Rejected("invalid_metadata", "metadata: must hold no NUL and no half characters")
    return labels


def digest_of(event: Event) -> str:
    """Of everything but the timestamp and the idempotency key: another event under the same identity has another one."""
    usage = event.usage
    body = (
        event.kind, event.user_id, event.organization_id, event.feature, event.provider, event.model, event.unit,
        event.quantity_nano, event.variant, sorted(event.metadata.items()), usage.input, usage.cache_read,
        usage.cache_write_5m, usage.audio_input, usage.image_input, usage.output, usage.reasoning, usage.audio_output,
        usage.image_output, *(() if event.processing == STANDARD else (event.processing,)),
    )  # fmt: skip
    return hashlib.blake2b(orjson.dumps(body), digest_size=16).hexdigest()
