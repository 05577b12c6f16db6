"""Amounts: exact integers in the scale of their asset, and their text. No floats, no rates, no balances."""

from decimal import Decimal, InvalidOperation
from typing import Final

TOKEN: Final = "TOKEN"  # noqa: S105  # an asset, not a credential
"""Virtual tokens, scale 0."""
CREDIT: Final = "CREDIT"
"""Credits, scale 9; by default one is worth a cent."""
USD: Final = "USD"

AMOUNT_MAX: Final = 2**63 - 1
"""The largest amount, positive or negative, that both databases keep exactly."""
NEVER_US: Final = 2**63 - 1
"""The instant of what does not expire."""


def scale_of(asset: str) -> int:
    """Decimal places of an asset's smallest unit: 0 for tokens, 9 (nano) for credits and every currency."""
    return 0 if asset == TOKEN else 9


def is_amount(value: int) -> bool:
    """True for what an amount may be: from 0 to AMOUNT_MAX."""
    return 0 <= value <= AMOUNT_MAX


def to_text(amount: int, asset: str) -> str:
    """The amount in whole units, without needless zeros: 1500000000 CREDIT is "1.5"."""
    scale = scale_of(asset)
    whole, part = divmod(abs(amount), 10**scale)
    fraction = f".{part:0{scale}}".rstrip("0").rstrip(".") if scale else ""
    return f"{'-' if amount < 0 else ''}{whole}{fraction}"


def from_text(text: str, asset: str) -> int:
    """The amount of a decimal text in whole units. Raises: ValueError when it is no number, too fine or out of range."""
    try:
        scaled = Decimal(text).scaleb(scale_of(asset))
        amount = int(scaled)
    except (InvalidOperation, OverflowError, ValueError) as failed:
        raise ValueError(f"{text!r} is not a decimal number") from failed
    if amount != scaled or abs(amount) > AMOUNT_MAX:
        raise ValueError(f"{text!r} {asset} is finer than {scale_of(asset)} places or out of range")
    return amount
