"""The tier calculator: from a price and the margin that must stay, what a plan may cost its provider. Integers, nano dollars.

The margin is of the price. The payment processor's fee is taken from the operator's share (`profit`), as the credits document
grants a fifth of the price whatever the processor takes, or from the provider's budget (`budget`), so that the margin stands
after the fee.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from monetization.charging.rounding import PPM, divide, share

FeeFrom = Literal["profit", "budget"]


@dataclass(frozen=True, slots=True)
class Aim:
    """What must come out."""

    margin_ppm: int
    """Of the price, in parts per million."""
    fee_ppm: int = 29_000
    """The processor's share of the price. 2.9 % by default (S4-08)."""
    fee_fixed_nano: int = 300_000_000
    """What the processor takes per payment besides, in nano dollars. $0.30 by default (S4-08)."""
    fee_from: FeeFrom = "profit"


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as the operator thinks of it."""

    key: str
    name: str
    price_nano: int
    subscribers: int = 0
    """For the totals; 0: not counted."""


@dataclass(frozen=True, slots=True)
class Sum:
    """Money of one plan, or of all subscribers together, in nano dollars a month."""

    price_nano: int
    budget_nano: int
    """What the provider may cost."""
    fee_nano: int
    """What the processor takes."""

    @property
    def profit_nano(self) -> int:
        """What stays before the processor's fee."""
        return self.price_nano - self.budget_nano

    @property
    def profit_after_fee_nano(self) -> int:
        """What stays."""
        return self.profit_nano - self.fee_nano

    @property
    def margin_ppm(self) -> int:
        """What stays before the fee, of the price; 0 for a plan without one."""
        return _of(self.profit_nano, self.price_nano)

    @property
    def margin_after_fee_ppm(self) -> int:
        """What stays, of the price."""
        return _of(self.profit_after_fee_nano, self.price_nano)


def planned(plan: Plan, aim: Aim) -> Sum:
    """What one plan comes to. A plan without a price has no budget and no fee: whatever it serves is the operator's gift.

    Raises: ValueError where the fee leaves nothing to pay a provider with.
    """
    if not plan.price_nano:
        return Sum(0, 0, 0)
    fee = share(plan.price_nano, aim.fee_ppm, "ceil") + aim.fee_fixed_nano
    # Rounded down: the margin is a promise, so what is left over is the operator's.
    budget = share(plan.price_nano, PPM - aim.margin_ppm, "floor_carry")
    if aim.fee_from == "budget":
        budget -= fee
    if budget <= 0:
        raise ValueError(
            f"{plan.key}: at this price the margin and the processor's fee leave nothing for the provider; "
            "raise the price or lower the margin"
        )
    return Sum(plan.price_nano, budget, fee)


def total(parts: Sequence[tuple[Plan, Sum]]) -> Sum:
    """All subscribers together."""
    return Sum(
        sum(part.price_nano * plan.subscribers for plan, part in parts),
        sum(part.budget_nano * plan.subscribers for plan, part in parts),
        sum(part.fee_nano * plan.subscribers for plan, part in parts),
    )


def _of(part: int, whole: int) -> int:
    return divide(part * PPM, whole, "half_even") if whole else 0
