"""Keys from a URL: rotation, floods of unknown keys, and an issuer that is down."""

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from monetization.calls import Credential
from monetization.errors import Overloaded, Unauthenticated
from server.auth.jwks import BadKeySet, JwksKeys, JwksLimits, usable_keys

from .conftest import World


def public(key: Key, name: str, **members: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": name, **members}


class Issuer:
    """A key set over loopback that does what the test says."""

    def __init__(self) -> None:
        self.members: list[dict[str, Any]] = []
        self.requests = 0
        self.asked = asyncio.Event()
        self.answer: dict[str, Any] | None = None
        self.gate: asyncio.Event | None = None
        self.url = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        self.asked.set()
        if request.path == "/elsewhere":
            pytest.fail("a redirect was followed")
        if self.gate is not None:
            await self.gate.wait()
        return web.Response(**self.answer) if self.answer is not None else web.json_response({"keys": self.members})


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    made = Issuer()
    app = web.Application()
    app.router.add_get("/{tail:.*}", made.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    yield made
    await runner.cleanup()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def keys(issuer: Issuer, clock: Clock) -> AsyncIterator[JwksKeys]:
    async with aiohttp.ClientSession() as session:
        limits = JwksLimits(timeout_seconds=2, bytes_max=20_000)
        made = JwksKeys(issuer.url, session=session, monotonic=clock, limits=limits)
        yield made
        await made.aclose()


async def settled(keys: JwksKeys) -> None:
    if keys._fetching is not None:
        async with asyncio.timeout(30):
            await asyncio.shield(keys._fetching)


async def test_a_token_is_checked_with_the_key_it_names(world: World, issuer: Issuer, keys: JwksKeys) -> None:
    issuer.members = [
        public(ECKey.generate_key("P-256"), "other"),
        public(world.keys["RS256"], "k1", use="sig", alg="RS256"),
    ]
    callers = world.callers(keys=keys, algorithms=["RS256", "ES256"])
    for _ in range(3):
        token = world.token(header={"kid": "k1"}, jti=str(_))
        assert (await callers.identify(Credential("bearer", token))).user_id == "user-1"
    assert issuer.requests == 1
    with pytest.raises(Unauthenticated) as refusal:
        await callers.identify(Credential("bearer", world.token(header={"kid": "other"})))
    assert refusal.value.slug == "unknown_key", "an EC key is not for RS256"


async def test_nothing_is_fetched_before_the_first_token(issuer: Issuer, keys: JwksKeys) -> None:
    assert issuer.requests == 0
    assert keys._fetching is None


async def test_a_key_that_appears_later_is_found_after_one_more_fetch(
    world: World, issuer: Issuer, keys: JwksKeys, clock: Clock
) -> None:
    old, new = RSAKey.generate_key(2048), world.keys["RS256"]
    issuer.members = [public(old, "old")]
    await keys.find("old", "RS256")
    issuer.members = [public(new, "new")]
    clock.now += 11
    assert (await keys.find("new", "RS256")).as_dict(private=False)["n"] == new.as_dict(private=False)["n"]
    assert issuer.requests == 2
    with pytest.raises(Unauthenticated):
        await keys.find("old", "RS256")


async def test_a_flood_of_unknown_key_ids_causes_one_fetch_in_ten_seconds(
    world: World, issuer: Issuer, keys: JwksKeys, clock: Clock
) -> None:
    issuer.members = [public(world.keys["RS256"], "k1")]
    await keys.find("k1", "RS256")
    for _ in range(3):
        clock.now += 10
        results = await asyncio.gather(*(keys.find(f"x{n}", "RS256") for n in range(200)), return_exceptions=True)
        assert all(isinstance(result, Unauthenticated) for result in results)
    assert issuer.requests == 4


async def test_many_first_callers_share_one_fetch(world: World, issuer: Issuer, keys: JwksKeys) -> None:
    issuer.members = [public(world.keys["RS256"], "k1")]
    issuer.gate = asyncio.Event()
    waiting = [asyncio.create_task(keys.find("k1", "RS256")) for _ in range(50)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    issuer.gate.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert all(not isinstance(result, BaseException) for result in results[1:]), "who leaves takes nobody along"
    assert issuer.requests == 1


async def test_old_keys_are_renewed_behind_the_callers_back(
    world: World, issuer: Issuer, keys: JwksKeys, clock: Clock
) -> None:
    issuer.members = [public(world.keys["RS256"], "k1")]
    await keys.find("k1", "RS256")
    clock.now += 300
    issuer.gate = asyncio.Event()
    await keys.find("k1", "RS256")  # answers although the issuer does not
    await keys.find("k1", "RS256")
    issuer.gate.set()
    await settled(keys)
    assert issuer.requests == 2
    assert keys._age() == 0


async def test_the_last_good_keys_serve_on_while_the_issuer_is_down_and_not_forever(
    world: World, issuer: Issuer, keys: JwksKeys, clock: Clock
) -> None:
    issuer.members = [public(world.keys["RS256"], "k1")]
    await keys.find("k1", "RS256")
    issuer.answer = {"status": 500}
    for _ in range(5):
        clock.now += 301
        await keys.find("k1", "RS256")
        await settled(keys)
    assert issuer.requests == 6
    clock.now += 86_400
    with pytest.raises(Overloaded) as refusal:
        await keys.find("k1", "RS256")
    assert refusal.value.slug == "keys_unavailable"
    issuer.answer = None
    clock.now += 10
    await keys.find("k1", "RS256")


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404},
        {"status": 302, "headers": {"Location": "/elsewhere"}},
        {"text": "<html>"},
        {"text": "[]"},
        {"text": '{"keys": {}}'},
        {"text": '{"keys": []}'},
        {"text": '{"keys": [7, null, {"kty": "XX"}]}'},
        {"text": '{"keys": ["' + "x" * 30_000 + '"]}'},
        {"text": "[" * 15_000},
        {"body": b"\xff\xfe"},
    ],
)
async def test_an_answer_that_is_no_key_set_leaves_callers_to_try_later(
    issuer: Issuer, keys: JwksKeys, clock: Clock, answer: dict[str, Any]
) -> None:
    issuer.answer = answer
    with pytest.raises(Overloaded) as refusal:
        await keys.find("k1", "RS256")
    assert refusal.value.retry_after_seconds == 10
    clock.now += 4
    with pytest.raises(Overloaded):
        await keys.find("k1", "RS256")
    assert issuer.requests == 1


