"""Lots: the order of spending, what a use earns, expiry, and the debts that the next lot pays first."""

from bisect import insort
from operator import attrgetter

from storage.ledger.rows import NEW, Account, Lot
from storage.ledger.state import State
from storage.records.ledger import BREAKAGE, DIRECT, INCLUDED, PROMO_EXPENSE
from storage.records.money import NEVER_US

_order = attrgetter("order")
_EXPIRED_INTO = {"paid": (BREAKAGE, "breakage"), "included": (INCLUDED, "expired"), "promo": (PROMO_EXPENSE, "expired")}


def spend(state: State, lot: Lot, amount: int, transfer_id: int, column: str) -> int:
    """Take units out of a lot and return the part of its price that they stand for, in nano.

    The price follows the units: after every use the part given out is floor(paid x gone / granted), so that it is exactly the
    price when the lot is empty. `column` names where the part goes: recognised, refunded, breakage or moved.
    """
    state.touch_lot(lot)
    lot.remaining -= amount
    value = 0
    if lot.paid_nano:
        given = lot.recognised_nano + lot.refunded_nano + lot.breakage_nano + lot.moved_nano
        value = max(0, lot.paid_nano * (lot.granted - lot.remaining) // lot.granted - given)
        setattr(lot, column, getattr(lot, column) + value)
    state.changes.lot_uses.append((transfer_id, lot.id, amount, value))
    if not lot.remaining:
        state.closed_lots[lot.id] = lot
    return value


def consume(state: State, account: Account, amount: int, transfer_id: int, as_of_us: int, column: str) -> int:
    """Take an amount from the lots that were valid at `as_of_us`, in order. The account is touched already.

    Returns what no lot covers.
    """
    has_emptied = False
    for lot in account.lots:
        if not amount:
            break
        if lot.expires_us <= as_of_us:
            continue
        take = min(amount, lot.remaining)
        amount -= take
        spend(state, lot, take, transfer_id, column)
        has_emptied = has_emptied or not lot.remaining
    if has_emptied:
        account.lots = [lot for lot in account.lots if lot.remaining]
    return amount


def owe(state: State, account: Account, transfer_id: int, amount: int) -> None:
    """Note what a charge left uncovered. The account is touched already."""
    if amount:
        account.debts[transfer_id] = account.debts.get(transfer_id, 0) + amount
        state.changes.debts.append((account, transfer_id))


def enter(account: Account, lot: Lot) -> None:
    """Put a lot with units among the open ones, in its place. The account is touched already."""
    insort(account.lots, lot, key=_order)
    account.expiry_us = min(account.expiry_us, lot.expires_us)


def open_lot(state: State, account: Account, lot: Lot) -> None:
    """Enter a new lot and let it pay the account's debts, oldest first. The account is touched already."""
    lot.status = NEW
    state.changes.lots_new.append(lot)
    state.put(
        state.lot_keys, (lot.tenant, lot.source, lot.source_ref), (lot.id, lot.granted, account.key, lot.expires_us)
    )
    enter(account, lot)
    pay_debts(state, account, lot)


def pay_debts(state: State, account: Account, lot: Lot) -> None:
    """Cover the oldest uncovered charges with a lot's units. The account is touched already."""
    for transfer_id in sorted(account.debts):
        take = min(lot.remaining, account.debts[transfer_id])
        if not take:
            break
        value = spend(state, lot, take, transfer_id, "recognised_nano")
        _remember_use(state, transfer_id, lot.id, take, value)
        lower_debt(state, account, transfer_id, take)
    if not lot.remaining and lot in account.lots:
        account.lots = [other for other in account.lots if other is not lot]


def _remember_use(state: State, transfer_id: int, lot_id: int, amount: int, value: int) -> None:
    charge = state.charges.get(transfer_id)
    if charge is not None:
        state.touch(charge)
        charge.add_use(lot_id, amount, value)


def lower_debt(state: State, account: Account, transfer_id: int, amount: int) -> None:
    """A part of an uncovered charge is covered, or given back. The account is touched already."""
    left = account.debts.pop(transfer_id) - amount
    if left:
        account.debts[transfer_id] = left
    state.changes.debts.append((account, transfer_id))


def expirable(account: Account, now_us: int) -> list[tuple[Lot, int]]:
    """The lots past their expiry, each with the units that may be taken.

    Units that open holds would draw if they settled in full stay: a hold may spend what was valid when it was made, and the
    expiry of one lot must not eat another. So each hold draws from the lots that are valid for it, in the order of spending.
    """
    if all(lot.expires_us > now_us for lot in account.lots):
        return []
    left = {lot.id: lot.remaining for lot in account.lots}
    for hold in sorted(account.holds.values(), key=attrgetter("id")):
        wanted = hold.amount
        for lot in account.lots:
            if wanted and lot.expires_us > hold.created_us:
                take = min(wanted, left[lot.id])
                left[lot.id] -= take
                wanted -= take
    bound = max(0, account.posted - account.held)
    found: list[tuple[Lot, int]] = []
    for lot in account.lots:
        amount = min(left[lot.id], bound)
        if amount and lot.expires_us <= now_us:
            found.append((lot, amount))
            bound -= amount
    return found


def expire_lots(state: State, account: Account) -> int:
    """Take every unit that `expirable` names out of the account. Returns how many units went."""
    if account.expiry_us > state.now_us:
        return 0
    total = 0
    due = expirable(account, state.now_us)
    if due:
        state.touch_account(account)
    for lot, amount in due:
        kind, code = _EXPIRED_INTO[lot.category]
        other = state.system(account, kind)
        transfer_id = state.transfer(account, account.id, other, amount, DIRECT, code)
        spend(state, lot, amount, transfer_id, "breakage_nano")
        account.posted -= amount
        total += amount
    if due:
        account.lots = [lot for lot in account.lots if lot.remaining]
    account.expiry_us = min((lot.expires_us for lot in account.lots), default=NEVER_US)
    return total
