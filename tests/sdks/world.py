"""One server with a provider of each kind behind it, one caller of each sort, and the runs of the SDKs' scripts."""

import asyncio
import json
import os
import sys
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from server.auth.issuing import Holder, issued
from server.config import Settings
from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import BY_MODEL
from tests.fakes.server import ROOT, Server
from tests.journeys.world import FREE
from tests.sdks.names import BY_SDK, PYTHON_ONLY

MODELS = ("fake", "fake-tools", "fake-json", "fake-mirror", "fake-agent", "fake-thinking", *BY_MODEL)
VENDORS: Mapping[str, tuple[str, str, Mapping[str, object]]] = {
    "openai": ("openai", "/v1", {"speaks_responses": True}),
    "anthropic": ("anthropic", "", {}),
    "google": ("google", "", {}),
    "compatible": ("openai", "/some/vendor/v9", {}),
    "impatient": ("openai", "/v1", {"first_byte_timeout_seconds": 0.3}),
}
"""Provider → its kind, its path at the fake, and what else is configured."""
TIERS: Mapping[str, Mapping[str, Any]] = {
    "good": {"monthly_token_quota": 10**15, "monthly_request_quota": 10**12, "features": ["basic_ai"], **FREE},
    "poor": {"policy": "virtual_tokens", "features": ["basic_ai"], **FREE},
    "spent": {"monthly_token_quota": 10**9, "monthly_request_quota": 2, "features": ["basic_ai"], **FREE},
    "hasty": {"monthly_token_quota": 10**15, "features": ["basic_ai"], **FREE, "rpm": 2},
    "narrow": {
        "monthly_token_quota": 10**15,
        "features": ["basic_ai"],
        **FREE,
        "models": ["fake-json"],
        "providers": ["google"],
    },
}
"""One tier for each sort of caller; the caller's user has the same name."""
OWN_VENDOR_KEY = "sk-the-clients-own-vendor-key"
SECRET = "key-secret-0123456789-abcdefghijklmnopqrstuvwxyz"
RUN_SECONDS = 200

BEFORE, OLDER = ROOT / ".sdks" / "before", ROOT / ".sdks" / "older"
GENERATIONS: Mapping[str, tuple[Path, ...]] = {"newest": (), "before": (BEFORE,), "older": (OLDER, BEFORE)}
"""What lies over the environment's own packages, the first one on top."""


def settings_for(fake: FakeProvider, private_key: str) -> dict[str, Any]:
    """Every kind of provider speaks its own wire to the same fake."""
    bounds = {"first_byte_timeout_seconds": 20, "timeout_seconds": 20, "retries": 0, "breaker_failures": 10_000}
    providers = {
        name: {
            "kind": kind,
            "base_url": fake.url + path,
            "api_key": f"operator-{name}",
            "models": MODELS,
            **bounds,
            **more,
        }
        for name, (kind, path, more) in VENDORS.items()
    }
    providers["simulator"] = {"kind": "simulator", "models": ["simulator"]}
    return {
        "auth": {
            "issuer": "https://issuer.example",
            "audience": "tollgate",
            "algorithms": ["ES256"],
            "private_key": private_key,
        },
        "keys": {"secret": SECRET, "encryption_keys": [b64encode(b"a-sealing-key-that-is-32-bytes-!").decode()]},
        "providers": providers,
        "routing": {"default_provider": "openai", "default_model": "fake"},
        "prices": {f"{name}/{model}": {"input": "1", "output": "2"} for name in providers for model in MODELS},
        "tiers": dict(TIERS),
        "limits": {"byok": FREE, "anonymous": FREE},
    }


_BOTH = (("python", "newest"), ("python", "before"), ("javascript", "newest"), ("javascript", "before"))
RUNS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "openai": _BOTH,
    "anthropic": (*_BOTH, ("python", "older")),
    "gemini": _BOTH,
}
"""SDK → language and generation."""


def cases(sdk: str) -> list[tuple[str, str, str, str]]:
    """SDK, language, generation and name of every check of an SDK."""
    return [
        (sdk, *run, name) for run in RUNS[sdk] for name in (*BY_SDK[sdk], *(PYTHON_ONLY if run[0] == "python" else ()))
    ]


async def keys_of(server: Server) -> dict[str, str]:
    """A gateway key of each sort of caller, a token, and a key that nobody has."""
    settings = Settings.load(server.config, {})
    tokens = {user: issued(settings, Holder(user, user), expires_seconds=3600, now=time.time()) for user in TIERS}
    keys = {"token": tokens["good"], "unknown": "tg_live_nobody_0123456789abcdef"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "createApiKey", "params": {"name": "sdk"}}
    async with aiohttp.ClientSession() as http:
        for user, shown in tokens.items():
            async with http.post(f"{server.url}/rpc", json=body, headers={"authorization": f"Bearer {shown}"}) as reply:
                keys[user] = (await reply.json())["result"]["apiKey"]
    return keys


Said = Mapping[tuple[str, str], Mapping[str, Mapping[str, Any]]]
"""Language and generation → name of a check → its line."""


@dataclass(frozen=True)
class Scripts:
    """Runs the scripts of an SDK, those of all its languages and generations side by side."""

    server: Server
    fake: FakeProvider
    keys: Mapping[str, str]

    async def said(self, sdk: str) -> Said:
        """What all of them said."""
        async with asyncio.TaskGroup() as tasks:
            runs = {run: tasks.create_task(self._run(sdk, *run)) for run in RUNS[sdk]}
        return {run: task.result() for run, task in runs.items()}

    async def _run(self, sdk: str, language: str, generation: str) -> dict[str, dict[str, Any]]:
        world = {"url": self.server.url, "keys": dict(self.keys), "own_vendor_key": OWN_VENDOR_KEY}
        process = await asyncio.create_subprocess_exec(
            *_command(sdk, language, generation, json.dumps(world)),
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(map(str, GENERATIONS[generation])),
                "NO_PROXY": "127.0.0.1",
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(RUN_SECONDS):
                out, problems = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, problems.decode(errors="replace")[-2000:]
        lines = [json.loads(line) for line in out.splitlines()]
        return {line["name"]: line for line in lines}


def _command(sdk: str, language: str, generation: str, world: str) -> tuple[str, ...]:
    if language == "python":
        return sys.executable, "-m", f"tests.sdks.python.{sdk}_calls", world
    return "node", f"tests/sdks/js/{sdk}.mjs", f"{sdk}-{generation}", world
