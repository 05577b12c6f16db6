"""What the server has written down, and let go, of calls that the SDKs made. No SDK is called here."""

import asyncio

from tests.fakes.provider import Seen
from tests.journeys.world import eventually, usage_rows
from tests.sdks.world import OWN_VENDOR_KEY, Said, Scripts

OPEN_HOLDS = "SELECT count(*) AS n FROM hold"
HELD_WINDOWS = "SELECT count(*) AS n FROM quota_window WHERE held <> 0"


def asked_of(scripts: Scripts, request_id: str) -> Seen:
    """The request upstream of one of ours."""
    [seen] = [seen for seen in scripts.fake.seen if seen.headers.get("x-request-id") == request_id]
    return seen


async def assert_charged_for_what_came(scripts: Scripts, request_id: str) -> None:
    """A stream that its client left: partial, charged, its provider let go."""
    [row] = await eventually(lambda: usage_rows(scripts.server, request_id))
    assert (row["outcome"], row["is_partial"], row["is_stream"]) == ("partial", 1, 1)
    assert row["tokens_output"] > 0
    assert row["cost_nano"] > 0
    await asyncio.wait_for(asked_of(scripts, request_id).closed.wait(), 30)


async def assert_free_of_charge(scripts: Scripts, request_id: str) -> None:
    """A call on the client's own vendor key: the vendor got that key, and it costs nothing here."""
    headers = asked_of(scripts, request_id).headers
    shown = {headers.get("authorization"), headers.get("x-api-key"), headers.get("x-goog-api-key")}
    assert shown & {OWN_VENDOR_KEY, f"Bearer {OWN_VENDOR_KEY}"}, headers
    assert "x-tollgate-key" not in headers
    [row] = await eventually(lambda: usage_rows(scripts.server, request_id))
    assert (row["caller_kind"], row["user_id"], row["feature"]) == ("byok", "good", "own-key")
    assert not row["charge_amount"]


async def assert_nothing_stays(scripts: Scripts, *said: Said) -> None:
    """After all scripts nothing is held, and nothing went wrong that only the log would show."""
    assert said
    for counted in (OPEN_HOLDS, HELD_WINDOWS):
        await eventually(lambda counted=counted: scripts.server.rows(counted)[0]["n"] == 0)
    mistakes = [line for line in scripts.server.lines() if line.get("level") in ("error", "critical") or "raw" in line]
    assert mistakes == []
