"""Real server processes for tests: started from settings, waited for, ended by their own id. Nothing is asserted here."""

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.ports import own_port

ROOT = Path(__file__).resolve().parents[2]
TOLLGATE = (sys.executable, "-c", "from server.cli import main; main()")
"""The command of this very tree, wherever the package is installed from."""
START_SECONDS = 60
"""A busy machine needs ten times what an idle one does."""
END_SECONDS = 40


class NotStarted(Exception):
    """The server did not get ready; the text is what it printed."""


def toml(value: object) -> str:
    """A value as TOML: tables become inline ones, so that a whole file is written without a library."""
    match value:
        case Mapping():
            return "{" + ", ".join(f"{json.dumps(str(key))} = {toml(inner)}" for key, inner in value.items()) + "}"
        case str():
            return json.dumps(value)
        case bool():
            return "true" if value else "false"
        case Sequence():
            return "[" + ", ".join(map(toml, value)) + "]"
    return str(value)


def config_file(settings: Mapping[str, object], folder: Path) -> Path:
    """The settings as a configuration file."""
    file, written = folder / "config.toml", folder / "config.toml.new"
    written.write_text("".join(f"{json.dumps(section)} = {toml(value)}\n" for section, value in settings.items()))
    return written.replace(file)  # a server that reads the file again never finds half of it


@dataclass
class Server:
    """One process, where it listens and what it has written."""

    url: str
    process: "subprocess.Popen[bytes]"
    folder: Path
    config: Path | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder / "log"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def database(self) -> Path:
        """Its SQLite file."""
        return self.folder / "tollgate.db"

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """What a statement reads in the database, while the server runs."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement, values)]

    def lines(self) -> list[dict[str, Any]]:
        """The log so far; a line that is no JSON is given as {"raw": ...}."""
        return [_line(line) for line in self.log.read_bytes().splitlines()]

    def descriptors(self) -> int:
        """Files and sockets that the process holds open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def tell(self, number: signal.Signals) -> None:
        """Send a signal to this process only."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Ask it to leave and wait; the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(timeout=5)


def _line(line: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except ValueError:
        return {"raw": line.decode("utf-8", "replace")}
    return parsed if isinstance(parsed, dict) else {"raw": line.decode()}


def is_ready(url: str) -> bool:
    """Whether /readyz says yes."""
    try:
        with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)) as connection:
            connection.request("GET", "/readyz", headers={"connection": "close"})
            return connection.getresponse().status == 200
    except OSError:
        return False


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if is_ready(server.url):
            return
        try:
            server.process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue
        break
    server.process.kill()
    raise NotStarted(server.log.read_text(errors="replace")[-3000:])


@contextmanager
def started(
    arguments: Sequence[str],
    folder: Path,
    *,
    environment: Mapping[str, str] | None = None,
    config: Path | None = None,
    command: Sequence[str] = TOLLGATE,
) -> Iterator[Server]:
    """`tollgate serve ARGUMENTS` on a free port, from ready until the block ends. Raises: NotStarted.

    `command` stands for `tollgate`, where more is wanted of the process than it gives.
    """
    with own_port() as port:
        with (folder / "log").open("ab") as output:
            process = subprocess.Popen(
                [*command, "serve", *arguments, "--port", str(port)],
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdout=output,
                stderr=output,
            )
        server = Server(f"http://127.0.0.1:{port}", process, folder, config)
        try:
            _wait_until_ready(server)
            yield server
        finally:
            server.end()


@contextmanager
def serving(
    settings: Mapping[str, Any],
    folder: Path,
    *,
    environment: Mapping[str, str] | None = None,
    command: Sequence[str] = TOLLGATE,
) -> Iterator[Server]:
    """A server with these settings; its database lies in the folder unless the settings say otherwise."""
    storage = {"url": f"sqlite:///{folder / 'tollgate.db'}", **settings.get("storage", {})}
    file = config_file({**settings, "storage": storage}, folder)
    with started(["--config", str(file)], folder, environment=environment, config=file, command=command) as server:
        yield server


def refused(
    settings: Mapping[str, Any], folder: Path, *, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """The exit code and stderr of a start that should fail; where it would not, its database lies in the folder."""
    storage = {"url": f"sqlite:///{folder / 'tollgate.db'}", **settings.get("storage", {})}
    file = config_file({**settings, "storage": storage}, folder)
    done = subprocess.run(
        [*TOLLGATE, "serve", "--config", str(file), "--port", "0"],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    return done.returncode, done.stderr


def token(server: Server, user: str, tier: str, *, role: str | None = None) -> str:
    """A token that the server's own key signs."""
    assert server.config is not None, "the demo makes its own"
    roles = [] if role is None else ["--role", role]
    return _said(["token", "--config", str(server.config), "--user", user, "--tier", tier, *roles])


def demo_token(folder: Path, user: str, tier: str) -> str:
    """A token of the demo that keeps its state there; made before the start, it makes the key."""
    return _said(["token", "--demo", "--state", str(folder), "--user", user, "--tier", tier])


def _said(arguments: Sequence[str]) -> str:
    return subprocess.run(
        [*TOLLGATE, *arguments], cwd=ROOT, check=True, capture_output=True, text=True, timeout=START_SECONDS
    ).stdout.strip()
