"""Rounding, named: every division near money says which of these it uses."""

from typing import Final, Literal

Rounding = Literal["ceil", "ceil_fee", "floor_carry", "half_even"]

PPM: Final = 1_000_000
"""Percentages are integers in parts per million: 20 % is 200,000."""


def ppm_from_percent(percent: str) -> int:
    """A percentage as written ("20", "2.5") in parts per million. Raises: ValueError when it is negative or too fine."""
    whole, _, fraction = percent.partition(".")
    if not (whole.isascii() and whole.isdigit()) or (fraction and not (fraction.isascii() and fraction.isdigit())):
        raise ValueError(f"{percent!r} is not a percentage, such as '20' or '2.5'")
    if len(fraction.rstrip("0")) > 4:  # noqa: PLR2004 - ten thousandths of a percent are parts per million
        raise ValueError(f"{percent!r} is finer than 0.0001 percent")
    return int(whole) * 10_000 + int(fraction.rstrip("0").ljust(4, "0") or "0")


def divide(amount: int, by: int, rounding: Rounding) -> int:
    """`amount / by` as an integer. `ceil` and `ceil_fee` round up, `floor_carry` down, `half_even` to the nearest even."""
    quotient, rest = divmod(amount, by)
    if rounding in ("ceil", "ceil_fee"):
        return quotient + (1 if rest else 0)
    if rounding == "floor_carry":
        return quotient
    twice = 2 * rest
    return quotient + (1 if twice > by or (twice == by and quotient & 1) else 0)


def share(amount: int, ppm: int, rounding: Rounding) -> int:
    """A share of an amount, in the amount's own unit."""
    return divide(amount * ppm, PPM, rounding)


def whole_units(amount: int, *, unit: int, rounding: Rounding, carry: int = 0) -> tuple[int, int]:
    """What is charged when only whole units can be, and what is carried to the next charge.

    Only `floor_carry` carries, so nothing leaks: 6.5 units charge 6 and carry 0.5, and the next 6.5 charge 7 and carry nothing.
    """
    if rounding == "floor_carry":
        total = amount + carry
        return total - total % unit, total % unit
    return divide(amount, unit, rounding) * unit, 0
