"""The end of a call that outlived its hold: charged beside the expiry, or given back where the expiry took too much."""

from storage.ledger import windows
from storage.ledger.answers import OUT_OF_RANGE, done, views
from storage.ledger.lots import expire_lots
from storage.ledger.refunds import give_back
from storage.ledger.rows import Resolution
from storage.ledger.state import State
from storage.ledger.taking import take, write_off
from storage.records import commands as c
from storage.records.ledger import DIRECT
from storage.records.money import AMOUNT_MAX


def settle_late(state: State, command: c.Settle, resolution: Resolution) -> c.Outcome:
    """Bring what an expired hold was charged to what was really used, in the account, its lots and its windows.

    More than is free is written off, as far as the expiry has not done so. What was given back of the expiry's charge before
    counts: nothing goes below the real use.
    """
    account = resolution.account
    back = _too_much(state, command, resolution)
    if account.posted + back > AMOUNT_MAX:
        return OUT_OF_RANGE
    expire_lots(state, account)
    state.touch(resolution)
    missing = max(0, command.amount - resolution.charged)
    charged = min(missing, max(0, account.free))
    short = missing - charged - resolution.written_off
    resolution.is_late_charged = bool(charged or back or short)
    late_id = _give_back(state, command, back) if back else 0
    if charged:
        late_id = _charge(state, command, resolution, charged)
    if short:
        code = "late_write_off" if short > 0 else "write_off_back"
        write_off(state, account, resolution.credit_account_id, short, command.hold_id, command.ref, code)
    touched = views(windows.settle_late(state, resolution.windows, command.quota))
    amount, written_off = charged - back, missing - charged
    return done(account, late_id, amount, written_off=written_off, is_late=True, windows=touched)


def _too_much(state: State, command: c.Settle, resolution: Resolution) -> int:
    """What the expiry took above the real use and nobody has given back yet."""
    expiry = state.charges.get(command.hold_id + 1)
    refunded = expiry.refunded if expiry is not None else 0
    return max(0, resolution.charged - refunded - command.amount)


def _give_back(state: State, command: c.Settle, amount: int) -> int:
    expiry = state.charges[command.hold_id + 1]
    assert expiry is not None, "the charge of an expiry is loaded with its hold's end"
    return give_back(
        state, expiry, amount, "late_refund", ref=command.ref, note="less was used than the expiry charged"
    )


def _charge(state: State, command: c.Settle, resolution: Resolution, amount: int) -> int:
    account, revenue = resolution.account, resolution.credit_account_id
    state.touch_account(account)
    late_id = state.transfer(
        account, account.id, revenue, amount, DIRECT, "late_usage", related_id=command.hold_id, ref=command.ref
    )
    take(state, account, late_id, amount, state.now_us)
    return late_id
