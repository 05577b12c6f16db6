"""How units come in: purchases, promotions, allowances, adjustments. Each opens a lot; a business key opens it once."""

from billing.errors import accepted
from storage.records.commands import Adjust, Done, Event, Grant, Idempotency
from storage.records.ledger import AccountKey
from storage.records.money import NEVER_US
from storage.store import Store

ALLOWANCE_PRIORITY = 10
"""What is included in the plan goes first: it is gone at the end of the period."""
PROMOTION_PRIORITY = 30
PURCHASE_PRIORITY = 50


async def grant_purchase(
    store: Store,
    account: AccountKey,
    *,
    amount: int,
    source: str,
    source_ref: str,
    paid_nano: int,
    paid_currency: str = "USD",
    expires_us: int = NEVER_US,
    note: str | None = None,
    events: tuple[Event, ...] = (),
    idempotency: Idempotency | None = None,
) -> Done:
    """Units that were paid for. `paid_nano` is the price net of tax, scale 9: what becomes revenue as the lot is spent.

    Raises: IdempotencyConflict when (source, source_ref) granted something else before; InvalidAmount.
    """
    command = Grant(
        account=account, amount=amount, reason="purchase", source=source, source_ref=source_ref, paid_nano=paid_nano,
        paid_currency=paid_currency, priority=PURCHASE_PRIORITY, expires_us=expires_us, note=note, events=events,
        idempotency=idempotency,
    )  # fmt: skip
    return accepted(await store.submit(command))


async def grant_promotion(
    store: Store,
    account: AccountKey,
    *,
    amount: int,
    source: str,
    source_ref: str,
    expires_us: int = NEVER_US,
    note: str | None = None,
    events: tuple[Event, ...] = (),
    idempotency: Idempotency | None = None,
) -> Done:
    """Units for nothing: no revenue when they are spent. Raises: as `grant_purchase`."""
    command = Grant(
        account=account, amount=amount, reason="promotion", source=source, source_ref=source_ref,
        priority=PROMOTION_PRIORITY, expires_us=expires_us, note=note, events=events, idempotency=idempotency,
    )  # fmt: skip
    return accepted(await store.submit(command))


def allowance(account: AccountKey, *, amount: int, plan: str, start_us: int, expires_us: int) -> Grant:
    """What a plan includes for one period, once per account, plan and period.

    A command, not a call: submitted together with the first hold of a period it needs no scheduler.
    """
    key = f"{account.owner_type}:{account.owner_id}:{account.asset}:{plan}:{start_us}"
    return Grant(
        account=account, amount=amount, reason="allowance", source="allowance", source_ref=key,
        priority=ALLOWANCE_PRIORITY, expires_us=expires_us,
    )  # fmt: skip


async def adjust(
    store: Store,
    account: AccountKey,
    *,
    amount: int,
    reason: str,
    actor: str,
    events: tuple[Event, ...] = (),
    idempotency: Idempotency | None = None,
) -> Done:
    """Correct a balance by a signed amount, with a reason and an actor. Raises: InsufficientFunds, InvalidAmount."""
    command = Adjust(account=account, amount=amount, reason=reason, actor=actor, events=events, idempotency=idempotency)
    return accepted(await store.submit(command))
