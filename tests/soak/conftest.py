"""Hours of proof, run by `make soak` only: `make test` does not collect this folder, so nothing is skipped."""

import os
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from tests.journeys.money.conftest import place, postgres, wide

__all__ = ["place", "postgres", "wide"]  # fixtures


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave the folder out unless the environment asks for it."""
    return None if os.environ.get("TOLLGATE_SOAK") == "1" or not collection_path.name.startswith("test_") else True


@pytest.fixture(scope="session")
def private_key() -> str:
    return ECKey.generate_key("P-256").as_pem(private=True).decode()
