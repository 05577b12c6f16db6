"""What puts units into accounts or moves them between owners: grants, adjustments, moves, and an account's own settings."""

import json

from storage.ledger.answers import NOT_FOUND, OUT_OF_RANGE, done, insufficient
from storage.ledger.lots import consume, expire_lots, open_lot, owe
from storage.ledger.rows import Account, Lot
from storage.ledger.state import State
from storage.records import commands as c
from storage.records.ledger import ADJUSTMENTS, CASH_CLEARING, DIRECT, INCLUDED, PROMO_EXPENSE
from storage.records.money import AMOUNT_MAX, NEVER_US, is_amount

_FROM = {
    "purchase": (CASH_CLEARING, "paid"),
    "promotion": (PROMO_EXPENSE, "promo"),
    "allowance": (INCLUDED, "included"),
}
ADJUSTMENT_PRIORITY = 50


def grant(state: State, command: c.Grant) -> c.Outcome:
    """Open a lot, once for its business key."""
    if not 0 < command.amount <= AMOUNT_MAX or not is_amount(command.paid_nano):
        return OUT_OF_RANGE
    account = state.account(command.account)
    place = state.lot_keys.get((command.account.tenant, command.source, command.source_ref))
    if place is not None:
        lot_id, granted, key, expires_us = place
        if (granted, key) != (command.amount, command.account):
            return c.Refusal("key_reused", {"source": command.source, "sourceRef": command.source_ref})
        return done(account, lot_id, granted, expires_us=expires_us, is_replay=True)
    if command.expires_us <= state.now_us:
        return c.Refusal("invalid", {"detail": "the lot would have expired already; give an expiry that lies ahead"})
    if account.posted + command.amount > AMOUNT_MAX:
        return OUT_OF_RANGE
    kind, category = _FROM[command.reason]
    lot = _lot(
        state, account, command.source, command.source_ref, category, command.priority, command.amount,
        command.expires_us, command.paid_nano, command.paid_currency,
    )  # fmt: skip
    _put_in(state, account, kind, lot, command.reason, note=command.note)
    expire_lots(state, account)
    state.changes.events.extend((account.key.tenant, event) for event in command.events)
    return done(account, lot.id, command.amount, expires_us=command.expires_us)


def _put_in(state: State, account: Account, kind: int, lot: Lot, code: str, *, note: str | None) -> int:
    state.touch_account(account)
    lot.account_id = account.id
    transfer_id = state.transfer(
        account, state.system(account, kind), account.id, lot.granted, DIRECT, code,
        ref=f"{lot.source}:{lot.source_ref}", note=note,
    )  # fmt: skip
    account.posted += lot.granted
    open_lot(state, account, lot)
    return transfer_id


def _lot(
    state: State,
    account: Account,
    source: str,
    source_ref: str,
    category: str,
    priority: int,
    amount: int,
    expires_us: int,
    paid_nano: int,
    paid_currency: str,
) -> Lot:
    lot_id = state.next_lot_id
    state.next_lot_id += 1
    return Lot(
        lot_id, account.key.tenant, account.id, source, source_ref, category, priority, amount, amount,
        state.now_us, expires_us, paid_nano, paid_currency,
    )  # fmt: skip


def adjust(state: State, command: c.Adjust) -> c.Outcome:
    """Correct a balance: up with a lot that cost nothing, down out of the lots in their order."""
    account = state.account(command.account)
    amount = abs(command.amount)
    if not 0 < amount <= AMOUNT_MAX:
        return OUT_OF_RANGE
    note = json.dumps({"reason": command.reason, "actor": command.actor})
    expire_lots(state, account)
    if command.amount < 0 and account.free < amount:
        return insufficient(account, amount)
    if command.amount > 0 and account.posted + amount > AMOUNT_MAX:
        return OUT_OF_RANGE
    if command.amount > 0:
        source_ref = str(state.next_transfer_id)
        lot = _lot(state, account, "adjust", source_ref, "promo", ADJUSTMENT_PRIORITY, amount, NEVER_US, 0, "USD")
        transfer_id = _put_in(state, account, ADJUSTMENTS, lot, "adjust", note=note)
    else:
        state.touch_account(account)
        other = state.system(account, ADJUSTMENTS)
        transfer_id = state.transfer(account, account.id, other, amount, DIRECT, "adjust", note=note)
        account.posted -= amount
        owe(state, account, transfer_id, consume(state, account, amount, transfer_id, state.now_us, "breakage_nano"))
    state.changes.events.extend((account.key.tenant, event) for event in command.events)
    return done(account, transfer_id, command.amount)


def move(state: State, command: c.Move) -> c.Outcome:
    """Move units between owners: each slice of a lot becomes a lot of the same kind, expiry and cost on the other side."""
    source, target = state.account(command.source), state.account(command.target)
    if not 0 < command.amount <= AMOUNT_MAX:
        return OUT_OF_RANGE
    same = (source.key.tenant, source.key.kind, source.key.asset) == (
        target.key.tenant,
        target.key.kind,
        target.key.asset,
    )
    if source is target or not same:
        return c.Refusal("invalid", {"detail": "units move between two accounts of one tenant, kind and asset"})
    expire_lots(state, source)
    movable = min(
        source.posted - source.held, sum(lot.remaining for lot in source.lots if lot.expires_us > state.now_us)
    )
    if movable < command.amount:
        return c.Refusal("insufficient", {"needed": command.amount, "available": movable, "asset": source.key.asset})
    if target.posted + command.amount > AMOUNT_MAX:
        return OUT_OF_RANGE
    transfer_id = _carry(state, source, target, command)
    expire_lots(state, target)
    return done(source, transfer_id, command.amount)


def _carry(state: State, source: Account, target: Account, command: c.Move) -> int:
    state.touch_account(source)
    state.touch_account(target)
    transfer_id = state.transfer(source, source.id, target.id, command.amount, DIRECT, "move", note=command.note)
    lots = {lot.id: lot for lot in source.lots}
    before = len(state.changes.lot_uses)
    left = consume(state, source, command.amount, transfer_id, state.now_us, "moved_nano")
    assert not left, "the movable units were counted above"
    source.posted -= command.amount
    target.posted += command.amount
    for _, lot_id, amount, value in state.changes.lot_uses[before:]:
        old = lots[lot_id]
        new = _lot(
            state, target, "move", f"{transfer_id}:{lot_id}", old.category, old.priority, amount, old.expires_us, value,
            old.paid_currency,
        )  # fmt: skip
        open_lot(state, target, new)
    return transfer_id


def configure(state: State, command: c.Configure) -> c.Outcome:
    """Set an account's overdraft or state; an overdraft in use cannot be taken away."""
    account = state.account(command.account)
    if command.overdraft is not None and not is_amount(command.overdraft):
        return OUT_OF_RANGE
    if command.account.kind >= CASH_CLEARING:
        return NOT_FOUND
    state.touch_account(account)
    if command.overdraft is not None:
        account.overdraft = max(command.overdraft, account.held - account.posted)
    if command.state is not None:
        account.state = command.state
    return done(account, 0)
