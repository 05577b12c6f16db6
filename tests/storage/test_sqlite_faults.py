"""What happens when the machine does not play along: killed processes, full disks, read-only files, edited rows."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from storage.errors import StorageUnavailable, StoreRefused
from storage.records.commands import Charge, Claim, Done, Idempotency, Settle
from storage.records.ledger import CREDITS, AccountKey
from storage.records.money import TOKEN
from storage.sql.sqlite import connections
from storage.sql.sqlite.store import open_sqlite
from storage.store import open_store
from tests.storage.conftest import Clock
from tests.storage.ledger_cases import ADA, MONTH, done, grant, hold, settle

LOAD = """
import asyncio, itertools, sys, time
from storage.records.commands import *
from storage.records.ledger import CREDITS, AccountKey
from storage.store import open_store

def now():
    return time.time_ns() // 1000

async def call(store, number, start):
    key = AccountKey("t", "user", f"user-{number % 5}", CREDITS, "TOKEN")
    for turn in itertools.count():
        ref = f"{start}-{number}-{turn}"
        await store.submit(Grant(account=key, amount=10, reason="purchase", source="load", source_ref=ref, paid_nano=99))
        held = await store.submit(Hold(account=key, amount=7, expires_us=now() + 20_000))
        if isinstance(held, Done):
            settled = await store.submit(Settle(tenant="t", hold_id=held.id, amount=turn % 9))
            if isinstance(settled, Done):
                sys.stdout.write(f"{held.id} {settled.amount}\\n")
                sys.stdout.flush()

async def main():
    async with open_store(sys.argv[1], clock_us=now) as store:
        await asyncio.gather(*(call(store, number, sys.argv[2]) for number in range(16)))

