"""Ingestion and the checks before a call over HTTP: our server and the floor, each a process of its own, in turns on one core."""

import http.client
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import time

import orjson

from server.auth.issuing import Holder, issued
from server.config import Settings
from tests.bench.machine import cores, cpu_seconds_of, on_cores
from tests.bench.metering.pressing import BETWEEN, USERS
from tests.bench.processes import ROOT, BenchFailed, Process, answers, listens, python, started, wait_until
from tests.bench.stand import TOLLGATE, write_key
from tests.fakes.ports import own_port

Show = Callable[[str], object]

ROUNDS = 3
BATCH = 100
FLOOR_PART_MIN = 0.5
LOG_MS_MAX = 1
QUOTA_MS_MAX = 5
"""These two are the documents' own (S3-54): for an event, and for a look at a quota."""
ENTITLEMENT_MS_MAX = 2
RATE = 1_000
INGEST = "/v1/events/ingest"
_SPARE_SECONDS = 40
_CONFIG = """
[storage]
url = "{url}"

[auth]
issuer = "https://bench.example.com"
audience = "tollgate"
algorithms = ["ES256"]
private_key = "file:{folder}/key.pem"

[providers.simulator]
kind = "simulator"
models = ["simulator"]

[prices."simulator/simulator"]
input = "3"
output = "15"

[charging]
default_tier = "member"

[ingestion]
unknown_users = "accept"

[tiers.member]
policy = "credits"
rpm = 1000000000
tpm = 1000000000000
concurrent = 100000
monthly_request_quota = 1000000000000
"""
_ACTION = {
    "type": "token_usage", "provider": "simulator", "model": "simulator",
    "estimatedInputTokens": 1000, "estimatedOutputTokens": 500,
}  # fmt: skip
_USERS = [f"user-{number:03}" for number in range(USERS)]
_KNOWN = b'{"events":[{"event_id":"known","user_id":"user-0","input_tokens":1,"output_tokens":1}]}'


@dataclass(slots=True)
class Sides:
    """What runs now: ours and the floor, by these names."""

    folder: Path
    core: int
    other_cores: set[int]
    ports: dict[str, int] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    """Of a service that tells of events, of an admin, and of users, by their names."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """What one run of the load tool saw."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Processor time of the server for one request."""


@contextmanager
def sides(folder: Path, ours_url: str, floor_url: str) -> Iterator[Sides]:
    """Both run and are ready inside the block, and users have credits. Raises: BenchFailed."""
    usable = cores()
    made = Sides(folder, usable[0], set(usable[1:]) or set(usable))
    config = folder / "metering.toml"
    config.write_text(_CONFIG.format(url=ours_url, folder=folder), encoding="utf-8")
    write_key(folder / "key.pem")
    with ExitStack() as stack:
        port = stack.enter_context(own_port())
        command = python("tests.bench.metering.bare", str(port), floor_url)
        stack.enter_context(_side(made, "floor", command, port, lambda: listens(port)))
        ours = stack.enter_context(own_port())
        command = [TOLLGATE, "serve", "--config", str(config), "--port", str(ours)]
        stack.enter_context(_side(made, "tollgate", command, ours, lambda: answers(ours, "/readyz")))
        settings = Settings.load(config, {})
        for name in ("service", "admin", "user-0", *_USERS):
            roles = (name,) if name in ("service", "admin") else ()
            made.tokens[name] = issued(settings, Holder(name, "member", None, roles), expires_seconds=3600, now=time())
        for user in ("user-0", *_USERS):
            _asked(made, "admin", "grantCredits", {"userId": user, "amount": "1000000"})
        yield made


@contextmanager
def _side(made: Sides, side: str, command: Sequence[str], port: int, is_ready: Callable[[], bool]) -> Iterator[Process]:
    log = made.folder / f"{side}.log"
    with started(command, cores={made.core}, log=log) as process:
        wait_until(is_ready, process, log)
        made.ports[side], made.pids[side] = port, process.pid
        yield process


def _asked(made: Sides, who: str, method: str, params: object) -> object:
    """A call's result. Raises: BenchFailed."""
    connection = http.client.HTTPConnection("127.0.0.1", made.ports["tollgate"], timeout=10)
    try:
        connection.request("POST", "/rpc", _body(method, params), _headers(made, who))
        reply = orjson.loads(connection.getresponse().read())
    finally:
        connection.close()
    if "result" not in reply:
        raise BenchFailed(f"{method} was refused: {reply}")
    return reply["result"]


def _body(method: str, params: object) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})


def _headers(made: Sides, who: str) -> dict[str, str]:
    return {"content-type": "application/json", "authorization": f"Bearer {made.tokens[who]}"}


