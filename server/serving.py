"""Opening the port and leaving it: uvicorn, signals, workers. What is served is the app's subject, not this one's.

Leaving takes these steps: readiness fails; after `drain_notice_seconds` the balancer knows, and new calls are refused; running
calls finish within `drain_seconds`; then the listener closes, what still runs is cancelled, and the app closes its stores once
every call has closed its tab. A second signal skips all of it.

A worker that cannot start ends the others only while the server starts. Once all have served, one that died is started until it
can: its database may be away for a while, which the others live through as well.
"""

import logging
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, getsignal, signal
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from server.config import Settings
from server.config_errors import OperatorError
from server.config_sections import ServerSettings
from server.drain import Drain
from server.leaving import Leaving
from server.metrics import SHARED_DIRECTORY_VARIABLE, forget_process
from server.paced_sockets import PacedSockets
from server.slow_heads import BoundedHeads

CONFIG_FILE_VARIABLE: Final = "TOLLGATE_CONFIG_FILE"
"""Tells a worker which file to load. Only `serve` sets it."""
WORKER_FACTORY: Final = "server.app:create_worker_app"
_REFUSAL_FILE: Final = "refusal"
"""Where a worker leaves the one line that its parent says; beside the metrics that they share."""
STARTED_FILES: Final = "started-{}"
"""What a worker leaves there, under its process id, once it serves."""
BACKLOG: Final = 2048
SHUTDOWN_SECONDS: Final = 2
"""For open exchanges that are no calls, after the calls have finished: pages, webhooks, the last bytes of a stream."""

AGAIN_SECONDS: Final = 1
"""Between two starts of a worker that cannot start while others serve."""

MakeApp = Callable[[Settings, Drain], ASGIApp]


class CannotListen(OperatorError):
    """The address cannot be opened. The message names it and says what to do."""


class CannotStart(OperatorError):
    """What the app needs cannot be had as configured. The message names the setting and says what to do."""


def config_file(environ: Mapping[str, str]) -> Path | None:
    """The configuration file that the parent named to this worker."""
    named = environ.get(CONFIG_FILE_VARIABLE)
    return Path(named) if named else None


def serve(
    settings: Settings,
    *,
    file: Path | None = None,
    make_app: MakeApp | None = None,
    worker_factory: str = WORKER_FACTORY,
    on_listen: Callable[[str, int], None] | None = None,
) -> None:
    """Serve until a signal says leave. Raises: CannotListen, CannotStart.

    `file`: where the settings came from; with several workers each one loads it again. `make_app` builds the app of a single
    process (None: `server.app.create_app`); `worker_factory` names the zero-argument function that builds each worker's.
    `on_listen` gets host and port as soon as connections are taken in; they wait until the app is ready.
    """
    server = settings.server
    if server.workers > 1 and file is None:
        raise CannotListen("server.workers: several workers need a configuration file that each of them can load")
    listener = listen(server.host, server.port)
    if on_listen is not None:
        on_listen(server.host, listener.getsockname()[1])
    with _quiet_signals():
        if server.workers > 1:
            _serve_workers(server, listener, str(file), worker_factory)
        else:
            _serve_alone(_leaving(settings, make_app or _default_app()), server, listener)


def _serve_alone(app: Leaving, server: ServerSettings, listener: socket.socket) -> None:
    try:
        with _silent_when(lambda: app.refusal is not None):
            uvicorn.Server(_config(app, server)).run(sockets=[listener])
    except SystemExit:
        if app.refusal is None:
            raise
        raise CannotStart(app.refusal) from None


@contextmanager
def _silent_when(is_refused: Callable[[], bool]) -> Iterator[None]:
    """What uvicorn says of a start that was refused is said better, once, by whoever catches CannotStart."""

    def says_more(record: logging.LogRecord) -> bool:
        del record
        return not is_refused()

    logger = logging.getLogger("uvicorn.error")
    logger.addFilter(says_more)
    try:
        yield
    finally:
        logger.removeFilter(says_more)


def worker_app(environ: Mapping[str, str], make_app: MakeApp) -> ASGIApp:
    """The app of one worker among several, from the file that the parent named: what `create_worker_app` returns."""
    shared = Path(environ[SHARED_DIRECTORY_VARIABLE])
    refusal, started = shared / _REFUSAL_FILE, shared / STARTED_FILES.format(os.getpid())
    logging.getLogger("uvicorn.error").addFilter(lambda _: not refusal.exists())
    try:
        return _leaving(
            Settings.load(config_file(environ), environ),
            make_app,
            is_worker=True,
            on_refusal=refusal.write_text,
            on_start=started.touch,
        )
    except OperatorError as wrong:  # the file was changed after the parent had read it
        refusal.write_text(str(wrong))
        sys.exit(STARTUP_FAILURE)


def _default_app() -> MakeApp:
    from server.app import create_app  # noqa: PLC0415  # the app is above what serves it

    return create_app


