"""What `/metrics` says of money, the database and the business after calls over real sockets."""

import re
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.provider import FakeProvider
from tests.fakes.server import Server, serving
from tests.journeys.world import Client, comes_to_rest, settings_for, until


async def samples(http: aiohttp.ClientSession, server: Server) -> dict[str, float]:
    async with http.get(f"{server.url}/metrics") as reply:
        found = re.findall(r"^(tollgate_[^ ]+) (\S+)$", await reply.text(), re.MULTILINE)
    return {name: float(value) for name, value in found}


async def test_calls_tell_what_they_cost_and_what_was_taken_for_them(
    client: Client, http: aiohttp.ClientSession, server: Server
) -> None:
    await comes_to_rest(client)
    before = await samples(http, server)
    await client.result("executeAIRequest", {"content": "hello", "options": {"maxTokens": 10}})
    (event,) = (await client.result("listUsageEvents", {"limit": 1}))["events"]
    await comes_to_rest(client)
    after = await samples(http, server)

    def risen(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    cost = risen(f'tollgate_provider_cost_usd_total{{provider="{event["provider"]}"}}')
    assert cost > 0
    assert cost == pytest.approx(event["cost"])
    assert risen('tollgate_store_duration_seconds_count{operation="commit"}') >= 2  # one holds and one settles
    assert risen('tollgate_store_duration_seconds_sum{operation="commit"}') > 0


async def test_the_business_is_told_from_the_start(http: aiohttp.ClientSession, server: Server) -> None:
    found: dict[str, float] = {}

    async def is_read() -> bool:
        found.update(await samples(http, server))
        return "tollgate_business_failed_calls_ratio" in found

    await until(is_read)
    told = {name.removeprefix("tollgate_business_") for name in found if "_business_" in name}
    assert told == {
        *("revenue_usd", "provider_cost_usd", "platform_fees_usd", "active_users", "revenue_per_user_usd"),
        *("subscribers", "churn_ratio", "upgrade_ratio", "failed_calls_ratio"),
    }


async def test_a_server_with_a_token_for_its_metrics_tells_them_to_nobody_else(
    http: aiohttp.ClientSession, fake: FakeProvider, private_key: str, tmp_path: Path
) -> None:
    settings = settings_for(fake, private_key)
    settings["server"]["metrics_token"] = "env:SCRAPE"
    with serving(settings, tmp_path, environment={"SCRAPE": "who-reads-what-we-earn"}) as guarded:
        for token, status in (("", 401), ("Bearer guess", 401), ("Bearer who-reads-what-we-earn", 200)):
            headers = {"authorization": token} if token else {}
            async with http.get(f"{guarded.url}/metrics", headers=headers) as reply:
                assert (reply.status, "tollgate_calls" in await reply.text()) == (status, status == 200)
        async with http.get(f"{guarded.url}/livez") as reply:
            assert reply.status == 200
