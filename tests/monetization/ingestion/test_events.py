import math
from base64 import b64encode
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monetization.ingestion.batches import Batch
from monetization.ingestion.cloudevents import from_binary, is_binary
from monetization.ingestion.events import (
    ID_CHARS_MAX,
    KINDS,
    MEMBERS,
    NANO,
    QUANTITY_MAX,
    TOKENS_MAX,
    Event,
    Window,
    digest_of,
    event_of,
)
from monetization.ingestion.rejecting import Rejected
from storage.records.usage import Usage

DAY_US = 24 * 3600 * 1_000_000
NOW_US = 1_793_523_600_000_000  # 2026-11-01T09:00:00Z
WINDOW = Window(NOW_US, 300_000_000, 35 * DAY_US)
TOKENS: dict[str, Any] = {
    "event_id": "evt_123",
    "customer_id": "the-company",
    "user_id": "user-1",
    "event_type": "TOKEN_USAGE",
    "feature_id": "chat",
    "provider": "OPENAI",
    "model": "gpt-4o",
    "input_tokens": 1000,
    "output_tokens": 500,
    "timestamp": "2026-11-01T08:59:00Z",
}


def read(**changes: Any) -> Event:
    return event_of({**TOKENS, **changes}, WINDOW)


def units(kind: str, **said: Any) -> Event:
    base = {name: TOKENS[name] for name in ("event_id", "user_id", "timestamp")}
    return event_of({**base, "event_type": kind, **said}, WINDOW)


def reason(element: object) -> str:
    with pytest.raises(Rejected) as refused:
        event_of(element, WINDOW)
    assert refused.value.detail
    return refused.value.reason


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def test_s2_19_the_token_sample_is_read_as_it_stands() -> None:
    event = read()
    assert (event.id, event.source, event.kind, event.user_id) == ("evt_123", "api", "TOKEN_USAGE", "user-1")
    assert (event.provider, event.model, event.feature) == ("openai", "gpt-4o", "chat")
    assert event.usage == Usage(input=1000, output=500)
    assert event.occurred_us == NOW_US - 60_000_000
    assert (event.unit, event.quantity_nano) == (None, None)


def test_s2_20_and_s2_21_images_and_pages_have_a_unit_and_a_quantity() -> None:
    image = units("IMAGE_GENERATION", model="dall-e-3", image_count=2, image_size="1024x1024", quality="hd")
    assert (image.unit, image.quantity_nano, image.variant) == ("image", 2 * NANO, ("1024x1024", "hd"))
    pages = units("CUSTOM", unit_type="pages", quantity=5)
    assert (pages.unit, pages.quantity_nano, pages.model) == ("pages", 5 * NANO, None)
    assert units("VIDEO_GENERATION", duration_seconds=2.5).quantity_nano == 2_500_000_000
    assert units("AUDIO_PROCESSING", quantity="0.5", unit_type="Minute").unit == "minute"
    assert units("CUSTOM", unit_type="pages", quantity=5, image_count=0, duration_seconds="0") == pages
    assert read(image_count=0, duration_seconds=0.0, quantity=None) == read()
    call = units("API_CALL")
    assert (call.unit, call.quantity_nano) == ("call", NANO)


def test_both_casings_and_any_case_of_kind_and_provider_are_the_same_event() -> None:
    camels = {camel(name): value for name, value in TOKENS.items()}
    for kind in ("token_usage", "Token-Usage", "TOKEN USAGE"):
        for provider in ("openai", "OpenAI"):
            said = {**camels, "eventType": kind, "provider": provider}
            assert digest_of(event_of(said, WINDOW)) == digest_of(read())
    assert {camel(name) for name in MEMBERS.values()} <= MEMBERS.keys()


def test_parts_of_the_tokens_fall_into_their_own_buckets_and_never_count_twice() -> None:
    event = read(cached_input_tokens=300, cache_write_tokens=100, reasoning_tokens=200)
    assert event.usage == Usage(input=600, cache_read=300, cache_write_5m=100, output=300, reasoning=200)
    assert event.usage.tokens_total == 1500
    assert reason({**TOKENS, "cached_input_tokens": 1001}) == "invalid_tokens"


