"""The ledger's invariants as queries: each returns the rows that break it, so that none is good news.

The statements run on every database. Sums are taken in two parts (whole units and the rest) and put together in Python, because a
sum of amounts may pass 64 bits.
"""
# ruff: noqa: S608  # statements are built from our own names, never from values

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, TypeAlias

from storage.ledger.chain import GENESIS, link
from storage.records.ledger import Check
from storage.sql.charges import REFUND_CODES
from storage.sql.ledger_rows import TRANSFER
from storage.sql.verify_usage import roll_ups

# Any: columns come from a driver; the table gives their types.

Rows: TypeAlias = Iterable[tuple[Any, ...]]
Select: TypeAlias = Callable[[str], Rows]
"""Runs one statement in the snapshot that all checks share."""

NANO = 1_000_000_000
ROWS_MAX = 100
_MOVED = "kind IN (0, 2, 4)"


def _sums(of: str) -> str:
    return f"sum(({of}) / {NANO}), sum(({of}) % {NANO})"


def _total(whole: Any, part: Any) -> int:
    return int(whole or 0) * NANO + int(part or 0)


def verify(select: Select) -> list[Check]:
    """Run every check. The caller gives one read snapshot, so that traffic may go on meanwhile."""
    return [Check(name, tuple(islice(check(select), ROWS_MAX))) for name, check in _CHECKS]


def _two_accounts(select: Select) -> Rows:
    """1. Two distinct accounts of one asset and tenant; the entries then add up to zero by construction."""
    return select(
        "SELECT t.id, t.debit_account, t.credit_account FROM transfer t "
        "LEFT JOIN account d ON d.id=t.debit_account LEFT JOIN account c ON c.id=t.credit_account "
        "WHERE d.id IS NULL OR c.id IS NULL OR t.debit_account=t.credit_account OR d.asset<>c.asset OR d.tenant<>c.tenant "
        "OR d.tenant<>t.tenant OR t.amount<0 ORDER BY t.id LIMIT 100"
    )


def _entries(select: Select) -> dict[int, int]:
    found: dict[int, int] = {}
    for sign, side in ((1, "credit_account"), (-1, "debit_account")):
        for account, whole, part in select(
            f"SELECT {side}, {_sums('amount')} FROM transfer WHERE {_MOVED} GROUP BY {side}"
        ):
            found[account] = found.get(account, 0) + sign * _total(whole, part)
    return found


def _by_key(select: Select, statement: str) -> dict[Any, int]:
    return {key: _total(whole, part) for key, whole, part in select(statement)}


def _balances(select: Select) -> Rows:
    """2. posted is the sum of the account's entries, held the sum of its open holds."""
    entries = _entries(select)
    held = _by_key(select, f"SELECT account_id, {_sums('amount')} FROM hold GROUP BY account_id")
    for account, kind, posted, is_held in select("SELECT id, kind, posted, held FROM account ORDER BY id"):
        wanted = (entries.get(account, 0), held.get(account, 0)) if kind < 100 else (0, 0)  # noqa: PLR2004  # system side
        if (posted, is_held) != wanted:
            yield (account, posted, is_held, *wanted)


def _lots_and_debts(select: Select) -> Rows:
    """3. What is left in lots, less what no lot covers yet, is the balance; what left a lot is in its uses."""
    left = _by_key(select, f"SELECT account_id, {_sums('remaining')} FROM lot GROUP BY account_id")
    owed = _by_key(select, f"SELECT account_id, {_sums('amount')} FROM debt GROUP BY account_id")
    for account, posted in select("SELECT id, posted FROM account WHERE kind=1 ORDER BY id"):
        if left.get(account, 0) - owed.get(account, 0) != posted:
            yield ("account", account, posted, left.get(account, 0), owed.get(account, 0))
    uses = _by_key(select, f"SELECT lot_id, {_sums('amount')} FROM lot_use GROUP BY lot_id")
    for lot, granted, remaining in select("SELECT id, granted, remaining FROM lot ORDER BY id"):
        if granted - remaining != uses.get(lot, 0):
            yield ("lot", lot, granted, remaining, uses.get(lot, 0))
    yield from _uncovered(select)


