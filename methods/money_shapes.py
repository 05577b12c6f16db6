"""What methods about money share: whose account it is, and amounts and instants between JSON and the books. No method here."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import AwareDatetime, Field, StrictFloat, StrictInt

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from monetization.periods import iso
from monetization.price_setting import Author
from monetization.roles import Scope
from storage.records.money import NEVER_US, from_text, scale_of, to_text

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS_MAX: Final = 40
_LABELS_BYTES_MAX: Final = 4_096

Asset = Literal["TOKEN", "CREDIT", "USD"]
_PRINTABLE: Final = r"^[^\x00-\x1f\x7f]*$"
"""No control characters: no log, no header and not every database takes them."""
UserId = Annotated[str, Field(min_length=1, max_length=200, pattern=_PRINTABLE)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=_PRINTABLE)]
Reason = Annotated[str, Field(min_length=1, max_length=500)]
Key = Annotated[str, Field(min_length=1, max_length=200)]
Cursor = Annotated[str, Field(min_length=1, max_length=100)]
Limit = Annotated[int, Field(ge=1, le=500)]
Amount = Annotated[
    StrictInt | StrictFloat | Annotated[str, Field(max_length=_DIGITS_MAX, pattern=r"^-?\d+(\.\d+)?$")],
    Field(description="A decimal number; as a string it is exact."),
]
Instant = AwareDatetime
Metadata = Annotated[
    dict[Name, Any],  # Any: JSON of every shape
    Field(max_length=20, description="Labels of the sender's own; what is no text is kept as JSON."),
]


def user_of(context: Context, named: str | None, scope: Scope = "users:read") -> str:
    """Whose account a call is about: the caller's own, or for those with the scope the one that is named.

    Raises: Forbidden for anybody else who names another user, there or not; InvalidParams where nobody is named or known.
    """
    own = context.caller.user_id
    if named is None or named == own:
        if own is None:
            raise nobody(context)
        return own
    if not context.caller.may(scope):
        raise beyond(scope, "another user", "leave userId out")
    return named


def nobody(context: Context) -> InvalidParams:
    """The refusal of a call about the caller's own user where there is none."""
    if context.caller.is_organizations:
        return InvalidParams(
            f"this is about a user, and the key belongs to the organization {context.caller.organization_id!r} alone; "
            "send the credential of a user"
        )
    return InvalidParams("name the user as userId; this credential belongs to none")


def organization_alone(context: Context, user_id: str | None) -> str | None:
    """The organization that a call is about because its own key calls and names nobody. None: it is about a user."""
    return context.caller.organization_id if context.caller.is_organizations and user_id is None else None


def beyond(scope: Scope, whom: str, instead: str) -> Forbidden:
    """The refusal of a call about somebody else: one for those who exist and those who do not."""
    return Forbidden(
        f"a call about {whom} needs the scope {scope!r}; {instead}", reason="scope_required", data={"scope": scope}
    )


def actor_of(context: Context) -> str:
    """Who did it, for the audit."""
    return context.caller.user_id or context.caller.kind


def author_of(context: Context, reason: str | None) -> Author:
    """Who did it, and why."""
    return Author(actor_of(context), reason or "")


def amount_of(value: float | str, asset: str, name: str) -> int:
    """An amount of JSON in the asset's scale. Raises: InvalidParams for what is too fine or too large."""
    text = str(value)
    if len(text) > _DIGITS_MAX or "e" in text:
        raise InvalidParams(f"{name}: write the amount as a plain decimal string")
    try:
        return from_text(text, asset)
    except ValueError:
        places = scale_of(asset)
        kind = "a whole number" if not places else f"a decimal of at most {places} places"
        raise InvalidParams(f"{name}: an amount of {asset} is {kind} and must fit into an account") from None


def labels_of(metadata: Mapping[str, object] | None) -> dict[str, str]:
    """Metadata as labels: texts as they are, anything else as JSON. Raises: InvalidParams for too much of it."""
    said = metadata or {}
    labels = {name: one if isinstance(one, str) else orjson.dumps(one).decode() for name, one in said.items()}
    if len("".join([*labels, *labels.values()]).encode()) > _LABELS_BYTES_MAX:
        raise InvalidParams(f"metadata: may hold at most {_LABELS_BYTES_MAX} bytes")
    return labels


def above_zero(value: float | str, asset: str, name: str) -> int:
    """An amount that is more than nothing. Raises: InvalidParams."""
    amount = amount_of(value, asset, name)
    if amount <= 0:
        raise InvalidParams(f"{name}: must be above zero")
    return amount


def number(amount: int, asset: str) -> float:
    """An amount as the JSON number that the documents show; `to_text` gives the exact one."""
    scale = scale_of(asset)
    return amount / 10**scale if scale else amount


def text(amount: int, asset: str) -> str:
    """An amount as an exact decimal string."""
    return to_text(amount, asset)


def us_of(instant: datetime) -> int:
    """An instant in Unix microseconds."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def iso_or_none(at_us: int) -> str | None:
    """An instant as ISO 8601; None for never."""
    return None if at_us >= NEVER_US else iso(at_us)
