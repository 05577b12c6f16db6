"""Gateway keys: `createApiKey`, `listApiKeys`, `rotateApiKey`, `revokeApiKey`.

A secret is shown once, in the answer that made it. Whoever shows a gateway key can end or rotate that key and no other, and can
make none: a narrowed key must not make itself a wider one. A secret that a rotation has replaced rotates nothing.
"""

from typing import Annotated, Any, Final, Literal  # Any: members of a result, which checks them

from pydantic import Field

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Params, Result
from methods.money_shapes import (
    Amount,
    Cursor,
    Instant,
    Key,
    Reason,
    UserId,
    above_zero,
    actor_of,
    beyond,
    iso_or_none,
    text,
    us_of,
    user_of,
)
from monetization.callers import Budget
from monetization.errors import KeysOff, TooManyKeys
from monetization.keys.desk import Issued
from monetization.keys.minting import preview
from monetization.keys.records import KeyHolder, KeyRecord, KeyTerms, Status
from monetization.periods import iso
from monetization.price_setting import Author
from monetization.roles import EVERY, TELLING
from storage.errors import IdempotencyConflict, NotFound, VersionChanged
from storage.records.money import NEVER_US, TOKEN, USD

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
    user_id: str
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


async def create_api_key(context: Context, params: CreateKeyParams) -> IssuedKey:
    """Make a key for programs. Its secret is in the answer and nowhere else."""
    caller, now = context.caller, _now(context)
    if caller.key_id is not None:
        raise Forbidden("a key makes no keys; use your own credential", reason="key_cannot_make_keys")
    user_id = user_of(context, params.user_id, "users:write")
    expires = NEVER_US if params.expires_at is None else us_of(params.expires_at)
    if expires <= now:
        raise InvalidParams("expiresAt lies in the past; name a later instant")
    narrowed = caller.scopes
    unknown = sorted(set(params.scopes or ()) - EVERY)
    if unknown:
        raise InvalidParams(f"scopes: there is no scope {unknown[0]!r}; there are {', '.join(sorted(EVERY))}")
    if narrowed is not None and not set(params.scopes or narrowed) <= narrowed:
        raise Forbidden("a key may do no more than the credential that makes it", reason="scope_required")
    if user_id == caller.user_id:
        features = tuple(sorted(caller.features))
        holder = KeyHolder(user_id, caller.organization_id, caller.email, caller.tier, features)
    else:
        holder = KeyHolder(user_id)
    scopes = params.scopes if params.scopes is not None or narrowed is None else sorted(narrowed)
    if TELLING in (scopes or ()) and not caller.may(TELLING):  # the one scope that a key has by itself
        raise Forbidden(f"a key with {TELLING!r} is made by those who have that scope", reason="scope_required")
    terms = KeyTerms(
        label=params.name,
        scopes=None if scopes is None else tuple(scopes),
        models=tuple(params.models),
        limits=_limits(params.limits),
        budgets=tuple(_budget(budget) for budget in params.budgets),
        expires_us=expires,
    )
    author = _author(context, params.reason)
    made = await context.services.keys.issued.create_once(author, holder, terms, params.idempotency_key)
    return _issued(made, now) if isinstance(made, Issued) else IssuedKey(**_members(made, now))


async def list_api_keys(context: Context, params: ListKeysParams) -> KeysShown:
    """List keys without their secrets, the caller's own or for admins anybody's."""
    caller, keys, now = context.caller, context.services.keys.issued, _now(context)
    if params.all:
        if not caller.may("users:read"):
            raise beyond("users:read", "everybody", "leave all out")
        page = await keys.all(params.cursor)
        return KeysShown(keys=[_shown(record, now) for record in page.rows], next_cursor=page.next_cursor)
    found = await keys.of_user(user_of(context, params.user_id))
    return KeysShown(keys=[_shown(record, now) for record in found])


async def rotate_api_key(context: Context, params: RotateKeyParams) -> IssuedKey:
    """Give a key another secret; the one of now is accepted for a while longer. A secret that was replaced gives none."""
    record = await _own(context, params.key_id)
    if context.caller.is_replaced:  # else whoever found the old secret could keep the key for ever
        raise Forbidden(
            "the secret that was shown is replaced already; rotate with the newer one or your own credential",
            reason="secret_replaced",
        )
    author = _author(context, params.reason)
    issued = await context.services.keys.issued.rotate(author, record, overlap_us=params.overlap_seconds * 1_000_000)
    return _issued(issued, _now(context))


