"""What goes back, and what moves between owners. Nothing in the ledger is edited: each is a new transfer."""

from billing.errors import accepted
from storage.records.commands import Configure, Done, Event, Idempotency, Move, RefundCharge, RefundPurchase
from storage.records.ledger import AccountKey
from storage.store import Store


async def refund_purchase(
    store: Store,
    tenant: str,
    *,
    source: str,
    source_ref: str,
    amount: int | None = None,
    note: str | None = None,
    events: tuple[Event, ...] = (),
    idempotency: Idempotency | None = None,
) -> Done:
    """Take back what is left of a purchased lot; `Done.value_nano` is the money it stands for.

    Raises: NotFound, NotRefundable when nothing (or less than `amount`) is left and not held.
    """
    command = RefundPurchase(
        tenant=tenant,
        source=source,
        source_ref=source_ref,
        amount=amount,
        note=note,
        events=events,
        idempotency=idempotency,
    )
    return accepted(await store.submit(command))


async def refund_charge(
    store: Store,
    tenant: str,
    transfer_id: int,
    *,
    amount: int | None = None,
    note: str | None = None,
    events: tuple[Event, ...] = (),
    idempotency: Idempotency | None = None,
) -> Done:
    """Give a charge back to the lots it came from. Raises: NotFound, NotRefundable."""
    command = RefundCharge(
        tenant=tenant, transfer_id=transfer_id, amount=amount, note=note, events=events, idempotency=idempotency
    )
    return accepted(await store.submit(command))


async def move(
    store: Store,
    *,
    source: AccountKey,
    target: AccountKey,
    amount: int,
    note: str | None = None,
    idempotency: Idempotency | None = None,
) -> Done:
    """Move units between owners; they keep their expiry and cost basis. Raises: InsufficientFunds, InvalidAmount."""
    command = Move(source=source, target=target, amount=amount, note=note, idempotency=idempotency)
    return accepted(await store.submit(command))


async def suspend(store: Store, account: AccountKey) -> Done:
    """Stop new holds and charges; holds that were granted still settle."""
    return accepted(await store.submit(Configure(account=account, state="suspended")))


async def resume(store: Store, account: AccountKey) -> Done:
    """Allow new holds and charges again."""
    return accepted(await store.submit(Configure(account=account, state="open")))


async def set_overdraft(store: Store, account: AccountKey, overdraft: int) -> Done:
    """How far below zero the account may go. What is overdrawn already cannot be taken away."""
    return accepted(await store.submit(Configure(account=account, overdraft=overdraft)))
