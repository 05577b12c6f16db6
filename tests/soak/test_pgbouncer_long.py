"""The ledger behind a real PgBouncer that pools by transaction: promises, races, migrations. Only `make soak` runs it."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType

import aiohttp
import pytest

from storage.errors import StoreRefused
from storage.store import Store, open_reader, open_store
from tests.fakes.postgres import Server, running
from tests.fakes.server import ROOT
from tests.journeys.money import conftest as money
from tests.journeys.money import test_races
from tests.journeys.money.books import Place
from tests.journeys.money.outages import Death, kill_the_database
from tests.soak.bouncer import Bouncer, bouncing
from tests.storage import conftest as storage
from tests.storage import test_directory, test_expiry_rows, test_ledger, test_ledger_lots, test_pruning, test_reader
from tests.storage.conftest import Clock
from tests.storage.ledger_cases import ADA, done, grant

WAITING_SECONDS = 15.0
"""A bouncer does not say that the database is away; it lets its clients wait, and ours do so for ten seconds, at each attempt
to write what a running call came to."""
pytestmark = pytest.mark.timeout(600)
clock, vendor = storage.clock, money.vendor  # fixtures
CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname=current_database() AND pid<>pg_backend_pid()"
)


def promises(*modules: ModuleType) -> dict[str, Callable[..., object]]:
    """The tests of other files, so that they run here with the fixtures of this one."""
    return {name: test for module in modules for name, test in vars(module).items() if name.startswith("test_")}


globals().update(
    promises(test_directory, test_expiry_rows, test_ledger, test_ledger_lots, test_pruning, test_reader, test_races)
)


@pytest.fixture(scope="session")
def bouncer(postgres: Server) -> Iterator[Bouncer]:
    with bouncing(postgres) as before:
        yield before


@pytest.fixture
async def store(bouncer: Bouncer, clock: Clock) -> AsyncIterator[Store]:
    """As the suite's own, but by way of the bouncer."""
    url = bouncer.through(await asyncio.to_thread(bouncer.server.cleaned))
    async with open_store(url, clock_us=clock) as opened:
        yield opened
        assert [check for check in await opened.verify() if not check.is_ok] == []


@pytest.fixture
def place(bouncer: Bouncer, tmp_path: Path) -> Place:
    """Four processes that share five connections."""
    return Place(bouncer.through(bouncer.server.fresh()), 4, tmp_path)


def test_migrations_pass_a_bouncer_one_process_after_the_other(bouncer: Bouncer) -> None:
    url = bouncer.through(bouncer.server.empty())
    said = "import sys; from storage.sql.migrating import current, migrate; migrate(*sys.argv[1:]); print(current(sys.argv[1]))"
    for to in ("head", "base", "head", "head"):
        done = subprocess.run(
            [sys.executable, "-c", said, url, to], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout.strip() == "None") == (0, to == "base"), done.stderr[-2000:]


async def test_a_bouncer_that_loses_prepared_statements_stops_the_start_in_one_line(
    bouncer: Bouncer, clock: Clock
) -> None:
    url = bouncer.through(await asyncio.to_thread(bouncer.server.cleaned)).partition("?")[0]
    with pytest.raises(StoreRefused, match=r"add \?statement_cache_size=0"):
        async with open_store(url, clock_us=clock):
            pass
    with pytest.raises(StoreRefused, match=r"add \?statement_cache_size=0"):
        async with open_reader(url, clock_us=clock):
            pass


async def test_connections_cut_behind_a_bouncer_are_made_anew(bouncer: Bouncer, clock: Clock) -> None:
    url = await asyncio.to_thread(bouncer.server.cleaned)
    async with open_store(bouncer.through(url), clock_us=clock) as opened:
        for number in range(5):
            await done(opened, grant(ADA, 5, str(number)))
            await asyncio.to_thread(bouncer.server.query, CUT, bouncer.server.database(url))
        assert [check for check in await opened.verify() if not check.is_ok] == []


async def test_a_database_that_dies_behind_a_bouncer_costs_nobody_anything_wrong(
    wide: aiohttp.ClientSession, private_key: str, tmp_path: Path
) -> None:
    with running() as mortal, bouncing(mortal) as before:
        place = Place(before.through(await asyncio.to_thread(mortal.fresh)), 2, tmp_path)
        death = Death(mortal.kill, mortal.restart, 4 * WAITING_SECONDS, WAITING_SECONDS)
        load = await kill_the_database(mortal, place, wide, private_key, (0.3, 3.0, 1.0), 5, death)
    assert any(said.result for said in load.said.values())
