"""The report: a table for people and the same for programs. Every figure stands beside its floor, its aim and the machine."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from tests.bench.machine import Machine, Memory
from tests.bench.measuring import Effort, Figure, Outcome
from tests.bench.scenarios import MEMORY_MB_MAX, START_SECONDS_MAX

_LINE = "{:<22} {:>5} {:>10} {:>10} {:>10} {:>6} {:>6} {:>9}  {}"


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a run found."""

    machine: Machine
    effort: Effort
    outcomes: Sequence[Outcome]
    memory: Memory | None
    """Of our server after all of the load. None: this system does not tell."""
    start_seconds: Sequence[float]
    """From the start of our process to /readyz, each time."""

    @property
    def failures(self) -> int:
        """Lost connections and wrong replies."""
        return sum(outcome.failures for outcome in self.outcomes)

    @property
    def start_seconds_median(self) -> float:
        """The middle one."""
        return median(self.start_seconds)

    def as_json(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "machine": asdict(self.machine),
            "effort": asdict(self.effort),
            "scenarios": [asdict(outcome) for outcome in self.outcomes],
            "memory": None if self.memory is None else {**asdict(self.memory), "aim_mb": MEMORY_MB_MAX},
            "start": {"seconds": list(self.start_seconds), "aim_seconds": START_SECONDS_MAX},
            "failures": self.failures,
        }


def show(report: Report, line: Callable[[str], object]) -> None:
    """Print the table."""
    machine, effort = report.machine, report.effort
    line(headline(machine))
    line(f"one core for the server; medians of {effort.rounds} rounds of {effort.seconds:g} s, floor and ours in turns")
    if machine.cores == 1:
        line("one core only: the provider and the load tool take part of it, so no figure here is worth much")
    line("")
    line(_LINE.format("", "conn.", "floor/s", "ours/s", "ceiling/s", "ratio", "by CPU", "added ms", "aim"))
    for outcome in report.outcomes:
        line(_row(outcome))
    line("")
    line(_LINE.format("latency in ms", "conn.", "floor p50", "ours p50", "first byte", "", "", "ours p99", ""))
    for outcome in report.outcomes:
        line(_latency(outcome))
    line("")
    for told in (_memory(report.memory), _start(report)):
        line(told)
    for outcome in report.outcomes:
        if outcome.failures:
            line(f"FAILED {outcome.failures} times: {outcome.name}, {outcome.connections}: {outcome.first_failure}")


def headline(machine: Machine) -> str:
    """When and where figures were taken."""
    return f"{machine.date}  {machine.cpu}, {machine.cores} cores, Python {machine.python}, {machine.system}"


def _row(outcome: Outcome) -> str:
    aim = f"{outcome.aim}: {_verdict(is_met=outcome.is_met)}" if outcome.aim else "-"
    return _LINE.format(
        outcome.name,
        outcome.connections,
        _rate(outcome.floor),
        _rate(outcome.ours),
        _rate(outcome.ceiling),
        f"{outcome.ratio:.2f}",
        "-" if outcome.cpu_ratio is None else f"{outcome.cpu_ratio:.2f}",
        f"{outcome.added_ms:+.2f}",
        aim,
    )


def _latency(outcome: Outcome) -> str:
    floor, ours = outcome.floor, outcome.ours
    used = (
        "" if floor.cpu_us is None or ours.cpu_us is None else f"CPU us a call {floor.cpu_us:.0f} -> {ours.cpu_us:.0f}"
    )
    return _LINE.format(
        outcome.name,
        outcome.connections,
        f"{floor.p50_ms:.2f}",
        f"{ours.p50_ms:.2f}",
        f"{ours.first_byte_p50_ms:.2f}",
        "",
        "",
        f"{ours.p99_ms:.2f}",
        used,
    )


def _rate(figure: Figure) -> str:
    return f"{figure.per_second:,.0f}"


def _memory(memory: Memory | None) -> str:
    if memory is None:
        return "memory after the load: this system does not tell"
    aim = f"RSS < {MEMORY_MB_MAX:g} MB: {_verdict(is_met=memory.rss_mb < MEMORY_MB_MAX)}"
    return f"memory after the load: RSS {memory.rss_mb:.1f} MB, PSS {memory.pss_mb:.1f} MB  {aim}"


def _start(report: Report) -> str:
    seconds = report.start_seconds_median
    aim = f"< {START_SECONDS_MAX:g} s: {_verdict(is_met=seconds < START_SECONDS_MAX)}"
    return f"start to /readyz: {seconds:.2f} s (median of {len(report.start_seconds)})  {aim}"


def _verdict(*, is_met: bool | None) -> str:
    return "met" if is_met else "NOT MET"
