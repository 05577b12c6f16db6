"""What the documents say of an event is what is read of one."""

from typing import Any  # JSON

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types of its own

from methods.event_schema import ELEMENT, EVENT
from methods.ingestion import IngestParams
from monetization.ingestion.events import KINDS, MEMBERS, Window, event_of

WINDOW = Window(now_us=1_795_000_000_000_000, future_us=300_000_000, late_us=3_000_000_000_000)
WHO: dict[str, Any] = {"event_id": "e1", "user_id": "u1"}
TOKENS: dict[str, Any] = {
    "event_type": "TOKEN_USAGE",
    "provider": "OPENAI",
    "model": "m",
    "input_tokens": 9,
    "output_tokens": 9,
}
PARTS = {name: 1 for name in EVENT["properties"] if name.endswith("_tokens") and name not in TOKENS}
ENVELOPE = {"specversion": "1.0", "id": "e1", "source": "shop", "type": "com.example.token_usage", "subject": "u1"}


def test_the_schema_names_every_member_and_every_kind() -> None:
    assert EVENT["properties"].keys() == set(MEMBERS.values())
    assert EVENT["properties"]["event_type"]["enum"] == list(KINDS)
    assert IngestParams.model_json_schema()["properties"]["events"]["items"] == ELEMENT


@pytest.mark.parametrize(
    "said",
    [
        WHO | TOKENS,
        *(WHO | TOKENS | {name: count} for name, count in PARTS.items()),
        WHO | TOKENS | {"processing": "batch", "feature_id": "f", "team_id": "t", "idempotency_key": "k", "source": "shop"},
        WHO | TOKENS | {"customer_id": "c", "timestamp": "2026-11-18T09:00:00Z", "metadata": {"a": [1]}},
        WHO | {"event_type": "IMAGE_GENERATION", "image_count": 2, "image_size": "1024x1024", "quality": "hd"},
        WHO | {"event_type": "VIDEO_GENERATION", "duration_seconds": 1.5, "resolution": "hd"},
        WHO | {"event_type": "AUDIO_PROCESSING", "quantity": "3.5", "unit_type": "minute"},
        WHO | {"event_type": "API_CALL"},
        WHO | {"event_type": "CUSTOM", "quantity": 3, "unit_type": "page"},
        ENVELOPE | {"data": {name: said for name, said in TOKENS.items() if name != "event_type"}},
        ENVELOPE | {"time": "2026-11-18T09:00:00Z", "data": TOKENS},
    ],
)  # fmt: skip
def test_what_fits_the_schema_is_read(said: dict[str, Any]) -> None:
    Draft202012Validator(ELEMENT).validate(said)
    assert event_of(said, WINDOW).id == "e1"
