"""Everybody else in the process: who takes the loop's turns whenever somebody leaves one."""

import asyncio
from types import TracebackType
from typing import Self


class Others:
    """Inside the block `turns` counts how often anybody else could have been served."""

    def __init__(self) -> None:
        self.turns = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._take())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()

    async def _take(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)
