"""A store that has closed says so at once, so that nobody waits for it to come back."""

import pytest

from monetization.finishing import insist
from storage.errors import StoreClosed
from storage.records.commands import Configure
from storage.records.ledger import CREDITS, AccountKey
from storage.store import open_store

COMMAND = Configure(account=AccountKey("default", "user", "u", CREDITS, "TOKEN"), overdraft=1)


async def test_a_command_after_the_end_is_refused_and_not_repeated() -> None:
    async with open_store("sqlite://", clock_us=lambda: 1_000) as store:
        await store.submit(COMMAND)
    attempts: list[bool] = []

    async def attempt(is_again: bool) -> object:  # noqa: FBT001  # the signature that `insist` calls
        attempts.append(is_again)
        return await store.submit(COMMAND)

    async def sleep_seconds(seconds: float) -> None:
        raise AssertionError(f"waited {seconds} s for a store that will not come back")

    with pytest.raises(StoreClosed):
        await insist(attempt, waits_seconds=(1.0, 1.0), sleep_seconds=sleep_seconds)
    assert attempts == [False]
