"""Faults of billing: what money cannot do. A refusal of the ledger becomes one of these, here and nowhere else.

Fault
├── InsufficientFunds   the balance does not cover it
├── QuotaUsedUp         the amount of a period is used up
├── AccountSuspended    new work is stopped for this account
├── HoldClosed          the hold was settled, released or expired before
├── NotRefundable       more than is left to give back
└── AccountNotEmpty     what goes must be empty first
"""

from typing import NoReturn, assert_never

from storage.errors import Fault, IdempotencyConflict, NotFound, VersionChanged
from storage.records.commands import Done, Refusal


class InsufficientFunds(Fault):
    """The balance does not cover it. `data`: needed, available (amounts as decimal text of the smallest unit), asset."""

    reason = "insufficient_funds"
    message = "Payment required"


class QuotaUsedUp(Fault):
    """The amount of a period is used up. `data`: resource, period, startUs, quotaUsed, quotaHeld, quotaLimit."""

    reason = "quota_exceeded"
    message = "Quota exceeded"


class AccountSuspended(Fault):
    """New holds and charges are stopped for this account."""

    reason = "account_suspended"
    message = "Account suspended"


class HoldClosed(Fault):
    """The hold is not open any more, or never was. `data`: state."""

    reason = "hold_not_open"
    message = "The hold is not open"


class NotRefundable(Fault):
    """More than is left to give back. `data`: refundable."""

    reason = "not_refundable"
    message = "Not refundable"


class AccountNotEmpty(Fault):
    """Something is left, owed or held. `data`: asset, balance, held (decimal text of the smallest unit)."""

    reason = "account_not_empty"
    message = "The account is not empty"


class InvalidAmount(Fault):
    """The figures cannot be booked: past the range of an account, or against the rules of the command."""

    reason = "out_of_range"
    message = "The figures cannot be booked"


def accepted(outcome: Done | Refusal) -> Done:
    """The answer of a command that was applied. Raises: the Fault of a refusal."""
    if isinstance(outcome, Refusal):
        raise_refusal(outcome)
    return outcome


def raise_refusal(refusal: Refusal) -> NoReturn:
    """Raise the Fault that says what a refusal says."""
    data = refusal.data
    match refusal.reason:
        case "insufficient":
            shown = {"needed": str(data["needed"]), "available": str(data["available"]), "asset": data["asset"]}
            raise InsufficientFunds(
                f"{data['needed']} {data['asset']} needed, {data['available']} available", data=shown
            )
        case "quota_exceeded":
            shown = {
                "resource": data["resource"],
                "period": data["period"],
                "startUs": data["startUs"],
                "quotaUsed": data["used"],
                "quotaHeld": data["held"],
                "quotaLimit": data["limit"],
            }
            raise QuotaUsedUp(f"{data['period']} quota of {data['resource']} is used up", data=shown)
        case "account_suspended":
            raise AccountSuspended
        case "hold_not_open" | "hold_not_due":
            raise HoldClosed(reason=refusal.reason, data=data)
        case "key_reused":
            raise IdempotencyConflict("the key was used before with another body", data=data)
        case "version_changed":
            raise VersionChanged("it was changed meanwhile; read it again", data={"version": data["version"]})
        case "not_found":
            raise NotFound
        case "not_refundable" | "not_empty":
            raise _left(refusal)
        case "out_of_range" | "invalid":
            raise InvalidAmount(str(data["detail"]) if "detail" in data else None, reason=refusal.reason)
        case _:
            assert_never(refusal.reason)


def _left(refusal: Refusal) -> NotRefundable | AccountNotEmpty:
    data = refusal.data
    if refusal.reason == "not_refundable":
        return NotRefundable(data={"refundable": str(data["refundable"])})
    return AccountNotEmpty(
        f"the account of {data['asset']} is not empty; move what is left, and wait for running calls to end",
        data={"asset": data["asset"], "balance": str(data["posted"]), "held": str(data["held"])},
    )
