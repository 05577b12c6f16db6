"""The whole product over both databases, with keys switched on; and users of every role in it."""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.postgres import Server as Postgres
from tests.fakes.postgres import postgres
from tests.methods.money.conftest import Product, Start, start

__all__ = ["Product", "Start", "Town", "postgres", "start"]  # two of them are fixtures

KEYS = {
    "secret": "a-secret-of-the-tests-0123456789-abcdefghij",
    "encryption_keys": [b64encode(b"a-sealing-key-of-tests-32-bytes!").decode()],
}
Town = Callable[..., AbstractAsyncContextManager[Product]]


@pytest.fixture(params=["sqlite", "postgres"])
def town(request: pytest.FixtureRequest, start: Start, tmp_path: Path) -> Town:
    """Starts the product on one of the databases."""
    url = f"sqlite:///{tmp_path / 'money.db'}"
    if request.param == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        url = server.fresh()

    def started(charging: Mapping[str, object] | None = None, **more: Any) -> AbstractAsyncContextManager[Product]:
        return start(charging, storage={"url": url}, keys=KEYS, **more)

    return started


@pytest.fixture
async def product(start: Start) -> AsyncIterator[Product]:
    async with start(keys=KEYS) as running:
        yield running
