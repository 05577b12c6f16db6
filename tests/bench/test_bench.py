"""The benchmark works end to end. How fast anything is, no test asks: that depends on the machine and on who else uses it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from tests.bench.processes import ROOT
from tests.bench.scenarios import SCENARIOS

COMMAND = [sys.executable, "-m", "tests.bench", "--effort", "smoke", "--rows", "1000"]


@pytest.mark.timeout(600)
def test_every_scenario_is_measured_without_a_wrong_reply(tmp_path: Path) -> None:
    told = tmp_path / "bench.json"
    ran = subprocess.run(
        [*COMMAND, "--json", str(told)], cwd=ROOT, capture_output=True, text=True, timeout=560, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = orjson.loads(told.read_bytes())
    assert report["failures"] == 0
    assert [(row["name"], row["connections"]) for row in report["scenarios"]] == [
        (scenario.name, scenario.connections) for scenario in SCENARIOS
    ]
    assert all(row[side]["calls"] > 0 for row in report["scenarios"] for side in ("floor", "ours", "ceiling"))
    assert {"cpu", "cores", "python", "date"} <= report["machine"].keys()
    assert all(row["name"] in ran.stdout for row in report["scenarios"])


def test_an_ended_benchmark_leaves_no_process_behind() -> None:
    bench = subprocess.Popen(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert bench.stderr is not None
    with bench:
        bench.stderr.readline()  # the first scenario begins: everything runs
        children = Path(f"/proc/{bench.pid}/task/{bench.pid}/children")
        started = [int(pid) for pid in children.read_text(encoding="ascii").split()] if children.exists() else []
        bench.send_signal(signal.SIGINT)
        bench.communicate(timeout=60)
    assert bench.returncode == 130
    deadline = time.monotonic() + 30
    while (left := [pid for pid in started if is_running(pid)]) and time.monotonic() < deadline:
        os.sched_yield()  # a child that was told to end may need a moment to do so
    assert left == []


def is_running(pid: int) -> bool:
    """Whether the process still does something; one that has ended and waits to be collected does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def test_a_word_that_names_nothing_is_refused_instead_of_measuring_an_idle_server() -> None:
    done = subprocess.run(
        [*COMMAND, "--only", "memory"], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 2
    assert "'memory' is in no name" in done.stderr
    assert done.stdout == ""
