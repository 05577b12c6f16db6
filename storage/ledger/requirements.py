"""What must be so for a group of commands to be applied: each refuses the group or does nothing."""

from storage.ledger.answers import done
from storage.ledger.lots import expire_lots
from storage.ledger.state import State
from storage.records.commands import Done, Refusal, RequireEmpty, RequireVersion


def version(state: State, command: RequireVersion) -> Done | Refusal:
    """Refuse unless this version of an entry stands."""
    entry = state.entries.get((command.tenant, command.kind, command.key))
    standing = entry.version if entry is not None and entry.is_live(state.now_us) else 0
    if standing != command.version:
        return Refusal("version_changed", {"kind": command.kind, "key": command.key, "version": standing})
    return Done(0, standing)


def empty(state: State, command: RequireEmpty) -> Done | Refusal:
    """Refuse unless nothing is left in the account, owed by it or held of it."""
    account = state.account(command.account)
    expire_lots(state, account)
    if account.posted or account.held:
        asset = account.key.asset
        return Refusal("not_empty", {"posted": account.posted, "held": account.held, "asset": asset})
    return done(account, 0, 0)
