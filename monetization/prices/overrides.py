"""Prices that an operator writes down: `[prices]` of the configuration, and rows set at run time."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Final, get_args

from monetization.prices.book import Table
from monetization.prices.rates import STANDARD, Price, Processing, Rates, nano_per_million, rates_from

_KEYS: Final = (*(field.name for field in fields(Rates)), "request")
_KINDS: Final[tuple[Processing, ...]] = tuple(kind for kind in get_args(Processing) if kind != STANDARD)


def price_from(name: str, dollars: Mapping[str, str], *, version: str, valid_from_us: int = 0) -> Price:
    """One price from dollars per million tokens by bucket (`input` and `output` are required) and `request` per request.

    `batch.input`, `batch.output` and so on are the price of another kind of processing: a whole price too, but that a request
    costs the standard's where it does not say. Raises: ValueError, naming the model and the key that is wrong.
    """
    by_kind: dict[str, dict[str, str]] = {"": {}}
    for key, value in dollars.items():
        kind, dot, bucket = key.rpartition(".")
        if bucket not in _KEYS or (dot and kind not in _KINDS):
            known = [*_KEYS, *(f"{kind}.*" for kind in _KINDS)]
            raise ValueError(f"{name}: unknown key {key!r}; known: {', '.join(known)}")
        by_kind.setdefault(kind, {})[bucket] = value
    standard = _price(name, by_kind.pop(""), "", version, valid_from_us)
    processed = [
        (kind, _price(name, by_kind[kind], f"{kind}.", f"{version}/{kind}", valid_from_us, standard.request_nano))
        for kind in _KINDS
        if kind in by_kind
    ]
    return replace(standard, processed=tuple(processed))


def _price(
    name: str, dollars: Mapping[str, str], prefix: str, version: str, valid_from_us: int, request_nano: int = 0
) -> Price:
    for key in ("input", "output"):
        if key not in dollars:
            missing = f"{prefix}{key} is missing; give dollars per million tokens, zero only where it is free"
            raise ValueError(f"{name}: {missing}")
    rates = {}
    for key, value in dollars.items():
        try:
            rates[key] = nano_per_million(value)
        except ValueError as wrong:
            raise ValueError(f"{name}: {prefix}{key}: {wrong}") from wrong
    request = rates.pop("request", request_nano)
    return Price(name.split("/", 1)[1], version, valid_from_us, rates_from(**rates), request_nano=request)


def from_configuration(prices: Mapping[str, Mapping[str, str]]) -> Table:
    """The `[prices]` of a configuration, valid at every instant. Raises: ValueError, naming the key."""
    rows = {}
    for name, dollars in prices.items():
        if "/" not in name:
            raise ValueError(f'{name}: write it as "provider/model"')
        rows[name] = (price_from(name, dollars, version="configuration"),)
    return Table(rows)
