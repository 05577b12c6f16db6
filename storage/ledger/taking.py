"""Taking from an account, and writing off what it does not cover. Nothing here asks whether it may."""

from storage.ledger.lots import consume, owe
from storage.ledger.rows import Account
from storage.ledger.state import State
from storage.records.ledger import DIRECT, WRITE_OFF


def take(state: State, account: Account, transfer_id: int, amount: int, as_of_us: int) -> None:
    """Take an amount from the lots that were valid at `as_of_us`; what none covers is owed. The account is touched already."""
    account.posted -= amount
    owe(state, account, transfer_id, consume(state, account, amount, transfer_id, as_of_us, "recognised_nano"))


def write_off(
    state: State,
    account: Account,
    revenue: int,
    amount: int,
    related_id: int | None,
    ref: str | None,
    code: str = "write_off",
) -> None:
    """Book what was used and is paid by nobody; below zero: what an earlier write-off had booked too much."""
    loss = state.system(account, WRITE_OFF)
    debit, credit = (loss, revenue) if amount > 0 else (revenue, loss)
    state.transfer(account, debit, credit, abs(amount), DIRECT, code, related_id=related_id, ref=ref)
