"""The long form of the ledger's state machine: a million commands against the reference model. Only `make soak` runs it."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.storage.test_ledger_machine import Ledger

COMMANDS = 1_000_000
ROUND = settings(
    max_examples=200,
    stateful_step_count=200,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(12 * 3600)
def test_a_million_commands_keep_every_invariant() -> None:
    done = 0

    class Counting(Ledger):
        """Counts the commands that were really given; those of groups come on top."""

        def teardown(self) -> None:
            nonlocal done
            done += self.commands
            super().teardown()

    while done < COMMANDS:
        run_state_machine_as_test(Counting, settings=ROUND)
