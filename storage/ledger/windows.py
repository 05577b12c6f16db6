"""Quota windows: claimed when a hold is made, settled in the same windows even after the period rolled."""

from collections.abc import Mapping, Sequence

from storage.ledger.answers import OUT_OF_RANGE, exceeded
from storage.ledger.marks import tell
from storage.ledger.rows import NEW, Account, Hold, HoldWindow, Window
from storage.ledger.state import State
from storage.records.commands import Claim, Refusal
from storage.records.ledger import WindowView
from storage.records.money import AMOUNT_MAX, is_amount


def named(state: State, claims: Sequence[Claim]) -> list[Window]:
    """The claims' windows, in their order."""
    known = state.windows.get
    return [known(claim.window) or state.window(claim.window) for claim in claims]


def refuse_claims(state: State, account: Account, claims: Sequence[Claim], windows: Sequence[Window]) -> Refusal | None:
    """Why these claims cannot stand, or None. Changes nothing. `windows`: theirs."""
    if len(claims) > 1 and len(set(map(id, windows))) < len(claims):
        return Refusal("invalid", {"detail": "two claims name the same window"})
    tenant = account.key.tenant
    for claim, window in zip(claims, windows, strict=True):
        if window.key.tenant != tenant:
            return Refusal("invalid", {"detail": "a window of another tenant"})
        refusal = refuse(state, claim, window)
        if refusal is not None:
            return refusal
    return None


def refuse(state: State, claim: Claim, window: Window) -> Refusal | None:
    """Why one claim cannot stand in its window, or None."""
    after = window.used + window.held + claim.amount
    if claim.amount < 0 or after > AMOUNT_MAX:
        return OUT_OF_RANGE
    if claim.is_hard and claim.limit is not None and after > claim.limit:
        carried = _carried(state, claim, window) or 0
        if after > claim.limit + carried:
            return exceeded(claim, used=window.used, held=window.held, carried=carried)
    return None


def _carried(state: State, claim: Claim, window: Window) -> int | None:
    """What the period before left to this one: decided already, or with this claim. None: nothing rolls over here."""
    if window.carried is not None or claim.carry is None:
        return window.carried
    before = state.windows.get(claim.carry.window)
    return 0 if before is None else left_over(before, claim.carry.most)


def left_over(before: Window | WindowView, most: int) -> int:
    """What a period leaves to the next one. Nothing, where no limit was ever claimed against: nothing shows what was paid for."""
    if before.bound is None:
        return 0
    return min(most, max(0, before.bound + (before.carried or 0) - before.used - before.held))


def _enter(state: State, claim: Claim, window: Window) -> None:
    """Before a change of the claim's window, which looks for what the claim names."""
    carried = window.carried if claim.carry is None else _carried(state, claim, window)
    state.touch_window(window)
    is_told = claim.thresholds or claim.carry is not None
    if is_told and (carried != window.carried or claim.limit != window.bound or claim.thresholds != window.marks):
        window.carried, window.bound, window.marks = carried, claim.limit, claim.thresholds
        window.aim()


def claim_all(state: State, hold: Hold, claims: Sequence[Claim], windows: Sequence[Window]) -> None:
    """Hold the claims, in their windows, for a new hold."""
    for claim, window in zip(claims, windows, strict=True):
        _enter(state, claim, window)
        window.held += claim.amount
        if window.used >= window.alarm:
            tell(state, window)
        hold.windows.append(_part(state, hold.id, window, claim.amount))


def use_all(state: State, transfer_id: int, claims: Sequence[Claim], windows: Sequence[Window]) -> None:
    """Count the claims of a direct charge as used in their windows: in the part of the batch's first charge in the window."""
    parts = state.parts
    for claim, window in zip(claims, windows, strict=True):
        amount = claim.amount
        _enter(state, claim, window)
        window.used += amount
        if window.used >= window.alarm:
            tell(state, window)
        part = parts.get(window.id)
        if part is None:
            part = _part(state, transfer_id, window, 0)
            part.settled = 0
            state.put(parts, window.id, part)
        else:
            state.touch_hold_window(part)
        part.amount += amount
        part.settled = part.amount


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
        if window.used >= window.alarm:
            tell(state, window)
        part.settled = used
        found.append(window)
    return found


def settle_late(state: State, parts: Sequence[HoldWindow], quota: Mapping[str, int]) -> list[Window]:
    """Count what a late settle names instead of what the expiry counted, in the windows that the hold was made in."""
    for part in parts:
        counted = part.settled or 0
        more = quota.get(part.window.key.resource, counted) - counted
        if more and -counted <= more <= AMOUNT_MAX - part.window.used - part.window.held:
            state.touch_window(part.window)
            state.touch_hold_window(part)
            part.window.used += more
            if part.window.used >= part.window.alarm:
                tell(state, part.window)
            part.settled = counted + more
    return [part.window for part in parts]


def refuse_quota(hold: Hold, quota: Mapping[str, int]) -> Refusal | None:
    """Why these figures cannot be settled, or None."""
    for part in hold.windows:
        used = quota.get(part.window.key.resource, 0)
        if not is_amount(used) or part.window.used + part.window.held + used > AMOUNT_MAX:
            return OUT_OF_RANGE
    return None
