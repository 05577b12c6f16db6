"""The server itself deletes what has outlived `[storage] usage_retention_days`."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.compose import DAY_US, Instruments, _prune, compose, now_us
from server.demo import demo_settings
from server.drain import Drain
from server.log_writer import LineWriter
from server.logs import Logs
from server.metrics import Metrics
from storage.store import Store, open_store
from tests.storage.ledger_cases import usage_row


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path / 'rows.db'}", clock_us=now_us) as opened:
        yield opened


async def test_rows_older_than_the_retention_go_and_younger_ones_stay(store: Store) -> None:
    for days in (399, 401):
        await store.record_usage(usage_row(f"{days} days", "ada", now_us() - days * DAY_US))
    await _prune(store, days=400)
    assert [row.id for row in (await store.usage("t", "ada")).rows] == ["399 days"]


async def test_a_server_prunes_by_itself(tmp_path: Path) -> None:
    logs = Logs(LineWriter(2), now=lambda: 0.0)
    try:
        async with compose(demo_settings(tmp_path), Instruments(logs, Metrics(), Drain())):
            assert "job prune old rows" in {task.get_name() for task in asyncio.all_tasks()}
    finally:
        logs.close()
