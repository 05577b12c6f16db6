"""The price tables of the founding documents as a dated book, for operators who sell by them. Newest date wins.

Sources: S0-13 (OpenSaaS document, August 2025, dollars per thousand) and S4-03 to S4-07 (credits document, January 2026), both
restated in dollars per million tokens.
"""

from datetime import UTC, datetime
from typing import Final

from monetization.prices.book import Table
from monetization.prices.overrides import price_from
from monetization.prices.rates import Price

_S0: Final = (
    ("anthropic/claude-3-sonnet", "3", "15"),
    ("anthropic/claude-3-haiku", "0.25", "1.25"),
    ("anthropic/claude-3-opus", "15", "75"),
    ("openai/gpt-4", "30", "60"),
    ("openai/gpt-4-turbo", "10", "30"),
    ("openai/gpt-3.5-turbo", "1.5", "2"),
    ("google/gemini-pro", "0.5", "1.5"),
)
_S4: Final = (
    ("openai/gpt-4o", "5", "15"),
    ("openai/gpt-4-turbo", "10", "30"),
    ("openai/gpt-3.5-turbo", "0.5", "1.5"),
    ("anthropic/claude-3-opus", "15", "75"),
    ("anthropic/claude-3-sonnet", "3", "15"),
    ("anthropic/claude-3-haiku", "0.8", "4"),
    ("google/gemini-2.0-flash", "0.075", "0.3"),
    ("google/gemini-1.5-pro", "1.25", "5"),
    ("google/gemini-1.5-flash", "0.075", "0.3"),
    # S4-06 states a range per token; its upper end is taken, so that nothing is sold below cost.
    ("huggingface/text-generation", "200", "200"),
    ("bedrock/claude-3-opus", "15", "75"),
    ("bedrock/claude-3-sonnet", "3", "15"),
)
_IMAGE: Final = "huggingface/text-to-image"


def legacy_book() -> Table:
    """The documents' prices: those of August 2025 until the end of that year, those of January 2026 from then on."""
    rows: dict[str, tuple[Price, ...]] = {}
    for version, valid_from_us, table in (("legacy-2025-08", 0, _S0), ("legacy-2026-01", _us(2026, 1), _S4)):
        for name, dollars_in, dollars_out in table:
            price = price_from(
                name, {"input": dollars_in, "output": dollars_out}, version=version, valid_from_us=valid_from_us
            )
            rows[name] = (*rows.get(name, ()), price)
    # S4-06 prices an image, whatever was asked for it: one a request.
    image = price_from(
        _IMAGE, {"input": "0", "output": "0", "request": "0.01"}, version="legacy-2026-01", valid_from_us=_us(2026, 1)
    )
    rows[_IMAGE] = (image,)
    return Table(rows)


def _us(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1_000_000
