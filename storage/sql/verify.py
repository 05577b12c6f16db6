"""The ledger's invariants as queries: each returns the rows that break it, so that none is good news.

The statements run on every database. Sums are taken in two parts (whole units and the rest) and put together in Python, because a
sum of amounts may pass 64 bits. However long the history, what is in memory at once is a piece of it.
"""
# ruff: noqa: S608  # statements are built from our own names, never from values

from collections.abc import Callable
from itertools import chain, islice

from storage.records.ledger import Check, Told
from storage.sql.books import Books, Merged, Rows, by_key, last_id, pieces, sums, total
from storage.sql.charges import REFUND_CODES
from storage.sql.verify_chain import unbroken
from storage.sql.verify_usage import roll_ups

ROWS_MAX = 100
_MOVED = "kind IN (0, 2, 4)"


def verify(books: Books, told: Told) -> list[Check]:
    """Run every check. Each begins on a commit of its own, so that traffic may go on meanwhile."""
    return [_checked(books, told, name, check) for name, check in _CHECKS]


def _checked(books: Books, told: Told, name: str, check: Callable[[Books], Rows]) -> Check:
    told(name, None)
    books.renew()
    done = Check(name, tuple(islice(check(books), ROWS_MAX)))
    told(name, done)
    return done


def _within(books: Books, column: str) -> str:
    return f"{column}>{books.dialect.mark(1)} AND {column}<={books.dialect.mark(2)}"


def _two_accounts(books: Books) -> Rows:
    """1. Two distinct accounts of one asset and tenant; the entries then add up to zero by construction."""
    statement = (
        "SELECT t.id, t.debit_account, t.credit_account FROM transfer t "
        "LEFT JOIN account d ON d.id=t.debit_account LEFT JOIN account c ON c.id=t.credit_account "
        f"WHERE {_within(books, 't.id')} AND (d.id IS NULL OR c.id IS NULL OR t.debit_account=t.credit_account "
        "OR d.asset<>c.asset OR d.tenant<>c.tenant OR d.tenant<>t.tenant OR t.amount<0) ORDER BY t.id LIMIT 100"
    )
    return chain.from_iterable(books(statement, *piece) for piece in pieces(books, "transfer"))


def _balances(books: Books) -> Rows:
    """2. posted is the sum of the account's entries, held the sum of its open holds.

    Accounts and holds are those of one commit; entries are only ever added, so those up to its batch may be read later.
    """
    mark, after = books.dialect.mark(1), -1
    some = f"SELECT id, kind, posted, held FROM account WHERE id>{mark} ORDER BY id LIMIT {books.piece}"
    held_of = f"SELECT account_id, {sums('amount')} FROM hold WHERE {_within(books, 'account_id')} GROUP BY account_id"
    while accounts := list(books(some, after)):
        within, after = (after, accounts[-1][0]), accounts[-1][0]
        held = by_key(books(held_of, *within))
        entries = _entries(books, within, last_id(books, "batch"))
        for account, kind, posted, is_held in accounts:
            wanted = (entries.get(account, 0), held.get(account, 0)) if kind < 100 else (0, 0)  # noqa: PLR2004  # system side
            if (posted, is_held) != wanted:
                yield (account, posted, is_held, *wanted)
        books.renew()


def _entries(books: Books, accounts: tuple[int, int], batch: int) -> dict[int, int]:
    found: dict[int, int] = {}
    lo, hi, until = map(books.dialect.mark, (3, 4, 5))
    moved = f"{_within(books, 'id')} AND {_MOVED}"
    statements = {
        side: f"SELECT {side}, {sums('amount')} FROM transfer WHERE {moved} AND {side}>{lo} AND {side}<={hi} "
        f"AND batch_id<={until} GROUP BY {side}"
        for side in ("credit_account", "debit_account")
    }
    for piece in pieces(books, "transfer"):
        for side, statement in statements.items():
            sign = 1 if side == "credit_account" else -1
            for account, whole, part in books(statement, *piece, *accounts, batch):
                found[account] = found.get(account, 0) + sign * total(whole, part)
    return found


def _lots_and_debts(books: Books) -> Rows:
    """3. What is left in lots, less what no lot covers yet, is the balance; what left a lot is in its uses."""
    left, owed = (_merged(books, "account_id", of, table) for of, table in (("remaining", "lot"), ("amount", "debt")))
    for account, posted in books("SELECT id, posted FROM account WHERE kind=1 ORDER BY id"):
        there, open_ = sum(left.of(account)), sum(owed.of(account))
        if there - open_ != posted:
            yield ("account", account, posted, there, open_)
    uses = _merged(books, "lot_id", "amount", "lot_use")
    for lot, granted, remaining in books("SELECT id, granted, remaining FROM lot ORDER BY id"):
        used = sum(uses.of(lot))
        if granted - remaining != used:
            yield ("lot", lot, granted, remaining, used)
    yield from _uncovered(books)


