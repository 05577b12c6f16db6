"""Starting, awaiting and ending the processes of a benchmark. Each lives in a `with` block and is ended there by its id."""

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.machine import on_cores

ROOT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 30.0
_END_SECONDS = 10.0
_POLL_SECONDS = 0.005

Process = subprocess.Popen[bytes]


class BenchFailed(Exception):
    """The benchmark cannot tell anything; the text says why."""


def python(module: str, *arguments: str) -> list[str]:
    """The command line of a module of this tree."""
    return [sys.executable, "-m", module, *arguments]


@contextmanager
def started(command: Sequence[str], *, cores: set[int], log: Path, has_output: bool = False) -> Iterator[Process]:
    """A process on these cores, ended when the block is left. Its words go to the log; with `has_output`, stdout to a pipe."""
    with log.open("wb") as words, on_cores(cores):
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if has_output else words,
            stderr=words,
            start_new_session=True,  # an interrupt from the keyboard is for the benchmark, which ends its processes
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: Process) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def wait_until(is_ready: Callable[[], bool], process: Process, log: Path) -> None:
    """Ask until it is so. Raises: BenchFailed."""
    deadline = time.perf_counter() + _READY_SECONDS
    while not is_ready():
        try:
            process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if time.perf_counter() < deadline:
                continue
        words = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise BenchFailed(f"{log.stem} did not become ready (exit status {process.poll()}): {words}")


def answers(port: int, path: str) -> bool:
    """Whether a GET gives 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def listens(port: int) -> bool:
    """Whether somebody takes connections."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
