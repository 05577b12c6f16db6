"""How the ledger's rows cross between working rows, records and columns: the same columns for every database."""

import json
from typing import Any

import orjson

from storage.ledger.rows import Account, Hold, HoldWindow, Lot, Window
from storage.ledger.state import Changes
from storage.records.commands import Done
from storage.records.kept import KeptRow
from storage.records.ledger import (
    AccountKey,
    Balance,
    HoldView,
    LotView,
    TransferView,
    WindowKey,
    WindowView,
)
from storage.records.usage import UsageRow
from storage.sql.usage_rows import from_columns, to_columns

# Any: columns come from a driver; the table gives their types.

ACCOUNT = "id, tenant, owner_type, owner_id, kind, asset, posted, held, overdraft, state, version"
TRANSFER = (
    "id, tenant, group_id, debit_account, credit_account, amount, kind, code, pending_id, related_id, ref, note, "
    "occurred_us, booked_us, batch_id"
)
HOLD = "transfer_id, account_id, credit_account, amount, used, on_expire, created_us, expires_us, ref, note"
WINDOW = "id, tenant, subject, resource, period, start_us, used, held, bound, marks, told, carried"
WINDOW_SET = "used, held, bound, marks, told, carried"
"""What changes of a window."""
HOLD_WINDOW = "transfer_id, window_id, amount, checkpoint, settled"
LOT = (
    "id, tenant, account_id, source, source_ref, category, priority, granted, remaining, effective_us, expires_us, "
    "paid_nano, paid_currency, recognised_nano, refunded_nano, breakage_nano, moved_nano"
)
LOT_USE = "transfer_id, lot_id, amount, value_nano"
IDEM = "tenant, scope, key, request_hash, transfer_id, result, created_us, expires_us"
MOVED = "amount > 0 AND kind <> 1"
"""Which transfers moved something; word for word the condition of their indexes."""
OUTBOX = "tenant, topic, payload, attempts, next_us, state"
KEPT = "tenant, kind, key, body, actor, reason, valid_from_us, expires_us, created_us"


def kept_columns(row: KeptRow, now_us: int) -> tuple[object, ...]:
    """The values of `KEPT`."""
    return (
        row.tenant, row.kind, row.key, row.body, row.actor, row.reason, row.valid_from_us, row.expires_us, now_us
    )  # fmt: skip


def kept_of(values: tuple[object, ...]) -> KeptRow:
    """A record of the id and `KEPT`."""
    return KeptRow(*values[1:9], values[0], values[9])  # type: ignore[arg-type,call-arg]  # typed by the table


def account_columns(row: Account) -> tuple[object, ...]:
    """The values of `ACCOUNT`."""
    return (row.id, *row.key, row.posted, row.held, row.overdraft, row.state, row.version)


def account_of(values: tuple[object, ...]) -> Account:
    """A working row of `ACCOUNT`."""
    return Account(values[0], AccountKey(*values[1:6]), *values[6:])  # type: ignore[arg-type]  # typed by the table


def balance_of(values: tuple[object, ...], expirable: int) -> Balance:
    """The balance of a row of `ACCOUNT`."""
    posted, held, overdraft, state = values[6:10]
    return Balance(posted, held, overdraft, expirable, state)  # type: ignore[arg-type]  # typed by the table


def hold_columns(row: Hold) -> tuple[object, ...]:
    """The values of `HOLD`."""
    return (
        row.id, row.account.id, row.credit_account_id, row.amount, row.used, row.on_expire, row.created_us,
        row.expires_us, row.ref, note_of(row),
    )  # fmt: skip


def note_of(row: Hold) -> str | None:
    """The row that a hold's expiry writes, as JSON of its columns; None where nothing was noted."""
    return None if row.usage is None else json.dumps(to_columns(row.usage))


def hold_of(values: tuple[object, ...], account: Account) -> Hold:
    """A working row of `HOLD` in its account."""
    *fields, note = values[2:]
    usage = from_columns(tuple(json.loads(note))) if isinstance(note, str) else None
    return Hold(values[0], account, *fields, usage)  # type: ignore[arg-type,call-arg]  # typed by the table


