"""The part of a receipt that follows from the books as they stood right after a call was settled. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from monetization.funding import COST, REQUESTS, TOKENS
from monetization.tab import MonthSoFar, Receipt
from storage.records.commands import Claim, Done
from storage.records.ledger import WindowKey, WindowView


def paid_of(settled: Done, asked: int) -> int:
    """What a call paid in all: of one that outlived its hold, the expiry has charged a part."""
    return asked - settled.written_off if settled.is_late else settled.amount


Bounds = Sequence[tuple[str, str, int]]
"""Limits of tokens that bind a call: subject, period and limit of each."""


def bounds_of(claims: Sequence[Claim]) -> Bounds:
    """The user's own month, what the organization has together, and what a member may draw of it. Keys are not told of."""
    return tuple(
        [
            (claim.window.subject, claim.window.period, claim.limit)
            for claim in claims
            if claim.limit is not None
            and claim.window.resource == TOKENS
            and (is_own_month(claim.window, TOKENS) or claim.window.subject.startswith(("org:", "member:")))
        ]
    )


def quota_left(windows: Sequence[WindowView], bounds: Bounds) -> int | None:
    """Tokens left within the tightest of the limits; None where there is none."""
    return min(
        (
            max(0, limit + (view.carried or 0) - view.used - view.held)
            for subject, period, limit in bounds
            for view in windows
            if view.key.resource == TOKENS and view.key.subject == subject and view.key.period == period
        ),
        default=None,
    )


def is_own_month(window: WindowKey, resource: str) -> bool:
    """Whether a window counts a user's own month; those of organizations, keys and other periods stand beside it."""
    return window.resource == resource and window.period == "monthly" and window.subject.startswith("user:")


def month_of(windows: Sequence[WindowView]) -> MonthSoFar:
    """What the windows of a call have counted."""
    mine = [view for view in windows if is_own_month(view.key, view.key.resource)]
    if not mine:  # an organization calls by a key of its own
        mine = [view for view in windows if view.key.period == "monthly" and view.key.subject.startswith("org:")]
    used = {view.key.resource: view.used for view in mine}
    return MonthSoFar(used.get(TOKENS, 0), used.get(REQUESTS, 0), used.get(COST, 0))


def as_settled(receipt: Receipt, settled: Done, bounds: Bounds) -> Receipt:
    """A receipt that was foreseen, with what settling came to."""
    return replace(
        receipt,
        amount=paid_of(settled, receipt.amount),
        balance=settled.posted - settled.held,
        posted=settled.posted,
        quota_remaining=quota_left(settled.windows, bounds),
        month=None if receipt.month is None else month_of(settled.windows),
    )
