"""Holds from open to close, and charges without one. Checks come first and changes after, so a refusal changes nothing."""

from collections.abc import Sequence
from dataclasses import replace

from storage.ledger import windows
from storage.ledger.answers import OUT_OF_RANGE, SUSPENDED, UNPRICED, done, insufficient, views
from storage.ledger.late import settle_late
from storage.ledger.lots import expire_lots
from storage.ledger.rows import NEW, Account, ChargeRow, ChargeUse, Hold, HoldWindow, Resolution, Window
from storage.ledger.state import State
from storage.ledger.taking import take, write_off
from storage.records import commands as c
from storage.records.ledger import DIRECT, EXPIRE, PENDING, POST, REVENUE_USAGE, VOID
from storage.records.money import AMOUNT_MAX, is_amount

HOLD_SECONDS_MAX = 24 * 3600
_CLOSED_AS = {POST: "settled", VOID: "released", EXPIRE: "expired"}


def hold(state: State, command: c.Hold) -> c.Outcome:
    """Reserve money and quota. What fails is tried once more after the account's dead holds are expired."""
    if not is_amount(command.amount) or not is_amount(command.overdraft or 0):
        return OUT_OF_RANGE
    account = state.account(command.account)
    if account.state != "open":
        return SUSPENDED
    expire_lots(state, account)
    counted = windows.named(state, command.claims)
    refusal = _refuse_hold(state, account, command, counted)
    if refusal is not None and _expire_due(state, account):
        refusal = _refuse_hold(state, account, command, counted)
    return refusal or _place(state, account, command, counted)


def _refuse_hold(state: State, account: Account, command: c.Hold, counted: Sequence[Window]) -> c.Refusal | None:
    refusal = windows.refuse_claims(state, account, command.claims, counted) if counted else None
    if refusal is not None:
        return refusal
    overdraft = account.overdraft if command.overdraft is None else command.overdraft
    if command.amount and account.posted - account.held + overdraft < command.amount:
        return c.Refusal(
            "insufficient",
            {
                "needed": command.amount,
                "available": account.posted - account.held + overdraft,
                "asset": account.key.asset,
            },
        )
    return OUT_OF_RANGE if account.held + command.amount > AMOUNT_MAX else None


def _place(state: State, account: Account, command: c.Hold, counted: Sequence[Window]) -> c.Done:
    now = state.now_us
    state.touch_account(account)
    revenue = state.system(account, REVENUE_USAGE)
    hold_id = state.transfer(account, account.id, revenue, command.amount, PENDING, "hold", ref=command.ref)
    expires_us = min(command.expires_us, now + HOLD_SECONDS_MAX * 1_000_000)
    opened = Hold(hold_id, account, revenue, command.amount, 0, command.on_expire, now, expires_us, command.ref)
    opened.status = NEW
    account.held += command.amount
    if command.overdraft is not None:
        account.overdraft = max(command.overdraft, account.held - account.posted)
    account.holds[hold_id] = opened
    state.put(state.holds, hold_id, opened)
    state.changes.holds_new.append(opened)
    if not command.claims:
        return done(account, hold_id, command.amount, expires_us=expires_us)
    windows.claim_all(state, opened, command.claims, counted)
    touched = views(counted)
    return done(account, hold_id, command.amount, expires_us=expires_us, windows=touched)


def _expire_due(state: State, account: Account) -> bool:
    due = [found for found in account.holds.values() if found.expires_us <= state.now_us]
    for found in due:
        _expire(state, found)
    return bool(due)


def extend(state: State, command: c.Extend) -> c.Outcome:
    """Raise an open hold, its parts in its windows, and move its expiry."""
    found = _open(state, command.tenant, command.hold_id)
    if isinstance(found, c.Refusal):
        return found
    parts = {
        (part.window.key.subject, part.window.key.resource, part.window.key.period): part for part in found.windows
    }
    wanted = [(claim, parts.get(claim.window[1:4])) for claim in command.claims]
    refusal = _refuse_funds(state, found.account, command.amount) or _refuse_more(state, wanted)
    if refusal is not None:
        return refusal
    for claim, part in wanted:
        assert part is not None, "checked above"
        state.touch_window(part.window)
        state.touch_hold_window(part)
        part.window.held += claim.amount
        part.amount += claim.amount
    state.touch_account(found.account)
    state.touch_hold(found)
    found.account.held += command.amount
    found.amount += command.amount
    if command.expires_us is not None:
        found.expires_us = min(command.expires_us, found.created_us + HOLD_SECONDS_MAX * 1_000_000)
    touched = views(part.window for part in found.windows)
    return done(found.account, found.id, found.amount, expires_us=found.expires_us, windows=touched)


