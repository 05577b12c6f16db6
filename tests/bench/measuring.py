"""Measuring: short rounds in which the floor and ours take turns, and the medians of them. Nothing is printed here."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import orjson

from tests.bench.machine import cpu_seconds_of, on_cores
from tests.bench.processes import ROOT, BenchFailed, python
from tests.bench.scenarios import Scenario
from tests.bench.shots import Shot, check
from tests.bench.stand import Stand

_SPARE_SECONDS = 40


@dataclass(frozen=True, slots=True)
class Effort:
    """How long the benchmark may take."""

    rounds: int
    seconds: float
    """Of one side in one round."""
    ceiling_seconds: float
    """Of the provider alone, once per scenario."""
    warm_seconds: float
    starts: int
    """How often our server is started to time it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One side in one round."""

    calls: int
    per_second: float
    p50_ms: float
    p99_ms: float
    first_byte_p50_ms: float
    failures: int
    first_failure: str
    cpu_us: float | None
    """Processor time of the server per call, in microseconds; noisier machines move it less than the clock."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Medians of one side over the rounds."""

    calls: int
    per_second: float
    p50_ms: float
    p99_ms: float
    first_byte_p50_ms: float
    cpu_us: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row of the table."""

    name: str
    connections: int
    floor: Figure
    ours: Figure
    ceiling: Figure
    ratio: float
    """Ours by the floor's, of calls a second."""
    cpu_ratio: float | None
    """The floor's by ours, of processor time per call: what the ratio would be if nothing ever waited."""
    added_ms: float
    """Ours less the floor's, of the median latency."""
    aim: str
    is_met: bool | None
    """None: nothing is aimed at."""
    failures: int
    first_failure: str


def check_all(stand: Stand, scenarios: Sequence[Scenario]) -> None:
    """Read one answer of every kind in full. Raises: BenchFailed."""
    for scenario in scenarios:
        for shot in (scenario.floor, scenario.ours, scenario.ceiling):
            check(shot, stand.ports[shot.side], stand.token)


def measure(stand: Stand, scenario: Scenario, effort: Effort) -> Outcome:
    """Both sides in turns, then the ceiling."""

    def load(shot: Shot, seconds: float) -> Seen:
        return _load(stand, shot, connections=scenario.connections, seconds=seconds)

    for shot in (scenario.floor, scenario.ours):
        load(shot, effort.warm_seconds)
    floors: list[Seen] = []
    ours: list[Seen] = []
    for number in range(effort.rounds):
        turns = [(floors, scenario.floor), (ours, scenario.ours)]
        for seen, shot in turns if number % 2 == 0 else reversed(turns):
            seen.append(load(shot, effort.seconds))
    ceiling = [load(scenario.ceiling, effort.ceiling_seconds)]
    return _outcome(scenario, floors, ours, ceiling)


def _outcome(scenario: Scenario, floors: list[Seen], ours: list[Seen], ceiling: list[Seen]) -> Outcome:
    floor, our = _figure(floors), _figure(ours)
    every = floors + ours + ceiling
    ratio = our.per_second / floor.per_second if floor.per_second else 0.0
    added = our.p50_ms - floor.p50_ms
    is_met = None
    if scenario.aim is not None:
        is_met = scenario.aim.is_met(ratio, added)
    return Outcome(
        name=scenario.name,
        connections=scenario.connections,
        floor=floor,
        ours=our,
        ceiling=_figure(ceiling),
        ratio=round(ratio, 3),
        cpu_ratio=round(floor.cpu_us / our.cpu_us, 3) if floor.cpu_us and our.cpu_us else None,
        added_ms=round(added, 3),
        aim="" if scenario.aim is None else scenario.aim.text,
        is_met=is_met,
        failures=sum(seen.failures for seen in every),
        first_failure=next((seen.first_failure for seen in every if seen.first_failure), ""),
    )


def _figure(rounds: list[Seen]) -> Figure:
    def middle(of: Callable[[Seen], float]) -> float:
        return round(median(of(seen) for seen in rounds), 3)

    used = [seen.cpu_us for seen in rounds if seen.cpu_us is not None]
    return Figure(
        calls=sum(seen.calls for seen in rounds),
        per_second=middle(lambda seen: seen.per_second),
        p50_ms=middle(lambda seen: seen.p50_ms),
        p99_ms=middle(lambda seen: seen.p99_ms),
        first_byte_p50_ms=middle(lambda seen: seen.first_byte_p50_ms),
        cpu_us=round(median(used), 1) if used else None,
    )


def _load(stand: Stand, shot: Shot, *, connections: int, seconds: float) -> Seen:
    """One run of the load tool. Raises: BenchFailed."""
    request = stand.path("request")
    request.write_bytes(shot.wire(stand.token))
    command = python("tests.bench.load", str(stand.ports[shot.side]), str(request), "--must-hold", shot.must_hold)
    pid = stand.pids[shot.side]
    before = cpu_seconds_of(pid)
    with on_cores(stand.other_cores):
        ran = subprocess.run(
            [*command, "--connections", str(connections), "--seconds", str(seconds)],
            cwd=ROOT,
            capture_output=True,
            timeout=seconds + _SPARE_SECONDS,
            check=False,
        )
    after = cpu_seconds_of(pid)
    if ran.returncode != 0:
        raise BenchFailed(f"the load tool failed on {shot.side}: {ran.stderr.decode('utf-8', 'replace')[-2000:]}")
    return _seen(orjson.loads(ran.stdout), None if before is None or after is None else after - before)


def _seen(told: dict[str, float | str], cpu_seconds: float | None) -> Seen:
    calls = int(told["calls"])
    return Seen(
        calls=calls,
        per_second=float(told["per_second"]),
        p50_ms=float(told["p50_ms"]),
        p99_ms=float(told["p99_ms"]),
        first_byte_p50_ms=float(told["first_byte_p50_ms"]),
        failures=int(told["failures"]) + (calls == 0),
        first_failure=str(told["first_failure"]) or ("" if calls else "no call was answered"),
        cpu_us=None if cpu_seconds is None or calls == 0 else cpu_seconds / calls * 1e6,
    )
