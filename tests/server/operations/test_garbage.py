"""What calls leave behind for the garbage collector: nothing, or it would run all the time while a server is busy."""

from pathlib import Path

import orjson
import pytest

from tests.fakes.programs import said_by


@pytest.mark.parametrize("kind", ["free", "paid", "stream", "uncounted", "left", "refused"])
async def test_calls_leave_no_circles_for_the_collector(kind: str, tmp_path: Path) -> None:
    _, told = await said_by("tests.server.operations.garbage", kind, str(tmp_path), seconds=100)
    assert orjson.loads(told) == {}
