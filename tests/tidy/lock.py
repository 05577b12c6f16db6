"""Resolves pyproject.toml into the three requirement files: `make lock`. No test lives here, and no address is written down.

The registry is the one that the machine's own pip or uv is set up for.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = "setuptools>=80"
"""What the editable install of the project itself is built with; it is installed without isolation."""
HEAD = "# Made by `make lock` from pyproject.toml. Every package is pinned by version and hash; no index is named here."
SETS: dict[str, tuple[str, ...]] = {
    "requirements.txt": (),
    "requirements-dev.txt": ("--extra=dev", "--extra=postgres", "--extra=redis", "--extra=sdk", "--extra=mcp"),
    "requirements-all.txt": ("--all-extras",),
}


def lock(uv: str, target: Path, extras: Sequence[str], build: Path) -> None:
    """Write one requirement file. Raises CalledProcessError when nothing fits together."""
    command = [uv, "pip", "compile", "pyproject.toml", str(build), *extras, "--universal", "--python-version=3.11"]
    command += ["--generate-hashes", "--no-emit-index-url", "--no-annotate", "--no-header", "--upgrade", "--quiet"]
    resolved = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    target.write_text(f"{HEAD}\n{resolved.stdout}")


def main(uv: str) -> None:
    """Resolve all three with one uv executable."""
    with tempfile.TemporaryDirectory() as folder:
        build = Path(folder) / "build.in"
        build.write_text(f"{BUILD}\n")
        for name, extras in SETS.items():
            lock(str(Path(uv).absolute()), ROOT / name, extras, build)


if __name__ == "__main__":
    main(sys.argv[1])
