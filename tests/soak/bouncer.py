"""A real PgBouncer in front of the tests' PostgreSQL, pooling by transaction: the program that the PATH finds, or none."""

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.fakes.ports import own_port
from tests.fakes.postgres import Server

START_SECONDS = 10
POOL = 5
"""Connections to the database, fewer than the clients have: statements of one client reach many sessions."""
MISSING = (
    "PgBouncer: not on the PATH, so its form does not run (install the package pgbouncer, or put the program there)"
)
_INI = """[databases]
* = host={folder} user=tollgate
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool}
max_client_conn = 500
logfile = {folder}/bouncer.log
"""


def program() -> str | None:
    """Where it is."""
    return shutil.which("pgbouncer")


class Bouncer:
    """Where it listens, and which server it stands before."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.port = port

    def through(self, url: str) -> str:
        """The address of a database of the server, by way of the bouncer."""
        return f"postgresql://tollgate@127.0.0.1:{self.port}/{self.server.database(url)}?statement_cache_size=0"


@contextmanager
def bouncing(server: Server) -> Iterator[Bouncer]:
    """A bouncer before the server. It ends without waiting for its clients."""
    with own_port() as port:
        yield from _bouncing(server, port)


def _bouncing(server: Server, port: int) -> Iterator[Bouncer]:
    found = program()
    assert found is not None, MISSING
    ini = server.folder / "bouncer.ini"
    ini.write_text(_INI.format(folder=server.folder, port=port, pool=POOL))
    process = server.beside(found, str(ini))
    try:
        _wait(port, server.folder / "bouncer.log")
        yield Bouncer(server, port)
    finally:
        process.kill()
        process.wait(START_SECONDS)


def _wait(port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"PgBouncer does not listen: {log.read_text()[-500:] if log.exists() else 'no log'}")
