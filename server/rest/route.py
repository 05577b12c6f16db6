"""A route of the REST facades: which request asks which method, and how both sides are spelled. Nothing is served here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from server.rest.shapes import JsonObject, Same, Shape

Verb = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Family = Literal["openmonetize", "credits"]
"""Whose errors it speaks: `{error, message, details?}`, or `{success: false, error, message}`."""
BODIED: Final = frozenset({"POST", "PUT", "PATCH"})
CUSTOMER: Final = frozenset({"customerId"})
"""OpenMonetize's name of the tenant, which the credential says here."""
_NAMED: Final = re.compile(r"(?<![\w.])\w+(?=[:.]|$)")
_SNAKE: Final = re.compile(r"[a-z0-9]+(_[a-z0-9]+)+")
_SLOT: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Sample:
    """A request for the OpenAPI document; the tests send it."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One row of the table."""

    verb: Verb
    path: str
    """With `{names}` for the parts that are parameters."""
    method: str
    """The method's name."""
    shape: Shape = field(default_factory=Same)
    status: int = 200
    also: frozenset[int] = frozenset()
    """Other statuses of the same answer; only a door of its own knows when."""
    files: tuple[str, ...] = ()
    """Media types of an answer that is a file instead of JSON."""
    bodies: Mapping[str, JsonObject] = field(default_factory=dict)
    """Media types of other bodies that it takes, and what they hold."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Names of the request → parameters of the method. What stands in neither goes by its own name in camelCase."""
    set: Mapping[str, object] = field(default_factory=dict)
    """Parameters that the route itself says; a request cannot say them."""
    default: Mapping[str, object] = field(default_factory=dict)
    """Parameters for a request whose body or query is empty."""
    ignored: frozenset[str] = frozenset()
    """Members taken for compatibility and looked at by nobody; which tenant it is comes from the credential."""
    has_own_door: bool = False
    """Described here and served elsewhere."""
    sample: Sample = field(default_factory=Sample)

    @property
    def family(self) -> Family:
        """By its path."""
        return "credits" if self.path.startswith("/api/credits") else "openmonetize"

    @property
    def slots(self) -> list[str]:
        """The names of the parts of the path that are parameters."""
        return _SLOT.findall(self.path)

    def param(self, name: str) -> str:
        """The method's parameter for a name of the request, in either casing."""
        camel = camel_of(name)
        return self.renamed.get(camel, camel)

    def spoken(self, text: str) -> str:
        """A path, or a message that begins with one, in the request's own names: `pricePaid: ...` as `purchasePrice: ...`."""
        names = {param: name for name, param in self.renamed.items()}
        return _NAMED.sub(lambda found: names.get(found[0], found[0]), text)


def camel_of(name: str) -> str:
    """`input_tokens` as `inputTokens`; what is in camelCase or in neither stays."""
    if _SNAKE.fullmatch(name) is None:
        return name
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)
