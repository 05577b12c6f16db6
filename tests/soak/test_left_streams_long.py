"""10,000 streams on the vendors' doors whose clients leave at every moment. Only `make soak` runs it; see the conftest."""

from pathlib import Path

import pytest

from tests.journeys.vendors.leaving import assert_nothing_is_left

CALLS = 10_000


@pytest.mark.timeout(1800)
async def test_ten_thousand_left_streams_leave_nothing_behind(tmp_path: Path, private_key: str) -> None:
    await assert_nothing_is_left(CALLS, tmp_path, private_key)
