"""Tiers that change while the server runs: by the file's date, by SIGHUP, by an admin; a bad file changes nothing."""

import signal
from pathlib import Path
from typing import Any

import aiohttp

from tests.fakes.provider import FakeProvider
from tests.fakes.server import Server, config_file, serving, token
from tests.journeys.world import Client, eventually, settings_for, until

WAIT_SECONDS = 30.0


async def shown(client: Client) -> dict[str, Any]:
    answer = await client.call("listTiers", {})
    data: dict[str, Any] = answer["result"]["data"]
    return data


def write(server: Server, settings: dict[str, Any], **tiers: dict[str, object]) -> None:
    """Write the server's file anew, with these tiers beside the others."""
    storage = {"url": f"sqlite:///{server.database}"}
    config_file({**settings, "storage": storage, "tiers": {**settings["tiers"], **tiers}}, server.folder)


async def knows(client: Client, tier: str) -> bool:
    return tier in await shown(client)


def told(server: Server, event: str) -> list[dict[str, Any]]:
    return [line for line in server.lines() if line.get("event") == event]


async def test_a_written_file_is_in_force_within_seconds_and_a_bad_one_changes_nothing(
    fake: FakeProvider, http: aiohttp.ClientSession, private_key: str, tmp_path: Path
) -> None:
    settings = settings_for(fake, private_key)
    with serving(settings, tmp_path) as server:
        client = Client(server, http)
        write(server, settings, gold={"name": "Gold", "price_usd": "9"})
        await until(lambda: knows(client, "gold"), seconds=WAIT_SECONDS)
        assert (await shown(client))["gold"]["price"] == 9.0
        client = Client(server, http, token(server, "alice", "gold"))
        served = await client.call("executeAIRequest", {"content": "Hi", "options": {"maxTokens": 20_000}})
        assert served["result"]["success"] is True

        write(server, settings, gold={"name": "Silver", "rpm": "many"})
        [refusal] = await eventually(lambda: told(server, "tiers_reload_refused"), seconds=WAIT_SECONDS)
        assert refusal["problem"].startswith("tiers.gold.rpm: ")
        assert (await shown(client))["gold"]["name"] == "Gold"


async def test_a_tier_that_a_method_asks_for_cannot_go_while_the_server_runs(
    fake: FakeProvider, http: aiohttp.ClientSession, private_key: str, tmp_path: Path
) -> None:
    settings = settings_for(fake, private_key)
    gated = {
        **settings,
        "tiers": {**settings["tiers"], "gold": {"name": "Gold"}},
        "charging": {**settings.get("charging", {}), "tier_order": ["free", "gold"]},
        "methods": {"calculateCost": {"tier": "gold"}},
    }
    with serving(gated, tmp_path) as server:
        admin = Client(server, http, token(server, "root", "tester", role="admin"))
        without = {**gated, "tiers": settings["tiers"], "charging": settings.get("charging", {})}
        write(server, without)
        refused = (await admin.call("reloadTiers", {}))["result"]
        assert refused["success"] is False
        assert refused["problem"].startswith("methods.calculateCost.tier: ")
        assert "gold" in await shown(admin)
        write(server, {**without, "methods": {}})  # the gate itself waits for a restart, so it still needs the tier
        assert (await admin.call("reloadTiers", {}))["result"]["problem"] == refused["problem"]


async def test_a_hangup_signal_reads_the_tiers_and_the_server_stays(
    fake: FakeProvider, http: aiohttp.ClientSession, private_key: str, tmp_path: Path
) -> None:
    with serving(settings_for(fake, private_key), tmp_path) as server:
        client = Client(server, http)
        server.tell(signal.SIGHUP)
        await eventually(lambda: told(server, "tiers_reloaded"), seconds=WAIT_SECONDS)
        assert (await shown(client))["tester"]["tier"] == "tester"


async def test_an_admin_reloads_and_hears_what_changed_what_looks_wrong_and_what_waits(
    fake: FakeProvider, http: aiohttp.ClientSession, private_key: str, tmp_path: Path
) -> None:
    settings = settings_for(fake, private_key)
    with serving(settings, tmp_path) as server:
        admin = Client(server, http, token(server, "root", "tester", role="admin"))
        nobody = Client(server, http, token(server, "mallory", "tester"))
        changed = {**settings, "server": {**settings["server"], "drain_seconds": 11}}
        result: dict[str, Any] = {}
        for turn in range(5):  # the server may see the file by itself before it is told to
            if not result.get("changed"):
                write(server, changed, gold={"tpm": 10 - turn, "max_tokens_per_request": 20})
                result = (await admin.call("reloadTiers", {}))["result"]
        assert (result["success"], result["changed"], result["needsRestart"]) == (True, ["gold"], ["server"])
        assert any(warning.startswith("tiers.gold.tpm: ") for warning in result["warnings"])

        write(server, changed, gold={"aliases": ["pro"]})
        result = (await admin.call("reloadTiers", {}))["result"]
        assert (result["success"], result["changed"]) == (False, [])
        assert result["problem"].startswith("tiers.")
        assert str(tmp_path) not in result["problem"]

        events = (await admin.call("listAuditEvents", {"subject": "tiers"}))["result"]["events"]
        said = [event["details"] for event in events]
        assert [details for details in said if details != {"success": True, "changed": []}] == [
            {"success": False, "changed": [], "problem": result["problem"]},
            {"success": True, "changed": ["gold"]},
        ]

        assert (await nobody.call("reloadTiers", {}))["error"]["code"] == -32005
