"""Limits over real minutes: four processes press on one limit for ten windows. Only `make soak` runs it; see the conftest."""

import pytest

from storage.ephemeral.limiter import STEPS
from tests.fakes.valkey import running
from tests.storage.ephemeral.test_processes import workers

WINDOWS = 10
LIMIT = 600


@pytest.mark.timeout(1200)
def test_in_any_of_ten_real_windows_four_processes_at_three_times_the_load_admit_99_to_100_percent() -> None:
    with running() as server, workers(server.url, 4) as processes:
        for worker in processes:
            worker.say(f"press {{user:busy}} {LIMIT} {WINDOWS * 60} {3 * LIMIT / 60 / len(processes)}")
        admitted = sorted(int(step) for worker in processes for step in worker.hear().split())
    first = admitted[0]
    fullest = max(sum(begin <= step < begin + STEPS for step in admitted) for begin in range(first, admitted[-1]))
    assert fullest <= LIMIT
    whole = sum(step < first + WINDOWS * STEPS for step in admitted)
    assert 0.99 * WINDOWS * LIMIT <= whole <= WINDOWS * LIMIT
