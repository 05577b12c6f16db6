"""How an event of usage from elsewhere looks for the documents: JSON Schema. Data only: `monetization.ingestion` reads events."""

from typing import Any, Final

# Any: JSON Schema.

_ID: Final = {"type": "string", "minLength": 1, "maxLength": 255}
_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 200}
_UNIT: Final = {"type": "string", "minLength": 1, "maxLength": 64}
_TOKENS: Final = {"type": "integer", "minimum": 0}
_UNITS: Final = {
    "anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}],
}

EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Event",
    "description": "OpenMonetize's event. Names in snake_case or camelCase; no other members than these.",
    "required": ["event_id", "user_id", "event_type"],
    "properties": {
        "event_id": _ID | {"description": "With `source` its identity: a resend counts once."},
        "source": _ID | {"description": "Where it happened; left out: api."},
        "idempotency_key": _ID,
        "timestamp": {
            "type": "string",
            "format": "date-time",
            "description": "When it happened, with a zone; left out: now.",
        },
        "user_id": _NAME,
        "team_id": _NAME | {"description": "The user's organization; `organization_id` is another word for it."},
        "customer_id": _NAME
        | {"description": "Taken and looked at by nobody: the credential says whose events these are."},
        "event_type": {
            "enum": ["TOKEN_USAGE", "IMAGE_GENERATION", "VIDEO_GENERATION", "AUDIO_PROCESSING", "API_CALL", "CUSTOM"],
        },
        "feature_id": _NAME,
        "provider": _NAME | {"description": "Tokens need it and `model`, which price them."},
        "model": _NAME,
        "input_tokens": _TOKENS | {"description": "With those below that say so among them."},
        "output_tokens": _TOKENS,
        "cached_input_tokens": _TOKENS
        | {"description": "Of the input; so are those written to a cache, of audio and of images."},
        "cache_write_tokens": _TOKENS,
        "audio_input_tokens": _TOKENS,
        "image_input_tokens": _TOKENS,
        "reasoning_tokens": _TOKENS | {"description": "Of the output; so are those of audio and of images."},
        "audio_output_tokens": _TOKENS,
        "image_output_tokens": _TOKENS,
        "processing": {
            "enum": ["standard", "default", "batch", "flex", "priority", "fast"],
            "description": "How the provider handled it; `service_tier` is another word for it.",
        },
        "quantity": _UNITS | {"description": "Units used, in every kind but TOKEN_USAGE; API_CALL without it is one."},
        "unit_type": _UNIT
        | {"description": "What is counted. Left out: image, second (video, audio), call; CUSTOM needs it."},
        "image_count": _UNITS | {"description": "IMAGE_GENERATION's word for `quantity`; without either it is one."},
        "duration_seconds": _UNITS
        | {"description": "The word for `quantity` of VIDEO_GENERATION and AUDIO_PROCESSING."},
        "image_size": _NAME,
        "resolution": _NAME,
        "quality": _NAME,
        "metadata": {"type": "object", "maxProperties": 32},
    },
}
CLOUD_EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "title": "CloudEvent",
    "description": "A CloudEvent 1.0 whose data is an event; `id`, `source`, `time` and `type` say those of the event.",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": _ID,
        "source": _ID,
        "type": _ID
        | {"description": "One of its parts names the kind, as in com.example.token_usage; else the data does."},
        "time": {"type": "string", "format": "date-time"},
        "subject": _NAME | {"description": "The user, where the data names none."},
        "data": {"type": "object", "description": "The other members of an event."},
        "data_base64": {"type": "string", "description": "The same as JSON in base64."},
    },
}
ELEMENT: Final[dict[str, Any]] = {"anyOf": [EVENT, CLOUD_EVENT]}
