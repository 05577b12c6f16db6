"""What `/metrics` says of money, the database and the business after calls over real sockets."""

import re

import aiohttp
import pytest

from tests.fakes.server import Server
from tests.journeys.world import Client, comes_to_rest, until


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
