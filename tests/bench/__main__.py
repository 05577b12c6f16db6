"""`make bench`: our server beside a bare forwarder on one core, then the other benchmarks. Exit 1 when something failed.

Missing an aim is no failure: the aims are printed beside the figures, for people to judge on their machine.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import orjson

from tests.bench import agents, ledger_bench, limits_bench, postgres_ledger_bench
from tests.bench.machine import memory_of, this_machine
from tests.bench.measuring import Effort, Outcome, check_all, measure
from tests.bench.metering import over_http, reports, settling
from tests.bench.processes import BenchFailed
from tests.bench.report import Report, headline, show
from tests.bench.scenarios import SCENARIOS, Scenario
from tests.bench.stand import standing

DEFAULT = Effort(rounds=3, seconds=3.0, ceiling_seconds=1.5, warm_seconds=0.7, starts=3)
QUICK = Effort(rounds=1, seconds=0.8, ceiling_seconds=0.4, warm_seconds=0.2, starts=1)
SMOKE = Effort(rounds=1, seconds=0.1, ceiling_seconds=0.1, warm_seconds=0.05, starts=1)
EFFORTS = {"default": DEFAULT, "quick": QUICK, "smoke": SMOKE}
OTHERS: dict[str, Callable[[float], None]] = {
    "ledger operations": ledger_bench.run,
    "ledger operations on PostgreSQL": postgres_ledger_bench.run,
    "limits": limits_bench.run,
    "settling with sums": settling.run,
    "events and checks over HTTP": over_http.run,
    "tool calls of agents": agents.run,
}
"""Benchmarks without a provider: each prints its own table and takes the seconds of one of its rows."""
REPORTS = "reports over millions of rows"
"""Takes a number of rows instead."""


def compare(effort: Effort, scenarios: tuple[Scenario, ...], say: Callable[[str], object]) -> Report:
    """Every scenario on one stand. Raises: BenchFailed."""
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder, standing(Path(folder), starts=effort.starts) as stand:
        check_all(stand, scenarios)
        for scenario in scenarios:
            say(f"measuring: {scenario.name}, {scenario.connections} connections")
            outcomes.append(measure(stand, scenario, effort))
        memory = memory_of(stand.pids["tollgate"])
        return Report(this_machine(), effort, outcomes, memory, stand.start_seconds)


def main() -> int:
    """`python -m tests.bench [--quick] [--only WORD] [--json FILE]`."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--effort", choices=EFFORTS, default="default", help="smoke only shows that it works")
    parser.add_argument("--quick", dest="effort", action="store_const", const="quick", help="a rough look, 20 s")
    parser.add_argument("--only", default="", metavar="WORD", help="only the benchmarks whose name holds this")
    parser.add_argument(
        "--rows", type=int, default=reports.ROWS, help="rows of the history that reports are asked about"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    given = parser.parse_args()
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # which a shell takes from what it starts in the background
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every `with` block ends its process
    chosen = tuple(scenario for scenario in SCENARIOS if given.only in scenario.name)
    if not chosen:  # a server that nobody called says nothing of speed or memory
        sys.stdout.write(
            f"{headline(this_machine())}\n" if any(given.only in name for name in (*OTHERS, REPORTS)) else ""
        )
        return _run_others(given.only, EFFORTS[given.effort], given.rows)
    try:
        report = compare(EFFORTS[given.effort], chosen, _say)
    except BenchFailed as why:
        _say(f"bench: {why}")
        return 1
    except KeyboardInterrupt:
        _say("bench: interrupted")
        return 130
    show(report, lambda line: sys.stdout.write(f"{line}\n"))
    if given.json is not None:
        given.json.write_bytes(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2))
    if any(given.only in name for name in (*OTHERS, REPORTS)):
        return _run_others(given.only, EFFORTS[given.effort], given.rows) or int(report.failures > 0)
    return 1 if report.failures else 0


def _run_others(wanted: str, effort: Effort, rows: int) -> int:
    runs: dict[str, Callable[[float], None]] = {**OTHERS, REPORTS: lambda _: reports.run(rows)}
    found = [name for name in runs if wanted in name]
    for name in found:
        sys.stdout.write(f"\n{name}\n")
        sys.stdout.flush()
        try:
            runs[name](min(effort.seconds, 2.0))
        except BenchFailed as why:
            _say(f"bench: {why}")
            return 1
    if not found:
        _say(
            f"bench: --only {wanted!r} is in no name: {', '.join([scenario.name for scenario in SCENARIOS] + [*runs])}"
        )
    return 0 if found else 2


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
