"""The table of what is measured. A later feature adds its rows here: what is sent to the floor, to us, and what is aimed at."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.shots import BURST, DOOR_PLAIN, DOOR_STREAM, PLAIN, STREAM, Shot


@dataclass(frozen=True, slots=True)
class Aim:
    """What a row should show."""

    text: str
    is_met: Callable[[float, float], bool]
    """Takes the ratio to the floor and the milliseconds added."""


def at_least(ratio: float) -> Aim:
    """So much of the floor's calls a second."""
    return Aim(f"ratio >= {ratio:g}", lambda seen, _: seen >= ratio)


def adds_at_most(milliseconds: float) -> Aim:
    """So much more latency than the floor's, at the median."""
    return Aim(f"added <= {milliseconds:g} ms", lambda _, added: added <= milliseconds)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A row: the same work at the floor, by us, and by the provider alone."""

    name: str
    connections: int
    floor: Shot
    ours: Shot
    ceiling: Shot
    aim: Aim | None


SCENARIOS = (
    Scenario("plain reply", 32, *PLAIN, at_least(0.6)),
    Scenario("plain reply", 1, *PLAIN, adds_at_most(1.5)),
    Scenario("stream of 100 chunks", 32, *STREAM, at_least(0.6)),
    Scenario("stream of 100 chunks", 1, *STREAM, adds_at_most(1.5)),
    Scenario("same, in one burst", 32, *BURST, None),
    Scenario("OpenAI door, plain", 32, *DOOR_PLAIN, at_least(0.6)),
    Scenario("OpenAI door, plain", 1, *DOOR_PLAIN, adds_at_most(1.5)),
    Scenario("OpenAI door, stream", 32, *DOOR_STREAM, at_least(0.7)),
)
"""Every commercial step is on and durable, so the aim is 0.6 of a floor that takes none of them.

A burst has no aim: the floor passes it on as one piece, unread, while we must read and number each of its chunks.
"""
MEMORY_MB_MAX = 90.0
START_SECONDS_MAX = 1.5
