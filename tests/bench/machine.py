"""The machine: its name, its cores and what a process of it has used. Linux tells all of it; elsewhere the unknown is None."""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """What stands beside every figure."""

    cpu: str
    cores: int
    python: str
    system: str
    date: str
    """UTC, ISO 8601."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes (1,000,000 bytes) of one process."""

    rss_mb: float
    pss_mb: float
    """Shared pages count by their share."""


def this_machine() -> Machine:
    """The machine that this process runs on, now."""
    return Machine(
        cpu=_cpu(),
        cores=len(cores()),
        python=sys.version.split()[0],
        system=f"{platform.system()} {platform.release()}",
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def cores() -> list[int]:
    """The cores that this process may use."""
    if sys.platform == "linux":
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@contextmanager
def on_cores(wanted: set[int]) -> Iterator[None]:
    """Processes started inside the block run on these cores only."""
    if sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def memory_of(pid: int) -> Memory | None:
    """What a process holds now."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith(" kB")}
    return Memory(round(kilobytes["Rss"] * 1024 / 1e6, 1), round(kilobytes["Pss"] * 1024 / 1e6, 1))


def cpu_seconds_of(pid: int) -> float | None:
    """Processor time that a process has used so far, user and system."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
