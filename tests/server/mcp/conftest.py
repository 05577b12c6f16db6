"""The official programs, installed once, and a key for the stand."""

import pytest
from joserfc.jwk import ECKey

from tests.server.mcp.suite import Suite, installed


@pytest.fixture(scope="session")
def suite() -> Suite:
    return installed()


@pytest.fixture(scope="session")
def private_key() -> str:
    return ECKey.generate_key("P-256").as_pem(private=True).decode()
