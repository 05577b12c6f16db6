"""The long forms on PostgreSQL: a minute of writers, a hundred kills, ten thousand histories. Only `make soak` runs it."""

from collections import Counter

import pytest

from tests.fakes.postgres import Server, running
from tests.soak.test_ledger_long import Thrown
from tests.storage.postgres.test_many_processes import write_together
from tests.storage.postgres.test_postgres_faults import kill_under_load
from tests.storage.postgres.test_postgres_machine import PostgresLedger, run

SECONDS = 60.0
KILLS = 100
HISTORIES = 10_000


class ThrownPostgres(Thrown, PostgresLedger):
    """Its commands thrown with dice, as those of the million are."""


@pytest.mark.timeout(600)
async def test_a_minute_of_sixty_four_writers_neither_deadlocks_nor_loses_a_row(postgres: Server) -> None:
    await write_together(postgres, SECONDS)


@pytest.mark.timeout(3600)
async def test_a_hundred_kills_of_the_database_lose_no_answer_and_halve_none() -> None:
    with running() as mortal:
        await kill_under_load(mortal, KILLS)


@pytest.mark.timeout(6 * 3600)
def test_ten_thousand_histories_give_what_the_reference_model_gives(postgres: Server) -> None:
    PostgresLedger.server, Thrown.given = postgres, Counter()
    run(ThrownPostgres, HISTORIES, 50)