def _uncovered(select: Select) -> Rows:
    """Per charge: its amount is covered by lots, given back, or owed."""
    uses = _by_key(select, f"SELECT transfer_id, {_sums('amount')} FROM lot_use GROUP BY transfer_id")
    owed: dict[int, int] = dict(select("SELECT transfer_id, amount FROM debt"))
    given: dict[int, int] = {}
    for refund, charge, amount in select(f"SELECT id, related_id, amount FROM transfer WHERE code IN {REFUND_CODES}"):
        given[charge] = given.get(charge, 0) + amount + uses.get(refund, 0)
    charges = f"FROM transfer t JOIN account a ON a.id=t.debit_account WHERE t.{_MOVED} AND a.kind=1"
    for charge, amount in select(f"SELECT t.id, t.amount {charges} ORDER BY t.id"):
        if amount - uses.get(charge, 0) - given.get(charge, 0) != owed.pop(charge, 0):
            yield ("charge", charge, amount, uses.get(charge, 0), given.get(charge, 0))
    yield from (("debt", charge, amount) for charge, amount in owed.items())


def _resolutions(select: Select) -> Rows:
    """4. A pending transfer has one resolution at most, and an open hold exactly where it has none."""
    yield from select(
        "SELECT p.id, count(r.id), count(h.transfer_id) FROM transfer p LEFT JOIN transfer r ON r.pending_id=p.id "
        "LEFT JOIN hold h ON h.transfer_id=p.id WHERE p.kind=1 GROUP BY p.id "
        "HAVING count(r.id)+count(h.transfer_id)<>1 ORDER BY p.id LIMIT 100"
    )
    yield from select(
        "SELECT h.transfer_id, h.account_id FROM hold h LEFT JOIN transfer p ON p.id=h.transfer_id AND p.kind=1 "
        "WHERE p.id IS NULL OR p.debit_account<>h.account_id LIMIT 100"
    )


def _floors(select: Select) -> Rows:
    """5. No account is below its overdraft, and nothing held is negative."""
    statement = "SELECT id, posted, held, overdraft FROM account WHERE kind<100 ORDER BY id"
    return (row for row in select(statement) if row[1] - row[2] < -row[3] or row[2] < 0)


def _replays(select: Select) -> Rows:
    """6. Every kept answer names a transfer or a lot that is there, and no business key opened two lots."""
    yield from select(
        "SELECT i.tenant, i.scope, i.key, i.transfer_id FROM idem i WHERE i.transfer_id<>0 AND NOT EXISTS "
        "(SELECT 1 FROM transfer t WHERE t.id=i.transfer_id) AND NOT EXISTS "
        "(SELECT 1 FROM lot l WHERE l.id=i.transfer_id) LIMIT 100"
    )
    yield from select(
        "SELECT tenant, source, source_ref, count(*) FROM lot GROUP BY tenant, source, source_ref HAVING count(*)>1 LIMIT 100"
    )


def _values(select: Select) -> Rows:
    """7. What was paid for a lot is recognised, refunded, lapsed, moved or deferred; and its uses say the same."""
    given = _by_key(select, f"SELECT lot_id, {_sums('value_nano')} FROM lot_use GROUP BY lot_id")
    statement = "SELECT id, paid_nano, recognised_nano, refunded_nano, breakage_nano, moved_nano, remaining FROM lot ORDER BY id"
    for lot, paid, *parts, remaining in select(statement):
        total = sum(parts)
        if min(parts) < 0 or total > paid or total != given.get(lot, 0) or (not remaining and total != paid):
            yield (lot, paid, *parts, given.get(lot, 0))