def _merged(books: Books, key: str, of: str, table: str) -> Merged:
    return Merged(books(f"SELECT {key}, {sums(of)} FROM {table} GROUP BY {key} ORDER BY {key}"))


_CHARGES = f"FROM transfer t JOIN account a ON a.id=t.debit_account AND a.kind=1 WHERE t.{_MOVED}"


def _uncovered(books: Books) -> Rows:
    """Per charge: its amount is covered by lots, given back, or owed."""
    for piece in pieces(books, "transfer"):
        given = _given_back(books, piece)
        for charge, amount, whole, part, owed in _unlike(books, piece):
            used = total(whole, part)
            back = given.pop(charge, 0)
            if amount - used - back != (owed or 0):
                yield ("charge", charge, amount, used, back)
        one = f"SELECT t.id, t.amount {_CHARGES} AND t.id={books.dialect.mark(1)}"
        for charge, back in given.items():
            if back:  # though its lots and its debt alone come to its amount
                yield from (("charge", number, amount, amount, back) for number, amount in books(one, charge))
    yield from books(
        f"SELECT 'debt', d.transfer_id, d.amount FROM debt d LEFT JOIN transfer t ON t.id=d.transfer_id AND t.{_MOVED} "
        "LEFT JOIN account a ON a.id=t.debit_account AND a.kind=1 WHERE a.id IS NULL LIMIT 100"
    )


def _unlike(books: Books, piece: tuple[int, int]) -> Rows:
    """Charges whose lots and debt do not come to the amount in both parts of the sum: most are told from the rest here."""
    differs = " OR ".join(
        f"t.amount{part} <> coalesce(sum((u.amount){part}), 0) + coalesce(max(d.amount), 0){part}"
        for part in (" / 1000000000", " % 1000000000")
    )
    return list(books(
        f"SELECT t.id, t.amount, {sums('u.amount')}, max(d.amount) FROM transfer t "
        "JOIN account a ON a.id=t.debit_account AND a.kind=1 LEFT JOIN debt d ON d.transfer_id=t.id "
        f"LEFT JOIN lot_use u ON u.transfer_id=t.id WHERE {_within(books, 't.id')} AND t.{_MOVED} "
        f"GROUP BY t.id HAVING {differs} ORDER BY t.id",
        *piece,
    ))  # fmt: skip


def _given_back(books: Books, piece: tuple[int, int]) -> dict[int, int]:
    """What was given back of each charge without going to the lots it came from."""
    refunds = f"r.code IN {REFUND_CODES} AND {_within(books, 'r.related_id')} GROUP BY r.related_id"
    found = by_key(books(f"SELECT r.related_id, {sums('r.amount')} FROM transfer r WHERE {refunds}", *piece))
    used = (
        f"SELECT r.related_id, {sums('u.amount')} FROM transfer r JOIN lot_use u ON u.transfer_id=r.id WHERE {refunds}"
    )
    for charge, whole, part in books(used, *piece):
        found[charge] += total(whole, part)
    return found


def _resolutions(books: Books) -> Rows:
    """4. A pending transfer has one resolution at most, and an open hold exactly where it has none."""
    statement = (
        "SELECT p.id, count(r.id), count(h.transfer_id) FROM transfer p LEFT JOIN transfer r ON r.pending_id=p.id "
        f"LEFT JOIN hold h ON h.transfer_id=p.id WHERE {_within(books, 'p.id')} AND p.kind=1 GROUP BY p.id "
        "HAVING count(r.id)+count(h.transfer_id)<>1 ORDER BY p.id LIMIT 100"
    )
    for piece in pieces(books, "transfer"):
        yield from books(statement, *piece)
    yield from books(
        "SELECT h.transfer_id, h.account_id FROM hold h LEFT JOIN transfer p ON p.id=h.transfer_id AND p.kind=1 "
        "WHERE p.id IS NULL OR p.debit_account<>h.account_id LIMIT 100"
    )


def _floors(books: Books) -> Rows:
    """5. No account is below its overdraft, and nothing held is negative."""
    statement = "SELECT id, posted, held, overdraft FROM account WHERE kind<100 ORDER BY id"
    return (row for row in books(statement) if row[1] - row[2] < -row[3] or row[2] < 0)


