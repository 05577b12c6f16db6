"""`make bench --only "metering over HTTP"`: events and checks on each database, printed as tables."""

import sys
import tempfile
from pathlib import Path

from tests.bench.metering import ingesting
from tests.bench.metering.ingesting import ROUNDS, Show
from tests.bench.postgres_ledger_bench import TUNED
from tests.fakes.postgres import NoPostgres, running


def run(seconds: float) -> None:
    """Print all tables. `seconds`: of one measurement."""
    rounds = ROUNDS if seconds >= 1 else 1
    on_sqlite(seconds, rounds, _show)
    on_postgres(seconds, rounds, _show)


def on_sqlite(seconds: float, rounds: int, show: Show) -> None:
    """Ours and the floor, each on a file of its own on the same disk."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ingesting.sides(folder, f"sqlite:///{folder}/ours.db", f"sqlite:///{folder}/floor.db") as made:
            show("SQLite; ours and the floor in turns on one core")
            ingesting.measure(made, seconds, show, rounds)


def on_postgres(seconds: float, rounds: int, show: Show) -> None:
    """Ours and the floor, each with a database of its own on one server."""
    try:
        with tempfile.TemporaryDirectory() as name, running(*TUNED) as server:
            ours, floor = server.fresh(), server.empty()
            with ingesting.sides(Path(name), ours, floor) as made:
                show("\nPostgreSQL; the same; its own processor time is not counted")
                ingesting.measure(made, seconds, show, rounds)
    except NoPostgres as why:
        show(f"no PostgreSQL here: {why}")


def _show(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
