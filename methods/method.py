"""A method: its name, types, terms and handler. Tables of these are the whole catalog; there is no decorator."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, Final, get_type_hints

import orjson
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

from methods.context import Context, Services
from methods.errors import Forbidden, InvalidParams, Unauthenticated
from methods.numbers import numbers_only
from monetization.callers import Caller, Secret
from monetization.roles import Scope
from monetization.tab import Receipt
from monetization.terms import FREE, Most, Terms
from storage.errors import Fault

_PROBLEMS_MAX: Final = 1000
"""Problems that are looked at; telling what is wrong with 300,000 unknown names would take seconds."""
_NAME_CHARS_MAX: Final = 128


class Params(BaseModel):
    """Parameters of a method: strict about names, so that a typed editor finds a misspelling at once."""

    # Validators are built when a method is first called: most methods of most servers never are, and all take 4 MB.
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, allow_inf_nan=False, defer_build=True
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """As pydantic makes it, with numbers that only numbers are; see `methods.numbers`."""
        schema = handler(source)
        numbers_only(handler.resolve_ref_schema(schema))
        return schema

    @property
    def own_key(self) -> Secret | None:
        """The caller's own provider key, where the method takes one."""
        return None


class NoParams(Params):
    """No parameters."""


class Result(BaseModel):
    """What a method gives back. Members that are None are left out on the wire."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, defer_build=True)
    keeps_null: ClassVar[bool] = False

    def to_wire(self) -> bytes:
        """JSON with wire names; NaN and infinity become null (RFC 8259 has no word for them)."""
        return self.__pydantic_serializer__.to_json(self, by_alias=True, exclude_none=not self.keeps_null)


Answer = Result | Mapping[str, object]


def to_wire(answer: Answer) -> bytes:
    """A result as JSON."""
    return answer.to_wire() if isinstance(answer, Result) else orjson.dumps(answer)


class Access(Enum):
    """Who may call a method at all; the configuration may open it (`public_methods`) or close it (`require_auth`)."""

    PUBLIC = "public"
    """Anybody, without a credential."""
    OPTIONAL = "optional"
    """Anybody; a credential changes what happens."""
    REQUIRED = "required"
    """Only with a credential."""


@dataclass(frozen=True, slots=True)
class Example:
    """One exchange for the OpenRPC document; the tests send it."""

    name: str
    params: Mapping[str, object]
    result: object


@dataclass(frozen=True, slots=True)
class Tool:
    """How agents see a method that is offered to them (the Model Context Protocol's `ToolAnnotations`)."""

    title: str
    """For people."""
    is_read_only: bool = True
    """It changes nothing; asked again, it only reads again."""
    is_open_world: bool = False
    """It reaches beyond this server."""
    hides: tuple[str, ...] = ()
    """Parameters that agents are not offered: credentials, what their transport says itself, other names for the same."""


# Handlers take their own Params subclass; a table of them has no narrower common type than Any.
Handler = Callable[[Context, Any], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Method:
    """Something that can be called."""

    name: str
    handler: Handler
    access: Access = Access.REQUIRED
    terms: Terms = FREE
    aliases: tuple[str, ...] = ()
    scope: Scope | None = None
    """What the caller must be allowed to do; `monetization/roles.py` says which roles allow it. None: nobody may call it."""
    faults: tuple[type[Fault], ...] = ()
    examples: tuple[Example, ...] = ()
    tool: Tool | None = None
    """None: it is no tool for agents."""
    streams: bool = False
    """True: it reports progress before its result, so `stream` makes sense."""
    most: Callable[[Services, Any], Most] | None = None
    """The most that one call can cause; set exactly for metered methods."""
    present: Callable[[Any, Receipt], Answer] | None = None
    """Adds the closed tab's figures to the result."""
    like: str | None = None
    """Of a method that only a door calls: the public method that does the same, whose gates it shares."""
    params_type: type[Params] = field(init=False)
    result_type: Any = field(init=False)
    gate: str = field(init=False)
    """Under which name the configuration asks something of its callers."""

    def __post_init__(self) -> None:
        hints = get_type_hints(self.handler)
        names = list(inspect.signature(self.handler).parameters)
        object.__setattr__(self, "params_type", hints[names[1]])
        object.__setattr__(self, "result_type", hints["return"])
        object.__setattr__(self, "gate", self.like or self.name)
        assert self.terms.is_metered == (self.most is not None), (
            f"{self.name}: metered methods say their most, others do not"
        )

    def authorize(self, caller: Caller, access: Access) -> None:
        """Refuse a caller who may not call this at all. Raises: Unauthenticated, Forbidden."""
        if access is Access.REQUIRED and caller.kind == "anonymous":
            raise Unauthenticated(
                f"{self.name} needs a credential; send 'Authorization: Bearer <token>'", reason="credential_required"
            )
        if self.scope is None or not caller.may(self.scope):
            raise Forbidden(
                f"{self.name} needs the scope {self.scope!r}, which this credential does not have",
                reason="scope_required",
                data={"scope": self.scope},
            )

    def parse(self, params: object) -> Params:
        """Bind by name or by position and validate. Raises: InvalidParams, listing path and problem, never the value."""
        given = self._by_name(params)
        try:
            return self.params_type.model_validate(given)
        except ValidationError as wrong:
            raise _invalid(wrong, given) from None

    def shown(self, answer: Any, receipt: Receipt | None) -> Answer:
        """The answer with the closed tab's figures, where the method shows them."""
        shown: Answer = self.present(answer, receipt) if self.present is not None and receipt is not None else answer
        return shown

    def _by_name(self, params: object) -> dict[str, object]:
        if params is None:
            return {}
        if isinstance(params, dict):
            return params
        assert isinstance(params, list), "the codec lets only objects and arrays through"
        names = [f.alias or name for name, f in self.params_type.model_fields.items()]
        if len(params) > len(names):
            raise InvalidParams(f"{self.name} takes at most {len(names)} positional parameters, got {len(params)}")
        return dict(zip(names, params, strict=False))


def _invalid(wrong: ValidationError, given: object) -> InvalidParams:
    if wrong.error_count() > _PROBLEMS_MAX:
        return InvalidParams(f"the parameters have {wrong.error_count()} problems; rpc.discover describes them")
    problems = [
        {"path": _path(error["loc"], given, is_missing=error["type"] == "missing"), "problem": error["msg"]}
        for error in wrong.errors(include_url=False, include_input=False, include_context=False)[:20]
    ]
    detail = "; ".join(f"{problem['path']}: {problem['problem']}" for problem in problems[:5])
    return InvalidParams(detail, data={"errors": problems})


def _path(location: tuple[int | str, ...], given: object, *, is_missing: bool) -> str:
    """Where in the parameters; names that the caller made up are repeated in bounds.

    The validator also names which of several forms it tried; whoever sent the parameters knows only of what they sent.
    """
    steps: list[int | str] = []
    for at, step in enumerate(location):
        members = dict(enumerate(given)) if isinstance(given, list) else given
        if isinstance(members, dict) and step in members:
            given = members[step]
        elif not (is_missing and at == len(location) - 1):
            continue
        steps.append(step)
    return ".".join(str(step)[:_NAME_CHARS_MAX] for step in steps) or "params"
