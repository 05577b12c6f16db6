"""The benchmark of metering measures a store that holds what the product would have written."""

import asyncio
import time
from collections import Counter
from pathlib import Path

from storage.store import open_reader
from tests.bench.metering import reporting, settling
from tests.bench.metering.filling import fill_postgres, fill_sqlite
from tests.bench.metering.history import DAYS, History
from tests.fakes.postgres import Server

HISTORY = History(3_000, 1_764_000_000_000_000)


def test_a_history_is_the_same_each_time_and_few_users_do_most() -> None:
    days = list(HISTORY.days())
    assert days == list(HISTORY.days())
    rows = [row for day in days for row in day]
    assert (len(days), len(rows), len({row.id for row in rows})) == (DAYS, 3_000, 3_000)
    assert all(row.occurred_us < HISTORY.until_us for row in rows)
    ((_, most), *_, (_, least)) = Counter(row.user_id for row in rows).most_common()
    assert most >= 2 * least


async def test_a_filled_store_proves_its_sums_and_every_report_is_measured_over_it(
    tmp_path: Path, postgres: Server
) -> None:
    await _proved(f"sqlite:///{_filled(tmp_path / 'history.db')}", tmp_path)
    url = await asyncio.to_thread(postgres.fresh)
    await fill_postgres(url, HISTORY)
    await _proved(url, tmp_path)


def _filled(path: Path) -> Path:
    fill_sqlite(path, HISTORY)
    return path


async def _proved(url: str, folder: Path) -> None:
    async with open_reader(url, clock_us=lambda: time.time_ns() // 1_000) as reader:
        assert [check for check in await reader.verify() if not check.is_ok] == []
        assert len((await reader.usage("default", "user-0", limit=10)).rows) == 10
    said: list[str] = []
    async with reporting.serving(url, folder) as product:
        await reporting.measure(product, HISTORY, said.append, calls=1)
    of_admins = [*reporting.ADMIN_REPORTS, reporting.MINUTES_OF_ORGANIZATION, reporting.YEAR]
    named = [*reporting.USER_REPORTS, reporting.MINUTES, *of_admins]
    assert [line.startswith(name) for name, line in zip(named, said[1:], strict=True)] == [True] * len(named)


async def test_a_settlement_is_measured_with_and_without_its_sums(postgres: Server) -> None:
    said: list[str] = []
    await settling.measure(0.2, said.append, settling.on_sqlite())
    await settling.measure(0.05, said.append, settling.on_postgres(postgres), of_callers=(1, 8))
    assert len(said) == 1 + len(settling.CALLERS) + 1 + 2
