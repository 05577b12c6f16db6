"""Proofs in pieces: they find what is wrong wherever it lies, go on while others write, and are in nobody's way."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest

from storage.records.commands import Adjust, Claim, RefundCharge
from storage.records.ledger import AccountKey, Check, Told, untold
from storage.sql.postgres.connections import address_of
from storage.sql.postgres.pool import open_pool
from storage.sql.postgres.verifying import verify_over
from storage.sql.sqlite import connections
from storage.sql.sqlite.verifying import SqliteBooks, verify_file
from storage.store import Store, open_store
from tests.fakes.postgres import Server
from tests.storage.conftest import BACKENDS, Clock
from tests.storage.ledger_cases import ADA, BOB, MONTH, done, grant, hold, settle, usage_row

EVE = ADA._replace(owner_id="eve")
DAY_SECONDS = 24 * 3600
ROUNDS_MAX = 50
Prove: TypeAlias = Callable[..., Awaitable[list[Check]]]


@pytest.fixture(params=BACKENDS)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Prove]:
    """A fresh database, and how it is proved in pieces."""
    if request.param == "sqlite":
        path = tmp_path / "ledger.db"
        return f"sqlite:///{path}", partial(asyncio.to_thread, verify_file, path, _now_us)
    server: Server = request.getfixturevalue("postgres")
    url = await asyncio.to_thread(server.cleaned)
    return url, partial(_proved_on_postgres, url)


async def _proved_on_postgres(url: str, told: Told = untold, *, piece: int, commit_us: int) -> list[Check]:
    async with open_pool(address_of(url)) as pool:
        return await pool.alone(lambda found: verify_over(found, _now_us, told, piece=piece, commit_us=commit_us))


def _now_us() -> int:
    return time.time_ns() // 1_000


async def a_call(store: Store, clock: Clock, number: int, account: AccountKey = ADA, amount: int = 3) -> int:
    """A paid call; returns the id of its charge."""
    user = None if number % 5 == 0 else account.owner_id
    held = await done(store, hold(clock, 5, account, ref=f"req_{number}", claims=(Claim(MONTH, 5),)))
    row = replace(usage_row(str(number), "ada", clock()), user_id=user, charge_amount=amount, charge_asset="TOKEN")
    settled = await done(store, settle(held, amount, usage=row, ref=f"req_{number}", quota={"tokens": amount}))
    return settled.id


async def a_history(store: Store, clock: Clock) -> None:
    """Some days of everything that leaves rows behind: expired holds, refunds, debts and two lots under one charge among it."""
    await done(store, grant(ADA, 4, paid_nano=400))
    await done(store, grant(ADA, 10_000, "2", paid_nano=1_000))
    await done(store, grant(BOB, 10_000, "3"))
    forgotten = [await done(store, hold(clock, 2, seconds=5)) for _ in range(3)]
    for number in range(1, 13):
        charge = await a_call(store, clock, number, (ADA, BOB)[number % 2])
        if number % 6 == 0:
            await done(store, RefundCharge(tenant="t", transfer_id=charge, amount=number // 6))
        clock.forward(DAY_SECONDS / 3)
    await store.sweep()
    assert len(forgotten) == 3
    await done(store, Adjust(account=BOB, amount=-1, reason="x", actor="boss"))
    await done(store, hold(clock, 1, BOB))
    indebted = await done(store, hold(clock, 5, EVE, overdraft=9))
    await done(store, settle(indebted, 5))
    await store.prune(usage_before_us=0)


@pytest.mark.parametrize("piece", [1, 7, 100_000])
async def test_a_history_is_proved_in_pieces_of_any_size(place: tuple[str, Prove], clock: Clock, piece: int) -> None:
    url, prove = place
    async with open_store(url, clock_us=clock) as store:
        await a_history(store, clock)
        checks = await prove(piece=piece, commit_us=50_000)
    assert len(checks) == 11
    assert [check for check in checks if not check.is_ok] == []


FORGERIES = {
    "UPDATE transfer SET credit_account=999 WHERE id=(SELECT max(id) FROM transfer)": "transfers have two accounts of one asset",
    "UPDATE account SET posted=posted+1 WHERE owner_id='bob'": "balances are the sum of their entries",
    "UPDATE account SET held=held+1 WHERE owner_id='ada'": "balances are the sum of their entries",
    "UPDATE lot SET granted=granted+1 WHERE id=(SELECT max(id) FROM lot)": "lots less debts are the balance",
    "UPDATE lot_use SET amount=amount+1 WHERE id=(SELECT max(id) FROM lot_use)": "lots less debts are the balance",
    "UPDATE transfer SET amount=amount+1 WHERE code LIKE '%refund%'": "lots less debts are the balance",
    "INSERT INTO debt VALUES (999, 1, 5)": "lots less debts are the balance",
    "INSERT INTO hold SELECT id, 1, 2, 1, 0, 'void', 1, 1, NULL, NULL FROM transfer WHERE kind=4":
        "a hold is resolved at most once",
    "UPDATE lot_use SET value_nano=value_nano+1 WHERE lot_id=1": "what was paid for lots is accounted for",
    "UPDATE hold_window SET settled=settled+1 WHERE transfer_id=(SELECT max(transfer_id) FROM hold_window)":
        "quota windows equal their holds and charges",
    "UPDATE hold_window SET settled=NULL WHERE transfer_id=(SELECT max(transfer_id) FROM hold_window)":
        "quota windows equal their holds and charges",
    "UPDATE transfer SET note='forged' WHERE kind=4": "the hash chain is unbroken",
    "DELETE FROM transfer WHERE id=(SELECT max(id) FROM transfer WHERE kind=4)": "the hash chain is unbroken",
    "UPDATE transfer SET batch_id=batch_id-1 WHERE id=(SELECT max(id) FROM transfer)": "the hash chain is unbroken",
    "UPDATE transfer SET batch_id=batch_id+1 WHERE id=(SELECT max(id) FROM transfer)": "the hash chain is unbroken",
    "DELETE FROM batch WHERE id=(SELECT max(id) FROM batch)": "the hash chain is unbroken",
    "UPDATE usage SET request_id='other' WHERE id='7'": "usage rows tell what calls were charged",
    "DELETE FROM usage WHERE id='5'": "sums of usage are a recount of its rows",
    "DELETE FROM usage WHERE id='8'": "sums of usage are a recount of its rows",
    "UPDATE usage SET tenant='other' WHERE id='8'": "sums of usage are a recount of its rows",
    "UPDATE usage_slot SET latency_us=latency_us+1 WHERE grain=0 AND series=(SELECT max(id) FROM usage_series WHERE level=0)":
        "sums of usage are a recount of its rows",
    "UPDATE usage_slot SET failed=failed+1 WHERE grain=1 AND series=(SELECT max(id) FROM usage_series WHERE level=2)":
        "sums of usage are a recount of its rows",
    "UPDATE usage_weight SET tokens=0 WHERE grain=2": "sums of usage are a recount of its rows",
}  # fmt: skip


@pytest.mark.parametrize("piece", [1, 100_000])
async def test_what_was_forged_is_found_in_whatever_piece_it_lies(tmp_path: Path, clock: Clock, piece: int) -> None:
    path = tmp_path / "ledger.db"
    async with open_store(f"sqlite:///{path}", clock_us=clock) as store:
        await a_history(store, clock)
    with closing(sqlite3.connect(path, isolation_level=None)) as forger:
        forger.execute("PRAGMA ignore_check_constraints=1")
        for forgery, name in FORGERIES.items():
            whole = path.with_name("copy.db")
            whole.unlink(missing_ok=True)
            forger.execute("VACUUM INTO ?", (str(whole),))
            with closing(sqlite3.connect(whole, isolation_level=None)) as copy:
                copy.execute("PRAGMA ignore_check_constraints=1")
                assert copy.execute(forgery).rowcount > 0, forgery
            broken = {check.name for check in verify_file(whole, clock, piece=piece) if not check.is_ok}
            assert name in broken, forgery


async def test_a_proof_goes_on_from_commit_to_commit_while_others_write(place: tuple[str, Prove], clock: Clock) -> None:
    url, prove = place
    async with open_store(url, clock_us=clock) as store:
        await a_history(store, clock)
        wrote = threading.Semaphore(0)

        def told(name: str, verdict: Check | None) -> None:
            assert verdict is not None or wrote.acquire(timeout=60), name  # something was written before each check

        proving = asyncio.ensure_future(prove(told, piece=50, commit_us=0))
        rounds = 0
        while not proving.done() and rounds < ROUNDS_MAX:
            rounds += 1
            calls = (a_call(store, clock, 100 + rounds * 10 + caller, (ADA, BOB)[caller % 2]) for caller in range(3))
            await asyncio.gather(*calls)
            wrote.release()
        assert [check for check in await proving if not check.is_ok] == []


def test_a_newer_commit_lets_the_log_be_written_back(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(connections.writer(path)) as writing, closing(connections.reader(path)) as reading:
        writing.execute("CREATE TABLE row (id INTEGER PRIMARY KEY)")
        books = SqliteBooks(path, reading, _now_us, piece=1, commit_us=0)
        assert list(books("SELECT count(*) FROM row")) == [(0,)]
        writing.execute("INSERT INTO row VALUES (1)")
        _, logged, back = writing.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        assert back < logged, "what the old commit does not know yet must wait"
        books.renew()
        _, logged, back = writing.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        assert back == logged
        assert list(books("SELECT count(*) FROM row")) == [(1,)]
