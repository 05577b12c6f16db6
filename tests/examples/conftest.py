"""A real server process for the examples: the demo, on a free port, with its state in a temporary folder."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.npm import npm_installed
from tests.fakes.server import ROOT, demo_token, started


@dataclass(frozen=True)
class Server:
    """Where a server listens, and who may call it."""

    url: str
    token: str

    @property
    def environment(self) -> dict[str, str]:
        """What the examples read."""
        return {**os.environ, "TOLLGATE_URL": self.url, "TOLLGATE_TOKEN": self.token, "NO_PROXY": "127.0.0.1"}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demo."""
    folder = tmp_path_factory.mktemp("demo")
    token = demo_token(folder, "example", "professional")
    with started(["--demo", "--state", str(folder)], folder) as running:
        yield Server(running.url, token)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TypeScript example as JavaScript. The compiler is kept between runs, outside the tracked tree."""
    folder = npm_installed("typescript")
    out = tmp_path_factory.mktemp("compiled")
    (out / "package.json").write_text('{"type": "module"}\n')
    shutil.copy(ROOT / "examples" / "03_editor_client.ts", out)
    strict = ["--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--erasableSyntaxOnly"]
    target = ["--target", "es2022", "--module", "nodenext", "--types", "", "--outDir", str(out)]
    done = subprocess.run(
        [str(folder / "node_modules" / ".bin" / "tsc"), *target, *strict, str(out / "03_editor_client.ts")],
        cwd=out,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "03_editor_client.js"
