"""The test stand: the fake provider, the bare forwarder and our own server, each a process of its own, and what they need.

The two that are compared have one core and take turns on it; the provider and the load tool have the others.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from tests.bench.machine import cores
from tests.bench.processes import ROOT, BenchFailed, Process, answers, listens, python, started, wait_until
from tests.bench.provider import MODEL, PACED_MODEL
from tests.fakes.ports import own_port

TOLLGATE = str(Path(sys.executable).with_name("tollgate"))
_TOKEN_SECONDS = 30

_CONFIG = """
[storage]
url = "sqlite:///{folder}/bench-{number}.db"

[auth]
issuer = "https://bench.example.com"
audience = "tollgate"
algorithms = ["ES256"]
private_key = "file:{folder}/key.pem"

[providers.openai]
kind = "openai"
api_key = "bench-key"
base_url = "http://127.0.0.1:{provider}/v1"
models = ["{model}", "{paced}"]

[prices."openai/{model}"]
input = "1"
output = "2"

[prices."openai/{paced}"]
input = "1"
output = "2"

[tiers.enterprise]
rpm = 1000000000
tpm = 1000000000000
concurrent = 100000
monthly_token_quota = 1000000000000
monthly_request_quota = 1000000000
"""


@dataclass(slots=True)
class Stand:
    """What runs now, by the names that shots use for their sides."""

    folder: Path
    core: int
    """Of the server under test."""
    other_cores: set[int]
    """Of the provider and the load tool."""
    ports: dict[str, int] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)
    token: str = ""
    start_seconds: list[float] = field(default_factory=list)
    """From the start of our process until /readyz said yes."""

    def path(self, name: str) -> Path:
        """A file in the folder that goes with the stand."""
        return self.folder / name


@contextmanager
def standing(folder: Path, *, starts: int, more: str = "") -> Iterator[Stand]:
    """Everything runs and is ready inside the block; our server was started so many times. Raises: BenchFailed.

    `more`: sections of the configuration beside those that every benchmark has.
    """
    usable = cores()
    stand = Stand(folder, usable[0], set(usable[1:]) or set(usable))
    with ExitStack() as stack:
        stack.enter_context(_provider(stand))
        stack.enter_context(_forwarder(stand))
        write_key(stand.path("key.pem"))
        for number in range(starts - 1):
            with _tollgate(stand, number, more):
                pass
        stack.enter_context(_tollgate(stand, starts, more))
        stand.token = _token(stand, starts)
        yield stand


@contextmanager
def _provider(stand: Stand) -> Iterator[None]:
    log = stand.path("provider.log")
    with started(python("tests.bench.provider"), cores=stand.other_cores, log=log, has_output=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise BenchFailed(f"the fake provider did not start: {log.read_text(encoding='utf-8')[-2000:]}")
        _known(stand, "provider", process, orjson.loads(line)["port"])
        yield


@contextmanager
def _forwarder(stand: Stand) -> Iterator[None]:
    log = stand.path("forwarder.log")
    upstream = f"http://127.0.0.1:{stand.ports['provider']}/v1/chat/completions"
    with (
        own_port() as port,
        started(python("tests.bench.forwarder", str(port), upstream), cores={stand.core}, log=log) as process,
    ):
        wait_until(lambda: listens(port), process, log)
        _known(stand, "forwarder", process, port)
        yield


@contextmanager
def _tollgate(stand: Stand, number: int, more: str) -> Iterator[None]:
    """Our server on an empty database. Each start is timed."""
    log, command = stand.path("tollgate.log"), [TOLLGATE, "serve", "--config", str(_config(stand, number, more))]
    with own_port() as port:
        begun = time.perf_counter()
        with started([*command, "--port", str(port)], cores={stand.core}, log=log) as process:
            wait_until(lambda: answers(port, "/readyz"), process, log)
            stand.start_seconds.append(round(time.perf_counter() - begun, 3))
            _known(stand, "tollgate", process, port)
            yield


def _known(stand: Stand, side: str, process: Process, port: int) -> None:
    stand.ports[side] = port
    stand.pids[side] = process.pid


def _config(stand: Stand, number: int, more: str) -> Path:
    """The configuration of one start."""
    text = _CONFIG.format(
        folder=stand.folder, number=number, provider=stand.ports["provider"], model=MODEL, paced=PACED_MODEL
    )
    path = stand.path(f"bench-{number}.toml")
    path.write_text(text + more, encoding="utf-8")
    return path


def write_key(path: Path) -> None:
    """A key of its own that signs the tokens."""
    from joserfc.jwk import ECKey  # noqa: PLC0415  # slow to import, and the load has nothing to do with it

    path.write_bytes(ECKey.generate_key("P-256").as_pem(private=True))


def _token(stand: Stand, number: int) -> str:
    config = str(stand.path(f"bench-{number}.toml"))
    command = [TOLLGATE, "token", "--config", config, "--user", "bench", "--tier", "enterprise"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_TOKEN_SECONDS, check=False)
    if made.returncode != 0:
        raise BenchFailed(f"no token: {made.stderr[-2000:]}")
    return made.stdout.strip()
