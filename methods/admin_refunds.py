"""What an admin gives back: `refundPurchase` and `refundCharge`. Each is one commit with its audit row."""

import re
from typing import Annotated

from pydantic import Field

from billing.errors import NotRefundable
from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Params, Result
from methods.money_shapes import Amount, Asset, Key, Reason, UserId, above_zero, actor_of, text
from monetization.price_setting import Author
from storage.errors import IdempotencyConflict, NotFound
from storage.records.money import USD

_TRANSACTION = re.compile(r"(TOKEN|CREDIT|USD)-(\d{1,18})")


class RefundPurchaseParams(Params):
    """A purchase to take back."""

    user_id: UserId
    grant_id: Key
    """As `grantTokens`, `grantCredits` and `getPurchaseHistory` show it."""
    reason: Reason
    asset: Asset = "TOKEN"
    """What was bought, as the purchase shows it."""
    amount: Amount | None = None
    """Of the usable part. Absent: all that is left and not held."""
    idempotency_key: Key | None = None


class RefundPurchaseResult(Result):
    """What was taken back."""

    user_id: str
    asset: str
    refunded: str
    platform_fee_returned: str
    """Of the platform's share, given back in proportion."""
    value: str
    """The money that the returned units stand for."""
    new_balance: str
    is_replay: bool


class RefundChargeParams(Params):
    """A charge to give back."""

    transaction_id: Annotated[str, Field(max_length=40)]
    """Of the charge, as `getTransactions` shows it."""
    reason: Reason
    amount: Amount | None = None
    """Absent: all that was not given back before."""
    idempotency_key: Key | None = None


class RefundChargeResult(Result):
    """What was given back."""

    transaction_id: str
    """Of the refund."""
    asset: str
    refunded: str
    new_balance: str
    is_replay: bool


async def refund_purchase(context: Context, params: RefundPurchaseParams) -> RefundPurchaseResult:
    """Take back what is left of a purchase, and the platform's share of it in proportion. Admins only."""
    asset = params.asset
    amount = None if params.amount is None else above_zero(params.amount, asset, "amount")
    author = Author(actor_of(context), params.reason)
    found = await context.services.money.desk.refund_purchase(
        author, params.user_id, asset, params.grant_id, amount, params.idempotency_key
    )
    return RefundPurchaseResult(
        user_id=params.user_id,
        asset=asset,
        refunded=text(found.amount, asset),
        platform_fee_returned=text(found.fee, asset),
        value=text(found.value_nano, USD),
        new_balance=text(found.done.posted, asset),
        is_replay=found.done.is_replay,
    )


async def refund_charge(context: Context, params: RefundChargeParams) -> RefundChargeResult:
    """Give a charge back to what paid for it. Admins only."""
    named = _TRANSACTION.fullmatch(params.transaction_id)
    if named is None:
        raise InvalidParams("transactionId: name a charge as getTransactions does, such as TOKEN-12")
    asset, number_ = named.group(1), int(named.group(2))
    amount = None if params.amount is None else above_zero(params.amount, asset, "amount")
    author = Author(actor_of(context), params.reason)
    done = await context.services.money.desk.refund_charge(author, number_, amount, asset, params.idempotency_key)
    return RefundChargeResult(
        transaction_id=f"{asset}-{done.id}",
        asset=asset,
        refunded=text(done.amount, asset),
        new_balance=text(done.posted, asset),
        is_replay=done.is_replay,
    )


METHODS = [
    Method(
        "refundPurchase",
        refund_purchase,
        scope="money:write",
        access=Access.REQUIRED,
        faults=(Forbidden, NotFound, NotRefundable, IdempotencyConflict),
        examples=(
            Example(
                "all that is left of a purchase",
                {"userId": "u1", "grantId": "order-1", "reason": "withdrawn within 14 days"},
                {"userId": "u1", "asset": "TOKEN", "refunded": "800", "platformFeeReturned": "200", "value": "10"},
            ),
        ),
    ),
    Method(
        "refundCharge",
        refund_charge,
        scope="money:write",
        access=Access.REQUIRED,
        faults=(Forbidden, NotFound, NotRefundable, IdempotencyConflict),
        examples=(
            Example(
                "one call",
                {"transactionId": "TOKEN-12", "reason": "a broken answer"},
                {"transactionId": "TOKEN-20", "asset": "TOKEN", "refunded": "125", "newBalance": "1000"},
            ),
        ),
    ),
]