async def revoke_api_key(context: Context, params: RevokeKeyParams) -> KeyShown:
    """End a key on every worker within a second, for ever."""
    record = await _own(context, params.key_id)
    return _shown(await context.services.keys.issued.revoke(_author(context, params.reason), record), _now(context))


async def _own(context: Context, key_id: str) -> KeyRecord:
    """The key, if the caller may change it. Raises: NotFound also for somebody else's, so that nobody learns of it."""
    caller = context.caller
    record = await context.services.keys.issued.get(key_id)
    is_own = record.holder.user_id == caller.user_id and caller.key_id in (None, key_id)
    if not is_own and not (caller.may("users:write") and caller.key_id is None):
        raise NotFound("there is no such key; listApiKeys names those that there are", data={"keyId": key_id})
    return record


def _limits(limits: KeyLimits) -> dict[str, int]:
    figures = {
        "rpm": limits.requests_per_minute,
        "tpm": limits.tokens_per_minute,
        "concurrent": limits.concurrent_requests,
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def _budget(said: KeyBudget) -> Budget:
    asset = USD if said.resource == "cost" else TOKEN
    return Budget(said.resource, above_zero(said.limit, asset, "budgets.limit"), said.period)


def _issued(issued: Issued, now: int) -> IssuedKey:
    return IssuedKey(**_members(issued.record, now), api_key=issued.key)


def _shown(record: KeyRecord, now: int) -> KeyShown:
    return KeyShown(**_members(record, now))


def _members(record: KeyRecord, now: int) -> dict[str, Any]:
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


def _author(context: Context, reason: str | None) -> Author:
    return Author(actor_of(context), reason or "")


def _now(context: Context) -> int:
    return context.services.money.clock_us()


_ID = "0123456789abcdef"
_KEY = {
    "keyId": _ID,
    "keyPreview": preview(_ID),
    "name": "nightly report",
    "status": "active",
    "userId": "user-123",
    "models": ["gpt-4o*"],
    "limits": {"requestsPerMinute": 30},
    "budgets": [{"resource": "cost", "limit": "25", "period": "monthly"}],
    "createdAt": "2026-11-01T09:00:00Z",
    "createdBy": "user-123",
}
_FAULTS = (KeysOff, NotFound, Forbidden)
METHODS = (
    Method(
        name="createApiKey",
        handler=create_api_key,
        scope="keys:write",
        access=Access.REQUIRED,
        faults=(*_FAULTS, TooManyKeys, IdempotencyConflict),
        examples=(
            Example(
                "a key for one job",
                {
                    "name": "nightly report",
                    "models": ["gpt-4o*"],
                    "limits": {"requestsPerMinute": 30},
                    "budgets": [{"resource": "cost", "limit": "25", "period": "monthly"}],
                },
                {**_KEY, "apiKey": f"{preview(_ID)} (secret, shown once)"},
            ),
        ),
    ),
    Method(
        name="listApiKeys",
        handler=list_api_keys,
        scope="account:read",
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(Example("the caller's keys", {}, {"keys": [_KEY]}),),
    ),
    Method(
        name="rotateApiKey",
        handler=rotate_api_key,
        scope="keys:write",
        access=Access.REQUIRED,
        faults=(*_FAULTS, VersionChanged),
        examples=(
            Example(
                "another secret, the old one for an hour",
                {"keyId": _ID, "overlapSeconds": 3600},
                {
                    **_KEY,
                    "rotatedAt": "2026-11-02T09:00:00Z",
                    "previousValidUntil": "2026-11-02T10:00:00Z",
                    "apiKey": f"{preview(_ID)} (secret, shown once)",
                },
            ),
        ),
    ),
    Method(
        name="revokeApiKey",
        handler=revoke_api_key,
        scope="keys:write",
        access=Access.REQUIRED,
        faults=(*_FAULTS, VersionChanged),
        examples=(
            Example(
                "a key that leaked",
                {"keyId": _ID, "reason": "leaked"},
                {**_KEY, "status": "revoked", "revokedAt": "2026-11-02T09:00:00Z"},
            ),
        ),
    ),
)
