"""The official programs that judge an MCP server, from npm, kept between runs outside the tracked tree. No test lives here."""

import asyncio
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.server import ROOT

CONFORMANCE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
NODE = "22.23.3"
NODE_MIN = (22, 19)
INSTALL_SECONDS = 300
RUN_SECONDS = 90
_CPUS = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


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
    """The programs, installed now if they are not; with a Node of their own where the machine's is too old."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        reason = "node and npm are needed to run the official MCP programs; install Node 20 or newer"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = ROOT / ".state" / "mcp"
    own = f"node-{sys.platform}-{_CPUS.get(platform.machine().lower(), platform.machine())}"
    packages = [CONFORMANCE, INSPECTOR, *([] if _is_new_enough() else [f"{own}@{NODE}"])]
    done = folder / "installed"
    if not done.exists() or done.read_text() != " ".join(packages):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}\n')
        command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", *packages]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=INSTALL_SECONDS)
        done.write_text(" ".join(packages))
    node = folder / "node_modules" / own / "bin" / "node"
    return Suite("node" if _is_new_enough() else str(node), folder)


def _is_new_enough() -> bool:
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"v(\d+)\.(\d+)", said)
    return found is not None and (int(found[1]), int(found[2])) >= NODE_MIN