def _windows(select: Select) -> Rows:
    """8. A window's used is what its holds and charges settled, its held what its open holds claim.

    Of those that went because of their age a row without a transfer keeps the sum, so nothing is excused.
    """
    used = _by_key(
        select, f"SELECT window_id, {_sums('settled')} FROM hold_window WHERE settled IS NOT NULL GROUP BY window_id"
    )
    held = _by_key(
        select, f"SELECT window_id, {_sums('amount')} FROM hold_window WHERE settled IS NULL GROUP BY window_id"
    )
    for window, is_used, is_held in select("SELECT id, used, held FROM quota_window ORDER BY id"):
        if (is_used, is_held) != (used.get(window, 0), held.get(window, 0)):
            yield ("window", window, is_used, is_held, used.get(window, 0), held.get(window, 0))
    yield from select(
        "SELECT p.transfer_id, p.window_id FROM hold_window p LEFT JOIN hold h ON h.transfer_id=p.transfer_id "
        "WHERE (p.settled IS NULL) <> (h.transfer_id IS NOT NULL) LIMIT 100"
    )


def _chain(select: Select) -> Rows:
    """9. The hash chain verifies from its beginning: no transfer was added, changed or taken out afterwards."""
    transfers = iter(select(f"SELECT {TRANSFER} FROM transfer ORDER BY batch_id, id"))
    row = next(transfers, None)
    previous = GENESIS
    for batch, before, digest, count in select("SELECT id, prev_hash, hash, n FROM batch ORDER BY id"):
        members: list[tuple[Any, ...]] = []
        while row is not None and row[14] <= batch:
            members.append(tuple(row))
            row = next(transfers, None)
        if before != previous or len(members) != count or link(previous, members) != digest:
            yield (batch, before, digest, count, len(members))
        previous = digest
    if row is not None:
        yield ("transfer without a batch", row[0], row[14])


def _usage(select: Select) -> Rows:
    """10. What the holds of a call were charged stands in the call's usage rows, to the unit, as long as those are kept."""
    before = next((row[0] for row in select("SELECT before_us FROM pruned WHERE resource='usage'")), 0)
    charged = "SELECT ref, {}amount AS amount, 0 AS told, {} AS booked, 0 AS rows_kept FROM transfer WHERE ref IS NOT NULL AND "
    # An event from elsewhere brought its own request id, which another may have too: its row's id stands in its charge.
    known = "CASE WHEN source='gateway' THEN request_id ELSE id END"
    told = f"SELECT {known}, 0, charge_amount, NULL, 1 FROM usage WHERE charge_amount > 0"
    calls = select(
        f"SELECT ref, {_sums('amount')}, {_sums('told')}, min(booked) FROM ("
        f"{charged.format('', 'booked_us')} (kind IN (2, 4) OR code='late_usage') UNION ALL "
        f"{charged.format('-', 'NULL')} code='late_refund' UNION ALL "
        f"{charged.format('', 'NULL')} kind=0 AND code='usage' UNION ALL {told}) call "
        "GROUP BY ref HAVING count(booked) + sum(rows_kept) > 0 ORDER BY ref"
    )
    for ref, whole, part, told_whole, told_part, booked in calls:
        paid, shown = _total(whole, part), _total(told_whole, told_part)
        if paid != shown and (booked is None or booked >= before):
            yield (ref, paid, shown)


_CHECKS: tuple[tuple[str, Callable[[Select], Rows]], ...] = (
    ("transfers have two accounts of one asset", _two_accounts),
    ("balances are the sum of their entries", _balances),
    ("lots less debts are the balance", _lots_and_debts),
    ("a hold is resolved at most once", _resolutions),
    ("no balance is below its floor", _floors),
    ("repeated commands were applied once", _replays),
    ("what was paid for lots is accounted for", _values),
    ("quota windows equal their holds and charges", _windows),
    ("the hash chain is unbroken", _chain),
    ("usage rows tell what calls were charged", _usage),
    ("sums of usage are a recount of its rows", roll_ups),
)