def _lines(made: Sides, who: str, path: str) -> bytes:
    """A request's lines without its length."""
    headers = {"host": "127.0.0.1", "accept": "application/json", **_headers(made, who)}
    return "".join([f"POST {path} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in headers.items())]).encode()


def _pressed(made: Sides, side: str, request: bytes, *options: str, seconds: float) -> Pressed:
    """One run of the load tool. Raises: BenchFailed."""
    file, pid = made.folder / "request", made.pids[side]
    file.write_bytes(request)
    command = python("tests.bench.metering.pressing", str(made.ports[side]), str(file), *options)
    before = cpu_seconds_of(pid) or 0.0
    with on_cores(made.other_cores):
        ran = subprocess.run(
            [*command, "--seconds", str(seconds)],
            cwd=ROOT, capture_output=True, timeout=seconds + 2 * _SPARE_SECONDS, check=False,
        )  # fmt: skip
    used = (cpu_seconds_of(pid) or 0.0) - before
    if ran.returncode != 0:
        raise BenchFailed(f"the load tool failed on {side}: {ran.stderr.decode('utf-8', 'replace')[-2000:]}")
    told = orjson.loads(ran.stdout)
    if told["failures"] or not told["calls"]:
        raise BenchFailed(f"{side} failed {told['failures']} times: {told['first_failure']}")
    return Pressed(told["per_second"], told["p50_ms"], told["p99_ms"], used / told["calls"] * 1e6)


def _in_turns(made: Sides, size: int, connections: int, seconds: float, rounds: int) -> dict[str, Pressed]:
    """Medians of both sides over the rounds."""
    seen: dict[str, list[Pressed]] = {"floor": [], "tollgate": []}
    options = ("--batch", str(size), "--connections", str(connections))
    for _ in range(rounds):
        for side, found in seen.items():
            found.append(_pressed(made, side, _lines(made, "service", INGEST), *options, seconds=seconds))
    return {
        side: Pressed(
            median(one.per_second for one in found),
            median(one.p50_ms for one in found),
            median(one.p99_ms for one in found),
            median(one.cpu_us for one in found),
        )
        for side, found in seen.items()
    }


def measure(made: Sides, seconds: float, show: Show, rounds: int = ROUNDS) -> None:
    """Print what events cost beside the floor, and how soon a check is answered. Raises: BenchFailed."""
    show(f"{'events over HTTP, durable':40}{'floor':>10}{'ours':>10}{'ratio':>7}   aim")
    many = _in_turns(made, BATCH, 8, seconds, rounds)
    floor, ours = many["floor"], many["tollgate"]
    ratio = ours.per_second / floor.per_second
    aim = f">= {FLOOR_PART_MIN}: {_verdict(is_met=ratio >= FLOOR_PART_MIN)}"
    _row(show, f"events/s, batches of {BATCH}, 8 conn.", floor.per_second * BATCH, ours.per_second * BATCH, ratio, aim)
    _row(show, "CPU us an event", floor.cpu_us / BATCH, ours.cpu_us / BATCH, floor.cpu_us / ours.cpu_us, "")
    spent = [1_000 / (one.per_second * BATCH) for one in (floor, ours)]
    aim = f"< {LOG_MS_MAX}: {_verdict(is_met=spent[1] < LOG_MS_MAX)}"
    _row(show, "ms an event (S3-54)", spent[0], spent[1], ratio, aim)
    for connections in (1, 32):
        single = _in_turns(made, 1, connections, seconds, rounds)
        floor, ours = single["floor"], single["tollgate"]
        _row(
            show,
            f"p99 ms, single events, {connections} conn.",
            floor.p99_ms,
            ours.p99_ms,
            floor.p99_ms / ours.p99_ms,
            "",
        )
    show(f"{'checks over HTTP':40}{'asked/s':>10}{'p50 ms':>10}{'p99 ms':>10}{'CPU us':>7}   aim")
    entitlement: tuple[str, object] = ("checkEntitlement", {"featureId": "chat", "action": _ACTION})
    asked: tuple[tuple[str, tuple[str, object], Sequence[str], str, int], ...] = (
        ("checkEntitlement", entitlement, ["user-0"], '"allowed":true', ENTITLEMENT_MS_MAX),
        (f"checkEntitlement, {USERS} users in turn", entitlement, _USERS, '"allowed":true', ENTITLEMENT_MS_MAX),
        ("checkQuotaStatus", ("checkQuotaStatus", {}), ["user-0"], '"result"', QUOTA_MS_MAX),
    )
    known = _whole(made, INGEST, _KNOWN)
    _pace(
        made,
        "floor",
        known,
        "accepted",
        seconds=seconds,
        rounds=rounds,
        title="the floor, an event that it knows",
        show=show,
    )
    for title, question, users, must_hold, aim_ms in asked:
        body = _body(*question)
        request = BETWEEN.join([_whole(made, "/rpc", body, user) for user in users])
        _pace(
            made, "tollgate", request, must_hold, seconds=seconds, rounds=rounds, title=title, show=show, aim_ms=aim_ms
        )


def _whole(made: Sides, path: str, body: bytes, user: str = "user-0") -> bytes:
    """A user's whole request."""
    return _lines(made, user, path) + b"content-length: %d\r\n\r\n" % len(body) + body


def _pace(
    made: Sides, side: str, request: bytes, must_hold: str, *,
    seconds: float, rounds: int, title: str, show: Show, aim_ms: int | None = None,
) -> None:  # fmt: skip
    """Print a line for requests at a fixed pace: of the rounds the one with the middle 99th percentile."""
    options = ("--rate", str(RATE), "--connections", "64", "--must-hold", must_hold)
    runs = sorted(
        (_pressed(made, side, request, *options, seconds=seconds) for _ in range(rounds)), key=lambda one: one.p99_ms
    )
    found = runs[rounds // 2]
    aim = "" if aim_ms is None else f"< {aim_ms}: {_verdict(is_met=found.p99_ms < aim_ms)}"
    show(f"{title:40}{found.per_second:10,.0f}{found.p50_ms:10.2f}{found.p99_ms:10.2f}{found.cpu_us:7.0f}   {aim}")


def _row(show: Show, title: str, floor: float, ours: float, ratio: float, aim: str) -> None:
    places = 0 if floor >= 1_000 else 3 if floor < 1 else 1  # as many as can be read
    show(f"{title:40}{floor:10,.{places}f}{ours:10,.{places}f}{ratio:7.2f}   {aim}")


def _verdict(*, is_met: bool) -> str:
    return "met" if is_met else "NOT MET"
