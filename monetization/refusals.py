"""From what the ledger refused to the fault that a caller may act on. One table; nothing is decided here."""

from dataclasses import dataclass

from monetization.errors import PaymentRequired, QuotaExceeded
from monetization.periods import Period, end_of, iso
from storage.errors import Fault, IdempotencyConflict, StorageUnavailable
from storage.records.commands import Refusal

_PERIODS: dict[str, Period] = {"hourly": "hourly", "daily": "daily", "monthly": "monthly", "lifetime": "lifetime"}


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


def _quota(refusal: Refusal, links: Links) -> QuotaExceeded:
    data = refusal.data
    period = _PERIODS.get(str(data.get("period", "")), "monthly")
    start = data.get("startUs", 0)
    ends = end_of(period, start if isinstance(start, int) else 0)
    resource = str(data.get("resource", "tokens"))
    shown: dict[str, object] = {
        "resource": resource,
        "period": period,
        "quotaUsed": data.get("used"),
        "quotaHeld": data.get("held"),
        "quotaLimit": data.get("limit"),
        "requested": data.get("amount"),
        **_with(links.upgrade, "upgradeUrl"),
    }
    if ends is not None:
        shown["resetDate"] = iso(ends)
    left = f"it resets at {iso(ends)}" if ends is not None else "it does not reset"
    return QuotaExceeded(
        f"the {period} quota of {resource} does not cover what this call may use; {left}, or upgrade", data=shown
    )


def _short(refusal: Refusal, asset: str, links: Links) -> PaymentRequired:
    unit = {"TOKEN": "tokens", "CREDIT": "credits"}.get(asset, "funds")
    nano = 1 if asset == "TOKEN" else 1_000_000_000
    needed, available = (_count(refusal.data.get(key), nano) for key in ("needed", "available"))
    return PaymentRequired(
        f"this call may cost {needed} {unit} and {available} are free; top up, or ask for fewer tokens",
        reason=f"insufficient_{unit}",
        data={"required": needed, "available": available, "asset": asset, **_with(links.billing, "billingUrl")},
    )


def _count(amount: object, nano: int) -> str:
    """An amount of the ledger as a decimal string."""
    assert isinstance(amount, int), "the ledger says numbers"
    if nano == 1:
        return str(amount)
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    whole, fraction = divmod(amount, nano)
    text = f"{fraction:09d}".rstrip("0")
    return f"{sign}{whole}.{text}" if text else f"{sign}{whole}"


def _with(link: str, name: str) -> dict[str, object]:
    return {name: link} if link else {}
