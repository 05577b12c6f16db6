"""Where a call comes from: the peer's address, or what a proxy says that the operator trusts."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.provider import FakeProvider
from tests.fakes.server import serving
from tests.journeys.world import Client, settings_for

HERE, ELSEWHERE = {"x-forwarded-for": "192.0.2.1"}, {"x-forwarded-for": "192.0.2.2"}


@pytest.mark.parametrize(
    ("trusted", "is_told_apart"), [([], False), (["198.51.100.1"], False), (["127.0.0.0/8"], True)]
)
async def test_a_forwarded_address_counts_only_from_a_trusted_proxy(
    fake: FakeProvider,
    http: aiohttp.ClientSession,
    private_key: str,
    tmp_path: Path,
    trusted: list[str],
    *,
    is_told_apart: bool,
) -> None:
    settings: dict[str, Any] = settings_for(fake, private_key)
    settings["server"]["trusted_proxies"] = trusted
    with serving(settings, tmp_path) as running:
        here, elsewhere = Client(running, http, headers=HERE, ids=50), Client(running, http, headers=ELSEWHERE, ids=100)
        params = {
            "content": "Hi",
            "apiKey": "own-key-of-a-stranger",
            "options": {"provider": "patient", "model": "fake-silent"},
        }
        first = Client(running, http, headers=HERE)
        call = asyncio.create_task(first.call("executeAIRequest", params))
        await asyncio.wait_for(fake.arrived.wait(), 30)
        cancel = {"id": 1, "apiKey": "own-key-of-a-stranger"}
        # The same key at another address is another caller, who may not cancel.
        assert await elsewhere.result("cancelRequest", cancel) == {"cancelled": not is_told_apart}
        if is_told_apart:
            assert await here.result("cancelRequest", cancel) == {"cancelled": True}
        assert (await asyncio.wait_for(call, 30))["error"]["code"] == -32800
