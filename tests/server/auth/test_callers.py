"""From credential to caller: who is believed, who is refused, and what the cache may remember."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey

from monetization.callers import Caller
from monetization.calls import Credential
from monetization.errors import Unauthenticated
from server.auth.callers import Callers
from server.config_sections import AuthSettings

from .conftest import NOW, World

Bearer = Callable[[str], Credential]


async def refused(callers: Callers, token: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as refusal:
        await callers.identify(Credential("bearer", token))
    return refusal.value


def part(value: object) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(content).rstrip(b"=").decode()


async def test_a_token_becomes_a_caller_with_everything_it_claims(world: World, bearer: Bearer) -> None:
    token = world.token(
        email="a@example.com",
        organizationId="org-1",
        monthlyTokenQuota=1000,
        rpmLimit=5,
        tpmLimit=0,
        features=["basic_ai"],
        roles=["admin"],
        role="billing",
    )
    assert await world.callers().identify(bearer(token)) == Caller(
        kind="subscription",
        user_id="user-1",
        organization_id="org-1",
        email="a@example.com",
        tier="professional",
        roles=frozenset({"admin", "billing"}),
        features=frozenset({"basic_ai"}),
        limits={"monthly_token_quota": 1000, "rpm": 5, "tpm": 0},
    )


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "Ed25519", "EdDSA", "HS256"])
@pytest.mark.filterwarnings("ignore:EdDSA")  # the library warns where the test signs with the old name
async def test_every_configured_algorithm_is_accepted(world: World, bearer: Bearer, algorithm: str) -> None:
    caller = await world.callers(algorithm).identify(bearer(world.token(algorithm)))
    assert caller.user_id == "user-1"


@pytest.mark.filterwarnings("ignore:EdDSA")
async def test_both_names_of_ed25519_mean_the_same(world: World, bearer: Bearer) -> None:
    for configured, used in (("Ed25519", "EdDSA"), ("EdDSA", "Ed25519")):
        assert (await world.callers(configured).identify(bearer(world.token(used)))).user_id == "user-1"


async def test_the_subject_stands_in_for_a_missing_user_claim(world: World, bearer: Bearer) -> None:
    assert (await world.callers().identify(bearer(world.token(userId=...)))).user_id == "subject-1"


async def test_claim_names_are_configuration(world: World, bearer: Bearer) -> None:
    callers = world.callers(claims={"user": "uid", "tier": "plan", "organization": "tenant"}, authoritative=True)
    caller = await callers.identify(bearer(world.token(uid="u9", plan="free", tenant="t9")))
    assert (caller.user_id, caller.tier, caller.organization_id, caller.is_authoritative) == ("u9", "free", "t9", True)


async def test_an_unknown_tier_falls_back_and_is_counted(world: World, bearer: Bearer) -> None:
    assert (await world.callers().identify(bearer(world.token(subscriptionTier="gold")))).tier == "free"
    assert world.unknown_tiers == ["gold"]
    assert (await world.callers().identify(bearer(world.token(subscriptionTier=...)))).tier == "free"
    assert world.unknown_tiers == ["gold"], "naming no tier is no mistake"


async def test_without_a_credential_a_caller_is_anonymous_and_known_by_address(world: World) -> None:
    assert await world.callers().identify(Credential("none", address="10.0.0.1")) == Caller(
        kind="anonymous", address="10.0.0.1"
    )


async def test_nobody_holds_an_operator_credential(world: World) -> None:
    with pytest.raises(Unauthenticated):
        await world.callers().identify(Credential("operator", "anything"))


async def test_a_server_without_keys_refuses_tokens_and_says_what_to_do(world: World) -> None:
    callers = Callers.of(
        AuthSettings(),
        session=lambda: pytest.fail("no session is needed"),
        default_tier=lambda: "free",
        tier_of=lambda name: name,
        on_unknown_tier=world.unknown_tiers.append,
        on_failure=world.failures.append,
        clock=lambda: NOW,
        monotonic=lambda: 0.0,
    )
    assert (await refused(callers, world.token())).slug == "tokens_off"
    assert world.failures == ["tokens_off"]


@pytest.mark.parametrize(
    ("reason", "claims"),
    [
        ("token_expired", {"exp": int(NOW) - 31}),
        ("token_expired", {"exp": 0}),
        ("invalid_claim", {"exp": "never"}),
        ("invalid_claim", {"exp": True}),
        ("missing_claim", {"exp": ...}),
        ("missing_claim", {"iss": ...}),
        ("missing_claim", {"aud": ...}),
        ("wrong_issuer", {"iss": "https://other.example"}),
        ("wrong_issuer", {"iss": ["https://auth.example.com"]}),
        ("wrong_audience", {"aud": "other"}),
        ("wrong_audience", {"aud": ["other", "another"]}),
        ("wrong_audience", {"aud": []}),
        ("not_yet_valid", {"nbf": int(NOW) + 31}),
        ("not_yet_valid", {"iat": int(NOW) + 31}),
        ("invalid_claim", {"userId": 7}),
        ("invalid_claim", {"userId": "u" * 256}),
        ("invalid_claim", {"userId": "a\nb"}),
        ("invalid_claim", {"userId": "", "sub": ...}),
        ("invalid_claim", {"organizationId": {}}),
        ("invalid_claim", {"subscriptionTier": ["pro"]}),
        ("invalid_claim", {"monthlyTokenQuota": -1}),
        ("invalid_claim", {"monthlyTokenQuota": 1.5}),
        ("invalid_claim", {"rpmLimit": True}),
        ("invalid_claim", {"tpmLimit": "10"}),
        ("invalid_claim", {"tpmLimit": 2**70}),
        ("invalid_claim", {"features": "basic_ai"}),
        ("invalid_claim", {"features": [1]}),
        ("invalid_claim", {"roles": ["r"] * 101}),
        ("invalid_claim", {"role": ["admin"]}),
    ],
)
async def test_claims_that_do_not_hold_are_refused(world: World, reason: str, claims: dict[str, Any]) -> None:
    refusal = await refused(world.callers(), world.token(**claims))
    assert refusal.slug == reason
    assert ";" in str(refusal), "every refusal says what to do next"
    assert world.failures == [reason]


async def test_the_clock_tolerance_is_honoured_both_ways(world: World, bearer: Bearer) -> None:
    callers = world.callers()
    for claims in ({"exp": int(NOW) - 29}, {"nbf": int(NOW) + 29}, {"aud": ["other", "tollgate"]}):
        assert (await callers.identify(bearer(world.token(**claims)))).user_id == "user-1"


async def test_a_signature_of_another_key_is_refused(world: World) -> None:
    assert (await refused(world.callers(), world.token(key=RSAKey.generate_key(2048)))).slug == "bad_signature"


async def test_a_changed_payload_is_refused(world: World) -> None:
    header, _, signature = world.token().split(".")
    forged = f"{header}.{part(world.claims(userId='admin'))}.{signature}"
    assert (await refused(world.callers(), forged)).slug == "bad_signature"


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
async def test_a_token_without_a_signature_is_refused(world: World, name: str) -> None:
    bare = f"{part({'alg': name, 'typ': 'JWT'})}.{part(world.claims())}."
    assert (await refused(world.callers(), bare)).slug == "algorithm_not_accepted"


async def test_the_public_key_cannot_be_used_as_a_shared_secret(world: World) -> None:
    import hashlib  # noqa: PLC0415  # only this attack needs them
    import hmac  # noqa: PLC0415

    for private in (False, True):
        pem = world.keys["RS256"].as_pem(private=private)  # type: ignore[union-attr]  # an RSA key has one
        signed = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(world.claims())}"
        token = f"{signed}.{part(hmac.new(pem, signed.encode(), hashlib.sha256).digest())}"
        assert (await refused(world.callers(), token)).slug == "algorithm_not_accepted"
        assert (await refused(world.callers(algorithms=["RS256", "HS256"]), token)).slug == "unknown_key"


async def test_an_algorithm_that_is_not_listed_is_refused_even_with_a_good_signature(world: World) -> None:
    assert (await refused(world.callers("RS256"), world.token("HS256"))).slug == "algorithm_not_accepted"
    assert (await refused(world.callers("ES256"), world.token("RS256"))).slug == "algorithm_not_accepted"
    other = ECKey.generate_key("P-384")
    assert (await refused(world.callers("ES256"), world.token("ES384", key=other))).slug == "algorithm_not_accepted"


@pytest.mark.parametrize(
    ("reason", "header"),
    [
        ("unknown_extension", {"crit": ["exp"], "exp": 1}),
        ("unknown_extension", {"crit": []}),
        ("unknown_extension", {"b64": False, "crit": ["b64"]}),
        ("unknown_extension", {"b64": True}),
        ("wrong_type", {"typ": "logout+jwt"}),
        ("wrong_type", {"typ": 1}),
        ("malformed_token", {"kid": ""}),
        ("malformed_token", {"kid": "k" * 257}),
        ("malformed_token", {"kid": 7}),
        ("malformed_token", {"kid": {"a": 1}}),
        ("malformed_token", {"alg": ["RS256"]}),
        ("malformed_token", {"alg": None}),
    ],
)
async def test_headers_that_make_no_sense_are_refused_before_the_signature_is_looked_at(
    world: World, reason: str, header: dict[str, Any]
) -> None:
    token = f"{part({'alg': 'RS256', **header})}.{part(world.claims())}.{part(b'signature')}"
    assert (await refused(world.callers(), token)).slug == reason


async def test_a_key_that_the_token_brings_along_is_not_used(world: World) -> None:
    own = RSAKey.generate_key(2048)
    for header in (
        {"jwk": own.as_dict(private=False)},
        {"jku": "https://evil.example/jwks"},
        {"kid": "../../etc/passwd"},
    ):
        token = world.token(key=own, header=header)
        assert (await refused(world.callers(), token)).slug == "bad_signature"


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
async def test_access_tokens_of_every_spelling_are_accepted(world: World, bearer: Bearer, kind: str) -> None:
    assert (await world.callers().identify(bearer(world.token(header={"typ": kind})))).user_id == "user-1"


async def test_an_oversized_token_is_refused_unread(world: World) -> None:
    assert (await refused(world.callers(), "a" * 16_385)).slug == "token_too_large"
    assert (await refused(world.callers(), world.token(padding="x" * 20_000))).slug == "token_too_large"


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "sk-live-key", "é.é.é", "\udc80..", "e30.e30."]
)
async def test_what_is_no_token_is_refused(world: World, token: str) -> None:
    assert (await refused(world.callers(), token)).slug == "malformed_token"


async def test_deep_json_in_a_header_is_refused(world: World) -> None:
    token = f"{part(b'[' * 3000)}.e30.e30"
    assert (await refused(world.callers(), token)).slug == "malformed_token"


@given(st.one_of(st.text(max_size=300), st.binary(max_size=200).map(lambda b: f"{part(b)}.{part(b)}.{part(b)}")))
@settings(deadline=None, max_examples=150)
async def test_no_input_gets_more_than_a_refusal(text: str) -> None:
    world = World.__new__(World)
    world.now, world.failures, world.unknown_tiers = NOW, [], []
    world.keys = {"HS256": OctKey.import_key("0123456789abcdef0123456789ABCDEF")}
    await refused(world.callers("HS256"), text)


async def test_no_refusal_repeats_the_token_or_tells_of_keys(world: World) -> None:
    token = world.token(userId="canary-user", exp=int(NOW) - 100)
    for text in (token, token[:-3] + "abc", f"{token}.x", "canary-token"):
        message = str(await refused(world.callers(), text))
        assert "canary" not in message
        assert text not in message
        assert "RSA" not in message


async def test_a_remembered_token_is_not_checked_again_for_a_minute(world: World) -> None:
    callers, token = world.callers(), world.token()
    assert callers.known(token) is None
    caller = await callers.identify(Credential("bearer", token))
    world.now += 59
    assert callers.known(token) is caller
    world.now += 1
    assert callers.known(token) is None


async def test_a_remembered_token_ends_with_its_expiry(world: World) -> None:
    callers, token = world.callers(clock_tolerance_seconds=0), world.token(exp=int(NOW) + 10)
    await callers.identify(Credential("bearer", token))
    world.now += 9
    assert callers.known(token) is not None
    world.now += 1
    assert callers.known(token) is None
    assert (await refused(callers, token)).slug == "token_expired"


async def test_a_token_inside_the_tolerance_is_never_remembered(world: World) -> None:
    callers, token = world.callers(), world.token(exp=int(NOW) - 10)
    await callers.identify(Credential("bearer", token))
    assert callers._cache == {}


async def test_tokens_that_differ_in_one_character_share_nothing(world: World) -> None:
    callers, token = world.callers(), world.token()
    await callers.identify(Credential("bearer", token))
    for place in range(0, len(token), 7):
        other = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert callers.known(other) is None


@given(st.text(max_size=60), st.text(max_size=60))
@settings(deadline=None, max_examples=200)
def test_no_two_tokens_and_no_two_configurations_share_a_place(one: str, other: str) -> None:
    def callers(issuer: str) -> Callers:
        return Callers.of(
            AuthSettings(issuer=issuer, audience="a"),
            session=lambda: pytest.fail("no session is needed"),
            default_tier=lambda: "free",
            tier_of=lambda name: name,
            on_unknown_tier=lambda _: None,
            on_failure=lambda _: None,
            clock=lambda: NOW,
            monotonic=lambda: 0.0,
        )

    first, second = callers("one"), callers("two")
    assert (first._digest(one) == first._digest(other)) == (one == other)
    assert first._digest(one) != second._digest(one)


async def test_the_cache_is_bounded_and_drops_the_oldest(world: World, bearer: Bearer) -> None:
    callers = world.callers("HS256")
    caller = await callers.identify(bearer(world.token("HS256")))
    for number in range(10_005):
        callers._remember(f"t{number}", caller, expires=NOW + 60)
    assert len(callers._cache) == 10_000
    assert callers.known("t0") is None
    assert callers.known("t10004") is caller


async def test_refused_tokens_are_not_remembered(world: World) -> None:
    callers = world.callers()
    await refused(callers, world.token(exp=1))
    assert callers._cache == {}