def _refuse_funds(state: State, account: Account, amount: int) -> c.Refusal | None:
    if not is_amount(amount):
        return OUT_OF_RANGE
    if account.state != "open":
        return SUSPENDED
    if amount:
        expire_lots(state, account)
    if amount and account.free < amount:
        return insufficient(account, amount)
    return OUT_OF_RANGE if account.held + amount > AMOUNT_MAX else None


def _refuse_more(state: State, wanted: Sequence[tuple[c.Claim, HoldWindow | None]]) -> c.Refusal | None:
    for claim, part in wanted:
        if part is None:
            return c.Refusal("invalid", {"detail": "the hold has no such window"})
        refusal = windows.refuse(state, claim, part.window)
        if refusal is not None:
            return refusal
    return None


def checkpoint(state: State, command: c.Checkpoint) -> c.Outcome:
    """Note what the work has cost so far."""
    found = _open(state, command.tenant, command.hold_id)
    if isinstance(found, c.Refusal):
        return found
    if not is_amount(command.used):
        return OUT_OF_RANGE
    if command.usage is not None and command.usage.is_unpriced:
        return UNPRICED
    refusal = windows.refuse_quota(found, command.quota)
    if refusal is not None:
        return refusal
    state.touch_hold(found)
    found.used = max(found.used, command.used)
    found.usage = command.usage or found.usage
    for part in found.windows:
        state.touch_hold_window(part)
        part.checkpoint = max(part.checkpoint, command.quota.get(part.window.key.resource, 0))
    return done(found.account, found.id, found.used)


def settle(state: State, command: c.Settle) -> c.Outcome:
    """Charge what was used; of a hold that has expired, the difference to what its expiry charged."""
    if not is_amount(command.amount):
        return OUT_OF_RANGE
    if command.usage is not None and command.usage.is_unpriced:
        return UNPRICED
    found = _open(state, command.tenant, command.hold_id)
    resolution = None
    if isinstance(found, c.Refusal):
        resolution = state.resolutions.get(command.hold_id)
        is_late = resolution is not None and resolution.kind == EXPIRE and not resolution.is_late_charged
        outcome = settle_late(state, command, resolution) if is_late and resolution is not None else found
    else:
        refusal = windows.refuse_quota(found, command.quota)
        outcome = refusal or _settle_open(state, found, command)
    if isinstance(outcome, c.Done):
        before = resolution.charged if resolution is not None and outcome.is_late else 0
        keep_beside(state, command.tenant, command, paid=before + outcome.amount)
        if outcome.is_late and command.usage is not None:
            state.changes.usage_replaced.append(command.usage.id)
    return outcome


def keep_beside(state: State, tenant: str, command: c.Settle | c.Release | c.Charge, *, paid: int) -> None:
    """Keep the usage row and the events of a command that was applied. The row says what was paid, not what was asked for."""
    row = command.usage
    if row is not None:
        state.changes.usage.append(row if row.charge_amount in (None, paid) else replace(row, charge_amount=paid))
    if not isinstance(command, c.Release) and command.events:
        state.changes.events.extend((tenant, event) for event in command.events)


def record(state: State, command: c.RecordUsage) -> c.Outcome:
    """Keep a usage row that moves no money."""
    if command.row.is_unpriced:
        return UNPRICED
    state.changes.usage.append(command.row)
    return c.Done(0)


def _settle_open(state: State, found: Hold, command: c.Settle) -> c.Done:
    account = found.account
    charged = _resolve(state, found, POST, "usage", command.amount, ref=command.ref)
    written_off = command.amount - charged
    settled_id = state.changes.transfers[-1][0]
    if written_off:
        write_off(state, account, found.credit_account_id, written_off, found.id, command.ref)
    touched = windows.settle_all(state, found, command.quota) if found.windows else ()
    expire_lots(state, account)
    return done(account, settled_id, charged, written_off=written_off, windows=views(touched))


def _resolve(
    state: State,
    found: Hold,
    kind: int,
    code: str,
    amount: int,
    *,
    transfer_id: int | None = None,
    ref: str | None = None,
) -> int:
    """Close a hold and charge as much of the amount as there is. Returns what was charged."""
    account = found.account
    state.touch_account(account)
    account.held -= found.amount
    charged = min(amount, account.free)
    transfer_id = state.transfer(
        account, account.id, found.credit_account_id, charged, kind, code, id=transfer_id, pending_id=found.id, ref=ref
    )
    take(state, account, transfer_id, charged, found.created_us)
    del account.holds[found.id]
    state.put(state.holds, found.id, None)
    state.changes.holds_closed.append(found.id)
    gone = Resolution(
        account, found.credit_account_id, kind, charged, found.windows, amount - charged, is_late_charged=False
    )
    state.put(state.resolutions, found.id, gone)
    return charged


