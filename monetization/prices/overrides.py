"""Prices that an operator writes down: `[prices]` of the configuration, and rows set at run time."""

from collections.abc import Mapping
from dataclasses import fields

from monetization.prices.book import Table
from monetization.prices.rates import Price, Rates, nano_per_million, rates_from

BUCKETS = tuple(field.name for field in fields(Rates))


def price_from(name: str, dollars: Mapping[str, str], *, version: str, valid_from_us: int = 0) -> Price:
    """One price from dollars per million tokens by bucket (`input` and `output` are required) and `request` per request.

    Raises: ValueError, naming the model and the key that is wrong.
    """
    unknown = sorted(dollars.keys() - {*BUCKETS, "request"})
    if unknown:
        raise ValueError(f"{name}: unknown key {unknown[0]!r}; known: {', '.join([*BUCKETS, 'request'])}")
    for key in ("input", "output"):
        if key not in dollars:
            raise ValueError(f"{name}: {key} is missing; give dollars per million tokens, zero only where it is free")
    rates = {}
    for key, value in dollars.items():
        try:
            rates[key] = nano_per_million(value)
        except ValueError as wrong:
            raise ValueError(f"{name}: {key}: {wrong}") from wrong
    request = rates.pop("request", 0)
    return Price(name.split("/", 1)[1], version, valid_from_us, rates_from(**rates), request_nano=request)


def from_configuration(prices: Mapping[str, Mapping[str, str]]) -> Table:
    """The `[prices]` of a configuration, valid at every instant. Raises: ValueError, naming the key."""
    rows = {}
    for name, dollars in prices.items():
        if "/" not in name:
            raise ValueError(f'{name}: write it as "provider/model"')
        rows[name] = (price_from(name, dollars, version="configuration"),)
    return Table(rows)
