"""What calls leave behind for the garbage collector: nothing, or it would run all the time while a server is busy."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import orjson
import pytest


@pytest.mark.parametrize("kind", ["free", "paid", "stream", "uncounted", "left", "refused"])
async def test_calls_leave_no_circles_for_the_collector(kind: str, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.server.operations.garbage", kind, str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*program, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(100):
            said, told = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, (said, told)
    assert orjson.loads(told) == {}
