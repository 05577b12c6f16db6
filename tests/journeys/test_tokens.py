"""Tokens of every algorithm, and keys that change, through real servers."""

import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from tests.fakes.provider import FakeProvider
from tests.fakes.server import serving
from tests.journeys.world import Client, settings_for, until

SECRET = "a-shared-secret-of-more-than-32-bytes"


def made(key: Key, algorithm: str, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
    now = int(time.time())
    standard = {
        "iss": "https://issuer.example",
        "aud": "tollgate",
        "sub": "subject",
        "userId": "carol",
        "subscriptionTier": "tester",
        "iat": now,
        "exp": now + 600,
    }
    said = {name: value for name, value in {**standard, **claims}.items() if value is not ...}
    return jwt.encode({"alg": algorithm, **(header or {})}, said, key, algorithms=[algorithm])


def public(key: Key) -> str:
    assert not isinstance(key, OctKey)
    return key.as_pem(private=False).decode()


def confused(pem: str) -> str:
    """Signed with the words of a public key as if they were a secret; no library makes such a token."""
    _, claims, _ = made(OctKey.import_key(SECRET), "HS256").split(".")
    head = urlsafe_b64encode(b'{"alg":"HS256"}').decode().rstrip("=")
    signed = f"{head}.{claims}"
    digest = hmac.digest(pem.encode(), signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(digest).decode().rstrip('=')}"


KEYS: dict[str, Key] = {
    "RS256": RSAKey.generate_key(2048),
    "ES256": ECKey.generate_key("P-256"),
    "Ed25519": OKPKey.generate_key("Ed25519"),
    "HS256": OctKey.import_key(SECRET),
}


async def accepted(client: Client, token: str) -> bool:
    reply = await client.call("executeAIRequest", {"content": "Hi"}, token=token)
    if "error" in reply:
        assert reply["error"]["code"] == -32004
        assert token not in str(reply)
        return False
    return True


@pytest.mark.parametrize("algorithm", KEYS)
async def test_every_algorithm_opens_the_server_and_no_other_does(
    fake: FakeProvider, http: aiohttp.ClientSession, tmp_path: Path, algorithm: str
) -> None:
    settings = settings_for(fake, "")
    key = KEYS[algorithm]
    source = {"secret": SECRET} if algorithm == "HS256" else {"public_key": public(key)}
    settings["auth"] = {
        "issuer": "https://issuer.example",
        "audience": "tollgate",
        "algorithms": [algorithm],
        "clock_tolerance_seconds": 0,
        **source,
    }
    now = int(time.time())
    with serving(settings, tmp_path) as running:
        client = Client(running, http)
        assert await accepted(client, made(key, algorithm))
        [row] = running.rows("SELECT user_id FROM usage")
        assert row["user_id"] == "carol"
        assert await accepted(client, made(key, algorithm, userId=..., sub="Zoë 世界"))
        refused = [
            made(key, algorithm, exp=now - 5),
            made(key, algorithm, exp=...),
            made(key, algorithm, iss="https://other.example"),
            made(key, algorithm, aud="other"),
            made(key, algorithm, nbf=now + 600),
            made(key, algorithm, userId="a\nb"),
            made(key, algorithm, userId=["x"]),
            made(key, algorithm)[:-8] + "AAAAAAAA",
            *(made(other, name) for name, other in KEYS.items() if name != algorithm),
            confused(public(KEYS["RS256"])),
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
            "a.b.c",
            "",
            "x" * 20_000,
        ]
        for token in refused:
            assert not await accepted(client, token or "..")


class Issuer:
    """A key set that a test changes."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.status = 200
        self.requests = 0
        self.url = ""

    async def show(self, request: web.Request) -> web.Response:
        del request
        self.requests += 1
        return web.json_response({"keys": self.keys}, status=self.status)


@pytest_asyncio.fixture(loop_scope="session")
async def issuer() -> AsyncIterator[Issuer]:
    made = Issuer()
    app = web.Application()
    app.router.add_get("/jwks", made.show)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    yield made
    await runner.cleanup()


async def test_keys_from_a_url_rotate_without_a_restart_and_outlive_a_dead_issuer(
    fake: FakeProvider, http: aiohttp.ClientSession, tmp_path: Path, issuer: Issuer
) -> None:
    old, new = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    issuer.keys = [{**old.as_dict(private=False), "kid": "old"}]
    settings = settings_for(fake, "")
    settings["auth"] = {
        "issuer": "https://issuer.example",
        "audience": "tollgate",
        "algorithms": ["ES256"],
        "jwks_url": issuer.url,
        "jwks_refetch_seconds": 1,
    }
    with serving(settings, tmp_path) as running:
        client = Client(running, http)
        assert await accepted(client, made(old, "ES256", header={"kid": "old"}))
        asked = issuer.requests
        issuer.keys = [{**new.as_dict(private=False), "kid": "new"}]
        await until(lambda: accepted(client, made(new, "ES256", header={"kid": "new"}, userId="dora")))
        assert issuer.requests - asked <= 3, "many unknown key ids cause few fetches"
        issuer.status = 500
        assert await accepted(client, made(new, "ES256", header={"kid": "new"}, userId="erik"))
        assert not await accepted(client, made(old, "ES256", header={"kid": "evil", "jku": issuer.url}))
