"""`kill -9` in the middle of load, and a start on the same file."""

import asyncio
import signal
from pathlib import Path

import aiohttp

from tests.fakes.provider import FakeProvider
from tests.fakes.server import serving, token
from tests.journeys.world import Client, eventually, settings_for, usage_rows


async def test_what_was_answered_before_a_kill_is_kept_and_the_next_start_serves(
    fake: FakeProvider, private_key: str, tmp_path: Path
) -> None:
    settings = settings_for(fake, private_key)
    answered: list[str] = []

    async def load(client: Client) -> None:
        while True:
            try:
                result = await client.result("executeAIRequest", {"content": "Hi"})
            except (aiohttp.ClientError, AssertionError, ConnectionError):
                return
            answered.append(result["requestId"])

    async with aiohttp.ClientSession() as http:
        with serving(settings, tmp_path) as running:
            alices = token(running, "alice", "tester")
            async with asyncio.TaskGroup() as group:
                for _ in range(16):
                    group.create_task(load(Client(running, http, alices)))
                await eventually(lambda: len(answered) >= 200, seconds=30)
                running.tell(signal.SIGKILL)
        with serving(settings, tmp_path) as again:
            assert again.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
            kept = {row["request_id"] for row in again.rows("SELECT request_id FROM usage")}
            assert set(answered) <= kept, "an answer that was seen has its row"
            client = Client(again, http, alices)
            result = await client.result("executeAIRequest", {"content": "Hi"})
            assert usage_rows(again, result["requestId"])
