"""Batch, flex, priority and fast calls cost what the source says they cost; what nobody prices is never cheaper."""

from collections.abc import Iterator
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Final, get_args

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import (
    ClauseEquals,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    StartDateConstraint,
    TimeOfDateConstraint,
)
from genai_prices.types import Provider as Vendor
from hypothesis import given, settings
from hypothesis import strategies as st

from monetization.errors import PriceUnknown
from monetization.prices.book import PriceBook, Table
from monetization.prices.catalogue import Catalogue, _compile
from monetization.prices.overrides import from_configuration, price_from
from monetization.prices.rates import CHEAPER, Price, Processing, Rates
from monetization.terms import Most, Target
from storage.records.usage import Usage

KINDS: Final[tuple[Processing, ...]] = get_args(Processing)
WORDS: Final[dict[Processing, dict[str, str]]] = {
    "standard": {},
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}
NOW = 1_795_000_000_000_000
DAY = 24 * 3600 * 1_000_000
SECOND = 1_000_000
BOOK = PriceBook([Catalogue({})])
VENDORS: Final = {vendor.id: vendor for vendor in get_snapshot().providers}


def varied() -> Iterator[tuple[Vendor, ModelInfo]]:
    """Every model with prices by processing that the book compiles: with prices of text, and at every hour of the day."""
    for vendor in VENDORS.values():
        for model in vendor.models:
            words = {word for variant in model.price_variants or () for word in variant.when}
            if words & {"processing", "service_tier", "speed"} and BOOK.knows(Target("x", model.id, vendor.id), NOW):
                yield vendor, model


MODELS: Final = tuple(varied())


def instants(model: ModelInfo) -> list[int]:
    """The instants at which a price of the model changes, the last one before each, and now."""
    rows = model.prices if isinstance(model.prices, list) else []
    days = [
        one.constraint.start_date
        for one in (*rows, *(model.price_variants or ()))
        if isinstance(one.constraint, StartDateConstraint)
    ]
    starts = {int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * SECOND for day in days}
    return sorted({at for start in starts for at in (start - SECOND, start, start + DAY)} | {NOW})


def theirs(vendor: Vendor, model: ModelInfo, usage: Usage, at_us: int, kind: Processing) -> Decimal:
    """What genai-prices itself computes, in nano dollars."""
    counted = genai_prices.Usage(
        input_tokens=usage.tokens_input,
        output_tokens=usage.tokens_output,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write_5m,
    )
    found = genai_prices.calc_price(
        counted,
        model.id,
        provider_id=vendor.id,
        genai_request_timestamp=datetime.fromtimestamp(at_us / 1_000_000, UTC),
        price_context=WORDS[kind],
    )
    assert found.model is model
    return found.total_price * 1_000_000_000


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_every_kind_of_processing_costs_what_the_source_says(data: st.DataObject) -> None:
    vendor, model = data.draw(st.sampled_from(MODELS))
    at_us = data.draw(st.sampled_from(instants(model)))
    kind = data.draw(st.sampled_from(KINDS))
    count = st.integers(0, 400_000)
    usage = Usage(
        input=data.draw(count), output=data.draw(count), cache_read=data.draw(count), cache_write_5m=data.draw(count)
    )
    target = Target(vendor.id, model.id, vendor.id)
    try:
        price = BOOK.find(target, at_us, kind)
    except PriceUnknown:
        assert kind not in CHEAPER, "slow kinds fall back on the standard price"
        return
    if not price.is_output_priced:
        return
    assert abs(price.cost(usage) - theirs(vendor, model, usage, at_us, kind)) <= 1, (target, at_us, kind)


def test_the_book_knows_every_kind_of_processing_that_its_source_does() -> None:
    assert len(MODELS) > 100
    found = [kind for vendor, model in MODELS for kind, _ in BOOK.find(Target("x", model.id, vendor.id), NOW).processed]
    assert {kind for kind in KINDS if found.count(kind) > 1} == {"batch", "flex", "priority", "fast"}
    words = {
        f"{key}={said}"
        for vendor in ("openai", "anthropic", "google", "mistral", "groq", "x-ai")
        for model in VENDORS[vendor].models
        for variant in model.price_variants or ()
        for key, said in variant.when.items()
    }
    ours = {f"{key}={said}" for context in WORDS.values() for key, said in context.items()}
    assert words - ours == {"service_tier=default"}, "a new kind needs a word of ours"