def _replays(books: Books) -> Rows:
    """6. Every kept answer names a transfer or a lot that is there, and no business key opened two lots."""
    yield from books(
        "SELECT i.tenant, i.scope, i.key, i.transfer_id FROM idem i WHERE i.transfer_id<>0 AND NOT EXISTS "
        "(SELECT 1 FROM transfer t WHERE t.id=i.transfer_id) AND NOT EXISTS "
        "(SELECT 1 FROM lot l WHERE l.id=i.transfer_id) LIMIT 100"
    )
    yield from books(
        "SELECT tenant, source, source_ref, count(*) FROM lot GROUP BY tenant, source, source_ref HAVING count(*)>1 LIMIT 100"
    )


def _values(books: Books) -> Rows:
    """7. What was paid for a lot is recognised, refunded, lapsed, moved or deferred; and its uses say the same."""
    given = _merged(books, "lot_id", "value_nano", "lot_use")
    statement = "SELECT id, paid_nano, recognised_nano, refunded_nano, breakage_nano, moved_nano, remaining FROM lot ORDER BY id"
    for lot, paid, *parts, remaining in books(statement):
        used, whole = sum(given.of(lot)), sum(parts)
        if min(parts) < 0 or whole > paid or whole != used or (not remaining and whole != paid):
            yield (lot, paid, *parts, used)


def _windows(books: Books) -> Rows:
    """8. A window's used is what its holds and charges settled, its held what its open holds claim.

    Of those that went because of their age a row without a transfer keeps the sum, so nothing is excused.
    """
    counted = Merged(books(
        f"SELECT window_id, {sums('settled')}, {sums('CASE WHEN settled IS NULL THEN amount ELSE 0 END')} "
        "FROM hold_window GROUP BY window_id ORDER BY window_id"
    ))  # fmt: skip
    for window, used, held in books("SELECT id, used, held FROM quota_window ORDER BY id"):
        wanted = counted.of(window) or (0, 0)
        if (used, held) != wanted:
            yield ("window", window, used, held, *wanted)
    yield from books(
        "SELECT p.transfer_id, p.window_id FROM hold_window p WHERE p.settled IS NULL "
        "AND NOT EXISTS (SELECT 1 FROM hold h WHERE h.transfer_id=p.transfer_id) LIMIT 100"
    )
    yield from books(
        "SELECT p.transfer_id, p.window_id FROM hold h JOIN hold_window p ON p.transfer_id=h.transfer_id "
        "WHERE p.settled IS NOT NULL LIMIT 100"
    )


def _usage(books: Books) -> Rows:
    """10. What the holds of a call were charged stands in the call's usage rows, to the unit, as long as those are kept."""
    before = next((row[0] for row in books("SELECT before_us FROM pruned WHERE resource='usage'")), 0)
    charged = "SELECT ref, {}amount AS amount, 0 AS told, {} AS booked, 0 AS rows_kept FROM transfer WHERE ref IS NOT NULL AND "
    # An event from elsewhere brought its own request id, which another may have too: its row's id stands in its charge.
    known = "CASE WHEN source='gateway' THEN request_id ELSE id END"
    told = f"SELECT {known}, 0, charge_amount, NULL, 1 FROM usage WHERE charge_amount > 0"
    paid, shown = sums("amount").split(", "), sums("told").split(", ")
    differs = " OR ".join(f"{ours} <> {theirs}" for ours, theirs in zip(paid, shown, strict=True))
    calls = books(
        f"SELECT ref, {sums('amount')}, {sums('told')}, min(booked) FROM ("
        f"{charged.format('', 'booked_us')} (kind IN (2, 4) OR code='late_usage') UNION ALL "
        f"{charged.format('-', 'NULL')} code='late_refund' UNION ALL "
        f"{charged.format('', 'NULL')} kind=0 AND code='usage' UNION ALL {told}) call "
        f"GROUP BY ref HAVING count(booked) + sum(rows_kept) > 0 AND ({differs}) ORDER BY ref"
    )
    for ref, *parts, booked in calls:
        is_paid, is_shown = total(*parts[:2]), total(*parts[2:])
        if is_paid != is_shown and (booked is None or booked >= before):
            yield (ref, is_paid, is_shown)


_CHECKS: tuple[tuple[str, Callable[[Books], Rows]], ...] = (
    ("transfers have two accounts of one asset", _two_accounts),
    ("balances are the sum of their entries", _balances),
    ("lots less debts are the balance", _lots_and_debts),
    ("a hold is resolved at most once", _resolutions),
    ("no balance is below its floor", _floors),
    ("repeated commands were applied once", _replays),
    ("what was paid for lots is accounted for", _values),
    ("quota windows equal their holds and charges", _windows),
    ("the hash chain is unbroken", unbroken),
    ("usage rows tell what calls were charged", _usage),
    ("sums of usage are a recount of its rows", roll_ups),
)
