"""Memory stays where it is however long a server runs: what regular work needs is loaded at the start, and it keeps nothing."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import orjson

KEPT_BYTES_MAX = 200_000
"""What ten more runs of everything may keep; they keep 10,000."""


async def test_regular_work_loads_nothing_late_and_keeps_nothing(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.server.jobs.again", str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*program, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(200):
            said, told = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, (said, told)
    found = orjson.loads(said)
    assert len(found["jobs"]) == 7
    assert found["loaded"] == []
    assert found["kept"] < KEPT_BYTES_MAX
