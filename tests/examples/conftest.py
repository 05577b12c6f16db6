"""A real server process for the examples: the demo, on a free port, with its state in a temporary folder."""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOLLGATE = str(Path(sys.executable).parent / "tollgate")
START_SECONDS = 20


@dataclass(frozen=True)
class Server:
    """Where a server listens, and who may call it."""

    url: str
    token: str

    @property
    def environment(self) -> dict[str, str]:
        """What the examples read."""
        return {**os.environ, "TOLLGATE_URL": self.url, "TOLLGATE_TOKEN": self.token, "NO_PROXY": "127.0.0.1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_ready(url: str) -> bool:
    try:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=1)
        connection.request("GET", "/readyz", headers={"connection": "close"})
        return connection.getresponse().status == 200
    except OSError:
        return False


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Ask /readyz until it says yes; fail with what the process printed."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if is_ready(url):
            return
        try:
            process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue
        break
    process.kill()
    pytest.fail(f"the server did not get ready:\n{log.read_text()[-3000:]}")


@contextmanager
def started(command: list[str], url: str, log: Path, environment: dict[str, str] | None = None) -> Iterator[None]:
    """A server process for as long as it is needed."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        wait_until_ready(url, process, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=5)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demo."""
    folder = tmp_path_factory.mktemp("demo")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    demo = ["--demo", "--state", str(folder)]
    token = subprocess.run(
        [TOLLGATE, "token", *demo, "--user", "example", "--tier", "professional"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    ).stdout.strip()
    with started([TOLLGATE, "serve", *demo, "--port", str(port)], url, folder / "log"):
        yield Server(url, token)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TypeScript example as JavaScript. The compiler is kept between runs, outside the tracked tree."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        reason = "node and npm are needed to run the TypeScript example; install Node 20 or newer"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = ROOT / ".state" / "typescript"
    if not (folder / "node_modules" / "typescript" / "package.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true, "type": "module"}\n')
        command = [
            npm,
            "install",
            "--no-audit",
            "--no-fund",
            "--no-package-lock",
            "--ignore-scripts",
            "typescript@7.0.2",
        ]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=100)
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
