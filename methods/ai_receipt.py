"""The closed tab's figures in the documents' own fields: what a call cost, and what is left. No figure is made here."""

from typing import Final

from methods.ai_result import CreditReport, ExecuteResult, TokenUsage, UsageInfo, UsageReport, text_usage, usage_report
from monetization.charging.policies import Charge
from monetization.tab import Receipt

_NANO: Final = 1_000_000_000


def present(result: ExecuteResult, receipt: Receipt) -> ExecuteResult:
    """Add the figures to a result (in place: it was made for this call). Money is shown as JSON numbers, as documented."""
    if "usage" not in result:
        result["usage"] = counted = _counted(receipt)
        result["data"]["usage"] = text_usage(counted)
    _add_cost(result["usage"], receipt)
    if receipt.asked_model is not None:
        result["askedModel"] = receipt.asked_model
    if receipt.charge is not None:
        if receipt.quota_remaining is not None:
            result["quotaRemaining"] = receipt.quota_remaining
        _add_payment(result, receipt, receipt.charge)
    return result


def report(receipt: Receipt) -> UsageReport:
    """The `usage` of a call that has no result because it broke off."""
    counted = _counted(receipt)
    _add_cost(counted, receipt)
    return counted


def _counted(receipt: Receipt) -> UsageReport:
    counted = usage_report(receipt.usage)
    if receipt.is_estimated:
        counted["isEstimated"] = True
    return counted


def _add_cost(counted: UsageReport, receipt: Receipt) -> None:
    if receipt.charge is not None and receipt.is_cost_known:
        counted["cost"] = receipt.charge.cost_nano / _NANO
        counted["platformFee"] = receipt.charge.fee_nano / _NANO
    if receipt.saving_nano is not None:
        counted["saving"] = receipt.saving_nano / _NANO


def _add_payment(result: ExecuteResult, receipt: Receipt, charge: Charge) -> None:
    """Who paid, in the words of the caller's policy."""
    match charge.policy:
        case "byok":
            result["usageInfo"] = _own(charge, is_cost_known=receipt.is_cost_known)
        case "virtual_tokens":
            result["tokenUsage"] = _tokens(charge, receipt)
        case "credits":
            result["credits"] = _credits(receipt)
        case "allowance":
            if receipt.asset == "TOKEN":  # the month's allowance was used up; bought tokens paid
                result["tokenUsage"] = _tokens(charge, receipt)


def _own(charge: Charge, *, is_cost_known: bool) -> UsageInfo:
    if is_cost_known:
        return {"tokensUsed": charge.tokens, "estimatedCostUsd": charge.cost_nano / _NANO}
    return {"tokensUsed": charge.tokens}


def _tokens(charge: Charge, receipt: Receipt) -> TokenUsage:
    return {
        "tokensUsed": charge.tokens,
        "tokensCharged": receipt.amount,
        "platformFee": charge.fee_amount,
        "remainingBalance": receipt.balance,
    }


def _credits(receipt: Receipt) -> CreditReport:
    report = _taken(receipt)
    if receipt.month is not None:
        month = receipt.month
        report["monthlyUsage"] = {
            "tokens": month.tokens,
            "requests": month.requests,
            "cost": month.cost_nano / _NANO,
        }
    return report


def _taken(receipt: Receipt) -> CreditReport:
    if not receipt.is_shown_whole:
        return {"deducted": receipt.amount / _NANO, "remaining": receipt.balance / _NANO}
    # Whole credits of the running total: 6.5 show 6 and the next 6.5 show 7, so what is shown adds up to what is charged.
    before, after = _whole_up(receipt.posted + receipt.amount), _whole_up(receipt.posted)
    return {"deducted": before - after, "remaining": _whole_up(receipt.balance)}


def _whole_up(nano: int) -> int:
    return -(-nano // _NANO)
