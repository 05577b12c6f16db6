"""Scheduled work of one process: a table of jobs, each run again and again until the process leaves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do regularly. It must be harmless to run it twice, or in several processes at once."""

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[object]]
    is_first_at_once: bool = False
    """Else its first run comes after `every_seconds` too."""


@asynccontextmanager
async def running(jobs: Sequence[Job], on_failure: Callable[[str, Exception], None]) -> AsyncIterator[None]:
    """Run the jobs while the block runs. A job that fails is told of and tried again at its next time."""
    tasks = [asyncio.create_task(_repeat(job, on_failure), name=f"job {job.name}") for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def _repeat(job: Job, on_failure: Callable[[str, Exception], None]) -> None:
    task = asyncio.current_task()
    assert task is not None, "a job runs as a task"
    if not job.is_first_at_once:
        await asyncio.sleep(job.every_seconds)
    while True:
        try:
            await job.run()
        except Exception as problem:  # noqa: BLE001  # the broad net of jobs: one failure must not end the schedule
            on_failure(job.name, problem)
        if task.cancelling():  # a database driver whose server is silent answers it with an exception of its own
            return
        await asyncio.sleep(job.every_seconds)
