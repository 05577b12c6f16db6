"""Kinds of values that settings have, what sections share and references `env:NAME` and `file:PATH`. No setting is named here."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, get_args  # Any: TOML before it is checked
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

_FILE_BYTES_MAX = 65_536
_SCALE = 9


class Section(BaseModel):
    """What all sections share: unknown keys are refused, nothing changes later, no error repeats a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_flag(cls, value: Any, info: ValidationInfo) -> Any:
        """True would count as 1: `violations_max = true` would block whoever is too fast once."""
        kind = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and bool not in (kind, *get_args(kind)):
            raise ValueError("is neither on nor off; give a value as in config.example.toml")
        return value


def _exact(value: object) -> object:
    if isinstance(value, (float, bool)):
        raise ValueError('money and percentages are exact; write the number as a string, like "0.25"')  # noqa: TRY004  # pydantic turns only ValueErrors into errors with a place
    return value


def _nano(value: Decimal) -> Decimal:
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > _SCALE:
        raise ValueError(f"has more than {_SCALE} digits after the point; round it")
    return value


Exact = Annotated[
    Decimal, BeforeValidator(_exact), AfterValidator(_nano), Field(ge=0, le=1_000_000_000, allow_inf_nan=False)
]
"""A decimal of at most nine places, never a float."""
Percent = Annotated[Exact, Field(le=100)]


def _list(value: object) -> object:
    """Lists may be said in an environment variable as JSON or with commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _named(values: tuple[str, ...]) -> tuple[str, ...]:
    if any(not value.strip() for value in values):
        raise ValueError("holds an empty entry; remove it")
    return values


Names = Annotated[tuple[str, ...], BeforeValidator(_list), AfterValidator(_named)]


def _not_empty(value: object) -> object:
    if value == "":
        raise ValueError("is empty; give a value, or remove the key")
    return value


def _folder(value: Path) -> Path:
    try:
        with os.scandir(value):
            return value
    except OSError as wrong:
        raise ValueError(f"{(wrong.strerror or 'unreadable').lower()}; give a readable folder") from None


Folder = Annotated[Path, BeforeValidator(_not_empty), AfterValidator(_folder)]
"""A folder that can be read now."""


def header_value(value: SecretStr) -> SecretStr:
    """A value as it can stand in a header. Raises: ValueError."""
    said = SecretStr(value.get_secret_value().strip())
    if not (said.get_secret_value().isascii() and said.get_secret_value().isprintable()):
        raise ValueError("is sent as a header, so it must be one line of printable ASCII characters")
    return said


HeaderValue = Annotated[SecretStr, AfterValidator(header_value)]
"""A secret that is sent in a header. Space around it, such as the line end of its file, is no part of it."""


_OUR_HEADERS = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "traceparent"}
    | {"transfer-encoding", "x-request-id"}
)
_KEY_HEADERS = frozenset({"api-key", "authorization", "cookie", "proxy-authorization", "x-api-key", "x-goog-api-key"})


def _header_name(name: str) -> str:
    said = name.lower()
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9a-z-]+", said):
        raise ValueError("is no name of a header")
    if said in _OUR_HEADERS:
        raise ValueError("is set by the server itself; remove it")
    if said in _KEY_HEADERS:  # else it would go along with the keys of others
        raise ValueError("carries a credential; give it as api_key")
    return said


HeaderName = Annotated[str, AfterValidator(_header_name)]
"""In lower case, so that no name is sent twice."""


def has_port(url: str) -> bool:
    """Whether the port of an address is a number, or not said."""
    try:
        return urlsplit(url).port != -1
    except ValueError:
        return False


def nano(value: Decimal) -> int:
    """The exact value in nano units (scale 9)."""
    return int(value.scaleb(_SCALE))


def walk(tree: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every leaf of a tree of tables with its path."""
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from walk(value, (*path, str(key)))
    elif path:
        yield path, tree


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two trees of tables as one; `over` wins leaf by leaf."""
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


class References:
    """Replaces `env:NAME` and `file:PATH` by what they mean."""

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self._environ = environ
        self._folder = folder

    def resolve(self, value: object) -> object:
        """The tree with every reference replaced. Raises: LookupError with a path and a problem."""
        return self._at((), value)

    def _at(self, path: tuple[str, ...], value: object) -> object:
        if isinstance(value, Mapping):
            return {key: self._at((*path, str(key)), below) for key, below in value.items()}
        if isinstance(value, list):
            return [self._at(path, item) for item in value]
        if isinstance(value, str) and value.startswith("env:"):
            return self._variable(path, value.removeprefix("env:"))
        if isinstance(value, str) and value.startswith("file:"):
            return self._content(path, value.removeprefix("file:"))
        return value

    def _variable(self, path: tuple[str, ...], name: str) -> str:
        value = self._environ.get(name, "").strip()
        if not value:
            raise MissingReference(path, f"environment variable {name!r} is not set; set it, or remove this key")
        return value

    def _content(self, path: tuple[str, ...], name: str) -> str:
        try:
            with (self._folder / name).open("rb") as source:
                content = source.read(_FILE_BYTES_MAX + 1)
            text = content.decode("utf-8").strip()
        except (OSError, ValueError) as wrong:
            problem = (wrong.strerror or "unreadable").lower() if isinstance(wrong, OSError) else "not UTF-8 text"
            raise MissingReference(path, f"file {name!r}: {problem}; give a readable file") from None
        if not text or len(content) > _FILE_BYTES_MAX:
            raise MissingReference(
                path, f"file {name!r} is empty or larger than {_FILE_BYTES_MAX} bytes; check the path"
            )
        return text


class MissingReference(Exception):
    """A reference that means nothing: where it stands, and why."""

    def __init__(self, path: tuple[str, ...], problem: str) -> None:
        super().__init__(problem)
        self.path = path
        self.problem = problem


def from_json(text: str) -> object:
    """A value said as JSON; the text itself when it is no JSON, so that the setting's own type says what is wrong."""
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:
        return text
