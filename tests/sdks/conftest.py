"""One server for all SDKs, and their packages where a machine has what they need."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from joserfc.jwk import ECKey

from tests.fakes.provider import FakeProvider
from tests.fakes.server import serving
from tests.sdks.world import BEFORE, Scripts, keys_of, settings_for

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def installed() -> None:
    """Both languages' packages are there."""
    if not (HERE / "js" / "node_modules").exists() or not BEFORE.exists():
        reason = "the SDKs of other generations and languages are not installed; run `make sdks` with Node 20 or newer"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def scripts(installed: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scripts]:
    """A server whose callers hold keys."""
    folder = tmp_path_factory.mktemp("sdks")
    private_key = ECKey.generate_key("P-256").as_pem(private=True).decode()
    async with FakeProvider() as fake:
        with serving(settings_for(fake, private_key), folder) as server:
            yield Scripts(server, fake, await keys_of(server))
