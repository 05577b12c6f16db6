"""Programs of the tests that need an interpreter of their own, because what they measure is the whole process."""

import asyncio
import sys
from asyncio.subprocess import PIPE


async def said_by(module: str, *arguments: str, seconds: float) -> tuple[bytes, bytes]:
    """What a module of this tree wrote to stdout and stderr. Raises: TimeoutError; AssertionError where it failed."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, *arguments, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(seconds):
            said, told = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, (said, told)
    return said, told
