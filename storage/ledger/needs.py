"""Which rows a batch of commands reads. Backends load exactly these before evaluation; nothing is loaded here."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from storage.ledger.entries import is_storable
from storage.ledger.evaluate import Told, singles, tenant_of
from storage.ledger.state import EntryKey, IdempotencyKey, LotKey, State
from storage.records import commands as c
from storage.records.directory import are_storable
from storage.records.ledger import AccountKey, WindowKey

# Any: each function takes its own command; the table pairs them.


@dataclass(slots=True)
class Needs:
    """Keys without a row in the state, each once, in the order of first mention."""

    accounts: dict[AccountKey, None] = field(default_factory=dict)
    holds: dict[int, None] = field(default_factory=dict)
    """A hold brings its account; one that is not open brings its resolution."""
    windows: dict[WindowKey, None] = field(default_factory=dict)
    idempotency: dict[IdempotencyKey, None] = field(default_factory=dict)
    lot_keys: dict[LotKey, None] = field(default_factory=dict)
    """A lot found by its business key brings its account."""
    charges: dict[int, None] = field(default_factory=dict)
    """A charge brings its account, its uses and the lots they name."""
    entries: dict[EntryKey, None] = field(default_factory=dict)
    """Directory entries; they are loaded for one batch alone."""


def missing(commands: Iterable[Told], state: State) -> Needs:
    """What must be loaded before these commands can be evaluated."""
    needs = Needs()
    for single in singles(commands):
        _NEEDS[type(single)](needs, state, single)
        if single.idempotency is not None:
            key = (tenant_of(single), single.idempotency.scope, single.idempotency.key)
            if key not in state.idempotency:
                needs.idempotency[key] = None
    return needs


def _account(needs: Needs, state: State, key: AccountKey) -> None:
    if key not in state.accounts:
        needs.accounts[key] = None


def _lot_key(needs: Needs, state: State, key: LotKey) -> None:
    if key not in state.lot_keys:
        needs.lot_keys[key] = None


def _of_account(needs: Needs, state: State, command: Any) -> None:
    _account(needs, state, command.account)


def _of_claims(needs: Needs, state: State, command: c.Hold | c.Charge) -> None:
    _account(needs, state, command.account)
    for claim in command.claims:
        window, carry = state.windows.get(claim.window), claim.carry
        if window is None:
            needs.windows[claim.window] = None
        if carry is not None and (window is None or window.carried is None) and carry.window not in state.windows:
            needs.windows[carry.window] = None


def _of_hold(needs: Needs, state: State, command: Any) -> None:
    if command.hold_id not in state.holds:
        needs.holds[command.hold_id] = None


def _of_grant(needs: Needs, state: State, command: c.Grant) -> None:
    _account(needs, state, command.account)
    _lot_key(needs, state, (command.account.tenant, command.source, command.source_ref))


def _of_refund_purchase(needs: Needs, state: State, command: c.RefundPurchase) -> None:
    place = state.lot_keys.get((command.tenant, command.source, command.source_ref))
    if place is not None:
        _account(needs, state, place[2])
    _lot_key(needs, state, (command.tenant, command.source, command.source_ref))


def _of_refund_charge(needs: Needs, state: State, command: c.RefundCharge) -> None:
    if command.transfer_id not in state.charges:
        needs.charges[command.transfer_id] = None


def _of_move(needs: Needs, state: State, command: c.Move) -> None:
    _account(needs, state, command.source)
    _account(needs, state, command.target)


def _of_nothing(needs: Needs, state: State, command: c.RecordUsage | c.Keep | c.Announce | c.Forget) -> None:
    """Rows that only come or go read nothing."""


def _of_put(needs: Needs, _: State, command: c.Put) -> None:
    if is_storable(command.entry):
        needs.entries[(command.entry.tenant, command.entry.kind, command.entry.key)] = None


def _of_version(needs: Needs, _: State, command: c.RequireVersion) -> None:
    if are_storable(command.tenant, command.kind, command.key):
        needs.entries[(command.tenant, command.kind, command.key)] = None


_NEEDS: dict[type, Callable[[Needs, State, Any], None]] = {
    c.Grant: _of_grant,
    c.Hold: _of_claims,
    c.Extend: _of_hold,
    c.Checkpoint: _of_hold,
    c.Settle: _of_hold,
    c.Release: _of_hold,
    c.Expire: _of_hold,
    c.ExpireLots: _of_account,
    c.Charge: _of_claims,
    c.RefundPurchase: _of_refund_purchase,
    c.RefundCharge: _of_refund_charge,
    c.Adjust: _of_account,
    c.Move: _of_move,
    c.Configure: _of_account,
    c.RecordUsage: _of_nothing,
    c.Keep: _of_nothing,
    c.Announce: _of_nothing,
    c.Forget: _of_nothing,
    c.Put: _of_put,
    c.RequireVersion: _of_version,
    c.RequireEmpty: _of_account,
}