def test_the_digest_leaves_out_when_it_happened_and_the_idempotency_key_and_nothing_else() -> None:
    assert digest_of(read(timestamp="2026-10-30T00:00:00+02:00", idempotency_key="k")) == digest_of(read())
    changes: list[dict[str, Any]] = [
        {"user_id": "x"}, {"model": "x"}, {"provider": "x"}, {"feature_id": "x"}, {"team_id": "x"}, {"input_tokens": 1001},
        {"output_tokens": 501}, {"reasoning_tokens": 1}, {"cached_input_tokens": 1}, {"metadata": {"a": "b"}},
        {"cache_write_tokens": 1}, {"audio_input_tokens": 1}, {"image_input_tokens": 1}, {"audio_output_tokens": 1},
        {"image_output_tokens": 1}, {"processing": "batch"}, {"processing": "flex"},
    ]  # fmt: skip
    assert len({digest_of(read(**change)) for change in [{}, *changes]}) == len(changes) + 1


def test_an_event_says_how_its_provider_handled_it_in_the_vendors_words() -> None:
    said = {
        word: read(processing=word).processing for word in ("standard", "default", "batch", "FLEX", "priority", "fast")
    }
    assert said == {
        "standard": "standard", "default": "standard", "batch": "batch", "FLEX": "flex", "priority": "priority", "fast": "fast",
    }  # fmt: skip
    assert read(service_tier="batch") == read(serviceTier="batch") == read(processing="batch")
    assert digest_of(read(processing="default")) == digest_of(read())
    for wrong in ("auto", "scale", "", "turbo", 1, True, ["batch"]):
        assert reason({**TOKENS, "processing": wrong}) == "invalid_processing"
    image = {"event_id": "e", "user_id": "u", "event_type": "IMAGE_GENERATION", "model": "m"}
    assert reason({**image, "processing": "priority"}) == "invalid_processing"
    assert event_of({**image, "processing": "standard"}, WINDOW).processing == "standard"


