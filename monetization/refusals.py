"""From what the ledger refused to the fault that a caller may act on. One table; nothing is decided here."""

from dataclasses import dataclass

from billing.errors import InvalidAmount, NotRefundable
from monetization.errors import PaymentRequired, QuotaExceeded
from monetization.periods import end_of, iso, kind_of
from storage.errors import Fault, IdempotencyConflict, NotFound, StorageUnavailable
from storage.records.commands import Refusal
from storage.records.money import to_text


@dataclass(frozen=True, slots=True)
class Links:
    """Where refused callers are sent; empty where there is no such page."""

    upgrade: str = ""
    billing: str = ""


def fault_of(refusal: Refusal, asset: str, links: Links) -> Fault:
    """The fault for a refused hold, extension or charge on an account of this asset."""
    match refusal.reason:
        case "quota_exceeded":
            return _quota(refusal, links)
        case "insufficient":
            return _short(refusal, asset, links)
        case "account_suspended":
            return PaymentRequired(
                "this account is suspended; settle what is open and try again",
                reason="account_suspended",
                data=_with(links.billing, "billingUrl"),
            )
        case "key_reused":
            return IdempotencyConflict("this idempotency key was used with another request; take a new key")
        case "out_of_range":
            return PaymentRequired(
                "this call could cost more than any account can hold; ask for fewer tokens",
                reason="amount_out_of_range",
            )
        case _:
            # Nothing that a caller did leads here: the hold is gone, or the command was wrong.
            return StorageUnavailable(
                "the books cannot take this call now; repeat it",
                reason=f"ledger_{refusal.reason}",
                retry_after_seconds=1,
            )


def movement_fault(refusal: Refusal, asset: str, links: Links) -> Fault:
    """The fault for a refused movement that an operator ordered: a grant, a refund, an adjustment."""
    match refusal.reason:
        case "not_found":
            return NotFound("there is no such purchase or charge; getTransactions and getTopupHistory show their ids")
        case "not_refundable":
            left = to_text(_whole(refusal.data.get("refundable")), asset)
            return NotRefundable(
                f"{left} {asset} can be given back and no more; ask for that much or less",
                data={"refundable": left, "asset": asset},
            )
        case "invalid":
            return InvalidAmount(
                f"the books refuse this: {refusal.data.get('detail', 'against the rules')}", reason="invalid"
            )
        case "out_of_range":
            return InvalidAmount("the amount must be above zero and fit into an account; correct it")
        case "insufficient":
            needed, available = (to_text(_whole(refusal.data.get(key)), asset) for key in ("needed", "available"))
            return PaymentRequired(
                f"{needed} {asset} needed and {available} are free; take less, or wait for running calls to end",
                data={"required": needed, "available": available, "asset": asset},
            )
        case _:
            return fault_of(refusal, asset, links)


def _whole(amount: object) -> int:
    assert isinstance(amount, int), "the ledger says numbers"
    return amount


def _quota(refusal: Refusal, links: Links) -> QuotaExceeded:
    data = refusal.data
    name = str(data.get("period", "monthly"))
    period, start = kind_of(name), data.get("startUs", 0)
    ends = end_of(name, start if isinstance(start, int) else 0)
    resource = str(data.get("resource", "tokens"))
    shown: dict[str, object] = {
        "resource": resource,
        "period": period,
        "quotaUsed": data.get("used"),
        "quotaHeld": data.get("held"),
        "quotaLimit": data.get("limit"),
        "requested": data.get("amount"),
    }
    is_cap = str(data.get("subject", "")).startswith("member:")
    if is_cap:
        shown["subject"] = "member"  # no plan changes what an admin of the organization has set
    else:
        shown |= _with(links.upgrade, "upgradeUrl")
    if ends is not None:
        shown["resetDate"] = iso(ends)
    left = f"it resets at {iso(ends)}" if ends is not None else "it does not reset"
    spoken = period.replace("_", " ")
    otherwise = "ask an admin of your organization for more" if is_cap else "upgrade"
    return QuotaExceeded(
        f"the {spoken} quota of {resource} does not cover what this call may use; {left}, or {otherwise}",
        message=f"{spoken.capitalize()} quota exceeded",  # of a month as in S0-39
        data=shown,
    )


def _short(refusal: Refusal, asset: str, links: Links) -> PaymentRequired:
    unit = {"TOKEN": "tokens", "CREDIT": "credits"}.get(asset, "funds")
    needed, available = (to_text(_whole(refusal.data.get(key)), asset) for key in ("needed", "available"))
    return PaymentRequired(
        f"this call may cost {needed} {unit} and {available} are free; top up, or ask for fewer tokens",
        reason=f"insufficient_{unit}",
        data={"required": needed, "available": available, "asset": asset, **_with(links.billing, "billingUrl")},
    )


def _with(link: str, name: str) -> dict[str, object]:
    return {name: link} if link else {}
