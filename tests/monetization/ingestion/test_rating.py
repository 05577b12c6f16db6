from collections.abc import Iterable, Mapping
from typing import Any, get_args

import pytest

from monetization.charging.burn_tables import BurnRule, BurnTable, rule_from
from monetization.charging.policies import Rules, charge_for, credits_for
from monetization.ingestion.events import NANO, Event, Window, event_of
from monetization.ingestion.rating import Rating, UnitPrice, names_of
from monetization.ingestion.rejecting import Rejected, Unrated
from monetization.prices.book import PriceBook
from monetization.prices.catalogue import Catalogue
from monetization.prices.overrides import from_configuration
from monetization.terms import Target
from monetization.tiers import Policy

NOW_US = 1_793_523_600_000_000
WINDOW = Window(NOW_US, 0, 35 * 24 * 3600 * 1_000_000)
CENT = 10_000_000
POLICIES: tuple[Policy, ...] = get_args(Policy)
PRICES = {"openai/gpt-4-turbo": {"input": "10", "output": "30"}, "openai/huge": {"input": "900000000", "output": "0"}}


def rating(
    units: Mapping[str, UnitPrice] | None = None,
    rules: Mapping[str, Mapping[str, object]] | None = None,
    charging: Rules | None = None,
) -> Rating:
    made = {name: rule_from(name, members) for name, members in (rules or {}).items()}
    table = BurnTable("t", "t", 1, made)

    def burns(model: str, at_us: int) -> BurnRule | None:
        del at_us
        return table.rule_for(model)

    def unit_rules(names: Iterable[str], at_us: int) -> BurnRule | None:
        del at_us
        return table.unit_rule(names)

    book = PriceBook([from_configuration(PRICES), Catalogue({})])
    return Rating(
        lambda: book, charging or Rules(), burns, unit_rules, units or {}, {"main": "openai", "simulator": ""}
    )


def told(kind: str = "TOKEN_USAGE", **said: Any) -> Event:
    return event_of({"event_id": "e", "user_id": "u", "event_type": kind, **said}, WINDOW)


def tokens(model: str = "gpt-4-turbo", provider: str = "OPENAI", **said: Any) -> Event:
    return told(provider=provider, model=model, **{"input_tokens": 500, "output_tokens": 1000, **said})


def images(count: int = 2, **said: Any) -> Event:
    return told("IMAGE_GENERATION", provider="openai", model="dall-e-3", image_count=count, **said)


@pytest.mark.parametrize("policy", POLICIES)
def test_tokens_cost_what_a_call_with_the_same_usage_costs(policy: Policy) -> None:
    event = tokens(cached_input_tokens=100, reasoning_tokens=10)
    rated = rating().rate(event, policy, NOW_US)
    price = rating().book().find(Target("openai", "gpt-4-turbo", "openai"), NOW_US)
    assert rated.charge == charge_for(policy, Rules(), event.usage, price.cost(event.usage))
    assert rated.cost_nano == 35 * NANO // 1000  # R9: 500 in and 1000 out are 0.035 dollars
    assert rated.price_version == "configuration"


def test_tokens_of_a_batch_cost_what_the_book_says_of_batches_and_urgent_ones_are_never_cheaper() -> None:
    made = rating()
    standard, batch = (
        made.rate(tokens("gpt-4o", input_tokens=2_000_000, processing=kind), "credits", NOW_US)
        for kind in ("standard", "batch")
    )
    assert batch.cost_nano is not None
    assert standard.cost_nano == 2 * batch.cost_nano
    assert batch.charge.amount * 2 == standard.charge.amount
    assert str(batch.price_version).startswith(f"{standard.price_version}/batch")
    configured = tokens(processing="flex")  # the operator prices gpt-4-turbo and says nothing of flex
    assert made.rate(configured, "credits", NOW_US) == made.rate(tokens(), "credits", NOW_US)
    with pytest.raises(Unrated, match="priority processing") as refused:
        made.rate(tokens(processing="priority"), "credits", NOW_US)
    assert refused.value.reason == "unknown_model"
    assert made.rate(tokens(processing="priority"), "byok", NOW_US).cost_nano is None
    assert made.rate(tokens(), "credits", NOW_US).cost_nano is not None  # the model is not forgotten for it


def test_a_burn_table_decides_for_credits_and_for_nobody_else() -> None:
    made = rating(rules={"gpt-4-turbo": {"input_tokens": "1.5", "output_tokens": "10", "per_unit": 1000}})
    assert made.rate(tokens(input_tokens=1000, output_tokens=500), "credits", NOW_US).charge.amount == 65 * NANO // 10
    assert made.rate(tokens(), "allowance", NOW_US) == rating().rate(tokens(), "allowance", NOW_US)


def test_a_model_without_a_price_is_unrated_unless_its_bill_is_the_users_own() -> None:
    made = rating()
    for policy in POLICIES:
        for event in (tokens("gpt-nobody"), tokens("m", "STABILITY_AI"), tokens("anything", "SIMULATOR")):
            if policy == "byok":
                rated = made.rate(event, policy, NOW_US)
                assert (rated.cost_nano, rated.charge.amount, rated.charge.asset) == (None, 0, None)
                continue
            with pytest.raises(Unrated) as refused:
                made.rate(event, policy, NOW_US)
            assert refused.value.reason == "unknown_model"


