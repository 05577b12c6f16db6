"""What is said and shown of gateway keys: parameters, results, and a key without its secret. Nothing is decided here."""

from typing import Annotated, Any, Final, Literal  # Any: members of a result, which checks them

from pydantic import Field

from methods.method import Params, Result
from methods.money_shapes import Amount, Cursor, Instant, Key, Reason, UserId, iso_or_none, text
from methods.organizations import OrganizationId
from monetization.keys.minting import preview
from monetization.keys.records import KeyRecord, Status
from monetization.periods import iso
from storage.records.money import TOKEN, USD

OVERLAP_SECONDS: Final = 86_400
"""How long the secret before a rotation is accepted, unless the caller says otherwise."""
KeyId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Speed = Annotated[int, Field(ge=1, le=2**53 - 1)]


class KeyLimits(Params):
    """How fast a key may be, over all calls with it, on top of what its user may."""

    requests_per_minute: Speed | None = None
    tokens_per_minute: Speed | None = None
    concurrent_requests: Speed | None = None


class KeyBudget(Params):
    """What calls with a key may come to in a period."""

    resource: Literal["tokens", "requests", "cost"]
    """`cost` is what providers bill, in US dollars."""
    limit: Amount
    period: Literal["hourly", "daily", "monthly", "lifetime"] = "monthly"


class CreateKeyParams(Params):
    """What the key is for and what it may do. Everything is optional; what is left out is not narrowed."""

    name: Annotated[str, Field(max_length=100)] = ""
    user_id: UserId | None = None
    """Admins: for whom it acts. Absent: the caller."""
    organization_id: OrganizationId | None = None
    """For an organization alone, whose pool pays, and no user: made by its admins, or an operator's. Not with `userId`."""
    expires_at: Instant | None = None
    """Absent: never."""
    scopes: (
        Annotated[list[Annotated[str, Field(pattern=r"^[a-z][a-z0-9:._-]{0,63}$")]], Field(max_length=64)] | None
    ) = None
    """Absent: whatever the role of its user allows. Empty: only what is public. It never adds any."""
    models: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=100, default_factory=list)
    ]
    """Models or patterns such as `gpt-4*`. Empty: all of the tier."""
    limits: KeyLimits = KeyLimits()
    budgets: Annotated[list[KeyBudget], Field(max_length=8, default_factory=list)]
    reason: Reason | None = None
    idempotency_key: Key | None = None
    """A repetition with the same one makes no second key: it answers with the first, without its secret."""


class ListKeysParams(Params):
    """Whose keys."""

    user_id: UserId | None = None
    """Admins: whose. Absent: the caller's."""
    organization_id: OrganizationId | None = None
    """Those of an organization alone. For its admins, or an operator's."""
    all: bool = False
    """Admins: everybody's, in pages."""
    cursor: Cursor | None = None


class RotateKeyParams(Params):
    """Which key gets another secret."""

    key_id: KeyId
    overlap_seconds: Annotated[int, Field(ge=0, le=30 * 86_400)] = OVERLAP_SECONDS
    """How much longer the secret of now is accepted. 0: no longer."""
    reason: Reason | None = None


class RevokeKeyParams(Params):
    """Which key ends."""

    key_id: KeyId
    reason: Reason | None = None


class LimitsShown(Result):
    """How fast a key may be."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None


class BudgetShown(Result):
    """What calls with a key may come to in a period."""

    resource: str
    limit: str
    """Exact; `cost` in US dollars."""
    period: str


class KeyShown(Result):
    """A key without its secret."""

    key_id: str
    key_preview: str
    name: str
    status: Status
    user_id: str | None = None
    """Absent: it is the organization's alone."""
    organization_id: str | None = None
    scopes: list[str] | None = None
    models: list[str]
    limits: LimitsShown
    budgets: list[BudgetShown]
    created_at: str
    created_by: str
    expires_at: str | None = None
    rotated_at: str | None = None
    previous_valid_until: str | None = None
    """Until when the secret before the last rotation is accepted."""
    revoked_at: str | None = None


class IssuedKey(KeyShown):
    """A key with its secret."""

    api_key: str | None = None
    """Shown this once and never again; send it as `Authorization: Bearer`. Absent where an idempotency key is repeated: if the
    first answer was lost, `rotateApiKey` gives the key another secret."""


class KeysShown(Result):
    """Keys, those that ended in the last 30 days included."""

    keys: list[KeyShown]
    next_cursor: str | None = None


def members_of(record: KeyRecord, now: int) -> dict[str, Any]:
    """The members of a key without its secret. `now`: Unix microseconds."""
    holder, terms = record.holder, record.terms
    status = record.status(now)
    is_overlapping = record.previous_hash is not None and now < record.previous_until_us and status == "active"
    return {
        "key_id": record.id,
        "key_preview": preview(record.id),
        "name": terms.label,
        "status": status,
        "user_id": holder.user_id,
        "organization_id": holder.organization_id,
        "scopes": None if terms.scopes is None else list(terms.scopes),
        "models": list(terms.models),
        "limits": LimitsShown(
            requests_per_minute=terms.limits.get("rpm"),
            tokens_per_minute=terms.limits.get("tpm"),
            concurrent_requests=terms.limits.get("concurrent"),
        ),
        "budgets": [
            BudgetShown(
                resource=budget.resource,
                limit=text(budget.limit, USD if budget.resource == "cost" else TOKEN),
                period=budget.period,
            )
            for budget in terms.budgets
        ],
        "created_at": iso(record.created_us),
        "created_by": record.created_by,
        "expires_at": iso_or_none(terms.expires_us),
        "rotated_at": None if record.rotated_us is None else iso(record.rotated_us),
        "previous_valid_until": iso(record.previous_until_us) if is_overlapping else None,
        "revoked_at": None if record.revoked_us is None else iso(record.revoked_us),
    }
