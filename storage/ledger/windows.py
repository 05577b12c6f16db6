"""Quota windows: claimed when a hold is made, settled in the same windows even after the period rolled."""

from collections.abc import Mapping, Sequence

from storage.ledger.answers import OUT_OF_RANGE, exceeded
from storage.ledger.rows import NEW, Account, Hold, HoldWindow, Window
from storage.ledger.state import State
from storage.records.commands import Claim, Refusal
from storage.records.money import AMOUNT_MAX, is_amount


def refuse_claims(state: State, account: Account, claims: Sequence[Claim]) -> Refusal | None:
    """Why these claims cannot stand, or None. Changes nothing."""
    if len(claims) > 1 and len({claim.window for claim in claims}) < len(claims):
        return Refusal("invalid", {"detail": "two claims name the same window"})
    for claim in claims:
        if claim.window.tenant != account.key.tenant:
            return Refusal("invalid", {"detail": "a window of another tenant"})
        refusal = refuse(claim, state.window(claim.window))
        if refusal is not None:
            return refusal
    return None


def refuse(claim: Claim, window: Window) -> Refusal | None:
    """Why one claim cannot stand in its window, or None."""
    after = window.used + window.held + claim.amount
    if not is_amount(claim.amount) or after > AMOUNT_MAX:
        return OUT_OF_RANGE
    if claim.is_hard and claim.limit is not None and after > claim.limit:
        return exceeded(claim, used=window.used, held=window.held)
    return None


def claim_all(state: State, hold: Hold, claims: Sequence[Claim]) -> None:
    """Hold the claims for a new hold."""
    for claim in claims:
        window = state.window(claim.window)
        state.touch_window(window)
        window.held += claim.amount
        hold.windows.append(_part(state, hold.id, window, claim.amount))


def use_all(state: State, transfer_id: int, claims: Sequence[Claim]) -> list[Window]:
    """Count the claims of a direct charge as used."""
    found: list[Window] = []
    for claim in claims:
        window = state.window(claim.window)
        state.touch_window(window)
        window.used += claim.amount
        _part(state, transfer_id, window, claim.amount).settled = claim.amount
        found.append(window)
    return found


def _part(state: State, transfer_id: int, window: Window, amount: int) -> HoldWindow:
    part = HoldWindow(transfer_id, window, amount)
    part.status = NEW
    state.changes.hold_windows_new.append(part)
    return part


def settle_all(state: State, hold: Hold, quota: Mapping[str, int] | None) -> list[Window]:
    """Close a hold's parts: each window takes what `quota` says for its resource, else all that was held.

    None stands for an expiry or a release without use: each window takes its checkpoint.
    """
    found: list[Window] = []
    for part in hold.windows:
        window = part.window
        used = part.checkpoint if quota is None else quota.get(window.key.resource, part.amount)
        state.touch_window(window)
        state.touch_hold_window(part)
        window.held -= part.amount
        window.used += used
        part.settled = used
        found.append(window)
    return found


def settle_late(state: State, parts: Sequence[HoldWindow], quota: Mapping[str, int]) -> list[Window]:
    """Count what a late settle names beyond what the expiry counted, in the windows that the hold was made in."""
    for part in parts:
        counted = part.settled or 0
        more = quota.get(part.window.key.resource, counted) - counted
        if 0 < more <= AMOUNT_MAX - part.window.used - part.window.held:
            state.touch_window(part.window)
            state.touch_hold_window(part)
            part.window.used += more
            part.settled = counted + more
    return [part.window for part in parts]


def refuse_quota(hold: Hold, quota: Mapping[str, int]) -> Refusal | None:
    """Why these figures cannot be settled, or None."""
    for part in hold.windows:
        used = quota.get(part.window.key.resource, 0)
        if not is_amount(used) or part.window.used + part.window.held + used > AMOUNT_MAX:
            return OUT_OF_RANGE
    return None
