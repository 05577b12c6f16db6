"""Four workers of one server over one Valkey and one PostgreSQL: one limit for all of them, however hard they are pressed."""

import asyncio
from collections import Counter
from pathlib import Path

import aiohttp

from tests.fakes.postgres import Server as Postgres
from tests.fakes.postgres import postgres
from tests.fakes.provider import FakeProvider
from tests.fakes.server import serving, token
from tests.fakes.valkey import Valkey
from tests.journeys.limits.test_too_fast import code_of
from tests.journeys.money.books import Place, settings_of
from tests.journeys.world import Client

__all__ = ["postgres"]  # a fixture

RPM = 60


async def test_four_workers_admit_exactly_the_limit_of_three_times_as_many_calls(
    postgres: Postgres,
    vendor: FakeProvider,
    wide: aiohttp.ClientSession,
    private_key: str,
    valkey_server: Valkey,
    tmp_path: Path,
) -> None:
    async def pressed(folder: Path) -> tuple[Counter[int], bool]:
        """What the calls were answered, and whether the store was late for one: then limits fail open and nothing is shown."""
        valkey_server.flush()
        vendor.seen.clear()
        settings = settings_of(Place(await asyncio.to_thread(postgres.fresh), 4, folder), vendor, private_key)
        settings["storage"]["redis_url"] = valkey_server.url
        settings["tiers"]["tester"]["rpm"] = RPM
        settings["limits"]["store_timeout_ms"] = 1_000
        with serving(settings, folder) as server:
            bearer = await asyncio.to_thread(token, server, "ada", "tester")
            codes = Counter(await asyncio.gather(*(code_of(Client(server, wide, bearer)) for _ in range(3 * RPM))))
        return codes, any(line.get("event") == "limit_store_is_down" for line in server.lines())

    for folder in [tmp_path / name for name in ("first", "second", "third")]:
        await asyncio.to_thread(folder.mkdir)
        codes, was_late = await pressed(folder)
        if not was_late:
            break
    assert codes == {0: RPM, -32002: 2 * RPM}
    assert len(vendor.seen) == RPM
