"""The directory of this process with the job that listens for changes of other processes, and what is said when it goes deaf."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from monetization.directory import POLL_SECONDS, Directory
from server.jobs import Job, running
from server.logs import Logs
from server.metrics import Metrics
from storage.store import Store


@asynccontextmanager
async def open_directory(
    store: Store, *, logs: Logs, metrics: Metrics, clock_us: Callable[[], int], monotonic: Callable[[], float]
) -> AsyncIterator[Directory]:
    """A directory that is kept current while the block runs. Raises: StorageUnavailable."""
    lines = logs.logger("directory")

    def told(is_stale: bool) -> None:  # noqa: FBT001  # a callback with one meaning
        metrics.directory_stale(is_stale=is_stale)
        if is_stale:
            lines.error("directory_stale", problem="changes cannot be read; keys are checked against the database")
        else:
            lines.info("directory_current")

    def failed(_: str, problem: Exception) -> None:
        metrics.directory_poll_failed()
        lines.debug("directory_poll_failed", problem=type(problem).__name__)

    directory = await Directory.opened(store, clock_us=clock_us, monotonic=monotonic, on_stale=told)
    async with running([Job("hear of changes in the directory", POLL_SECONDS, directory.poll)], on_failure=failed):
        yield directory
