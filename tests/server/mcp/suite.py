"""The official programs that judge an MCP server, from npm, kept between runs outside the tracked tree. No test lives here."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.npm import node_of, npm_installed

RUN_SECONDS = 300


@dataclass(frozen=True)
class Suite:
    """Where they are."""

    node: str
    folder: Path

    async def run(self, program: str, *arguments: str, folder: Path) -> tuple[int, str]:
        """Exit code and output."""
        script = self.folder / "node_modules" / ".bin" / program
        process = await asyncio.create_subprocess_exec(
            *(self.node, str(script), *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, "MCP_CATALOG_PATH": str(folder / "catalog.json"), "NO_PROXY": "127.0.0.1"},
        )
        try:
            async with asyncio.timeout(RUN_SECONDS):
                said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode is not None
        return process.returncode, said.decode("utf-8", "replace")


def installed() -> Suite:
    """The programs, with a Node that is new enough for them."""
    folder = npm_installed("mcp")
    return Suite(node_of(folder), folder)
