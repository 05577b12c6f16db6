"""Canary secrets in every credential slot: whatever happens, none of them is ever seen outside of where it belongs."""

import asyncio
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from joserfc.jwk import ECKey

from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.server import ROOT, TOLLGATE, Server, config_file, refused, serving, token
from tests.journeys.world import Client, settings_for

KEYS = {
    "openai": "canary-operator-openai-1f0c",
    "anthropic": "canary-operator-anthropic-2e1d",
    "google": "canary-operator-google-3d2e",
    "header": "canary-provider-header-4c3f",
}
OWN = "canary-own-key-5b40"
BEARER = "canary.bearer.6a51"
WEBHOOK = "whsec_canaryWebhook7952"
DATABASE_WORD = "canary-database-word-8863"
PROMPT = "canary-prompt-text-9774"


class Heard:
    """Everything that left the server."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def post(self, client: Client, body: Any, **head: str) -> None:
        headers = {"content-type": "application/json", **client.head(), **head}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with client.http.post(f"{client.server.url}/rpc", data=data, headers=headers) as reply:
            self.pieces += [str(reply.raw_headers).encode(), str(reply.reason).encode(), await reply.read()]

    async def get(self, client: Client, path: str) -> None:
        async with client.http.get(f"{client.server.url}{path}") as reply:
            self.pieces += [str(reply.raw_headers).encode(), await reply.read()]


def call(params: Any, method: str = "executeAIRequest") -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": "c", "method": method, "params": params}


def asking(provider: str, **more: Any) -> dict[str, Any]:
    return {"content": "Hi", "options": {"provider": provider, "model": "fake"}, **more}


def scripts_telling(told: str) -> list[Script]:
    """A provider that repeats what it was shown, in every way there is."""
    return [
        Script(),
        *(Script(status=status, message=f"odd key {told}") for status in (400, 401, 402, 403, 404, 429, 500, 503, 529)),
        Script(body=told.encode()),
        Script(body=told.encode(), content_type="text/html"),
        Script(status=302, headers={"location": f"https://{told.replace(' ', '.')}.example/"}),
        Script(cut_after=4),
        Script(error_after=4, message=f"late {told}"),
    ]


async def provoke(client: Client, fake: FakeProvider, heard: Heard) -> None:
    """Success and every failure path, with every secret in play."""
    for provider, operators in (*list(KEYS.items())[:3], ("compatible", KEYS["header"])):
        for script in scripts_telling(operators):
            fake.script = script
            await heard.post(client, call(asking(provider)))
            await heard.post(client, call(asking(provider, stream=True)), accept="text/event-stream")
        for script in scripts_telling(OWN):
            fake.script = script
            await heard.post(client, call(asking(provider, apiKey=OWN)), authorization="")
            stream = call(asking(provider, apiKey=OWN, stream=True))
            await heard.post(client, stream, accept="text/event-stream, application/json")
            await heard.post(client, call({"provider": provider, "apiKey": OWN}, "validateProvider"))
    fake.script = None


async def misuse(client: Client, heard: Heard) -> None:
    """Secrets where they do not belong."""
    await heard.post(client, call(asking("openai")), authorization=f"Bearer {BEARER}")
    await heard.post(client, call(asking("openai")), authorization=f"Basic {BEARER}")
    await heard.post(client, call(asking("openai")), authorization=f"Bearer {client.token[:-4]}AAAA")
    for wrong in ({"apiKey": [OWN]}, {"apiKey": {OWN: OWN}}, {"apiKey": f"{OWN} x"}, {"apiKey": OWN * 300}):
        await heard.post(client, call(wrong))
        await heard.post(client, call({"content": "x", "options": wrong}))
        await heard.post(client, call({"provider": "openai", **wrong}, "validateProvider"))
    await heard.post(client, call(asking("openai", apiKey=OWN), "noSuchMethod"))
    await heard.post(client, call([OWN, OWN, {"apiKey": OWN, "maxTokens": "x"}]))
    await heard.post(client, f'{{"apiKey": "{OWN}", broken'.encode())
    await heard.post(client, f'{{"apiKey": "{OWN}", "apiKey": 1}}'.encode())
    await heard.post(client, call({"promptId": "secret"}))
    await heard.post(client, call({"promptId": "secret", "promptContext": {}}))
    for path in ("/metrics", "/openrpc.json", "/livez", "/readyz?verbose", "/nothing"):
        await heard.get(client, path)


def secrets_of(client: Client, private_key: str) -> dict[str, str]:
    body = "".join(private_key.splitlines()[1:-1])
    return {
        **KEYS,
        "own": OWN,
        "bearer": BEARER,
        "token": client.token.rpartition(".")[2],
        "webhook": WEBHOOK,
        "database": DATABASE_WORD,
        "prompt": PROMPT,
        "private key": body[:60],
        "private key's end": body[-40:],
    }


def examined(file: Path | None) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [*TOLLGATE, "doctor", "--config", str(file)], cwd=ROOT, capture_output=True, timeout=100, check=False
    )


def found(text: bytes, secrets: dict[str, str]) -> set[str]:
    return {name for name, secret in secrets.items() if secret.encode() in text}


def files_of(server: Server) -> bytes:
    return b"".join(file.read_bytes() for file in server.folder.glob("tollgate.db*"))


async def test_no_secret_is_ever_seen(fake: FakeProvider, http: aiohttp.ClientSession, tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256").as_pem(private=True).decode()
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "secret.md").write_text(f"{PROMPT} {{{{ topic }}}}")
    settings = settings_for(fake, key, keys=KEYS)
    for provider in settings["providers"].values():
        provider["retries"] = 0  # a repeated request says nothing new, later
    settings |= {
        "prompts": {"directory": str(tmp_path / "prompts")},
        "payments": {"stripe": {"webhook_secret": WEBHOOK}},
        "logging": {"level": "debug"},
        "webhooks": {"url": "http://127.0.0.1:9/hook"},
    }
    heard = Heard()
    with serving(settings, tmp_path) as running:
        client = Client(running, http, token(running, "alice", "tester"))
        await provoke(client, fake, heard)
        await misuse(client, heard)
        secrets = secrets_of(client, key)
        kept = files_of(running)
        doctor = await asyncio.to_thread(examined, running.config)
    leaks = [piece for piece in heard.pieces if found(piece, secrets)]
    assert leaks == []
    assert found(running.log.read_bytes(), secrets) == set()
    assert found(kept + files_of(running), secrets) == set()
    assert found(doctor.stdout + doctor.stderr, secrets) == set()
    assert len(heard.pieces) > 900
    assert not re.search(rb"Traceback|site-packages|internal_error", running.log.read_bytes())
    assert not [piece for piece in heard.pieces if b'"error":{"code":-32603' in piece or b"Traceback" in piece]


@pytest.mark.parametrize(
    "change",
    [
        {"storage": {"url": f"postgresql://user:{DATABASE_WORD}@127.0.0.1:9/tollgate"}},
        {"storage": {"redis_url": f"redis://user:{DATABASE_WORD}@127.0.0.1:9/0"}},
    ],
    ids=["database", "redis"],
)
def test_doctor_and_a_failed_start_do_not_tell_the_databases_password(change: dict[str, Any], tmp_path: Path) -> None:
    settings: dict[str, Any] = {"providers": {"simulator": {"kind": "simulator"}}, **change}
    file = config_file(settings, tmp_path)
    doctor = examined(file)
    assert doctor.returncode == 1
    assert DATABASE_WORD.encode() not in doctor.stdout + doctor.stderr
    if "url" in change["storage"]:
        code, said = refused(settings, tmp_path)
        assert (code, said.count("\n")) == (2, 1)
        assert "storage.url" in said
        assert DATABASE_WORD not in said
