"""Commands in, outcomes and changes out: the one place where the ledger's rules are applied, for every database.

`evaluate` reads and changes only the rows of its `State`. It asks no clock, does no I/O and draws no random number, so the same
commands over the same rows give the same answer everywhere.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, Final, TypeAlias

from storage.ledger import grants, holds, refunds, requirements
from storage.ledger.answers import done
from storage.ledger.entries import put
from storage.ledger.lots import expire_lots
from storage.ledger.state import State
from storage.records import commands as c
from storage.records.money import NEVER_US

# Any: each handler takes its own command; the table pairs them, and a test sends every kind.


@dataclass(frozen=True, slots=True)
class Group:
    """Commands that are applied all or none."""

    commands: tuple[c.Command, ...]


@dataclass(frozen=True, slots=True)
class Each:
    """Commands of one who waits for all of them. Each is applied or refused by itself."""

    commands: tuple[c.Command | Group, ...]


Told: TypeAlias = c.Command | Group | Each


def evaluate(commands: Sequence[Told], state: State, now_us: int) -> list[object]:
    """Apply each command in turn. Outcomes: Done or Refusal; for a Group a tuple of Done, or the Refusal that undid it.

    For an Each a tuple of these.
    """
    state.begin(now_us)
    return [apply(state, command) for command in commands]


def apply(state: State, command: Told) -> object:
    """Apply what one waiter told within a batch that has begun. The outcome is as `evaluate` says."""
    if isinstance(command, Each):
        return tuple([_apply_one(state, single) for single in command.commands])
    return _apply_one(state, command)


def count_of(command: Told) -> int:
    """How many waited-for outcomes it has."""
    return len(command.commands) if isinstance(command, Each) else 1


def singles(commands: Iterable[Told]) -> Iterator[c.Command]:
    """Every command, whatever it came in."""
    for command in commands:
        if isinstance(command, Group):
            yield from command.commands
        elif isinstance(command, Each):
            yield from singles(command.commands)
        else:
            yield command


def _apply_one(state: State, command: c.Command | Group) -> object:
    state.group_id = 0
    return _apply_group(state, command) if isinstance(command, Group) else _apply(state, command)


def _apply_group(state: State, group: Group) -> tuple[c.Done, ...] | c.Refusal:
    if len(group.commands) == 1:  # as outside a group: what is refused changed nothing, so nothing is taken back
        single = _apply(state, group.commands[0])
        return single if isinstance(single, c.Refusal) else (single,)
    state.open_group()
    outcomes: list[c.Done] = []
    for index, command in enumerate(group.commands):
        outcome = _apply(state, command)
        if isinstance(outcome, c.Refusal):
            state.undo_group()
            return replace(outcome, index=index)
        outcomes.append(outcome)
    state.keep_group()
    return tuple(outcomes)


def _apply(state: State, command: c.Command) -> c.Outcome:
    given = command.idempotency
    handle = _HANDLERS[type(command)]
    if given is None:
        return handle(state, command)
    key = (tenant_of(command), given.scope, given.key)
    stored = state.idempotency.get(key)
    if stored is not None:
        if stored[0] != given.request_hash:
            return c.Refusal("key_reused", {"scope": given.scope, "key": given.key})
        return replace(stored[1], is_replay=True)
    outcome = handle(state, command)
    if isinstance(outcome, c.Done):
        state.put(state.idempotency, key, (given.request_hash, outcome))
        expires_us = None if given.expires_us == NEVER_US else given.expires_us
        state.changes.idempotency.append((key, given.request_hash, outcome, expires_us))
        if type(command) is c.Charge and command.is_brief:
            state.passing.append(key)
    return outcome


def tenant_of(command: c.Command) -> str:
    """The tenant in whose name a command acts."""
    found: str = _TENANTS.get(type(command), _own_tenant)(command)
    return found


_own_tenant: Final = attrgetter("tenant")
_of_account: Final = attrgetter("account.tenant")
_of_row: Final = attrgetter("row.tenant")
_TENANTS: Final[dict[type, Callable[[Any], Any]]] = {
    c.Move: attrgetter("source.tenant"),
    c.RecordUsage: _of_row,
    c.Keep: _of_row,
    c.Forget: lambda _: "",  # of every tenant
    c.Put: attrgetter("entry.tenant"),
    **dict.fromkeys((c.Grant, c.Hold, c.Charge, c.Adjust, c.Configure, c.ExpireLots, c.RequireEmpty), _of_account),
}


def _expire_lots(state: State, command: c.ExpireLots) -> c.Done:
    account = state.account(command.account)
    return done(account, 0, expire_lots(state, account))


def _keep(state: State, command: c.Keep) -> c.Done:
    state.changes.kept.append(command.row)
    return c.Done(0)


def _announce(state: State, command: c.Announce) -> c.Done:
    state.changes.events.append((command.tenant, command.event))
    return c.Done(0)


def _forget(state: State, command: c.Forget) -> c.Done:
    state.changes.forgotten.append(command)
    for key in command.keys:
        state.put(state.idempotency, key, None)
    return c.Done(0, len(command.usage) + len(command.keys) + len(command.events) + len(command.parts))


_HANDLERS: dict[type, Callable[[State, Any], c.Outcome]] = {
    c.Grant: grants.grant,
    c.Hold: holds.hold,
    c.Extend: holds.extend,
    c.Checkpoint: holds.checkpoint,
    c.Settle: holds.settle,
    c.Release: holds.release,
    c.Expire: holds.expire,
    c.ExpireLots: _expire_lots,
    c.Charge: holds.charge,
    c.RefundPurchase: refunds.refund_purchase,
    c.RefundCharge: refunds.refund_charge,
    c.Adjust: grants.adjust,
    c.Move: grants.move,
    c.Configure: grants.configure,
    c.RecordUsage: holds.record,
    c.Keep: _keep,
    c.Announce: _announce,
    c.Forget: _forget,
    c.Put: put,
    c.RequireVersion: requirements.version,
    c.RequireEmpty: requirements.empty,
}
