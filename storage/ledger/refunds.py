"""What goes back: a purchase not spent, a charge that should not have been. Nothing is edited; both are new transfers."""

from storage.ledger.answers import NOT_FOUND, OUT_OF_RANGE, done
from storage.ledger.lots import enter, expire_lots, lower_debt, pay_debts, spend
from storage.ledger.rows import Account, ChargeRow, ChargeUse
from storage.ledger.state import State
from storage.records import commands as c
from storage.records.ledger import DIRECT, REFUNDS
from storage.records.money import AMOUNT_MAX


def refund_purchase(state: State, command: c.RefundPurchase) -> c.Outcome:
    """Take back what is left of a lot and is not held."""
    place = state.lot_keys.get((command.tenant, command.source, command.source_ref))
    if place is None:
        return NOT_FOUND
    account = state.account(place[2])
    expire_lots(state, account)
    lot = next((lot for lot in account.lots if lot.id == place[0]), None)
    refundable = max(0, min(lot.remaining, account.posted - account.held)) if lot else 0
    amount = refundable if command.amount is None else command.amount
    if lot is None or not 0 < amount <= refundable:
        return c.Refusal("not_refundable", {"refundable": refundable})
    state.touch_account(account)
    other = state.system(account, REFUNDS)
    ref = f"{command.source}:{command.source_ref}"
    transfer_id = state.transfer(
        account, account.id, other, amount, DIRECT, "refund_purchase", ref=ref, note=command.note
    )
    account.posted -= amount
    value = spend(state, lot, amount, transfer_id, "refunded_nano")
    account.lots = [other_lot for other_lot in account.lots if other_lot.remaining]
    state.changes.events.extend((command.tenant, event) for event in command.events)
    return done(account, transfer_id, amount, value_nano=value)


def refund_charge(state: State, command: c.RefundCharge) -> c.Outcome:
    """Give a charge back: first what no lot covered, then to its lots, last used first."""
    charge = state.charges.get(command.transfer_id)
    if charge is None or charge.tenant != command.tenant:
        return NOT_FOUND
    refundable = charge.amount - charge.refunded
    amount = refundable if command.amount is None else command.amount
    if not 0 < amount <= refundable:
        return c.Refusal("not_refundable", {"refundable": refundable})
    if charge.account.posted + amount > AMOUNT_MAX:
        return OUT_OF_RANGE
    refund_id = give_back(state, charge, amount, "refund_charge", note=command.note)
    state.changes.events.extend((command.tenant, event) for event in command.events)
    return done(charge.account, refund_id, amount)


def give_back(
    state: State, charge: ChargeRow, amount: int, code: str, *, ref: str | None = None, note: str | None = None
) -> int:
    """Give a part of a charge back, within what it may; returns the new transfer's id. `code` says why."""
    account = charge.account
    state.touch_account(account)
    state.touch(charge)
    refund_id = state.transfer(
        account, charge.credit_account_id, account.id, amount, DIRECT, code, related_id=charge.id, ref=ref, note=note
    )
    account.posted += amount
    charge.refunded += amount
    _unwind(state, account, charge, amount, refund_id)
    expire_lots(state, account)
    return refund_id


def _unwind(state: State, account: Account, charge: ChargeRow, amount: int, refund_id: int) -> None:
    uncovered = min(amount, account.debts.get(charge.id, 0))
    if uncovered:
        lower_debt(state, account, charge.id, uncovered)
        amount -= uncovered
    for use in reversed(list(charge.uses)):
        take = min(amount, use.amount - use.returned)
        if take:
            _give_back(state, account, use, take, refund_id)
            amount -= take
    assert not amount, "a charge is covered by lots or owed, and nothing else"


def _give_back(state: State, account: Account, use: ChargeUse, amount: int, refund_id: int) -> None:
    """Units return to the lot they came from, with the very value that left with them."""
    lot = state.lot(account, use.lot_id)
    assert lot is not None, "the lots of a charge are loaded with it"
    state.touch_lot(lot)
    state.touch(use)
    value = use.value_nano * (use.returned + amount) // use.amount - use.returned_nano
    use.returned += amount
    use.returned_nano += value
    is_closed = not lot.remaining
    lot.remaining += amount
    lot.recognised_nano -= value
    state.changes.lot_uses.append((refund_id, lot.id, -amount, -value))
    if is_closed:
        enter(account, lot)
    account.expiry_us = min(account.expiry_us, lot.expires_us)
    pay_debts(state, account, lot)
