"""The charging policies: what a usage costs the caller. The same function previews, holds and charges, so they agree to the unit.

Sources: `allowance` from the OpenSaaS document, `virtual_tokens` from the virtual tokens document, `credits` from the credits
and OpenMonetize documents (design, part 5; contradictions R1 to R3 and R8 to R12).
"""

from dataclasses import dataclass
from typing import Final, Literal, assert_never

from monetization.charging.burn_tables import CREDIT_NANO, BurnRule
from monetization.charging.rounding import PPM, Rounding, divide, share, whole_units
from monetization.prices.rates import NANO_PER_DOLLAR
from monetization.tiers import Policy
from storage.records.fact import fact
from storage.records.usage import Usage

Asset = Literal["TOKEN", "CREDIT", "USD"]


@dataclass(frozen=True, slots=True)
class Fee:
    """A share of an amount, with an optional least and greatest value in the amount's own unit."""

    ppm: int
    least: int = 0
    greatest: int | None = None

    def of(self, amount: int, rounding: Rounding) -> int:
        """The fee on an amount; nothing on nothing."""
        if amount == 0:
            return 0
        fee = max(share(amount, self.ppm, rounding), self.least)
        return fee if self.greatest is None else min(fee, self.greatest)


@dataclass(frozen=True, slots=True)
class Rules:
    """How the operator charges, as the configuration's `[charging]` says."""

    platform_fee: Fee = Fee(200_000)
    """On the provider's cost, in nano dollars; `allowance` only."""
    purchase_fee_ppm: int = 200_000
    """Kept of every purchase of virtual tokens: 1000 bought, 800 usable."""
    usage_fee_ppm: int = 250_000
    """On top of every virtual token used: 100 used, 125 charged."""
    credit_value_nano: int = 10_000_000
    """What one credit is worth, in nano dollars; $0.01 by default."""
    credit_margin_ppm: int = 0
    """On top of the provider's cost when it is charged in credits."""
    rounding: Rounding | None = None
    """How a charge is rounded. None: each policy's own way (`ceil_fee` for virtual tokens, `half_even` otherwise)."""


DEFAULT: Final = Rules()


@fact
class Charge:
    """What one usage comes to. Amounts are integers in the asset's own scale (TOKEN 0, CREDIT and USD 9)."""

    policy: Policy
    tokens: int
    """Real tokens, in and out."""
    cost_nano: int
    """What the provider bills, in nano dollars."""
    fee_nano: int
    """The platform fee in nano dollars, where the policy knows one."""
    asset: Asset | None
    """What is taken from the caller's lots; None where the policy takes nothing."""
    amount: int
    """How much of the asset, fee included."""
    fee_amount: int
    """The part of `amount` that is the platform's fee."""


def charge_for(policy: Policy, rules: Rules, usage: Usage, cost_nano: int, burn: BurnRule | None = None) -> Charge:
    """What a usage costs the caller under a policy."""
    tokens = usage.tokens_total
    match policy:
        case "allowance":
            fee = rules.platform_fee.of(cost_nano, rules.rounding or "half_even")
            return Charge(policy, tokens, cost_nano, fee, "TOKEN", tokens, 0)
        case "virtual_tokens":
            fee_tokens = share(tokens, rules.usage_fee_ppm, rules.rounding or "ceil_fee")
            return Charge(policy, tokens, cost_nano, 0, "TOKEN", tokens + fee_tokens, fee_tokens)
        case "credits":
            amount = _credits(rules, cost_nano, None if burn is None else burn.burn(usage))
            return Charge(policy, tokens, cost_nano, 0, "CREDIT", amount, 0)
        case "byok":
            return Charge(policy, tokens, cost_nano, 0, None, 0, 0)
        case _:
            assert_never(policy)


def charge_units(policy: Policy, rules: Rules, cost_nano: int, *, burned: int | None, tokens: int) -> Charge:
    """What units that are no tokens cost the caller: images, seconds, pages.

    `burned`: nano credits by a burn table; None: by the cost. `tokens`: virtual tokens that the units stand for. They use no
    real tokens, so an allowance counts them as a request and shows their cost and fee.
    """
    match policy:
        case "allowance":
            fee = rules.platform_fee.of(cost_nano, rules.rounding or "half_even")
            return Charge(policy, 0, cost_nano, fee, "TOKEN", 0, 0)
        case "virtual_tokens":
            fee_tokens = share(tokens, rules.usage_fee_ppm, rules.rounding or "ceil_fee")
            return Charge(policy, 0, cost_nano, 0, "TOKEN", tokens + fee_tokens, fee_tokens)
        case "credits":
            return Charge(policy, 0, cost_nano, 0, "CREDIT", _credits(rules, cost_nano, burned), 0)
        case "byok":
            return Charge(policy, 0, cost_nano, 0, None, 0, 0)
        case _:
            assert_never(policy)


def _credits(rules: Rules, cost_nano: int, burned: int | None) -> int:
    amount = credits_for(rules, cost_nano) if burned is None else burned
    if rules.rounding == "ceil":  # only `floor_carry` and `ceil` charge whole credits; the ledger keeps the carry
        amount, _ = whole_units(amount, unit=CREDIT_NANO, rounding="ceil")
    return amount


def credits_for(rules: Rules, cost_nano: int) -> int:
    """A provider's cost with the operator's margin, in nano credits."""
    weighed = cost_nano * (PPM + rules.credit_margin_ppm) * CREDIT_NANO
    return divide(weighed, PPM * rules.credit_value_nano, "half_even")


def revenue_of(rules: Rules, asset: str | None, amount: int, cost_nano: int, fee_nano: int) -> int:
    """What a charge is worth to the operator, in nano dollars: credits at their value, dollars as they are.

    For virtual tokens, which have no price of their own, the provider's cost with the platform's fee; for nothing, nothing.
    """
    match asset:
        case "CREDIT":
            return amount * rules.credit_value_nano // CREDIT_NANO
        case "USD":
            return amount
        case "TOKEN":
            return cost_nano + fee_nano
        case _:
            return 0


def quote_for(
    policy: Policy, rules: Rules, *, tokens_input: int, tokens_output: int, cost_nano: int, burn: BurnRule | None = None
) -> Charge:
    """The greatest charge of a call that may use this much and cost the operator at most `cost_nano`."""
    return charge_for(policy, rules, Usage(input=tokens_input, output=tokens_output), cost_nano, burn)


def usable_of_purchase(rules: Rules, tokens: int) -> tuple[int, int]:
    """A purchase of virtual tokens split into what the buyer may use and what the platform keeps; they sum to it."""
    kept = share(tokens, rules.purchase_fee_ppm, "ceil_fee")
    return tokens - kept, kept


def credits_of_price(rules: Rules, price_nano: int, *, margin_ppm: int = 800_000) -> int:
    """The nano credits that a monthly price grants at a margin: a price of $99 at 80 % grants 1980 credits of $0.01."""
    return divide(price_nano * (PPM - margin_ppm) * CREDIT_NANO, PPM * rules.credit_value_nano, "floor_carry")


def dollars(nano: int) -> str:
    """Nano dollars as a decimal string, exact."""
    sign, nano = ("-", -nano) if nano < 0 else ("", nano)
    whole, fraction = divmod(nano, NANO_PER_DOLLAR)
    text = f"{fraction:09d}".rstrip("0")
    return f"{sign}{whole}.{text}" if text else f"{sign}{whole}"
