"""From a method's result to the answer of a route: pure projections, each of which also knows its own JSON Schema.

They move and rename members and compute nothing; a member that the result does not have is left out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias  # Any: results on the wire are JSON of every shape

JsonObject: TypeAlias = dict[str, Any]
Resolve: TypeAlias = Callable[[JsonObject], JsonObject]
"""A schema in the place of a reference to it."""


class Shape(Protocol):
    """One projection."""

    def show(self, result: Any) -> Any:
        """The answer for a result."""
        ...

    def schema(self, of: JsonObject, resolve: Resolve) -> JsonObject:
        """The schema of the answer, given that of the result."""
        ...


@dataclass(frozen=True, slots=True)
class Same:
    """The result as it is."""

    def show(self, result: Any) -> Any:
        """The same."""
        return result

    def schema(self, of: JsonObject, resolve: Resolve) -> JsonObject:
        """The same."""
        del resolve
        return of


@dataclass(frozen=True, slots=True)
class Pick:
    """An object of chosen members: name in the answer → name in the result, or a shape of the whole result."""

    members: "Mapping[str, str | Shape]"

    def show(self, result: Any) -> Any:
        """The members that are there."""
        shown: JsonObject = {}
        for name, source in self.members.items():
            if not isinstance(source, str):
                shown[name] = source.show(result)
            elif source in result:
                shown[name] = result[source]
        return shown

    def schema(self, of: JsonObject, resolve: Resolve) -> JsonObject:
        """An object of those members."""
        known = resolve(of).get("properties", {})
        members = {
            name: known.get(source, {}) if isinstance(source, str) else source.schema(of, resolve)
            for name, source in self.members.items()
        }
        return {"type": "object", "properties": members}


@dataclass(frozen=True, slots=True)
class At:
    """One member of the result, in a shape of its own."""

    source: str
    inner: Shape = field(default_factory=Same)

    def show(self, result: Any) -> Any:
        """It, or null where the result has none."""
        return self.inner.show(result[self.source]) if result.get(self.source) is not None else None

    def schema(self, of: JsonObject, resolve: Resolve) -> JsonObject:
        """That of the member."""
        return self.inner.schema(resolve(of).get("properties", {}).get(self.source, {}), resolve)


@dataclass(frozen=True, slots=True)
class Each:
    """Every element of a list, or every value of an object, in a shape."""

    inner: Shape

    def show(self, result: Any) -> Any:
        """All of them."""
        if isinstance(result, dict):
            return {name: self.inner.show(value) for name, value in result.items()}
        return [self.inner.show(element) for element in result]

    def schema(self, of: JsonObject, resolve: Resolve) -> JsonObject:
        """A list, or an object with names that the data chooses."""
        whole = resolve(of)
        if whole.get("type") == "object":
            inner = self.inner.schema(whole.get("additionalProperties", {}), resolve)
            return {"type": "object", "additionalProperties": inner}
        return {"type": "array", "items": self.inner.schema(whole.get("items", {}), resolve)}


@dataclass(frozen=True, slots=True)
class Only:
    """The first element of a list whose member is true, or null."""

    source: str

    def show(self, result: Any) -> Any:
        """That one."""
        return next((element for element in result if element.get(self.source)), None)

    def schema(self, of: JsonObject, resolve: Resolve) -> JsonObject:
        """An element or null."""
        return {"anyOf": [resolve(of).get("items", {}), {"type": "null"}]}


@dataclass(frozen=True, slots=True)
class Value:
    """A constant, such as `success: true`."""

    value: object

    def show(self, result: Any) -> Any:
        """It."""
        del result
        return self.value

    def schema(self, of: JsonObject, resolve: Resolve) -> JsonObject:
        """Exactly that."""
        del of, resolve
        return {"const": self.value}


@dataclass(frozen=True, slots=True)
class Data:
    """OpenMonetize's envelope: the answer in `data`."""

    inner: Shape = field(default_factory=Same)

    def show(self, result: Any) -> Any:
        """In its envelope."""
        return {"data": self.inner.show(result)}

    def schema(self, of: JsonObject, resolve: Resolve) -> JsonObject:
        """That of the envelope."""
        return {"type": "object", "properties": {"data": self.inner.schema(of, resolve)}, "required": ["data"]}


@dataclass(frozen=True, slots=True)
class Success:
    """The credits guide's envelope: `success`, and the answer in `data`."""

    inner: Shape = field(default_factory=Same)

    def show(self, result: Any) -> Any:
        """In its envelope."""
        return {"success": True, "data": self.inner.show(result)}

    def schema(self, of: JsonObject, resolve: Resolve) -> JsonObject:
        """That of the envelope."""
        members = {"success": {"const": True}, "data": self.inner.schema(of, resolve)}
        return {"type": "object", "properties": members, "required": ["success", "data"]}
