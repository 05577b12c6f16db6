"""The long form of the ledger's state machine: a million commands against the reference model. Only `make soak` runs it."""

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from storage.records import commands as c
from tests.soak.dice import Dice
from tests.storage.test_ledger_machine import Ledger

COMMANDS = 1_000_000
ROUND = settings(
    max_examples=50,
    stateful_step_count=150,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
seeds = st.integers(0, 2**48)


class Thrown(Ledger):
    """The same machine; only a step's seed is drawn, so that a history still shrinks, and dice throw its commands."""

    given: Counter[tuple[str, str]]
    """Command and what became of it, over all histories."""

    def dice(self, thrown: int) -> Dice:
        """What is drawn repeats itself now and then; the commands so far make something else of it each time."""
        return Dice(f"{thrown} {self.commands}")

    @rule(thrown=seeds)
    def submit(self, thrown: int) -> None:
        """Commands sent at once share a commit and are applied in their order."""
        self.send(self.dice(thrown).batch())

    @rule(thrown=seeds)
    def submit_together(self, thrown: int) -> None:
        """All or nothing."""
        self.send_together(self.dice(thrown).group())

    def check(self, sketch: Any, replay: str | None, apply: Any, outcome: Any) -> None:
        super().check(sketch, replay, apply, outcome)
        self.given[sketch[0], outcome.reason if isinstance(outcome, c.Refusal) else "done"] += 1


@pytest.mark.timeout(12 * 3600)
def test_a_million_commands_keep_every_invariant() -> None:
    number = random.SystemRandom().randrange(2**32)
    print(f"seed {number}")  # noqa: T201  # shown when it fails
    Thrown.given = Counter()
    while Thrown.given.total() < COMMANDS:
        run_state_machine_as_test(seed(number)(Thrown), settings=ROUND)
        number += 1