def test_output_that_has_no_price_is_not_given_away() -> None:
    event = tokens("text-embedding-3-small", output_tokens=0)
    assert rating().rate(event, "credits", NOW_US).charge.amount > 0
    with pytest.raises(Unrated):
        rating().rate(tokens("text-embedding-3-small"), "credits", NOW_US)


def test_what_no_account_can_hold_is_rejected() -> None:
    with pytest.raises(Rejected) as refused:
        rating().rate(tokens("huge", input_tokens=2**40), "credits", NOW_US)
    assert refused.value.reason == "out_of_range"
    assert not isinstance(refused.value, Unrated)


def test_vendors_are_found_by_openmonetizes_names() -> None:
    for provider, model in {
        "ANTHROPIC": "claude-3-5-haiku-20241022", "GOOGLE": "gemini-2.0-flash", "COHERE": "command-r",
        "MISTRAL": "mistral-large-latest", "AMAZON": "amazon.nova-pro-v1:0", "main": "gpt-4o",
    }.items():  # fmt: skip
        assert rating().rate(tokens(model, provider), "credits", NOW_US).charge.amount > 0, provider


def test_the_names_of_a_unit_go_from_the_most_exact_to_the_kind() -> None:
    assert names_of(images(image_size="1024x1024", quality="hd")) == (
        "openai/dall-e-3/1024x1024/hd",
        "openai/dall-e-3/1024x1024",
        "openai/dall-e-3",
        "dall-e-3/1024x1024/hd",
        "dall-e-3/1024x1024",
        "dall-e-3",
        "image",
        "image_generation",
    )
    assert names_of(told("CUSTOM", unit_type="pages", quantity=5)) == ("pages",)
    minutes = told("AUDIO_PROCESSING", model="whisper-1", unit_type="minute", quantity=3)
    assert names_of(minutes) == ("whisper-1/minute", "minute")


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "byok"])
@pytest.mark.parametrize(
    "event", [images(), told("CUSTOM", unit_type="pages", quantity=5), told("API_CALL")], ids=lambda event: event.kind
)
def test_units_that_nothing_prices_are_never_free(policy: Policy, event: Event) -> None:
    for made in (
        rating(),
        rating(rules={"default": {"input_tokens": 1, "output_tokens": 1}, "dall-e-3": {"input_tokens": 1}}),
    ):
        with pytest.raises(Unrated) as refused:
            made.rate(event, policy, NOW_US)
        assert refused.value.reason == "unit_not_priced"


def test_units_cost_their_price_times_their_number_by_each_policy() -> None:
    made = rating({"dall-e-3": UnitPrice(4 * CENT, 1000)})
    by_policy = {policy: made.rate(images(3), policy, NOW_US) for policy in POLICIES}
    assert {rated.cost_nano for rated in by_policy.values()} == {12 * CENT}
    assert by_policy["credits"].charge.amount == credits_for(Rules(), 12 * CENT) == 12 * NANO
    assert (by_policy["virtual_tokens"].charge.amount, by_policy["virtual_tokens"].charge.tokens) == (3750, 0)
    assert by_policy["allowance"].charge.fee_nano == 12 * CENT // 5
    assert (by_policy["allowance"].charge.amount, by_policy["byok"].charge.amount) == (0, 0)
    assert by_policy["credits"].price_version == "unit:dall-e-3"


def test_whoever_pays_with_tokens_needs_a_price_in_tokens() -> None:
    with pytest.raises(Unrated):
        rating({"dall-e-3": UnitPrice(4 * CENT)}).rate(images(), "virtual_tokens", NOW_US)


def test_a_flat_burn_rule_prices_units_and_an_explicit_zero_is_free() -> None:
    made = rating(
        rules={"dall-e-3": {"flat_rate": "8"}, "pages": {"flat_rate": "1", "per_unit": 3}, "call": {"flat_rate": 0}}
    )
    rated = made.rate(images(2), "credits", NOW_US)
    assert (rated.charge.amount, rated.cost_nano, rated.price_version) == (16 * NANO, None, None)
    assert made.rate(told("CUSTOM", unit_type="pages", quantity=1), "credits", NOW_US).charge.amount == 333_333_334
    assert made.rate(told("API_CALL"), "credits", NOW_US).charge.amount == 0
    for policy in POLICIES:
        rated = rating({"call": UnitPrice(0)}).rate(told("API_CALL"), policy, NOW_US)
        assert (rated.cost_nano, rated.charge.amount) == (0, 0)
    assert rating({"call": UnitPrice(0, 4)}).rate(told("API_CALL"), "virtual_tokens", NOW_US).charge.amount == 5


def test_a_fraction_of_a_unit_is_charged_to_the_nano() -> None:
    made = rating({"second": UnitPrice(3)})
    assert (
        made.rate(told("AUDIO_PROCESSING", duration_seconds="0.5"), "allowance", NOW_US).cost_nano == 2
    )  # half to even
    assert made.rate(told("AUDIO_PROCESSING", duration_seconds=1.5), "allowance", NOW_US).cost_nano == 4


def test_whole_credits_are_charged_where_the_operator_rounds_up() -> None:
    made = rating({"pages": UnitPrice(1)}, charging=Rules(rounding="ceil"))
    assert made.rate(told("CUSTOM", unit_type="pages", quantity=1), "credits", NOW_US).charge.amount == NANO
