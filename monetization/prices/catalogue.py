"""The built-in, dated price book: genai-prices compiled to integers, once per model. Any: the source is untyped at run time.

Its updater is never used: a price changes only as a versioned row.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from monetization.prices.rates import NANO_PER_DOLLAR, Price, Processing, Rates, nano_per_million, rates_from
from monetization.terms import Target

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, PriceVariant, Provider

_KEYS: Final[Mapping[str, str]] = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write_5m": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "audio_input": "input_audio_mtok",
    "image_input": "input_image_mtok",
    "reasoning": "output_reasoning_mtok",
    "audio_output": "output_audio_mtok",
    "image_output": "output_image_mtok",
}

_CONTEXTS: Final[Mapping[Processing, Mapping[str, str]]] = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}
"""How the source says each kind of processing: OpenAI and Google have tiers of service, Anthropic a speed."""

_SEARCHING: Final = re.compile(r"search-(?:preview|api)|deep-research|\bsonar\b")
"""Models that search the web in every call. Their vendors charge the searches beside the tokens, so where the source has no price
of a request it has no price of such a call. Sources: OpenAI's, Perplexity's and OpenRouter's pages on pricing."""

# The simulator answers without a provider; its price exists so that holds and charges can be seen at work for nothing.
SIMULATOR: Final = rates_from(input=nano_per_million("1"), output=nano_per_million("2"))


class SimulatorPrices:
    """The simulator's price alone, for operators who sell by a book of their own."""

    def find(self, target: Target) -> Sequence[Price]:
        """See `Source`."""
        return (Price(target.model, "simulator-1", 0, SIMULATOR),) if target.kind == "simulator" else ()

    def models(self, provider: str, kind: str) -> Iterable[str]:
        """See `Source`."""
        del provider, kind  # the simulator serves any name, so there is no list
        return ()


class Catalogue:
    """Prices that ship with the product, by provider kind or, for OpenAI-compatible vendors, by the host of their base URL."""

    def __init__(self, base_urls: Mapping[str, str]) -> None:
        """`base_urls` maps a configured provider's name to its base URL."""
        self._base_urls = dict(base_urls)
        self._source = f"genai-prices-{version('genai-prices')}"

    def load(self) -> None:
        """Read the 2,300 models now (a quarter of a second, 8 MB) instead of when the first of them is asked for."""
        len(self._by_name)

    @cached_property
    def _vendors(self) -> "Mapping[str, Provider]":
        # Imported here: a server whose operator names every price needs none of it.
        from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - see above

        return {vendor.id: vendor for vendor in get_snapshot().providers}

    @cached_property
    def _by_name(self) -> "Mapping[str, Provider]":
        found = {name: self._by_url(url) for name, url in self._base_urls.items()}
        return {name: vendor for name, vendor in found.items() if vendor is not None}

    def find(self, target: Target) -> Sequence[Price]:
        """See `Source`."""
        if target.kind == "simulator":
            return SimulatorPrices().find(target)
        vendor = self._by_name.get(target.provider) or self._vendors.get(target.kind)
        model = vendor.find_model(target.model.lower()) if vendor is not None else None
        if vendor is None or model is None:
            return ()
        return _whole(_compile(model, target.model, f"{self._source}/{vendor.id}/{model.id}"), target.model.lower())

    def models(self, provider: str, kind: str) -> Iterable[str]:
        """See `Source`."""
        if kind == "simulator":
            return SimulatorPrices().models(provider, kind)
        vendor = self._by_name.get(provider) or self._vendors.get(kind)
        if vendor is None:
            return ()
        return [model.id for model in vendor.models if _whole(_compile(model, model.id, ""), model.id)]

    def _by_url(self, url: str) -> "Provider | None":
        for vendor in self._vendors.values():
            if re.match(vendor.api_pattern, url):
                return vendor
        return None


def _whole(prices: list[Price], name: str) -> list[Price]:
    """Prices that say all that a call of the model costs."""
    if _SEARCHING.search(name) is None:
        return prices
    return [price for price in prices if price.request_nano]


