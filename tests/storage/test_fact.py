from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from pathlib import Path

import pytest
from mypy import api

from monetization.terms import Most, Target
from storage.records.commands import Done, Hold, Settle
from storage.records.fact import fact
from storage.records.usage import Usage, UsageRow

ROOT = Path(__file__).parents[2]
TAMPERING = """
from dataclasses import replace
from storage.records.usage import Usage
usage = Usage(input=1)
more = replace(usage, input=2)
usage.input = 3
usage.input += 1
"""


@fact
class Point:
    x: int
    y: int = 0
    labels: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Frozen:
    x: int
    y: int = 0
    labels: tuple[str, ...] = field(default=(), compare=False)


def test_the_type_checker_refuses_every_change_of_a_fact_and_nothing_else(tmp_path: Path) -> None:
    snippet = tmp_path / "tampering.py"
    snippet.write_text(TAMPERING)

    found, failed, _ = api.run([f"--config-file={ROOT / 'pyproject.toml'}", "--cache-dir=/dev/null", str(snippet)])

    assert not failed
    lines = [int(line.split(":")[1]) for line in found.splitlines() if ": error: " in line]
    assert lines == [6, 7], found


def test_a_fact_equals_hashes_shows_and_replaces_like_a_frozen_dataclass() -> None:
    point, frozen = Point(1, labels=("a",)), Frozen(1, labels=("a",))

    assert point == Point(1, labels=("b",))
    assert point != Point(2)
    assert hash(point) == hash(frozen)
    assert repr(point) == repr(frozen).replace("Frozen", "Point")
    assert replace(point, y=5) == Point(1, 5)
    assert [f.name for f in fields(Point)] == [f.name for f in fields(Frozen)]


def test_a_fact_has_slots_and_takes_no_other_field() -> None:
    with pytest.raises(AttributeError):
        Point(1).z = 2  # type: ignore[attr-defined]  # what the test is about
    assert not hasattr(Point(1), "__dict__")


def test_a_fact_that_is_a_key_finds_its_equal() -> None:
    assert {Target("p", "m"): 1}[Target("p", "m")] == 1
    assert hash(Usage(input=1)) == hash(Usage(input=1))


@pytest.mark.parametrize("made", [Usage, UsageRow, Hold, Settle, Done, Most])
def test_what_every_call_makes_is_made_without_a_check_at_each_field(made: type) -> None:
    assert "__setattr__" not in vars(made), "frozen=True costs every call about 0.15 us for each field"


def test_a_frozen_dataclass_still_refuses_at_run_time() -> None:
    with pytest.raises(FrozenInstanceError):
        Frozen(1).x = 2  # type: ignore[misc]  # what the test is about