asyncio.run(main())
"""


def test_a_process_killed_at_any_instant_leaves_every_acknowledged_charge_and_no_broken_invariant(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    seed = random.SystemRandom().randrange(2**32)
    dice = random.Random(seed)  # noqa: S311  # no secret
    acknowledged: list[str] = []
    for start in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", LOAD, url, str(start)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        ) as child:
            assert child.stdout is not None
            acknowledged.extend(child.stdout.readline() for _ in range(dice.randrange(1, 120)))
            os.kill(child.pid, signal.SIGKILL)
            rest = child.stdout.read()
            acknowledged.extend(line for line in rest.splitlines(keepends=True) if line.endswith("\n"))
    assert len(acknowledged) > 6, f"seed {seed}"
    assert asyncio.run(_charges(url)) >= {line.strip() for line in acknowledged if line}, f"seed {seed}"


async def _charges(url: str) -> set[str]:
    def clock() -> int:
        return 2**60  # long after everything

    async with open_store(url, clock_us=clock) as store:
        assert [check for check in await store.verify() if not check.is_ok] == []
        for number in range(5):
            assert await store.holds(AccountKey("t", "user", f"user-{number}", CREDITS, TOKEN)) == ()
    path = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT pending_id, amount FROM transfer WHERE kind IN (2, 4)").fetchall()
    return {f"{hold_id} {amount}" for hold_id, amount in found}


async def test_a_full_disk_refuses_whole_commands_and_serves_again_when_there_is_room(
    tmp_path: Path, clock: Clock
) -> None:
    path = tmp_path / "ledger.db"
    async with open_sqlite(str(path), clock_us=clock) as store:
        await done(store, grant(ADA, 10**9))
        held = await done(store, hold(clock, 100))
        writing = store._lane._transaction._connection  # type: ignore[attr-defined]  # the engine's own connection
        (pages,) = writing.execute("PRAGMA page_count").fetchone()
        writing.execute(f"PRAGMA max_page_count={pages + 5}")
        refusals = granted = 0
        while refusals < 3:
            try:
                await done(store, grant(ADA, 1, f"fill-{granted}-{refusals}", note="x" * 3000))
                granted += 1
            except StorageUnavailable:
                refusals += 1
        assert [check for check in await store.verify() if not check.is_ok] == []
        assert (await store.balance(ADA)).posted == 10**9 + granted
        writing.execute(f"PRAGMA max_page_count={pages + 1000}")
        assert (await done(store, settle(held, 40))).posted == 10**9 + granted - 40
        assert [check for check in await store.verify() if not check.is_ok] == []


async def test_a_file_that_became_read_only_refuses_and_keeps_what_it_has(tmp_path: Path, clock: Clock) -> None:
    async with open_sqlite(str(tmp_path / "ledger.db"), clock_us=clock) as store:
        await done(store, grant(ADA, 100))
        writing = store._lane._transaction._connection  # type: ignore[attr-defined]  # the engine's own connection
        writing.execute("PRAGMA query_only=1")
        with pytest.raises(StorageUnavailable):
            await store.submit(hold(clock, 10))
        assert (await store.balance(ADA)).held == 0
        writing.execute("PRAGMA query_only=0")
        assert (await done(store, hold(clock, 10))).held == 10


async def test_a_folder_that_is_not_there_is_refused_at_start(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(StoreRefused, match=r"storage\.url"):
        async with open_store(f"sqlite:///{tmp_path / 'missing' / 'ledger.db'}", clock_us=clock):
            pass


TAMPERING = {
    "transfers have two accounts of one asset": "UPDATE account SET asset='USD' WHERE kind=101",
    "balances are the sum of their entries": "UPDATE account SET posted=posted+1 WHERE kind=1",
    "lots less debts are the balance": "UPDATE lot SET remaining=remaining+1 WHERE remaining<granted",
    "a hold is resolved at most once": "DELETE FROM hold",
    "no balance is below its floor": "UPDATE account SET held=posted+1 WHERE kind=1",
    "repeated commands were applied once": "UPDATE idem SET transfer_id=999999",
    "what was paid for lots is accounted for": "UPDATE lot SET recognised_nano=recognised_nano+1",
    "quota windows equal their holds and charges": "UPDATE quota_window SET used=used+1",
    "the hash chain is unbroken": "UPDATE transfer SET note='forged' WHERE id=(SELECT min(id) FROM transfer)",
}


@pytest.mark.parametrize("name", list(TAMPERING))
async def test_verify_names_the_invariant_that_an_edited_row_breaks(name: str, tmp_path: Path, clock: Clock) -> None:
    async with open_store(f"sqlite:///{tmp_path / 'ledger.db'}", clock_us=clock) as store:
        await done(store, grant(ADA, 100, paid_nano=1000))
        key = Idempotency("call", "k", "h")
        first = await done(store, hold(clock, 10, claims=(Claim(MONTH, 3),), idempotency=key))
        await done(store, settle(first, 10))
        await done(store, hold(clock, 10))
        assert all(check.is_ok for check in await store.verify())
        with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as forger:
            forger.execute("PRAGMA ignore_check_constraints=1")
            forger.execute(TAMPERING[name])
        broken = {check.name for check in await store.verify() if not check.is_ok}
        assert name in broken


async def test_the_database_itself_refuses_to_resolve_a_hold_twice(tmp_path: Path, clock: Clock) -> None:
    async with open_store(f"sqlite:///{tmp_path / 'ledger.db'}", clock_us=clock) as store:
        await done(store, grant(ADA, 100))
        held = await done(store, hold(clock, 10))
        assert isinstance(await store.submit(Settle(tenant="t", hold_id=held.id, amount=10)), Done)
        with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as forger:
            again = "INSERT INTO transfer SELECT id+1000, tenant, group_id, debit_account, credit_account, amount, kind, code, "
            again += "pending_id, related_id, ref, note, occurred_us, booked_us, batch_id FROM transfer WHERE kind=2"
            with pytest.raises(sqlite3.IntegrityError):
                forger.execute(again)


async def test_counting_goes_on_where_it_ended_even_after_a_charge_that_wrote_no_transfer(
    tmp_path: Path, clock: Clock
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    claims = (Claim(MONTH, 3),)
    async with open_store(url, clock_us=clock) as store:
        await done(store, Charge(account=ADA, amount=5, claims=claims, on_short="write_off"))
    async with open_store(url, clock_us=clock) as store:
        await done(store, hold(clock, 0, claims=claims))
        await done(store, hold(clock, 0, claims=claims))
        assert (await store.window(MONTH))[1:3] == (3, 6)
        assert [check for check in await store.verify() if not check.is_ok] == []


def test_every_commit_of_a_real_file_reaches_the_disk_before_it_returns(tmp_path: Path) -> None:
    with closing(connections.writer(tmp_path / "ledger.db")) as writing:
        full = 2
        assert writing.execute("PRAGMA synchronous").fetchone() == (full,)
        assert writing.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with (
        closing(connections.writer(path)),
        closing(connections.reader(path)) as reading,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        reading.execute("CREATE TABLE forbidden (id INTEGER)")
