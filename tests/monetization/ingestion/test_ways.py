"""The ways to pay of a batch, found once: they are what funding says of each event alone."""

from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from monetization import quotas
from monetization.callers import Budget, Caller, Pool
from monetization.charging.policies import DEFAULT, Charge, charge_for
from monetization.funding import sources
from monetization.ingestion.events import Event
from monetization.ingestion.ways import KEPT_MAX, Ways, told
from monetization.tiers import Policy, Tier
from storage.records.usage import Usage

# Any: figures of many kinds.

MONTHS: Final = (1_793_523_600_000_000, 1_793_523_600_000_000 - 40 * 86_400_000_000)
_SAID: Final[tuple[tuple[str, Policy, int | None, int | None, int], ...]] = (
    ("a", "allowance", 1_000, 5, 0),
    ("b", "allowance", None, None, 0),
    ("c", "allowance", 50, None, 70),
    ("d", "virtual_tokens", None, None, 0),
    ("e", "credits", 900, None, 0),
    ("f", "byok", None, None, 0),
)
TIERS: Final = [
    Tier(
        name, name, policy=policy, monthly_token_quota=quota, overage_nano_per_million=overage, rollover_max_tokens=roll
    )
    for name, policy, quota, overage, roll in _SAID
]
CALLERS: Final = [
    Caller("subscription", "ada"),
    Caller("subscription", "bob", own_limits={"user": {"monthly_tokens": 7, "monthly_requests": 2}}),
    Caller("subscription", "cyd", quotas=(quotas.Quota("user:cyd", "tokens", "hourly", 9),)),
    Caller("subscription", "dan", "acme", pool=Pool("acme", "pool")),
    Caller("subscription", "eve", budgets=(Budget("tokens", 3, "daily"),), key_id="k"),
]


WAYS: Final = Ways(17)
"""Remembers from one example to the next, as a server does from one batch to the next."""


def charge_of(policy: Policy, tokens: int) -> Charge:
    return charge_for(policy, DEFAULT, Usage(input=tokens, output=2), tokens * 31)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(CALLERS), st.sampled_from(TIERS), st.integers(0, 10**6), st.sampled_from(MONTHS),
            st.integers(0, 3 * 3_600_000_000),
        ),
        min_size=1,
        max_size=12,
    )
)  # fmt: skip
def test_each_event_pays_in_the_ways_that_it_would_have_alone(told_of: list[tuple[Any, ...]]) -> None:
    for number, (caller, tier, tokens, month_us, later_us) in enumerate(told_of):
        charge = charge_of(tier.policy, tokens)
        event = Event(f"e{number}", "api", "TOKEN_USAGE", caller.user_id, month_us + later_us)
        found = [told(way, tier, charge) for way in WAYS.of(event, caller, tier, charge)]
        assert found == list(sources(caller, tier, charge, now_us=event.occurred_us, overdraft_tokens=17))


def test_the_ways_of_many_callers_are_remembered_only_up_to_a_bound_and_stay_right() -> None:
    ways, tier = Ways(), TIERS[4]
    for number in range(KEPT_MAX + 50):
        caller = Caller("subscription", f"u{number % (KEPT_MAX + 25)}")  # a new one each time, at addresses used before
        charge = charge_of(tier.policy, number)
        event = Event(f"e{number}", "api", "TOKEN_USAGE", caller.user_id or "", MONTHS[0])
        (way,) = ways.of(event, caller, tier, charge)
        assert [told(way, tier, charge)] == list(sources(caller, tier, charge, now_us=MONTHS[0]))
    assert len(ways) == KEPT_MAX
