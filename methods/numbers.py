"""The rule of numbers in parameters: a JSON number and nothing else. It is applied once, in the base of all parameters.

`true` would else be 1 and `"5"` be 5 (pydantic's lax mode). 5.0 stays an integer, as JSON Schema has it (2020-12, section 6.1.1).
"""

from typing import Any, Final

from pydantic_core import PydanticCustomError, core_schema

# Any: pydantic's core schemas are nested dicts, and parameters are JSON that nobody has looked at.

_PROBLEMS: Final = {"int": "Input should be a valid integer", "float": "Input should be a valid number"}
_OPAQUE: Final = frozenset({"default", "expected", "metadata", "serialization"})
"""Members of a schema that hold no schema to validate by."""
_NAMED: Final = frozenset({"choices", "fields"})
"""Members that hold schemas by names of the model's own."""


def numbers_only(schema: Any) -> None:
    """Make every integer and float in a schema refuse what is no JSON number. What it only refers to is left as it is."""
    for key, inner in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if key in _NAMED and isinstance(inner, dict):
            for name in inner:
                _tighten(inner, name)
        elif key not in _OPAQUE:
            _tighten(schema, key)


def _tighten(holder: Any, key: Any) -> None:
    inner = holder[key]
    if isinstance(inner, dict) and inner.get("type") in _PROBLEMS:
        holder[key] = _strict(inner)
    elif isinstance(inner, dict | list):
        numbers_only(inner)


def _strict(schema: Any) -> core_schema.CoreSchema:
    problem = PydanticCustomError(f"{schema['type']}_type", _PROBLEMS[schema["type"]])

    def check(value: Any) -> Any:
        if type(value) is int or type(value) is float:
            return value
        raise problem

    return core_schema.no_info_before_validator_function(check, schema)
