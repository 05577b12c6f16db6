"""Hundreds of clients that leave streams on the vendors' doors, at every moment, leave nothing behind; `make soak` has 10,000."""

from pathlib import Path

from tests.journeys.vendors.leaving import ROUND, assert_nothing_is_left


async def test_streams_that_their_clients_leave_leave_nothing_behind(tmp_path: Path, private_key: str) -> None:
    await assert_nothing_is_left(8 * ROUND, tmp_path, private_key)
