"""Ledger operations a second (a hold or a settle, durable) beside a bare INSERT-per-commit loop on the same disk."""

import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from storage.records.commands import Done, Grant, Hold, Settle
from storage.records.ledger import CREDITS, AccountKey
from storage.records.money import CREDIT
from storage.store import Store, open_store

NANO = 1_000_000_000


def now_us() -> int:
    """The machine's clock."""
    return time.time_ns() // 1000


def bare_inserts(path: Path, seconds: float) -> float:
    """Commits a second of one row each: what the disk allows without a group commit."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL)")
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        connection.execute("INSERT INTO row (amount) VALUES (1)")
        count += 1
    connection.close()
    return count / seconds


def account(number: int) -> AccountKey:
    """A customer's credits."""
    return AccountKey("bench", "user", f"user-{number}", CREDITS, CREDIT)


async def fund(store: Store, accounts: int) -> None:
    """Two lots for everybody."""
    grants = (
        Grant(
            account=account(number),
            amount=1_000_000 * NANO,
            reason="purchase",
            source="bench",
            source_ref=f"{number}-{lot}",
        )
        for number in range(accounts)
        for lot in range(2)
    )
    await asyncio.gather(*(store.submit(grant) for grant in grants))


async def hold_and_settle(store: Store, callers: int, accounts: int, seconds: float) -> float:
    """Operations a second of so many callers, each holding, settling and beginning again."""
    count, end = 0, time.perf_counter() + seconds

    async def call(number: int) -> None:
        nonlocal count
        while time.perf_counter() < end:
            key = account(number % accounts)
            held = await store.submit(Hold(account=key, amount=2 * NANO, expires_us=now_us() + 60_000_000))
            assert isinstance(held, Done), held
            settled = await store.submit(Settle(tenant="bench", hold_id=held.id, amount=NANO))
            assert isinstance(settled, Done), settled
            count += 2
            number += callers

    begin = time.perf_counter()
    await asyncio.gather(*(call(number) for number in range(callers)))
    return count / (time.perf_counter() - begin)


async def measure(seconds: float, show: Callable[[str], object]) -> None:
    """Every row of the table, on a fresh file."""
    with tempfile.TemporaryDirectory() as folder:
        floor = bare_inserts(Path(folder) / "bare.db", seconds)
        show(f"bare INSERT per commit       {floor:10,.0f}/s  1.00")
        async with open_store(f"sqlite:///{folder}/ledger.db", clock_us=now_us) as store:
            await fund(store, 1000)
            for callers, accounts in ((1, 1000), (16, 1000), (64, 1000), (256, 1000), (256, 1)):
                rate = await hold_and_settle(store, callers, accounts, seconds)
                show(f"{callers:4} callers, {accounts:5} accounts {rate:12,.0f}/s  {rate / floor:.2f}")
            broken = [check.name for check in await store.verify() if not check.is_ok]
            show(f"verify: {broken or 'ok'}")


def run(seconds: float = 2.0) -> None:
    """Print the table; the last column is the ratio to the bare loop."""
    asyncio.run(measure(seconds, lambda line: sys.stdout.write(line + "\n")))


if __name__ == "__main__":
    run()