NO_TOKENS: list[Any] = [-1, 1.0, "1000", True, [], TOKENS_MAX + 1]
WRONG: list[tuple[str, Any]] = [
    ("invalid_event", 7),
    ("invalid_event", None),
    ("invalid_event", ["a"]),
    ("missing_event_id", {name: value for name, value in TOKENS.items() if name != "event_id"}),
    ("invalid_event_id", {**TOKENS, "event_id": ""}),
    ("invalid_event_id", {**TOKENS, "event_id": 5}),
    ("invalid_event_id", {**TOKENS, "event_id": "x" * (ID_CHARS_MAX + 1)}),
    ("invalid_event_id", {**TOKENS, "event_id": "a\x00b"}),
    ("invalid_event_id", {**TOKENS, "event_id": "a\nb"}),
    ("invalid_event_id", {**TOKENS, "event_id": "a\ud800"}),
    ("missing_user_id", {name: value for name, value in TOKENS.items() if name != "user_id"}),
    ("invalid_user_id", {**TOKENS, "user_id": "x" * 201}),
    ("invalid_user_id", {**TOKENS, "user_id": {"$ne": ""}}),
    ("unknown_type", {**TOKENS, "event_type": "FREE_LUNCH"}),
    ("unknown_type", {**TOKENS, "event_type": None}),
    ("unknown_member", {**TOKENS, "input_token": 5}),
    ("ambiguous_member", {**TOKENS, "inputTokens": 1000}),
    ("missing_model", {**TOKENS, "model": None}),
    ("missing_model", {**TOKENS, "provider": None}),
    ("missing_quantity", {**TOKENS, "input_tokens": None, "output_tokens": None}),
    *[("invalid_tokens", {**TOKENS, "input_tokens": wrong}) for wrong in NO_TOKENS],
    ("invalid_tokens", {**TOKENS, "output_tokens": math.nan}),
    ("invalid_source", {**TOKENS, "source": "gateway"}),
    ("invalid_timestamp", {**TOKENS, "timestamp": "2026-11-01T09:00:00"}),
    ("invalid_timestamp", {**TOKENS, "timestamp": "yesterday"}),
    ("invalid_timestamp", {**TOKENS, "timestamp": 1_793_523_600}),
    ("timestamp_in_future", {**TOKENS, "timestamp": "2026-11-01T09:05:01Z"}),
    ("timestamp_too_old", {**TOKENS, "timestamp": "2026-09-27T08:59:59Z"}),
    ("invalid_metadata", {**TOKENS, "metadata": "x"}),
    ("invalid_metadata", {**TOKENS, "metadata": {"x": "y" * 4096}}),
    ("invalid_metadata", {**TOKENS, "metadata": {str(n): "" for n in range(33)}}),
    ("invalid_metadata", {**TOKENS, "metadata": {"x": "\x00"}}),
    ("invalid_event", {**TOKENS, "event_type": "CUSTOM", "unit_type": "pages", "quantity": 5}),
    *[("invalid_event", {**TOKENS, name: 1}) for name in ("image_count", "duration_seconds", "quantity")],
    *[
        (f"invalid_{name}", {**TOKENS, name: wrong})
        for name in ("customer_id", "image_size", "resolution", "quality", "unit_type")
        for wrong in ("x" * 201, {"x": 1}, 5)
    ],
]
UNITS: dict[str, Any] = {
    **{n: TOKENS[n] for n in ("event_id", "user_id")},
    "event_type": "CUSTOM",
    "unit_type": "pages",
}
NO_QUANTITY: list[Any] = [

        0, -1, "0", "-5", math.nan, math.inf, "NaN", "Infinity", "1e999999999", "1e-10", "1_000", " 5", True, [], {}, "",
        QUANTITY_MAX + 1, "9" * 41,

]  # fmt: skip
WRONG += [("invalid_quantity", {**UNITS, "quantity": wrong}) for wrong in NO_QUANTITY]
WRONG += [
    ("missing_quantity", UNITS),
    ("missing_unit_type", {**UNITS, "unit_type": None, "quantity": 5}),
    ("invalid_unit_type", {**UNITS, "unit_type": "x" * 65, "quantity": 5}),
    ("missing_quantity", {**UNITS, "event_type": "VIDEO_GENERATION", "unit_type": None}),
    ("invalid_quantity", {**UNITS, "event_type": "IMAGE_GENERATION", "image_count": 1, "quantity": 1}),
    ("invalid_quantity", {**UNITS, "event_type": "IMAGE_GENERATION", "image_count": 1, "duration_seconds": 2.5}),
    ("invalid_quantity", {**UNITS, "event_type": "API_CALL", "unit_type": None, "image_count": "7"}),
    ("invalid_quantity", {**UNITS, "quantity": 1, "image_count": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "element"), WRONG)
def test_an_element_that_is_wrong_says_why(wanted: str, element: object) -> None:
    assert reason(element) == wanted


def test_the_bounds_of_time_and_size_themselves_are_taken() -> None:
    assert read(timestamp="2026-11-01T09:05:00Z").occurred_us == NOW_US + 300_000_000
    assert read(timestamp="2026-09-27T09:00:00Z").occurred_us == NOW_US - 35 * DAY_US
    assert read(event_id="é" * ID_CHARS_MAX, input_tokens=TOKENS_MAX).usage.input == TOKENS_MAX
    assert read(timestamp="2026-11-01t09:05:00z").occurred_us == NOW_US + 300_000_000
    assert units("CUSTOM", unit_type="p", quantity=QUANTITY_MAX).quantity_nano == QUANTITY_MAX * NANO
    assert units("CUSTOM", unit_type="p", quantity="0.000000001").quantity_nano == 1
    assert event_of({name: said for name, said in TOKENS.items() if name != "timestamp"}, WINDOW).occurred_us == NOW_US


ENVELOPE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "ce-1",
    "source": "/billing/eu",
    "type": "com.example.token_usage.v1",
    "time": "2026-11-01T08:00:00.123456Z",
    "subject": "user-9",
    "datacontenttype": "application/json; charset=utf-8",
    "traceparent": "an extension that nobody here needs",
    "data": {"provider": "openai", "model": "gpt-4o", "input_tokens": 10, "output_tokens": 5},
}


def test_a_cloudevent_is_the_event_in_its_data_with_the_envelopes_identity_time_and_kind() -> None:
    event = event_of(ENVELOPE, WINDOW)
    assert (event.id, event.source, event.user_id, event.kind) == ("ce-1", "/billing/eu", "user-9", "TOKEN_USAGE")
    assert event.occurred_us == NOW_US - 3600_000_000 + 123_456
    beside = {**ENVELOPE, "data": {**ENVELOPE["data"], "eventId": "no", "source": "no", "userId": "user-1"}}
    assert (event_of(beside, WINDOW).id, event_of(beside, WINDOW).user_id) == ("ce-1", "user-1")
    assert (
        event_of({**ENVELOPE, "type": "x", "data": {**ENVELOPE["data"], "event_type": "TOKEN_USAGE"}}, WINDOW) == event
    )
    encoded = {name: said for name, said in ENVELOPE.items() if name != "data"}
    encoded["data_base64"] = b64encode(orjson.dumps(ENVELOPE["data"])).decode()
    assert event_of(encoded, WINDOW) == event


