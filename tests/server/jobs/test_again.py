"""Memory stays where it is however long a server runs: what regular work needs is loaded at the start, and it keeps nothing."""

from pathlib import Path

import orjson

from tests.fakes.programs import said_by

KEPT_BYTES_MAX = 200_000
"""What ten more runs of everything may keep; they keep 10,000."""


async def test_regular_work_loads_nothing_late_and_keeps_nothing(tmp_path: Path) -> None:
    said, _ = await said_by("tests.server.jobs.again", str(tmp_path), seconds=200)
    found = orjson.loads(said)
    assert len(found["jobs"]) == 7
    assert found["loaded"] == []
    assert found["kept"] < KEPT_BYTES_MAX
