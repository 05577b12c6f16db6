"""The words in which evaluation answers: the same few outcomes, built in one place."""

from collections.abc import Iterable

from storage.ledger.rows import Account, Window
from storage.records.commands import Claim, Done, Refusal
from storage.records.ledger import WindowView
from storage.records.money import is_amount

OUT_OF_RANGE = Refusal("out_of_range")
NOT_FOUND = Refusal("not_found")
UNPRICED = Refusal("invalid", {"detail": "a usage row with tokens tells what they cost; 0 where they are free"})
SUSPENDED = Refusal("account_suspended")


def done(
    account: Account,
    id: int,  # noqa: A002  # the field's name
    amount: int = 0,
    *,
    written_off: int = 0,
    value_nano: int = 0,
    expires_us: int = 0,
    windows: tuple[WindowView, ...] = (),
    is_late: bool = False,
    is_replay: bool = False,
) -> Done:
    """What was done, with the account after it."""
    posted, held, overdraft = account.posted, account.held, account.overdraft
    return Done(id, amount, posted, held, overdraft, written_off, value_nano, expires_us, windows, is_late, is_replay)


def views(windows: Iterable[Window]) -> tuple[WindowView, ...]:
    """The windows as they are now."""
    return tuple([WindowView(window.key, window.used, window.held, window.carried, window.bound) for window in windows])


def insufficient(account: Account, needed: int) -> Refusal:
    """There is not enough."""
    return Refusal("insufficient", {"needed": needed, "available": account.free, "asset": account.key.asset})


def exceeded(claim: Claim, *, used: int, held: int, carried: int = 0) -> Refusal:
    """The quota of a period is used up."""
    key = claim.window
    data = {
        "subject": key.subject,
        "resource": key.resource,
        "period": key.period,
        "startUs": key.start_us,
        "used": used,
        "held": held,
        "limit": (claim.limit or 0) + carried,
        "amount": claim.amount,
    }
    return Refusal("quota_exceeded", data)


def are_amounts(values: Iterable[int]) -> bool:
    """True when every value may be an amount."""
    return all(is_amount(value) for value in values)
