"""`tollgate tiers`: what plans may cost their providers so that a margin stays. It reads no file and changes nothing."""

import re
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from methods.admin_tiers import CalculatedTier, CalculatorParams, calculated
from monetization.charging.policies import DEFAULT
from server.config_errors import OperatorError
from storage.errors import Fault


class PlansRefused(OperatorError):
    """The plans cannot be calculated as they were typed."""


def planned_lines(
    prices: Sequence[str], subscribers: Sequence[str], *, margin: str, fee_percent: str, fee_fixed: str, fee_from: str
) -> list[str]:
    """The plans as a table. Raises: PlansRefused naming the option."""
    counts, plans = _pairs(subscribers, "--subscribers"), _pairs(prices, "--price")
    stray = next((key for key in counts if key not in plans), None)
    if stray is not None:
        raise PlansRefused(f"--subscribers {stray}: no --price names this tier; add it")
    tiers = [{"tier": key, "price": price, "subscribers": _whole(counts.get(key, "0"))} for key, price in plans.items()]
    said = {
        "tiers": tiers,
        "profitMargin": margin,
        "processorFeePercent": fee_percent,
        "processorFeeFixed": fee_fixed,
        "feeFrom": fee_from,
    }
    try:
        result = calculated(CalculatorParams.model_validate(said), credit_value_nano=DEFAULT.credit_value_nano)
    except ValidationError as wrong:
        member, *inside = wrong.errors(include_url=False, include_input=False, include_context=False)[0]["loc"]
        key = list(plans)[int(inside[0])] if member == "tiers" else ""
        raise PlansRefused(_ASKED[str(inside[1] if key else member)].format(key)) from None
    except Fault as refused:
        raise PlansRefused(_MEMBER.sub(_option, str(refused))) from None
    lines = [_HEAD, *(_line(tier) for tier in result.tiers)]
    if result.totals is not None:
        whole = result.totals
        lines.append(
            f"together: revenue ${whole.revenue}, providers ${whole.api_budget}, processor ${whole.processor_fees}, "
            f"profit ${whole.profit_after_fees} ({whole.profit_margin_after_fees})"
        )
    return lines


_DIGITS_MAX = 18
_ASKED = {
    "tier": "--price {}: a tier's key is 1 to 64 printable characters",
    "price": "--price {}: write dollars a month, as 19 or 19.50",
    "subscribers": "--subscribers {}: write a whole number from 0",
    "profitMargin": "--margin: write a percentage, as 80%",
    "processorFeePercent": "--fee-percent: write a percentage, as 2.9%",
    "processorFeeFixed": "--fee-fixed: write dollars per payment, as 0.30",
    "feeFrom": "--fee-from: write profit or budget",
}
"""What to type instead, by the member that was refused."""
_MEMBER = re.compile(r"^(?:tiers\.(?P<key>[^:]+)\.)?(?P<name>[a-zA-Z]+)(?=:)")


def _option(member: re.Match[str]) -> str:
    """`tiers.pro.price` as `--price pro`: whoever typed options knows of no members."""
    asked = _ASKED.get(member["name"])
    return member[0] if asked is None else asked.partition(":")[0].format(member["key"])


_HEAD = f"{'tier':<16}{'price':>10}{'budget':>12}{'credits':>12}{'fee':>10}{'profit':>12}{'margin':>9}{'after fee':>11}"


def _line(tier: CalculatedTier) -> str:
    return (
        f"{tier.tier:<16}{tier.price:>10g}{tier.api_budget:>12}{tier.credits:>12g}{tier.processor_fee:>10}"
        f"{tier.profit:>12}{tier.profit_margin:>9}{tier.profit_margin_after_fee:>11}"
    )


def _whole(text: str) -> int | str:
    """A whole number as the method takes it; what is none stays a word, which is refused by its name."""
    return int(text) if text.isdecimal() and len(text) <= _DIGITS_MAX else text


def _pairs(given: Sequence[str], option: str) -> Mapping[str, str]:
    pairs = {}
    for pair in given:
        key, sign, value = pair.partition("=")
        if not sign or not key or not value or key in pairs:
            raise PlansRefused(f"{option} {pair}: write it as tier=number, each tier once")
        pairs[key] = value
    return pairs
