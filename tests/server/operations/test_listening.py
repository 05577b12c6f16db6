"""The directory of a serving process: kept current by its job, and loud when changes cannot be heard of."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from monetization.directory import Directory, putting
from server.listening import open_directory
from server.log_writer import LineWriter
from server.logs import Logs
from server.metrics import Metrics
from storage.errors import StorageUnavailable
from storage.records.directory import DirectoryEntry
from storage.store import Store, open_store
from tests.storage.conftest import Clock


class Deaf:
    """A store that can stop telling changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_deaf = False
        self.asked = asyncio.Event()

    def __getattr__(self, name: str) -> Any:  # stands for any method of a store
        return getattr(self._store, name)

    async def entries_changed(self, after_seq: int, limit: int) -> tuple[tuple[DirectoryEntry, ...], int]:
        self.asked.set()
        if self.is_deaf:
            raise StorageUnavailable
        return await self._store.entries_changed(after_seq, limit)

    async def refused(self) -> None:
        """Wait for the job's next look, which is in vain at once."""
        self.asked.clear()
        async with asyncio.timeout(30):
            await self.asked.wait()
        await asyncio.sleep(0)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110  # the job tells nobody
            await asyncio.sleep(0.01)


async def test_a_server_hears_of_changes_and_says_once_when_it_does_not(tmp_path: Path) -> None:
    file, metrics, seconds, clock = tmp_path / "log", Metrics(), [100.0], Clock()
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY)
    logs = Logs(LineWriter(descriptor), now=lambda: 1_700_000_000.0)

    def stale() -> float | None:
        return metrics.registry.get_sample_value("tollgate_directory_stale")

    async with open_store("sqlite://", clock_us=clock) as store:
        deaf = Deaf(store)
        opened = open_directory(deaf, logs=logs, metrics=metrics, clock_us=clock, monotonic=lambda: seconds[0])
        async with opened as directory:
            elsewhere = await Directory.opened(store, clock_us=clock, monotonic=lambda: 1.0)
            await directory.of("user:u")
            await elsewhere.put(None, [putting("limits", "user:u", "user:u", {"rpm": 1})])
            await until(lambda: directory.known("user:u") is None)
            deaf.is_deaf = True
            for _ in range(3):
                seconds[0] += 6
                await deaf.refused()
            assert (stale(), directory.is_current) == (1, False)
            deaf.is_deaf = False
            await until(lambda: (stale(), directory.is_current) == (0, True))
    logs.close()
    os.close(descriptor)
    said = [orjson.loads(line)["event"] for line in file.read_bytes().splitlines()]
    assert [event for event in said if event != "directory_poll_failed"] == ["directory_stale", "directory_current"]
    assert metrics.registry.get_sample_value("tollgate_directory_polls_failed_total") == 3
