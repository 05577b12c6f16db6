"""Notifications are calls like others, only that nobody waits for a reply."""

import json

import pytest

from tests.fakes.provider import FakeProvider
from tests.fakes.server import token
from tests.journeys.world import Client, eventually

ASK = {"jsonrpc": "2.0", "method": "executeAIRequest", "params": {"content": "Hi", "options": {"model": "fake"}}}


@pytest.mark.parametrize(("tier", "code"), [("hasty", -32002), ("modest", -32001)])
async def test_r12_notifications_run_and_count_against_limits_and_quota(
    client: Client, fake: FakeProvider, tier: str, code: int
) -> None:
    user = f"silent-{tier}"
    shown = {"authorization": f"Bearer {token(client.server, user, tier)}"}
    assert await client.raw(json.dumps(ASK).encode(), headers=shown) == (204, b"")
    assert await client.raw(json.dumps([ASK, ASK]).encode(), headers=shown) == (204, b"")
    assert len(fake.seen) == 3
    rows = await eventually(
        lambda: client.server.rows("SELECT * FROM usage WHERE user_id = ? AND outcome = 'done'", user)
    )
    assert len(rows) == 3
    assert all(row["tokens_output"] > 0 and row["cost_nano"] > 0 for row in rows)

    status, said = await client.raw(json.dumps({**ASK, "id": 4}).encode(), headers=shown)
    assert (status, json.loads(said)["error"]["code"]) == (200, code)
    assert await client.raw(json.dumps(ASK).encode(), headers=shown) == (204, b"")
    assert len(fake.seen) == 3, "what is refused says nothing either, and reaches no provider"


@pytest.mark.parametrize(("tier", "code"), [("hasty", -32002), ("modest", -32001)])
async def test_limits_and_quota_count_the_elements_of_a_batch_and_not_the_batch(
    client: Client, fake: FakeProvider, tier: str, code: int
) -> None:
    shown = {"authorization": f"Bearer {token(client.server, f'batching-{tier}', tier)}"}
    batch = [{**ASK, "id": number} for number in range(5)]
    status, said = await client.raw(json.dumps(batch).encode(), headers=shown)
    replies = json.loads(said)
    assert (status, [reply["id"] for reply in replies]) == (200, [0, 1, 2, 3, 4])
    assert sorted(reply["error"]["code"] if "error" in reply else 0 for reply in replies) == [code, code, 0, 0, 0]
    assert len(fake.seen) == 3
