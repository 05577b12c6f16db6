"""Holds: reserve, extend, note progress, settle, release. The only way to spend that cannot race."""

from collections.abc import Mapping, Sequence
from typing import Literal

from billing.errors import accepted, raise_refusal
from storage.records.commands import (
    Charge,
    Checkpoint,
    Claim,
    Command,
    Done,
    Event,
    Extend,
    Hold,
    Idempotency,
    Refusal,
    Release,
    Settle,
)
from storage.records.ledger import AccountKey
from storage.records.usage import UsageRow
from storage.store import Store


async def place(
    store: Store,
    account: AccountKey,
    *,
    amount: int,
    expires_us: int,
    claims: tuple[Claim, ...] = (),
    overdraft: int | None = None,
    on_expire: Literal["post_used", "void"] = "post_used",
    before: Sequence[Command] = (),
    ref: str | None = None,
    idempotency: Idempotency | None = None,
) -> Done:
    """Hold an amount and quota; `Done.id` is the hold. `before` (allowances) is applied in the same commit, or nothing is.

    Raises: InsufficientFunds, QuotaUsedUp, AccountSuspended, IdempotencyConflict, StorageUnavailable.
    """
    hold = Hold(
        account=account, amount=amount, expires_us=expires_us, claims=claims, overdraft=overdraft, on_expire=on_expire,
        ref=ref, idempotency=idempotency,
    )  # fmt: skip
    if not before:
        return accepted(await store.submit(hold))
    outcome = await store.submit_together((*before, hold))
    if isinstance(outcome, Refusal):
        raise_refusal(outcome)
    return outcome[-1]


async def extend(
    store: Store,
    tenant: str,
    hold_id: int,
    *,
    amount: int,
    expires_us: int | None = None,
    claims: tuple[Claim, ...] = (),
) -> Done:
    """Raise a hold before its work passes it. Raises: InsufficientFunds, QuotaUsedUp, AccountSuspended, HoldClosed."""
    command = Extend(tenant=tenant, hold_id=hold_id, amount=amount, expires_us=expires_us, claims=claims)
    return accepted(await store.submit(command))


async def checkpoint(store: Store, tenant: str, hold_id: int, *, used: int, quota: Mapping[str, int]) -> Done:
    """Note what the work has cost so far; this is charged should the process die. Raises: HoldClosed."""
    return accepted(await store.submit(Checkpoint(tenant=tenant, hold_id=hold_id, used=used, quota=quota)))


async def settle(
    store: Store,
    tenant: str,
    hold_id: int,
    *,
    amount: int,
    quota: Mapping[str, int],
    usage: UsageRow | None = None,
    events: tuple[Event, ...] = (),
    ref: str | None = None,
    idempotency: Idempotency | None = None,
) -> Done:
    """Charge what was really used, with its usage row and events, in one commit.

    Above the hold it takes what is free; what nothing covers is in `Done.written_off`. After an expiry it charges the rest late.
    Raises: HoldClosed when it was settled or released before.
    """
    command = Settle(
        tenant=tenant, hold_id=hold_id, amount=amount, quota=quota, usage=usage, events=events, ref=ref,
        idempotency=idempotency,
    )  # fmt: skip
    return accepted(await store.submit(command))


async def release(store: Store, tenant: str, hold_id: int, *, usage: UsageRow | None = None) -> Done:
    """Give a hold back without a charge. Raises: HoldClosed."""
    return accepted(await store.submit(Release(tenant=tenant, hold_id=hold_id, usage=usage)))


async def charge(
    store: Store,
    account: AccountKey,
    *,
    amount: int,
    claims: tuple[Claim, ...] = (),
    on_short: Literal["refuse", "write_off"] = "refuse",
    usage: UsageRow | None = None,
    events: tuple[Event, ...] = (),
    ref: str | None = None,
    occurred_us: int | None = None,
    idempotency: Idempotency | None = None,
) -> Done:
    """Charge without a hold. Raises: InsufficientFunds, QuotaUsedUp, AccountSuspended (never where `on_short` writes off)."""
    command = Charge(
        account=account, amount=amount, claims=claims, on_short=on_short, usage=usage, events=events, ref=ref,
        occurred_us=occurred_us, idempotency=idempotency,
    )  # fmt: skip
    return accepted(await store.submit(command))
