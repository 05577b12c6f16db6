"""The long form of the ledger's random histories: as many commands as are asked for, over both memories of the embedded store."""

import sys

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.storage.test_ledger_machine import ForgetfulLedger, Ledger

STEPS = 80
EXAMPLES = 500


def run(commands: int = 1_000_000) -> None:
    """Run at least so many commands, half of them over rows that are loaded for each commit. Raises: what breaks a promise."""
    rounds = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    for machine in (Ledger, ForgetfulLedger):
        count = 0
        while count < commands // 2:
            count += soak(machine, rounds)
        sys.stdout.write(f"{machine.__name__}: {count:,} commands, every promise kept\n")


def soak(machine: type[Ledger], rounds: settings) -> int:
    """One round of histories; returns how many commands they had."""
    counts: list[int] = []

    class Counted(machine):  # type: ignore[valid-type, misc]  # a class made from an argument
        def teardown(self) -> None:
            counts.append(self.commands)
            super().teardown()

    run_state_machine_as_test(Counted, settings=rounds)
    return sum(counts)


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
