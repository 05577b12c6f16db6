"""The book finds the price valid at an instant, by precedence; what it does not know it refuses."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot

from monetization.errors import PriceUnknown
from monetization.prices.book import PriceBook, Table
from monetization.prices.catalogue import Catalogue
from monetization.prices.legacy import legacy_book
from monetization.prices.overrides import from_configuration, price_from
from monetization.prices.rates import Price, rates_from
from monetization.terms import Most, Target
from storage.records.usage import Usage

SONNET = Target("anthropic", "claude-sonnet-4-5", "anthropic")
HAIKU = Target("anthropic", "claude-3-haiku", "anthropic")
JANUARY_2026 = 1_767_225_600_000_000
MARCH_2026 = 1_773_360_000_000_000
NOW = 1_795_000_000_000_000


def flat(version: str, dollars: int, valid_from_us: int = 0) -> Price:
    return Price("m", version, valid_from_us, rates_from(input=dollars, output=dollars))


def test_a_price_change_never_reprices_the_past() -> None:
    target = Target("p", "m", "openai")
    book = PriceBook([Table({"p/m": (flat("old", 1), flat("new", 2, 1_000))})])
    assert [book.find(target, at).version for at in (0, 999, 1_000, NOW)] == ["old", "old", "new", "new"]


def test_a_price_set_at_run_time_holds_from_its_start_and_the_configured_one_before() -> None:
    target = Target("p", "m", "openai")
    run_time = Table({"p/m": (flat("set", 3, 5_000),)})
    configured = Table({"p/m": (flat("configured", 2, 0),)})
    built_in = Table({"openai/m": (flat("built-in", 1, 0), flat("built-in-2", 1, 9_000))})
    book = PriceBook([run_time, configured, built_in])
    assert [book.find(target, at).version for at in (1, 4_999, 5_000, 10_000)] == [
        "configured",
        "configured",
        "set",
        "set",
    ]


def test_the_configured_providers_name_wins_over_its_kind() -> None:
    book = PriceBook([Table({"openai/m": (flat("kind", 1),), "mine/m": (flat("name", 2),)})])
    assert book.find(Target("mine", "m", "openai"), 1).version == "name"
    assert book.find(Target("other", "m", "openai"), 1).version == "kind"


def test_r8_an_unknown_model_is_refused_and_named_never_free() -> None:
    book = PriceBook([legacy_book()])
    for at in (0, NOW):
        with pytest.raises(PriceUnknown, match=r"anthropic/claude-9.*\[prices\]"):
            book.find(Target("anthropic", "claude-9", "anthropic"), at)


def test_names_without_a_price_are_not_remembered() -> None:
    book = PriceBook([legacy_book()])
    for n in range(100):
        assert not book.knows(Target("openai", f"invented-{n}", "openai"), NOW)
    assert not book._timelines


def test_only_so_many_names_that_anybody_may_invent_after_a_price_are_remembered() -> None:
    book = PriceBook([Catalogue({})])
    known = book.find(Target("anthropic", "claude-opus-4-1", "anthropic"), NOW)
    for n in range(5_000):
        invented = book.find(Target("anthropic", f"claude-opus-4-1-{n}", "anthropic"), NOW)
        assert invented.base == known.base
    assert len(book._timelines) <= 4_096


@pytest.mark.parametrize(
    ("provider", "kind", "model"),
    [
        ("openai", "openai", "gpt-4o-search-preview"),
        ("openai", "openai", "gpt-4o-mini-search-preview-2025-03-11"),
        ("openai", "openai", "GPT-5-Search-API"),
        ("openai", "openai", "o4-mini-deep-research"),
        ("answers", "openai", "sonar-deep-research"),
        ("relay", "openai", "perplexity/sonar"),
        ("relay", "openai", "openai/gpt-4o-search-preview"),
    ],
)
def test_models_that_search_in_every_call_have_no_price_without_one_of_the_searches(
    provider: str, kind: str, model: str
) -> None:
    catalogue = Catalogue({"answers": "https://api.perplexity.ai", "relay": "https://openrouter.ai/api/v1"})
    target, own = Target(provider, model, kind), f"{provider}/{model}"
    assert not PriceBook([catalogue]).knows(target, NOW)
    assert model not in PriceBook([catalogue]).models(provider, kind)
    book = PriceBook([from_configuration({own: {"input": "7", "output": "9"}}), catalogue])
    assert book.knows(target, NOW)


def test_models_whose_searches_have_a_price_of_a_request_are_sold_at_it() -> None:
    book = PriceBook([Catalogue({"answers": "https://api.perplexity.ai"})])
    assert book.find(Target("answers", "sonar", "openai"), NOW).request_nano == 12_000_000
    assert "sonar" in book.models("answers", "openai")


def test_the_built_in_book_has_dated_prices_and_long_context_tiers() -> None:
    book = PriceBook([Catalogue({})])
    tiered = Target("anthropic", "claude-sonnet-4-6", "anthropic")
    assert book.find(tiered, MARCH_2026 - 1).tiers
    assert not book.find(tiered, MARCH_2026).tiers
    assert book.find(SONNET, NOW).rates_for(200_001).input == 6_000_000_000


def test_the_built_in_book_knows_compatible_vendors_by_their_base_url() -> None:
    book = PriceBook([Catalogue({"fast": "https://api.groq.com/openai/v1", "local": "http://127.0.0.1:8080/v1"})])
    target = Target("fast", "llama-3.3-70b-versatile", "openai")
    assert "groq" in book.find(target, NOW).version
    assert "llama-3.3-70b-versatile" in book.models("fast", "openai")
    assert "gpt-4o" in book.models("local", "openai")


def test_the_built_in_book_agrees_with_its_source_for_every_vendor_of_ours() -> None:
    catalogue = Catalogue({})
    book = PriceBook([catalogue])
    day = datetime.fromtimestamp(NOW / 1_000_000, UTC)
    checked = 0
    for vendor in get_snapshot().providers:
        if vendor.id not in {"openai", "anthropic", "google"}:
            continue
        for model in vendor.models:
            target = Target(vendor.id, model.id, vendor.id)
            if not book.knows(target, NOW) or not book.find(target, NOW).is_output_priced:
                continue
            for went_in in (1_000, 150_000, 272_001, 900_000):
                usage = Usage(input=went_in, output=777)
                theirs = genai_prices.calc_price(
                    genai_prices.Usage(input_tokens=went_in, output_tokens=777),
                    model.id,
                    provider_id=vendor.id,
                    genai_request_timestamp=day,
                )
                ours = book.find(target, NOW).cost(usage)
                assert abs(ours - theirs.total_price * 1_000_000_000) <= 1, (target, went_in)
                checked += 1
    assert checked > 400


@pytest.mark.parametrize(
    ("at_us", "model", "tokens", "dollars_in", "dollars_out"),
    [
        *(  # S0-13, dollars per thousand
            (JANUARY_2026 - 1, model, 1_000, went_in, came_out)
            for model, went_in, came_out in (
                ("anthropic/claude-3-sonnet", ".003", ".015"),
                ("anthropic/claude-3-haiku", ".00025", ".00125"),
                ("anthropic/claude-3-opus", ".015", ".075"),
                ("openai/gpt-4", ".03", ".06"),
                ("openai/gpt-4-turbo", ".01", ".03"),
                ("openai/gpt-3.5-turbo", ".0015", ".002"),
                ("google/gemini-pro", ".0005", ".0015"),
            )
        ),
        *(  # S4-03, dollars per thousand
            (JANUARY_2026, model, 1_000, went_in, came_out)
            for model, went_in, came_out in (
                ("openai/gpt-4o", ".005", ".015"),
                ("openai/gpt-4-turbo", ".01", ".03"),
                ("openai/gpt-3.5-turbo", ".0005", ".0015"),
            )
        ),
        *(  # S4-04, S4-05, S4-07, dollars per million
            (JANUARY_2026, model, 1_000_000, went_in, came_out)
            for model, went_in, came_out in (
                ("anthropic/claude-3-opus", "15", "75"),
                ("anthropic/claude-3-sonnet", "3", "15"),
                ("anthropic/claude-3-haiku", ".8", "4"),
                ("google/gemini-2.0-flash", ".075", ".3"),
                ("google/gemini-1.5-pro", "1.25", "5"),
                ("google/gemini-1.5-flash", ".075", ".3"),
                ("bedrock/claude-3-opus", "15", "75"),
                ("bedrock/claude-3-sonnet", "3", "15"),
            )
        ),
        (JANUARY_2026, "huggingface/text-generation", 1, ".0002", ".0002"),  # S4-06, dollars per token
        (JANUARY_2026, "huggingface/text-to-image", 0, ".01", ".01"),  # S4-06, dollars per image
    ],
)
def test_s0_13_s4_03_to_s4_07_every_price_of_the_documents_is_in_the_legacy_book(
    at_us: int, model: str, tokens: int, dollars_in: str, dollars_out: str
) -> None:
    provider, _, name = model.partition("/")
    price = PriceBook([legacy_book()]).find(Target(provider, name, provider), at_us)
    costs = price.cost(Usage(input=tokens)), price.cost(Usage(output=tokens))
    assert costs == (int(Decimal(dollars_in) * 10**9), int(Decimal(dollars_out) * 10**9))


def test_r8_r12_the_legacy_books_newest_date_wins_and_its_samples_are_shapes_not_figures() -> None:
    book = PriceBook([legacy_book()])
    assert book.find(HAIKU, JANUARY_2026 - 1).base.input == 250_000_000
    assert book.find(HAIKU, JANUARY_2026).base.input == 800_000_000
    # R12: 45 in and 256 out of claude-3-sonnet cost $0.003975 by the document's own table.
    sonnet = book.find(Target("anthropic", "claude-3-sonnet", "anthropic"), NOW)
    assert sonnet.cost(Usage(input=45, output=256)) == 3_975_000


def test_the_most_covers_every_fallback_and_refuses_one_without_a_price() -> None:
    cheap, dear = Target("p", "cheap", "openai"), Target("p", "dear", "openai")
    book = PriceBook([Table({"p/cheap": (flat("c", 1_000_000),), "p/dear": (flat("d", 9_000_000),)})])
    cost, price = book.most(Most((cheap, dear), 1_000_000, 0), NOW)
    assert (cost, price.version) == (9_000_000, "c")
    with pytest.raises(PriceUnknown):
        book.most(Most((cheap, Target("p", "unknown", "openai")), 1, 1), NOW)


def test_a_model_without_a_price_for_output_cannot_be_asked_for_output() -> None:
    target = Target("p", "embed", "openai")
    book = PriceBook([Table({"p/embed": (replace(flat("e", 5), is_output_priced=False),)})])
    with pytest.raises(PriceUnknown, match="output"):
        book.most(Most((target,), 10, 1), NOW)
    assert book.most(Most((target,), 10, 0), NOW)[0] == 1
    assert (book.likely(target, Most((), 10, 1), NOW), book.likely(target, Most((), 10, 0), NOW)) == (None, 1)
    assert book.likely(Target("p", "unknown", "openai"), Most((), 10, 1), NOW) is None


def test_what_a_call_most_likely_costs_counts_its_likely_tokens_at_the_rates_that_it_meets() -> None:
    rates = rates_from(input=1_000_000, output=2_000_000, cache_write_5m=4_000_000, image_input=8_000_000)
    book = PriceBook([Table({"p/m": (Price("m", "v", 0, rates),)})])
    most = Most((), tokens_input=100, tokens_output=5, tokens_input_likely=10)
    for call, rate in ((most, 1), (replace(most, marks_cache=True), 4), (replace(most, has_media=True), 8)):
        assert book.likely(Target("p", "m"), call, NOW) == 10 * rate + 10
    assert book.likely(Target("p", "m"), replace(most, tokens_input_likely=0), NOW) == 110


def test_configured_prices_name_the_key_that_is_wrong() -> None:
    table = from_configuration({"openai/gpt-4-turbo": {"input": "10", "output": "30"}})
    assert table.find(Target("openai", "gpt-4-turbo", "openai"))[0].base.output == 30_000_000_000
    with pytest.raises(ValueError, match='write it as "provider/model"'):
        from_configuration({"gpt-4": {"input": "1", "output": "1"}})
    with pytest.raises(ValueError, match="openai/x: output is missing"):
        price_from("openai/x", {"input": "1"}, version="v")
    with pytest.raises(ValueError, match="openai/x: unknown key 'inputs'"):
        price_from("openai/x", {"inputs": "1"}, version="v")
    with pytest.raises(ValueError, match="openai/x: input: '-1'"):
        price_from("openai/x", {"input": "-1", "output": "1"}, version="v")