def test_a_binary_message_is_the_same_event_as_the_structured_one() -> None:
    headers = {f"ce-{name}": str(ENVELOPE[name]) for name in ("specversion", "id", "source", "type", "time", "subject")}
    headers |= {"ce-subject": "user%2D9", "content-type": "application/json", "host": "x"}
    assert is_binary(headers)
    assert not is_binary({"content-type": "application/json"})
    assert event_of(from_binary(headers, ENVELOPE["data"]), WINDOW) == event_of(ENVELOPE, WINDOW)


def test_a_header_is_freed_of_quotes_and_percent_decoded_once_and_must_be_utf_8() -> None:
    told = {
        "Euro%20%E2%82%AC%20%f0%9f%98%80": "Euro € 😀", '"evt 1"': "evt 1", r'"a\"b\\c"': 'a"b\\c', "%2541": "%41",
        '"%41"': "A", 'a"b"': 'a"b"',
    }  # fmt: skip
    for value, wanted in told.items():
        assert from_binary({"ce-id": value}, {}) == {"id": wanted, "data": {}}
    for broken in ("%ff", "%C0%A0", "a%E2%82"):
        with pytest.raises(Rejected, match="ce-id"):
            from_binary({"ce-id": broken}, {})


@pytest.mark.parametrize("media", ["application/cloudevents+json", "Application/CloudEvents-Batch+JSON; charset=utf-8"])
def test_a_message_of_envelopes_is_never_binary_though_it_may_have_the_same_headers(media: str) -> None:
    assert not is_binary({"ce-specversion": "1.0", "ce-id": "ce-1", "content-type": media})
    assert is_binary({"ce-specversion": "1.0", "ce-id": "ce-1", "content-type": "application/json"})


def test_an_attribute_that_is_null_is_as_good_as_absent() -> None:
    nulls = dict.fromkeys(["data_base64", "datacontenttype", "time", "dataschema"])
    bare = {name: said for name, said in ENVELOPE.items() if name not in nulls}
    assert event_of({**ENVELOPE, **nulls}, WINDOW) == event_of(bare, WINDOW)
    beside = {**bare, "subject": None, "data": {**ENVELOPE["data"], "timestamp": ENVELOPE["time"], "user_id": "user-9"}}
    assert event_of({**beside, "time": None}, WINDOW) == event_of(ENVELOPE, WINDOW)


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"}, {"specversion": None}, {"specversion": 1.0}, {"id": ""}, {"id": 5}, {"source": ""},
        {"type": None}, {"data": "x"}, {"data": None}, {"datacontenttype": "text/xml"}, {"datacontenttype": 5},
        {"data_base64": "!"}, {"data_base64": 5}, {"data_base64": "bm8="},
    ],
)  # fmt: skip
def test_a_cloudevent_that_is_none_is_rejected(change: dict[str, Any]) -> None:
    assert reason({**ENVELOPE, **change}) == "invalid_cloudevent"


def test_a_cloudevent_of_an_unknown_type_without_a_kind_in_its_data_is_rejected() -> None:
    assert reason({**ENVELOPE, "type": "com.example.something"}) == "unknown_type"


def test_a_batch_keeps_the_first_of_each_identity_and_answers_each_place() -> None:
    other = {**TOKENS, "source": "elsewhere"}
    changed = {**TOKENS, "input_tokens": 1}
    batch = Batch([TOKENS, 5, {**TOKENS, "timestamp": "2026-10-31T00:00:00Z"}, other, changed], WINDOW)
    assert list(batch.events) == [0, 3]
    assert batch.verdicts[1].reason == "invalid_event"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(sorted(MEMBERS)) | st.text(), JSON, max_size=8) | JSON)
def test_whatever_json_comes_is_an_event_or_rejected_with_a_reason(element: object) -> None:
    try:
        event = event_of(element, WINDOW)
    except Rejected:
        return
    assert event.kind in KINDS


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(MEMBERS.values(), JSON)))
def test_a_sound_event_with_anything_in_one_member_is_an_event_or_rejected(change: dict[str, Any]) -> None:
    for name, value in change.items():
        try:
            event = event_of({**TOKENS, name: value}, WINDOW)
        except Rejected:
            continue
        assert event_of(
            {**event.said, "timestamp": "2026-11-01T08:59:00Z"}, WINDOW
        ).said.keys() == event.said.keys() | {"timestamp"}
