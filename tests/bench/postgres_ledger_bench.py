"""Ledger operations a second on PostgreSQL, on the same disk as a bare INSERT-per-commit loop over the same driver."""

import asyncio
import sys
import time
from collections.abc import Callable

from storage.sql.postgres.connections import address_of, connect
from storage.store import open_store
from tests.bench.ledger_bench import fund, hold_and_settle, now_us
from tests.fakes.postgres import NoPostgres, Server, running

TUNED = ("-c", "shared_buffers=256MB", "-c", "autovacuum=on")
ROWS = ((1, 1000), (16, 1000), (64, 1000), (256, 1000), (256, 1))


async def bare_inserts(url: str, seconds: float) -> float:
    """Commits a second of one row each over one connection: what driver, server and disk allow without a group commit."""
    connection = await connect(address_of(url))
    await connection.execute("CREATE TABLE bare (id bigserial PRIMARY KEY, amount bigint NOT NULL)")
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        await connection.execute("INSERT INTO bare (amount) VALUES ($1)", count)
        count += 1
    await connection.close()
    return count / seconds


async def measure(url: str, seconds: float, show: Callable[[str], object]) -> None:
    """Every row of the table, on a fresh database."""
    floor = await bare_inserts(url, seconds)
    show(f"bare INSERT per commit       {floor:10,.0f}/s  1.00")
    async with open_store(url, clock_us=now_us) as store:
        await fund(store, 1000)
        for callers, accounts in ROWS:
            rate = await hold_and_settle(store, callers, accounts, seconds)
            show(f"{callers:4} callers, {accounts:5} accounts {rate:12,.0f}/s  {rate / floor:.2f}")
        broken = [check.name for check in await store.verify() if not check.is_ok]
        show(f"verify: {broken or 'ok'}")


def run(seconds: float = 2.0) -> None:
    """Print the table for a server of its own with every commit on disk; the last column is the ratio to the bare loop."""
    try:
        with running(*TUNED) as server:
            asyncio.run(_on(server, seconds))
    except NoPostgres as why:
        sys.stdout.write(f"no PostgreSQL here: {why}\n")


async def _on(server: Server, seconds: float) -> None:
    url = await asyncio.to_thread(server.fresh)
    await measure(url, seconds, lambda line: sys.stdout.write(line + "\n"))


if __name__ == "__main__":
    run()
