"""What `[charging]` comes to in the words of the floor that charges."""

import pytest

from monetization.charging.policies import DEFAULT, Fee, Rules
from monetization.terms import Target
from server.config import ConfigError, Settings
from server.from_settings import ceiling_of, price_sources_of, rules_of


def settings(**charging: object) -> Settings:
    return Settings.of({"charging": charging})


def test_without_a_word_the_default_rules_hold() -> None:
    assert rules_of(settings()) == DEFAULT
    assert ceiling_of(settings()) is None


def test_every_word_of_the_operator_reaches_the_rules() -> None:
    said = settings(
        platform_fee_percent="12.5",
        platform_fee_min_usd="0.001",
        platform_fee_max_usd="1",
        purchase_fee_percent="10",
        usage_fee_percent="30",
        credit_value_usd="0.001",
        credit_margin_percent="400",
        rounding="floor_carry",
    )
    assert rules_of(said) == Rules(
        platform_fee=Fee(125_000, least=1_000_000, greatest=1_000_000_000),
        purchase_fee_ppm=100_000,
        usage_fee_ppm=300_000,
        credit_value_nano=1_000_000,
        credit_margin_ppm=4_000_000,
        rounding="floor_carry",
    )


def test_the_ceiling_is_read_in_dollars_per_million() -> None:
    ceiling = ceiling_of(settings(unknown_model_ceiling={"input": "50", "output": "200"}))
    assert ceiling is not None
    assert (ceiling.input, ceiling.output, ceiling.reasoning) == (50 * 10**9, 200 * 10**9, 200 * 10**9)


def test_the_legacy_book_knows_only_the_documents_models_and_the_simulator() -> None:
    _, *built_in = price_sources_of(settings(price_book="legacy"))
    known = {model for source in built_in for model in source.models("openai", "openai")}
    assert known == {"gpt-4", "gpt-4-turbo", "gpt-3.5-turbo", "gpt-4o"}


def test_a_configured_price_may_name_other_kinds_of_processing() -> None:
    def priced(**more: object) -> Settings:
        return Settings.of({"prices": {"mine/m": {"input": "10", "output": "30", **more}}})

    first, *_ = price_sources_of(priced(batch={"input": "5", "output": "15", "cache_read": "0.5"}))
    (price,) = first.find(Target("mine", "m"))
    batch = price.processed_as("batch")
    assert batch is not None
    assert (batch.version, batch.base.output, batch.base.cache_read) == ("configuration/batch", 15 * 10**9, 5 * 10**8)
    for wrong, problem in (
        ({"batch": {"input": "5"}}, "mine/m: batch.output is missing"),
        ({"fast": {"input": "5", "output": "1", "cache": "1"}}, r"mine/m: unknown key 'fast\.cache'"),
    ):
        with pytest.raises(ConfigError, match=problem):
            price_sources_of(priced(**wrong))
