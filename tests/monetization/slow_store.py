"""A store that a test can hold up or take away, and seconds that a test moves. Nothing is asserted here."""

import asyncio
from typing import Any

from storage.errors import StorageUnavailable
from storage.records.directory import DirectoryEntry
from storage.store import Store


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Slow:
    """A store whose readings can be held up after they have read, and that can be away."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_away = False
        self.reads = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.has_read = asyncio.Event()

    def __getattr__(self, name: str) -> Any:  # stands for any method of a store
        return getattr(self._store, name)

    async def entries_of(self, tenant: str, owner: str) -> tuple[DirectoryEntry, ...]:
        if self.is_away:
            raise StorageUnavailable
        self.reads += 1
        found = await self._store.entries_of(tenant, owner)
        self.has_read.set()
        await self.may_answer.wait()
        return found

    async def entries_changed(self, after_seq: int, limit: int) -> tuple[tuple[DirectoryEntry, ...], int]:
        if self.is_away:
            raise StorageUnavailable
        return await self._store.entries_changed(after_seq, limit)
