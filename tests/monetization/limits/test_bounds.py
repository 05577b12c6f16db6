"""Whom a call counts for and how much each may do."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monetization.callers import Caller, Secret
from monetization.limits.bounds import Limits, Speeds
from monetization.limits.refusing import fault_of
from monetization.terms import Most
from monetization.tiers import Tier, Tiers
from storage.ephemeral.limiter import Bound, Refused

TIERS = Tiers(
    [Tier("pro", "Pro", rpm=60, tpm=1_000, concurrent=5, max_tokens_per_request=500), Tier("free", "Free", rpm=5)],
    default="free",
)
LIMITS = Limits(lambda: TIERS, byok=Speeds(120, 9_000, 10), anonymous=Speeds(5, 500, 1))
ADA = Caller("subscription", user_id="ada", organization_id="acme", tier="pro")


def only(caller: Caller) -> Bound:
    (bound,) = LIMITS.bounds(caller)
    return bound


def test_a_users_limits_are_those_of_the_tier() -> None:
    assert only(ADA) == Bound("user", "{org:acme}user:ada", 60, 1_000, 5)


def test_a_credential_may_lower_a_limit_and_never_raise_it() -> None:
    assert only(replace(ADA, limits={"rpm": 10, "tpm": 5_000})) == Bound("user", "{org:acme}user:ada", 10, 1_000, 5)
    assert only(replace(ADA, tier="free", limits={"tpm": 70})).tokens == 70  # no limit of ours is higher than any


def test_an_authoritative_issuer_may_raise_it_too() -> None:
    said = replace(ADA, limits={"rpm": 600, "tpm": 10}, is_authoritative=True)
    assert only(said) == Bound("user", "{org:acme}user:ada", 600, 10, 5)


def test_limits_that_are_kept_for_a_user_stand_in_the_place_of_the_tiers() -> None:
    kept = replace(ADA, own_limits={"user": {"rpm": 600, "concurrent": 1}})
    assert only(kept) == Bound("user", "{org:acme}user:ada", 600, 1_000, 1)
    assert only(replace(kept, limits={"rpm": 100})).requests == 100  # which the credential still lowers


def test_an_organization_and_a_key_are_counted_on_top_under_the_same_hash_tag() -> None:
    own = {"organization": {"rpm": 1_000}, "key": {"tpm": 50}, "user": {"rpm": 7}}
    bounds = LIMITS.bounds(replace(ADA, key_id="k1", own_limits=own))
    assert bounds == (
        Bound("user", "{org:acme}user:ada", 7, 1_000, 5),
        Bound("organization", "{org:acme}organization:acme", 1_000),
        Bound("key", "{org:acme}key:k1", None, 50),
    )


def test_users_of_one_organization_share_its_counter_and_not_their_own() -> None:
    own = {"organization": {"rpm": 1_000}}
    ada, bob = (LIMITS.bounds(replace(ADA, user_id=name, own_limits=own)) for name in ("ada", "bob"))
    assert ada[1] == bob[1]
    assert ada[0].key != bob[0].key


def test_calls_with_an_own_key_are_counted_apart_by_a_set_of_their_own() -> None:
    bound = only(replace(ADA, limits={"rpm": 1}).bringing(Secret("sk")))
    assert bound == Bound("user", "{org:acme}byok:ada", 120, 9_000, 10)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "{ip:192.0.2.7}address"),
        ("2001:db8:1:2:3:4:5:6", "{ip:2001:db8:1:2::/64}address"),
        ("2001:db8:1:2::9", "{ip:2001:db8:1:2::/64}address"),
        ("fe80::1%eth0", "{ip:fe80::/64}address"),
        ("::ffff:192.0.2.7", "{ip:192.0.2.7}address"),
        ("a:}b", "{ip:a:%7Db}address"),
        (None, "{ip:unknown}address"),
    ],
)
def test_strangers_are_counted_by_their_network(address: str | None, key: str) -> None:
    for caller in (Caller("anonymous", address=address), Caller("anonymous", address=address).bringing(Secret("sk"))):
        assert only(caller) == Bound("address", key, 5, 500, 1)


def test_operators_are_not_limited() -> None:
    assert LIMITS.bounds(Caller("operator", user_id="root")) == ()


NAMES = st.text("ab}{:%7D", min_size=1, max_size=6)


@given(st.lists(st.tuples(st.none() | NAMES, NAMES), min_size=2, max_size=2, unique=True))
def test_no_two_callers_ever_share_a_key(names: list[tuple[str | None, str]]) -> None:
    keys = [only(Caller("subscription", user_id=user, organization_id=org, tier="pro")).key for org, user in names]
    assert keys[0] != keys[1]


@given(NAMES, NAMES, NAMES)
def test_all_keys_of_one_call_have_the_same_hash_tag(organization: str, user: str, key: str) -> None:
    own = {"organization": {"rpm": 1}, "key": {"rpm": 1}}
    caller = Caller("subscription", user_id=user, organization_id=organization, key_id=key, tier="pro", own_limits=own)
    tags = {bound.key[bound.key.index("{") : bound.key.index("}")] for bound in LIMITS.bounds(caller)}
    assert len(tags) == 1


def test_a_call_counts_for_no_more_than_its_tier_lets_it_produce() -> None:
    most = Most(tokens_input=100, tokens_output=4_096)
    assert LIMITS.tokens(ADA, most) == 600
    assert LIMITS.tokens(replace(ADA, tier="free"), most) == 4_196
    assert LIMITS.tokens(ADA.bringing(Secret("sk")), most) == 4_196


def test_a_slot_has_a_proposal_and_a_zero_limit_no_promise() -> None:
    slot = fault_of(Refused(Bound("user", "k", concurrent=2), "concurrent", None, ()), 1_000_000)
    assert (slot.data["limit"], slot.data["retryAfter"]) == (2, 1)
    none = fault_of(Refused(Bound("key", "k", tokens=0), "tokens", None, ()), 1_000_000)
    assert none.retry_after_seconds is None
    assert none.data == {"limit": 0, "resource": "tokens", "subject": "key"}
