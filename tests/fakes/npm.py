"""Programs from npm that tests run, installed outside the tracked tree once for all runs: by `make programs`, or on first use."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.fakes.server import ROOT

PROGRAMS: Final[Mapping[str, tuple[str, ...]]] = {
    "mcp": ("@modelcontextprotocol/conformance@0.2.0-alpha.12", "@modelcontextprotocol/inspector@2.12.0"),
    "openrpc-validator": ("@open-rpc/schema-utils-js@2.2.1",),
    "typescript": ("typescript@7.0.2",),
}
"""Folder → packages."""
NODE: Final = "22.23.3"
NODE_MIN: Final = (22, 19)
"""What those of MCP need; a machine whose Node is older gets one beside them."""
INSTALL_SECONDS: Final = 200
TRIES: Final = 3
FIRST_USE_SECONDS: Final = INSTALL_SECONDS * TRIES + 300
"""The bound of a test that may have to install."""
_CPUS: Final = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_OWN_NODE: Final = f"node-{sys.platform}-{_CPUS.get(platform.machine().lower(), platform.machine())}"


def npm_installed(name: str) -> Path:
    """The folder of this name with its packages. Without Node the test is skipped, in CI it fails.

    Raises: CalledProcessError or TimeoutExpired when the registry gives them at none of a few tries.
    """
    if not _has_node():
        reason = f"node and npm are needed to run {PROGRAMS[name][0]}; install Node 20 or newer"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return _installed(name)


def node_of(folder: Path) -> str:
    """The Node that runs the programs of a folder."""
    own = folder / "node_modules" / _OWN_NODE / "bin" / "node"
    return str(own) if own.exists() else "node"


def main() -> None:
    """`python -m tests.fakes.npm`: install all of them, so that no test has to."""
    if not _has_node():
        sys.stderr.write("npm is missing: the programs from npm are not installed, install Node 20 or newer\n")
        return
    for name in PROGRAMS:
        _installed(name)


def _has_node() -> bool:
    return shutil.which("npm") is not None and shutil.which("node") is not None


def _installed(name: str) -> Path:
    folder = ROOT / ".state" / name
    packages = PROGRAMS[name] + ((f"{_OWN_NODE}@{NODE}",) if name == "mcp" and not _is_new_enough() else ())
    done = folder / "installed"
    if not done.exists() or done.read_text() != " ".join(packages):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}\n')
        options = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts")
        for left in reversed(range(TRIES)):
            try:
                subprocess.run(
                    ["npm", "install", *options, *packages],
                    cwd=folder, check=True, capture_output=True, timeout=INSTALL_SECONDS,
                )  # fmt: skip
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
                if not left:
                    raise
            else:
                break
        done.write_text(" ".join(packages))
    return folder


def _is_new_enough() -> bool:
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"v(\d+)\.(\d+)", said)
    return found is not None and (int(found[1]), int(found[2])) >= NODE_MIN


if __name__ == "__main__":
    main()