def test_slow_processing_never_costs_more_than_the_standard_and_the_urgent_never_less() -> None:
    for vendor, model in MODELS:
        standard = BOOK.find(Target("x", model.id, vendor.id), NOW)
        for kind, price in standard.processed:
            for tokens in (1_000, 250_000, 900_000):
                pair = _rates(standard, tokens), _rates(price, tokens)
                cheap, dear = reversed(pair) if kind in CHEAPER else pair
                assert all(low <= high for low, high in zip(cheap, dear, strict=True)), (vendor.id, model.id, kind)


def _rates(price: Price, tokens: int) -> list[int]:
    rates: Rates = price.rates_for(tokens)
    return [rates.input, rates.output, rates.cache_read, rates.cache_write_5m, rates.reasoning]


def test_a_batch_price_holds_from_its_day_and_the_standard_one_before() -> None:
    target = Target("openai", "gpt-4o", "openai")
    day = int(datetime(2026, 10, 14, tzinfo=UTC).timestamp()) * SECOND
    before, after = BOOK.find(target, day - 1, "batch"), BOOK.find(target, day, "batch")
    assert before == BOOK.find(target, day - 1)
    standard = BOOK.find(target, day)
    assert after.base.input * 2 == standard.base.input
    assert (standard.version, after.version) == (before.version, f"{before.version}/batch@2026-10-14")


def test_of_each_figure_the_first_variant_that_names_it_holds_as_in_the_source() -> None:
    first = PriceVariant({"processing": "batch"}, ModelPrice(input_mtok=Decimal(2)))
    second = PriceVariant({"processing": "batch"}, ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(4)))
    hourly = PriceVariant(
        {"processing": "batch"}, ModelPrice(output_mtok=Decimal(1)), TimeOfDateConstraint(time(1), time(2))
    )
    both = PriceVariant({"processing": "batch", "speed": "fast"}, ModelPrice(input_mtok=Decimal(0)))
    model = ModelInfo(
        "m",
        ClauseEquals("m"),
        prices=ModelPrice(input_mtok=Decimal(5), output_mtok=Decimal(9)),
        price_variants=[hourly, both, first, second],
    )
    (price,) = _compile(model, "m", "s")
    assert [(kind, one.base.input, one.base.output) for kind, one in price.processed] == [
        ("batch", 2_000_000_000, 4_000_000_000)
    ]
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    resolved = model.get_prices(noon, {"processing": "batch"})
    assert [resolved.input_mtok, resolved.output_mtok] == [Decimal(2), Decimal(4)]


def test_what_nobody_prices_is_refused_where_it_may_cost_more_and_standard_where_it_costs_less() -> None:
    book = PriceBook([from_configuration({"openai/gpt-4o": {"input": "7", "output": "9"}}), Catalogue({})])
    target = Target("openai", "gpt-4o", "openai")
    assert book.find(target, NOW, "batch") == book.find(target, NOW, "flex") == book.find(target, NOW)
    for kind in ("priority", "fast"):
        with pytest.raises(PriceUnknown, match=f"{kind} processing"):
            book.find(target, NOW, kind)


def test_an_operators_price_may_name_each_kind_and_each_is_a_whole_price() -> None:
    written = {"input": "4", "output": "8", "request": "0.01", "batch.input": "1", "batch.output": "2"}
    price = price_from(
        "p/m", {**written, "priority.input": "9", "priority.output": "9", "priority.request": "0"}, version="v"
    )
    batch, priority = price.processed_as("batch"), price.processed_as("priority")
    assert batch is not None
    assert priority is not None
    assert batch.version == "v/batch"
    assert batch.cost(Usage(input=1_000_000, cache_read=1_000_000, output=1_000_000)) == 4_010_000_000
    assert priority.cost(Usage(input=1_000_000)) == 9_000_000_000
    assert (price.processed_as("flex"), price.processed_as("fast")) == (price, None)
    for wrong, problem in (
        ({"batch.input": "1"}, "p/m: batch.output is missing"),
        ({"batch.input": "1", "batch.output": "-1"}, "p/m: batch.output: '-1'"),
        ({"slow.input": "1"}, "unknown key 'slow.input'"),
        ({"standard.input": "1"}, "unknown key 'standard.input'"),
        ({".input": "1"}, "unknown key '.input'"),
    ):
        with pytest.raises(ValueError, match=problem):
            price_from("p/m", {"input": "1", "output": "1", **wrong}, version="v")


def test_a_cheaper_kind_never_lowers_what_a_call_may_cost() -> None:
    price = price_from("p/m", {"input": "4", "output": "8", "batch.input": "1", "batch.output": "1"}, version="v")
    book = PriceBook([Table({"p/m": (price,)})])
    most, first = book.most(Most((Target("p", "m"),), 1_000_000, 1_000_000), NOW)
    assert (most, first) == (12_000_000_000, price)
