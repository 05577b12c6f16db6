"""Gateway keys: `createApiKey`, `listApiKeys`, `rotateApiKey`, `revokeApiKey`.

A secret is shown once, in the answer that made it. Whoever shows a gateway key can end or rotate that key and no other, and can
make none: a narrowed key must not make itself a wider one. A secret that a rotation has replaced rotates nothing.
"""

from methods.api_key_shapes import (
    CreateKeyParams,
    IssuedKey,
    KeyBudget,
    KeyLimits,
    KeyShown,
    KeysShown,
    ListKeysParams,
    RevokeKeyParams,
    RotateKeyParams,
    members_of,
)
from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method
from methods.money_shapes import above_zero, actor_of, beyond, us_of, user_of
from monetization.callers import Budget, Caller
from monetization.errors import KeysOff, TooManyKeys
from monetization.keys.desk import Issued
from monetization.keys.minting import preview
from monetization.keys.records import KeyHolder, KeyRecord, KeyTerms
from monetization.organizations import owner_of, standing
from monetization.price_setting import Author
from monetization.roles import EVERY, TELLING, Scope
from storage.errors import IdempotencyConflict, NotFound, VersionChanged
from storage.records.commands import RequireVersion
from storage.records.money import NEVER_US, TOKEN, USD


async def create_api_key(context: Context, params: CreateKeyParams) -> IssuedKey:
    """Make a key for programs. Its secret is in the answer and nowhere else."""
    caller, now = context.caller, _now(context)
    if caller.key_id is not None:
        raise Forbidden("a key makes no keys; use your own credential", reason="key_cannot_make_keys")
    holder, required = await _holder(context, params)
    expires = NEVER_US if params.expires_at is None else us_of(params.expires_at)
    if expires <= now:
        raise InvalidParams("expiresAt lies in the past; name a later instant")
    narrowed = caller.scopes
    unknown = sorted(set(params.scopes or ()) - EVERY)
    if unknown:
        raise InvalidParams(f"scopes: there is no scope {unknown[0]!r}; there are {', '.join(sorted(EVERY))}")
    if narrowed is not None and not set(params.scopes or narrowed) <= narrowed:
        raise Forbidden("a key may do no more than the credential that makes it", reason="scope_required")
    scopes = params.scopes if params.scopes is not None or narrowed is None else sorted(narrowed)
    if TELLING in (scopes or ()) and holder.user_id is None:
        raise InvalidParams(f"scopes: a key with {TELLING!r} is a user's; name userId, or nobody")
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
    made = await context.services.keys.issued.create_once(author, holder, terms, params.idempotency_key, *required)
    return _issued(made, now) if isinstance(made, Issued) else IssuedKey(**members_of(made, now))


async def list_api_keys(context: Context, params: ListKeysParams) -> KeysShown:
    """List keys without their secrets, the caller's own or for admins anybody's."""
    caller, keys, now = context.caller, context.services.keys.issued, _now(context)
    if params.all:
        if not caller.may("users:read"):
            raise beyond("users:read", "everybody", "leave all out")
        page = await keys.all(params.cursor)
        return KeysShown(keys=[_shown(record, now) for record in page.rows], next_cursor=page.next_cursor)
    if params.organization_id is not None:
        owner = owner_of(_organization_of(context, params.organization_id, params.user_id, "users:read"))
    else:
        owner = f"user:{user_of(context, params.user_id)}"
    found = await keys.of_owner(owner)
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
    if caller.key_id is not None:
        is_own = caller.key_id == key_id
    elif record.holder.user_id is None:
        is_own = _manages(caller, record.holder.organization_id) or caller.may("users:write")
    else:
        is_own = record.holder.user_id == caller.user_id or caller.may("users:write")
    if not is_own:
        raise NotFound("there is no such key; listApiKeys names those that there are", data={"keyId": key_id})
    return record


async def _holder(context: Context, params: CreateKeyParams) -> tuple[KeyHolder, list[RequireVersion]]:
    """For whom a key is made, and what must still stand then. Raises: Forbidden, InvalidParams, NotFound."""
    caller = context.caller
    if params.organization_id is not None:
        named = _organization_of(context, params.organization_id, params.user_id, "users:write")
        stands = await standing(context.services.directory, named)
        is_own = named == caller.organization_id
        holder = (
            KeyHolder(None, named, tier=caller.tier, features=_features(caller)) if is_own else KeyHolder(None, named)
        )
        return holder, [stands]
    user_id = user_of(context, params.user_id, "users:write")
    if user_id != caller.user_id:
        return KeyHolder(user_id), []
    return KeyHolder(user_id, caller.organization_id, caller.email, caller.tier, _features(caller)), []


def _features(caller: Caller) -> tuple[str, ...]:
    return tuple(sorted(caller.features))


def _organization_of(context: Context, named: str, user_id: str | None, scope: Scope) -> str:
    """The organization whose own keys a call is about. Raises: Forbidden, there or not; InvalidParams."""
    if user_id is not None:
        raise InvalidParams("give userId or organizationId, not both")
    if not _manages(context.caller, named) and not context.caller.may(scope):
        raise beyond(scope, "an organization's keys", "leave organizationId out")
    return named


def _manages(caller: Caller, organization_id: str | None) -> bool:
    """Whether the caller is an admin of this organization."""
    is_inside = caller.organization_role == "admin" and caller.organization_id == organization_id
    return is_inside and caller.may("organization:write")


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
    return IssuedKey(**members_of(issued.record, now), api_key=issued.key)


def _shown(record: KeyRecord, now: int) -> KeyShown:
    return KeyShown(**members_of(record, now))


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
