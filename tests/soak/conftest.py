"""Hours of proof, run by `make soak` only: `make test` does not collect this folder, so nothing is skipped."""

import os
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from tests.journeys.money.conftest import place, postgres, wide
from tests.soak.bouncer import MISSING, program

__all__ = ["place", "postgres", "wide"]  # fixtures


def is_asked_for() -> bool:
    return os.environ.get("TOLLGATE_SOAK") == "1"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave the folder out unless the environment asks for it."""
    if not collection_path.name.startswith("test_"):
        return None
    is_bouncer = collection_path.name.startswith("test_pgbouncer")
    return None if is_asked_for() and (not is_bouncer or program()) else True


def pytest_report_header() -> str | None:
    """Say what cannot run here, and why."""
    return MISSING if is_asked_for() and not program() else None


@pytest.fixture(scope="session")
def private_key() -> str:
    return ECKey.generate_key("P-256").as_pem(private=True).decode()