async def test_a_key_set_beyond_the_size_limit_is_not_read(
    world: World, issuer: Issuer, keys: JwksKeys, clock: Clock
) -> None:
    issuer.members = [public(world.keys["RS256"], "k1", padding="x" * 20_000)]
    with pytest.raises(Overloaded):
        await keys.find("k1", "RS256")
    issuer.members = [public(world.keys["RS256"], "k1", padding="x" * 15_000)]
    clock.now += 10
    await keys.find("k1", "RS256")


async def test_an_issuer_that_does_not_answer_is_given_up(issuer: Issuer, keys: JwksKeys) -> None:
    issuer.gate = asyncio.Event()
    with pytest.raises(Overloaded):
        await keys.find("k1", "RS256")
    issuer.gate.set()


async def test_without_a_key_id_the_choice_must_be_clear(issuer: Issuer, keys: JwksKeys, clock: Clock) -> None:
    issuer.members = [public(RSAKey.generate_key(2048), "a"), public(ECKey.generate_key("P-256"), "b")]
    await keys.find(None, "RS256")
    await keys.find(None, "ES256")
    issuer.members.append(public(RSAKey.generate_key(2048), "c"))
    clock.now += 301
    await keys.find(None, "RS256")
    await settled(keys)
    with pytest.raises(Unauthenticated):
        await keys.find(None, "RS256")


def test_only_keys_that_may_check_signatures_are_taken() -> None:
    import json  # noqa: PLC0415  # only this test builds a body itself

    good = [
        public(OKPKey.generate_key("Ed25519"), "ed", alg="EdDSA"),
        public(ECKey.generate_key("P-256"), "ec"),
        public(RSAKey.generate_key(2048), "rsa"),
    ]
    numbers = rsa.generate_private_key(65537, 1024).public_key().public_numbers()  # noqa: S505  # short on purpose
    short = urlsafe_b64encode(numbers.n.to_bytes(128, "big")).decode().rstrip("=")
    bad = [
        public(RSAKey.generate_key(2048), "short", n=short),
        {**OctKey.generate_key(256).as_dict(), "kid": "secret"},
        {**RSAKey.generate_key(2048).as_dict(private=True), "kid": "private"},
        public(RSAKey.generate_key(2048), "enc", use="enc"),
        public(RSAKey.generate_key(2048), "weak", n="AQAB"),
        public(RSAKey.generate_key(2048), "other", alg="HS256"),
        public(ECKey.generate_key("P-384"), "curve"),
        public(OKPKey.generate_key("X25519"), "exchange"),
        {"kty": "RSA", "kid": "half"},
        {"kty": ["RSA"]},
    ]
    body = json.dumps({"keys": [*bad, *good]}).encode()
    found = [(name, algorithm) for name, algorithm, _ in usable_keys(body, keys_max=100)]
    assert found == [("ed", "Ed25519"), ("ec", "ES256"), ("rsa", "RS256")]
    with pytest.raises(BadKeySet):
        usable_keys(body, keys_max=5)


async def test_closing_ends_a_fetch_that_is_under_way(issuer: Issuer, keys: JwksKeys) -> None:
    issuer.gate = asyncio.Event()
    waiting = asyncio.create_task(keys.find("k1", "RS256"))
    async with asyncio.timeout(30):
        await issuer.asked.wait()
    await keys.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    issuer.gate.set()
