"""The watch of this process with the job that writes its blocks, and the line that tells of one."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from monetization.abuse import Block, Watch
from monetization.directory import Directory
from server.config_abuse import AbuseSettings
from server.jobs import Job, running
from server.logs import Logs

WRITE_SECONDS = 0.25
"""Between two looks for blocks to write; with the directory's poll every process refuses within a second."""


@asynccontextmanager
async def open_watch(
    said: AbuseSettings,
    directory: Directory,
    *,
    logs: Logs,
    clock_us: Callable[[], int],
    blocked: Callable[[str], None],
) -> AsyncIterator[Watch]:
    """A watch that hears of the blocks of other processes while the block runs.

    `blocked` hears the rule of each block that is set here.

    Raises: StorageUnavailable.
    """
    lines = logs.logger("abuse")

    def told(block: Block) -> None:
        lines.warning("blocked", subject=block.owner, rule=block.rule, count=block.count, until_us=block.until_us)
        blocked(block.rule)

    def failed(_: str, problem: Exception) -> None:
        lines.debug("blocks_not_written", problem=type(problem).__name__)

    watch = Watch(said.rules(), clock_us=clock_us, on_block=told)
    directory.tell(watch.heard)
    await watch.load(directory)
    job = Job("write blocks", WRITE_SECONDS, partial(watch.write, directory))
    async with running([job], on_failure=failed):
        yield watch