def hold_view(values: tuple[object, ...], key: AccountKey) -> HoldView:
    """The record of a row of `HOLD`."""
    hold_id, _, _, amount, used, on_expire, created_us, expires_us, ref, _ = values
    return HoldView(hold_id, key, amount, used, on_expire, created_us, expires_us, ref)  # type: ignore[arg-type]  # typed by the table


def window_columns(row: Window) -> tuple[object, ...]:
    """The values of `WINDOW`."""
    return (row.id, *row.key, *window_set(row))


def window_set(row: Window) -> tuple[object, ...]:
    """The values of `WINDOW_SET`."""
    return (row.used, row.held, row.bound, ",".join(map(str, row.marks)) or None, row.told, row.carried)


def window_of(values: tuple[object, ...]) -> Window:
    """A working row of `WINDOW`."""
    found: tuple[Any, ...] = values  # typed by the table
    used, held, bound, marks, told, carried = found[6:12]
    looked_for = tuple(map(int, marks.split(","))) if marks else ()
    return Window(found[0], WindowKey(*found[1:6]), used, held, bound, looked_for, told or 0, carried)


def window_view(values: tuple[object, ...]) -> WindowView:
    """The record of a row of `WINDOW`."""
    found: tuple[Any, ...] = values  # typed by the table
    return WindowView(WindowKey(*found[1:6]), found[6], found[7], found[11], found[8])


def part_columns(row: HoldWindow) -> tuple[object, ...]:
    """The values of `HOLD_WINDOW`."""
    return (row.hold_id, row.window.id, row.amount, row.checkpoint, row.settled)


def lot_columns(row: Lot) -> tuple[object, ...]:
    """The values of `LOT`."""
    return (
        row.id, row.tenant, row.account_id, row.source, row.source_ref, row.category, row.priority, row.granted,
        row.remaining, row.effective_us, row.expires_us, row.paid_nano, row.paid_currency, row.recognised_nano,
        row.refunded_nano, row.breakage_nano, row.moved_nano,
    )  # fmt: skip


def lot_of(values: tuple[object, ...]) -> Lot:
    """A working row of `LOT`."""
    return Lot(*values)  # type: ignore[arg-type]  # typed by the table


def lot_view(values: tuple[object, ...], key: AccountKey) -> LotView:
    """The record of a row of `LOT`."""
    return LotView(values[0], key, *values[3:])  # type: ignore[arg-type]  # typed by the table


def transfer_view(values: tuple[object, ...], account_id: int, other: AccountKey) -> TransferView:
    """The record of a row of `TRANSFER`, as the account sees it."""
    found: tuple[Any, ...] = values  # typed by the table
    transfer_id, _, group_id, debit, _, amount, kind, *more = found
    code, pending_id, related_id, ref, note, occurred_us, booked_us, _ = more
    moved = -amount if debit == account_id else amount
    about = (pending_id, related_id, ref, note, occurred_us, booked_us)
    return TransferView(transfer_id, group_id, moved, kind, code, other, *about)


def usage_to_store(changes: Changes) -> list[UsageRow]:
    """The usage rows of a batch, each once. Of two with one id the later stands where it replaces; else the first is kept."""
    if not changes.usage_replaced:
        return changes.usage
    return list({row.id: row for row in changes.usage}.values())


def idem_columns(entry: tuple[tuple[str, str, str], str, Done, int | None], now_us: int) -> tuple[object, ...]:
    """The values of `IDEM`."""
    key, digest, outcome, expires_us = entry
    return (*key, digest, outcome.id, done_text(outcome), now_us, expires_us)


def done_text(outcome: Done) -> str:
    """An outcome as it is kept with its idempotency key."""
    numbers = (outcome.id, outcome.amount, outcome.posted, outcome.held, outcome.overdraft, outcome.written_off)
    windows = [[list(view.key), *view[1:]] for view in outcome.windows]
    return orjson.dumps([*numbers, outcome.value_nano, outcome.expires_us, windows, outcome.is_late]).decode()


def done_of(text: str) -> Done:
    """The outcome of a kept text."""
    *numbers, windows, is_late = orjson.loads(text)
    views = tuple(WindowView(WindowKey(*key), *more) for key, *more in windows)
    found: tuple[Any, ...] = (*numbers, views, is_late)
    return Done(*found)
