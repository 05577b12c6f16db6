"""Random histories on PostgreSQL against the reference model: the very machine that SQLite passes."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from storage.records.money import NEVER_US
from storage.sql.postgres.store import open_postgres
from tests.fakes.postgres import Server
from tests.storage.test_ledger_machine import Ledger

ROUNDS = 15


class PostgresLedger(Ledger):
    """The same machine over a database that is emptied for each history."""

    server: Server

    async def _open(self) -> None:
        if not hasattr(self, "url"):
            self.url = await asyncio.to_thread(self.server.cleaned)
        self.stack = AsyncExitStack()
        # Nothing grows too old: what is remembered has to be true because of the commits alone.
        opened = open_postgres(self.url, clock_us=lambda: self.model.now, remembered_us_max=NEVER_US)
        self.store = await self.stack.enter_async_context(opened)  # type: ignore[arg-type]  # the other backend


def run(machine: type[PostgresLedger], histories: int, steps: int) -> None:
    """So many histories of at most so many steps."""
    chosen = settings(
        max_examples=histories,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(machine, settings=chosen)


@pytest.fixture
def machine(postgres: Server) -> Iterator[type[PostgresLedger]]:
    PostgresLedger.server = postgres
    yield PostgresLedger
    del PostgresLedger.server


def test_any_history_gives_what_the_reference_model_gives_on_postgres(machine: type[PostgresLedger]) -> None:
    run(machine, ROUNDS, 25)
