"""Resolves pyproject.toml, and the vendors' earlier SDKs, into requirement files: `make lock`. No address is written down.

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
HEAD = "# Made by `make lock`. Every package is pinned by version and hash; no index is named here."
SETS: dict[str, tuple[str, ...]] = {
    "requirements.txt": (),
    "requirements-dev.txt": ("--extra=dev", "--extra=postgres", "--extra=redis", "--extra=sdk", "--extra=mcp"),
    "requirements-all.txt": ("--all-extras",),
}
EARLIER: dict[str, tuple[str, ...]] = {
    "tests/sdks/requirements-before.txt": (
        "openai<3",
        "anthropic<2",
        "google-genai<3",
        "httpx<1",
        "httpcore<2",
        "tqdm",
    ),
    "tests/sdks/requirements-older.txt": ("anthropic<1",),
}
"""The SDKs of earlier majors, installed beside the environment and over its packages: only what it lacks is named."""


def lock(uv: str, target: Path, sources: Sequence[str]) -> None:
    """Write one requirement file. Raises CalledProcessError when nothing fits together."""
    command = [uv, "pip", "compile", *sources, "--universal", "--python-version=3.11"]
    command += ["--generate-hashes", "--no-emit-index-url", "--no-annotate", "--no-header", "--upgrade", "--quiet"]
    resolved = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    target.write_text(f"{HEAD}\n{resolved.stdout}")


def main(uv: str) -> None:
    """Resolve all of them with one uv executable."""
    command = str(Path(uv).absolute())
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.in"
        wanted.write_text(f"{BUILD}\n")
        for name, extras in SETS.items():
            lock(command, ROOT / name, ["pyproject.toml", str(wanted), *extras])
        for name, packages in EARLIER.items():
            wanted.write_text("\n".join(packages))
            lock(command, ROOT / name, [str(wanted), "--no-deps"])


if __name__ == "__main__":
    main(sys.argv[1])