def _compile(model: "ModelInfo", name: str, source: str) -> list[Price]:
    """Every dated price of a model. A price that holds only at some hours is left out: the standing one is held and charged."""
    variants = [variant for variant in model.price_variants or () if _start(variant.constraint) is not None]
    rows = model.prices if isinstance(model.prices, list) else None
    if rows is None:
        return list(_dated(model.prices, variants, name, f"{source}#0", 0, None))  # type: ignore[arg-type]  # not a list here
    dated = [
        (start, index, row.prices) for index, row in enumerate(rows) if (start := _start(row.constraint)) is not None
    ]
    prices: list[Price] = []
    for start, index, values in dated:
        until = min((other for other, _, _ in dated if other > start), default=None)
        prices += _dated(values, variants, name, f"{source}#{index}", start, until)
    return prices


def _start(constraint: object) -> int | None:
    """When what stands under a constraint begins to hold (Unix microseconds). None: it holds only at some hours."""
    from genai_prices.types import StartDateConstraint  # noqa: PLC0415 - see above

    if constraint is None:
        return 0
    return _midnight_us(constraint.start_date) if isinstance(constraint, StartDateConstraint) else None


def _midnight_us(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000


def _dated(
    values: "ModelPrice", variants: "Sequence[PriceVariant]", name: str, source: str, start: int, until: int | None
) -> Iterator[Price]:
    """One standard price, anew from each instant on at which what other processing costs changes; `until`: the next one."""
    standard = _price(values, name, source, start)
    if standard is None:
        return
    changes = {begins for variant in variants if (begins := _start(variant.constraint) or 0) > start}
    for instant in sorted({start, *(begins for begins in changes if until is None or begins < until)}):
        active = [variant for variant in variants if (_start(variant.constraint) or 0) <= instant]
        dated = "" if instant == start else f"@{datetime.fromtimestamp(instant // 1_000_000, UTC).date()}"
        now = replace(standard, valid_from_us=instant)
        yield replace(now, processed=tuple(_processed(values, active, now, dated)))


def _processed(
    values: "ModelPrice", active: "Sequence[PriceVariant]", standard: Price, dated: str
) -> Iterator[tuple[Processing, Price]]:
    """Each kind of processing that the source prices: of every figure the first variant that names it, else the standard one."""
    for kind, context in _CONTEXTS.items():
        matching = [one.prices for one in active if all(context.get(key) == said for key, said in one.when.items())]
        if not matching:
            continue
        resolved = copy(values)
        for prices in reversed(matching):
            resolved.__dict__.update({key: value for key, value in prices.__dict__.items() if value is not None})
        price = _price(resolved, standard.model, f"{standard.version}/{kind}{dated}", standard.valid_from_us)
        if price is not None:
            yield kind, price


def _price(prices: "ModelPrice", name: str, source: str, valid_from_us: int) -> Price | None:
    """One price, or None when the source has no input price for the model."""
    values: dict[str, Any] = {bucket: getattr(prices, key) for bucket, key in _KEYS.items()}
    if values["input"] is None:
        return None
    starts = sorted({tier.start for value in values.values() if hasattr(value, "tiers") for tier in value.tiers})
    per_thousand = getattr(prices, "requests_kcount", None)
    return Price(
        model=name,
        version=source,
        valid_from_us=valid_from_us,
        base=_rates(values, None),
        tiers=tuple((start, _rates(values, start)) for start in starts),
        request_nano=int(per_thousand * NANO_PER_DOLLAR) // 1_000 if isinstance(per_thousand, Decimal) else 0,
        is_output_priced=values["output"] is not None,
    )


def _rates(values: Mapping[str, Any], start: int | None) -> Rates:
    """The rates that hold past `start` tokens in (None: below every tier)."""
    at = {bucket: _nano(_at(value, start)) if value is not None else None for bucket, value in values.items()}
    return rates_from(**{**at, "output": at["output"] or 0})  # type: ignore[arg-type]  # `input` was checked by the caller


def _nano(dollars: Decimal) -> int:
    """The source holds a few figures with the noise of binary fractions (0.18000000000000002): they are rounded to the nano."""
    return int((dollars * NANO_PER_DOLLAR).to_integral_value(ROUND_HALF_UP))


def _at(value: Any, start: int | None) -> Decimal:  # Any: a Decimal, or genai-prices' TieredPrices, untyped at run time
    if isinstance(value, Decimal):
        return value
    price: Decimal = value.base
    for tier in value.tiers:
        if start is not None and tier.start <= start:
            price = tier.price
    return price
