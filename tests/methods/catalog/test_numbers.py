"""A number in parameters is a JSON number: no method takes `true` or a text for one, wherever it stands."""

from collections.abc import Iterator
from typing import Any

import pytest

from methods.all_methods import METHODS
from methods.errors import InvalidParams
from methods.method import Method
from monetization.ingestion.events import Window, event_of
from monetization.ingestion.rejecting import Rejected

# Any: JSON Schemas and the JSON that is made from them.

DEPTH_MAX = 12
Path = tuple[str | int, ...]
KINDS = {"quantity": "API_CALL", "image_count": "IMAGE_GENERATION", "duration_seconds": "AUDIO_PROCESSING"}
"""Kinds of events that are counted by a member."""


def numbers_in(schema: Any, whole: Any, path: Path = ()) -> Iterator[tuple[Path, frozenset[str]]]:
    """Where numbers stand in the parameters, with all JSON types that are taken there."""
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    if len(path) > DEPTH_MAX:
        return
    types = frozenset(types_in(schema, whole))
    if types & {"integer", "number"}:
        yield path, types
    for name, inner in schema.get("properties", {}).items():
        yield from numbers_in(inner, whole, (*path, name))
    if isinstance(schema.get("items"), dict):
        yield from numbers_in(schema["items"], whole, (*path, 0))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from numbers_in(schema["additionalProperties"], whole, (*path, "x"))
    for word in ("anyOf", "oneOf"):
        for inner in schema.get(word, ()):
            if not set(types_in(inner, whole)) & {"integer", "number"}:
                yield from numbers_in(inner, whole, path)


def types_in(schema: Any, whole: Any) -> Iterator[str]:
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    if "type" in schema:
        yield schema["type"]
    for word in ("anyOf", "oneOf"):
        for inner in schema.get(word, ()):
            yield from types_in(inner, whole)


def placed(path: Path, value: object) -> Any:
    """The smallest JSON that has a value at a place."""
    for step in reversed(path):
        value = [value] if step == 0 else {step: value}
    return value


def is_rejected(name: str, value: object) -> bool:
    """Whether an event is rejected for what its member says: events are judged one by one, so a bad one is no bad parameter."""
    kind = KINDS.get(name, "TOKEN_USAGE")
    said = {"event_id": "e", "user_id": "u", "event_type": kind, "provider": "p", "model": "m", name: value}
    try:
        event_of(said, Window(now_us=10**15, future_us=1, late_us=1))
    except Rejected as rejected:
        return rejected.detail.startswith(f"{name}:")
    return False


def accused(method: Method, path: Path, value: object) -> bool:
    """Whether the parameters are refused for what stands at the place."""
    if method.name == "ingestEvents":
        return is_rejected(str(path[-1]), value)
    try:
        method.parse(placed(path, value))
    except InvalidParams as refused:
        problems: Any = refused.data["errors"]
        said = [error["path"].split(".") for error in problems]
        # A union's branch stands in the path as a step of its own, so the place is found by its steps in their order.
        return any(follows(steps, [str(step) for step in path]) for steps in said)
    return False


def follows(steps: list[str], wanted: list[str]) -> bool:
    left = iter(steps)
    return all(any(step == found for found in left) for step in wanted)


PLACES = [
    (method, path, types)
    for method in METHODS
    for schema in [method.params_type.model_json_schema(by_alias=True)]
    for path, types in numbers_in(schema, schema)
]


def test_there_are_many_numbers_and_some_of_them_stand_deep() -> None:
    assert len(PLACES) > 60
    assert {("calculations", 0, "inputTokens"), ("options", "maxTokens")} <= {path for _, path, _ in PLACES}


@pytest.mark.parametrize("wrong", [True, False, "5", "true"], ids=repr)
def test_no_method_takes_a_boolean_or_a_text_for_a_number(wrong: object) -> None:
    kind = "boolean" if isinstance(wrong, bool) else "string"
    taken = [
        (method.name, path) for method, path, types in PLACES if kind not in types and not accused(method, path, wrong)
    ]
    assert taken == []


def test_a_number_is_taken_where_it_belongs_also_one_that_ends_in_zeros() -> None:
    by_name = {method.name: method for method in METHODS}
    for limit in (5, 5.0):
        parsed: Any = by_name["getProviderPricing"].parse({"limit": limit})
        assert (parsed.limit, type(parsed.limit)) == (5, int)
    with pytest.raises(
        InvalidParams, match=r"limit: Input should be a valid integer, got a number with a fractional part"
    ):
        by_name["getProviderPricing"].parse({"limit": 5.5})
    with pytest.raises(InvalidParams, match=r"^limit: Input should be a valid integer$"):
        by_name["getProviderPricing"].parse([None, None, True])