def _leaving(
    settings: Settings,
    make_app: MakeApp,
    *,
    is_worker: bool = False,
    on_refusal: Callable[[str], object] = lambda _: None,
    on_start: Callable[[], object] = lambda: None,
) -> Leaving:
    drain = Drain()
    return Leaving(
        make_app(settings, drain),
        drain,
        notice_seconds=settings.server.drain_notice_seconds,
        drain_seconds=settings.server.drain_seconds,
        is_worker=is_worker,
        on_refusal=on_refusal,
        on_start=on_start,
        clean=lambda text: _cleaned(settings, text),
    )


def _cleaned(settings: Settings, text: str) -> str:
    from server.from_settings import secrets_of  # noqa: PLC0415  # only a start that fails needs it
    from server.redaction import Redactor  # noqa: PLC0415  # same

    return Redactor(secrets_of(settings)).text(text)


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections. Raises: CannotListen."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as wrong:
        raise CannotListen(f"cannot listen on {host}:{port}: {wrong.strerror}; check [server] host") from wrong
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(BACKLOG)
    except OSError as wrong:
        listener.close()
        raise CannotListen(
            f"cannot listen on {host}:{port}: {wrong.strerror}; "
            "stop what uses it, or choose another with --port or [server] port"
        ) from wrong
    listener.setblocking(False)  # noqa: FBT003  # the library's own name for it
    listener.set_inheritable(True)
    return listener


def _config(app: ASGIApp | str, server: ServerSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=server.host,
        port=server.port,
        factory=isinstance(app, str),
        workers=server.workers,
        loop="uvloop",
        http=partial(BoundedHeads, head_seconds=server.read_timeout_seconds),  # type: ignore[arg-type]  # it only calls it
        ws=PacedSockets,
        ws_max_size=server.body_bytes_max,
        ws_ping_interval=server.ping_seconds,
        ws_ping_timeout=server.ping_seconds,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(server.trusted_proxies),
        forwarded_allow_ips=list(server.trusted_proxies),
        backlog=BACKLOG,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


def _serve_workers(server: ServerSettings, listener: socket.socket, file: str, factory: str) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="tollgate-metrics-") as shared,
        # Workers are spawned: the environment is the only thing that reaches them before their first import.
        _environment(
            {
                CONFIG_FILE_VARIABLE: file,
                SHARED_DIRECTORY_VARIABLE: shared,
                # The command line may have said another address than the file.
                "TOLLGATE__SERVER__HOST": server.host,
                "TOLLGATE__SERVER__PORT": str(server.port),
            }
        ),
    ):
        refusal = Path(shared) / _REFUSAL_FILE
        supervisor = _Supervisor(_config(factory, server), [listener], Path(shared))
        with _silent_when(lambda: refusal.exists() or supervisor.has_stood()):
            supervisor.run()
        if supervisor.has_stood():
            return
        if refusal.exists():
            raise CannotStart(refusal.read_text())
        if supervisor.has_failed():
            sys.exit(STARTUP_FAILURE)  # the worker has told why


class _Supervisor(Multiprocess):
    """uvicorn's supervisor, with more sense for workers that die and signals that come twice.

    It forgets what dead workers had in flight, starts those again that cannot start once all have served, and a second signal
    ends everything at once.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], shared: Path) -> None:
        super().__init__(config, sockets)
        self._shared = shared
        self._told = ""

    def has_stood(self) -> bool:
        """Whether as many workers as there are to be have served, so that the configuration can work."""
        return sum(1 for _ in self._shared.glob(STARTED_FILES.format("*"))) >= self.processes_num

    def has_failed(self) -> bool:
        """Whether it ended because a worker could not start."""
        return any(process.exitcode == STARTUP_FAILURE for process in self.processes)

    def keep_subprocess_alive(self) -> None:
        if self.should_exit.is_set():
            return  # a signal said so
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        if self.should_exit.is_set() and self.has_stood():
            self._start_again()
        for pid in before - {process.pid for process in self.processes}:
            if pid is not None:
                forget_process(pid, self._shared)

    def _start_again(self) -> None:
        refusal = self._shared / _REFUSAL_FILE
        line = refusal.read_text() if refusal.exists() else ""  # without one the worker has told why
        refusal.unlink(missing_ok=True)
        if line != self._told:
            logging.getLogger(__name__).error("tollgate: a worker cannot start and is tried again: %s", line)
            self._told = line
        time.sleep(AGAIN_SECONDS)
        self.should_exit.clear()
        for place, process in enumerate(self.processes):
            if process.exitcode == STARTUP_FAILURE:
                self.processes[place] = Process(self.config, self.sockets)
                self.processes[place].start()

    def handle_hup(self) -> None:
        """Let every worker read its tiers again; uvicorn would end and start them all."""
        for process in self.processes:
            if process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, SIGHUP)

    def join_all(self) -> None:
        while any(process.process.is_alive() for process in self.processes):
            for process in self.processes:
                process.process.join(timeout=0.1)
            if self.signal_queue:
                for process in self.processes:
                    process.process.kill()


@contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _quiet_signals() -> Iterator[None]:
    """Uvicorn raises its signals again when it has ended well; that would turn a clean end into a death by signal."""
    before = {number: getsignal(number) for number in (SIGINT, SIGTERM)}
    for number in before:
        signal(number, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal(number, handler)
