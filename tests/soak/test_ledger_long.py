"""The long form of the ledger's state machine: a million commands against the reference model. Only `make soak` runs it."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.storage.test_ledger_machine import Ledger

COMMANDS = 1_000_000
STEPS = 200
PER_STEP = 2
"""Commands in one step of the machine, at the least that its batches come to on average."""


@pytest.mark.timeout(6 * 3600)
def test_a_million_commands_keep_every_invariant() -> None:
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=COMMANDS // (STEPS * PER_STEP),
            stateful_step_count=STEPS,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
