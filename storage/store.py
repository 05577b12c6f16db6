"""The store as every floor above sees it: what can be kept and asked, whatever database is below. No SQL here."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from storage.errors import StoreRefused
from storage.records.usage import UsageRow


class Store(Protocol):
    """What is kept, and the promises kept with it. Every method may raise StorageUnavailable; then nothing was written."""

    async def record_usage(self, row: UsageRow) -> None:
        """Keep one usage row; it is durable when this returns. The same id again changes nothing."""
        ...

    async def ping(self) -> None:
        """Return if the database answers."""
        ...


@asynccontextmanager
async def open_store(url: str, *, clock_us: Callable[[], int]) -> AsyncIterator[Store]:
    """Open the store at `url`: `sqlite:///path`, `sqlite://` (private, gone at the end).

    `clock_us` gives microseconds since 1970 UTC; the store knows no other clock.

    Raises: StoreRefused, one line naming `storage.url`, when it cannot be opened as configured.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "sqlite":
        from storage.sql.sqlite.store import open_sqlite  # noqa: PLC0415  # only the backend that is named

        async with open_sqlite(rest.removeprefix("/"), clock_us=clock_us) as store:
            yield store
    elif separator and scheme in {"postgresql", "postgres"}:
        raise StoreRefused("storage.url: PostgreSQL is not served by this build yet; use sqlite:///tollgate.db")
    else:
        raise StoreRefused(f"storage.url: {scheme!r} is not a known database; use sqlite:///path or postgresql://...")