def release(state: State, command: c.Release) -> c.Outcome:
    """Close a hold without a charge."""
    if command.usage is not None and command.usage.is_unpriced:
        return UNPRICED
    found = _open(state, command.tenant, command.hold_id)
    if isinstance(found, c.Refusal):
        return found
    _resolve(state, found, VOID, "release", 0)
    released_id = state.changes.transfers[-1][0]
    touched = windows.settle_all(state, found, _Nothing()) if found.windows else ()
    expire_lots(state, found.account)
    keep_beside(state, command.tenant, command, paid=0)
    return done(found.account, released_id, windows=views(touched))


class _Nothing(dict[str, int]):
    """Zero for every resource."""

    def get(self, key: str, default: object = None) -> int:
        del key, default
        return 0


def expire(state: State, command: c.Expire) -> c.Outcome:
    """Close a hold whose time has come."""
    found = _open(state, command.tenant, command.hold_id)
    if isinstance(found, c.Refusal):
        return found
    if found.expires_us > state.now_us:
        return c.Refusal("hold_not_due", {"expiresUs": found.expires_us})
    charged = _expire(state, found)
    return done(found.account, found.id + 1, charged, windows=views(part.window for part in found.windows))


def _expire(state: State, found: Hold) -> int:
    """Charge the checkpoint, never zero, never the maximum. The transfer's id follows from the hold's: two sweepers collide."""
    used = found.used if found.on_expire == "post_used" else 0
    uses_before = len(state.changes.lot_uses)
    charged = _resolve(state, found, EXPIRE, "expire", used, transfer_id=found.id + 1, ref=found.ref)
    if charged:
        _remember(state, found, charged, uses_before)
    if used > charged:
        write_off(state, found.account, found.credit_account_id, used - charged, found.id, found.ref)
    windows.settle_all(state, found, None if found.on_expire == "post_used" else _Nothing())
    expire_lots(state, found.account)
    if found.usage is not None and found.on_expire == "post_used":
        paid = None if found.usage.charge_amount is None else charged
        state.changes.usage.append(replace(found.usage, charge_amount=paid, occurred_us=state.now_us))
    return charged


def _remember(state: State, found: Hold, charged: int, uses_before: int) -> None:
    """The expiry's charge may be given back in the very batch."""
    row = ChargeRow(found.id + 1, found.account.key.tenant, found.account, found.credit_account_id, charged, 0)
    row.uses = [ChargeUse(*use) for _, *use in state.changes.lot_uses[uses_before:]]
    state.put(state.charges, row.id, row)


def charge(state: State, command: c.Charge) -> c.Outcome:
    """Charge without a hold."""
    if not is_amount(command.amount):
        return OUT_OF_RANGE
    if command.usage is not None and command.usage.is_unpriced:
        return UNPRICED
    account = state.account(command.account)
    is_refusable = command.on_short == "refuse"
    if is_refusable and account.state != "open":
        return SUSPENDED
    counted = windows.named(state, command.claims)
    refusal = windows.refuse_claims(state, account, command.claims, counted)
    if refusal is not None and (is_refusable or refusal.reason != "quota_exceeded"):
        return refusal
    expire_lots(state, account)
    if account.free < command.amount:
        _expire_due(state, account)
        if is_refusable and account.free < command.amount:
            return insufficient(account, command.amount)
    return _charge(state, account, command, counted)


def _charge(state: State, account: Account, command: c.Charge, counted: Sequence[Window]) -> c.Done:
    charged = min(command.amount, max(0, account.free))
    state.touch_account(account)
    revenue = state.system(account, REVENUE_USAGE)
    transfer_id = 0
    if charged:
        transfer_id = state.transfer(
            account, account.id, revenue, charged, DIRECT, "usage", ref=command.ref, occurred_us=command.occurred_us
        )
        take(state, account, transfer_id, charged, state.now_us)
    if command.amount > charged:
        write_off(state, account, revenue, command.amount - charged, transfer_id or None, command.ref)
    if counted:
        windows.use_all(state, transfer_id or state.reserve_id(), command.claims, counted)
    keep_beside(state, account.key.tenant, command, paid=charged)
    told = () if command.is_brief else views(counted)
    return done(account, transfer_id, charged, written_off=command.amount - charged, windows=told)


def _open(state: State, tenant: str, hold_id: int) -> Hold | c.Refusal:
    found = state.holds.get(hold_id)
    if found is not None and found.account.key.tenant == tenant:
        return found
    resolution = state.resolutions.get(hold_id)
    if resolution is None or resolution.account.key.tenant != tenant:
        return c.Refusal("hold_not_open", {"state": "unknown"})
    closed_as = "settled" if resolution.is_late_charged else _CLOSED_AS[resolution.kind]
    return c.Refusal("hold_not_open", {"state": closed_as})
