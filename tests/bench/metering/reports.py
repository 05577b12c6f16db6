"""`python -m tests.bench --only reports`: reports over a long history on each database, printed as tables."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench.ledger_bench import now_us
from tests.bench.metering import reporting
from tests.bench.metering.filling import fill_postgres, fill_sqlite
from tests.bench.metering.history import History
from tests.bench.postgres_ledger_bench import TUNED
from tests.fakes.postgres import NoPostgres, Server, running

ROWS = 10_000_000
Show = Callable[[str], object]


def run(rows: int) -> None:
    """Print all tables over a history of so many rows."""
    on_sqlite(rows, _show)
    on_postgres(rows, _show)


def on_sqlite(rows: int, show: Show) -> None:
    """Reports on a file."""
    with tempfile.TemporaryDirectory() as name:
        folder, history = Path(name), History(rows, now_us())
        began = time.perf_counter()
        fill_sqlite(folder / "history.db", history)
        show(f"\nSQLite, {rows:,} rows of {history.users:,} users, filled in {time.perf_counter() - began:.0f} s")
        asyncio.run(_reports(f"sqlite:///{folder / 'history.db'}", folder, history, show))


def on_postgres(rows: int, show: Show) -> None:
    """Reports on a server of their own."""
    try:
        with tempfile.TemporaryDirectory() as name, running(*TUNED) as server:
            url, history = server.fresh(), History(rows, now_us())
            began = time.perf_counter()
            asyncio.run(fill_postgres(url, history))
            show(
                f"\nPostgreSQL, {rows:,} rows of {history.users:,} users, filled in {time.perf_counter() - began:.0f} s"
            )
            cpu = partial(_both, server)
            asyncio.run(_reports(url, Path(name), history, show, cpu))
    except NoPostgres as why:
        show(f"no PostgreSQL here: {why}")


async def _reports(
    url: str, folder: Path, history: History, show: Show, cpu_seconds: Callable[[], float] = time.process_time
) -> None:
    async with reporting.serving(url, folder) as product:
        await reporting.measure(product, history, show, cpu_seconds)


def _both(server: Server) -> float:
    """Processor time of ours and of the database's."""
    return time.process_time() + server.cpu_seconds()


def _show(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
