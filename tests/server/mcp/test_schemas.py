"""The schemas of tools: what is left in them, and that what they say is what the methods take."""

from collections.abc import Iterator
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types of its own
import pytest

from methods.all_methods import METHODS
from methods.method import Method
from server.mcp.schemas import input_schema, output_schema

TOOLS = [method for method in METHODS if method.tool is not None]
FOREIGN = {"title", "discriminator", "writeOnly", "oneOf", "examples", "nullable"}


def words(schema: Any, *, is_names: bool = False) -> Iterator[tuple[str, Any]]:
    """Every keyword with its value; names that somebody chose are no keywords."""
    if isinstance(schema, list):
        for inner in schema:
            yield from words(inner)
    elif isinstance(schema, dict):
        for name, inner in schema.items():
            if not is_names:
                yield name, inner
            yield from words(inner, is_names=not is_names and name in {"properties", "$defs"})


@pytest.mark.parametrize("method", TOOLS, ids=lambda method: method.name)
def test_schemas_hold_only_what_every_model_reads(method: Method) -> None:
    for schema in (input_schema(method), output_schema(method)):
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
        said = list(words(schema))
        assert not FOREIGN & {name for name, _ in said}
        pointed = {value for name, value in said if name == "$ref"}
        assert pointed == {f"#/$defs/{name}" for name in schema.get("$defs", {})}


@pytest.mark.parametrize("method", TOOLS, ids=lambda method: method.name)
def test_the_examples_of_a_method_fit_its_tool(method: Method) -> None:
    hidden = set() if method.tool is None else {path.partition(".")[0] for path in method.tool.hides if "." not in path}
    for example in method.examples:
        if hidden & example.params.keys() or "apiKey" in str(example.params) or "stream" in str(example.params):
            continue
        jsonschema.validate(dict(example.params), input_schema(method))


def test_a_parameter_that_may_be_left_out_is_not_also_null() -> None:
    (method,) = [method for method in TOOLS if method.name == "getUsageHistory"]
    schema = input_schema(method)
    assert "null" not in str(schema["properties"]["cursor"])
    assert "cursor" not in schema.get("required", ())


def test_a_tool_without_parameters_takes_none() -> None:
    (method,) = [method for method in TOOLS if method.name == "listTiers"]
    assert input_schema(method) == {"type": "object", "properties": {}, "additionalProperties": False}


def test_hidden_parameters_take_their_definitions_along() -> None:
    (method,) = [method for method in TOOLS if method.name == "executeAIRequest"]
    schema = input_schema(method)
    assert not {"stream", "apiKey", "userId", "provider"} & schema["properties"].keys()
    options = schema["$defs"]["Options"]["properties"]
    assert {"provider", "model"} <= options.keys()
    assert not {"stream", "apiKey"} & options.keys()
