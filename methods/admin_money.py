"""What an admin does with money: `grantTokens`, `grantCredits`, `adjustBalance`.

Each is one commit with its audit row; the actor is the admin's own user id, whatever the parameters say.
"""

from typing import Annotated

from pydantic import Field

from billing.accounts import credits_of
from billing.errors import InvalidAmount
from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Params, Result
from methods.money_shapes import (
    Amount,
    Asset,
    Instant,
    Key,
    Metadata,
    Reason,
    UserId,
    above_zero,
    actor_of,
    amount_of,
    iso_or_none,
    labels_of,
    number,
    text,
    us_of,
)
from monetization.charging.policies import credits_of_price
from monetization.charging.rounding import ppm_from_percent
from monetization.desk import Granted, GrantKind, GrantOrder
from monetization.errors import PaymentRequired
from monetization.price_setting import Author
from monetization.purchases import PurchaseType
from storage.errors import IdempotencyConflict
from storage.records.money import CREDIT, NEVER_US, TOKEN, USD

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Priority = Annotated[int, Field(ge=0, le=1_000)]


class GrantTokensParams(Params):
    """Virtual tokens for a user."""

    user_id: UserId
    tokens: Annotated[int, Field(gt=0, le=2**53 - 1)]
    """Of a purchase: what was bought, before the platform's share."""
    kind: GrantKind = "promotion"
    """`purchase` is split: 1000 bought are 800 usable and 200 for the platform."""
    reason: Reason | None = None
    expires_at: Instant | None = None
    """Absent: never."""
    priority: Priority | None = None
    """Lower is spent first. Absent: the kind's own (allowance 10, promotion 30, purchase 50)."""
    price_paid: Amount | None = None
    """What was paid, net of tax: it becomes revenue as the tokens are spent. Purchases only."""
    currency: Currency = "USD"
    purchase_type: PurchaseType = "one_time"
    idempotency_key: Key | None = None


class GrantCreditsParams(Params):
    """Credits for a user: an amount, or a monthly price that becomes credits at a margin."""

    user_id: UserId
    amount: Amount | None = None
    price_usd: Amount | None = None
    """A plan's price: at 80 % margin and $0.01 a credit, 99 dollars are 1980 credits."""
    margin_percent: Annotated[str, Field(pattern=r"^\d{1,2}(\.\d{1,4})?$")] = "80"
    """Of `priceUsd`, what the operator keeps."""
    kind: GrantKind | None = None
    """Absent: `purchase` for a price, `promotion` for an amount."""
    reason: Reason | None = None
    metadata: Metadata | None = None
    """Kept in the audit."""
    expires_at: Instant | None = None
    priority: Priority | None = None
    price_paid: Amount | None = None
    """What was paid for an `amount`; with `priceUsd` it is that price."""
    currency: Currency = "USD"
    purchase_type: PurchaseType = "one_time"
    idempotency_key: Key | None = None


class GrantResult(Result):
    """What a grant came to. Asked again with the same key, the first answer."""

    grant_id: str
    """What `refundPurchase` names."""
    user_id: str
    asset: str
    amount: str
    """What the user got; exact."""
    platform_fee: str
    """What the platform kept; exact."""
    new_balance: str
    """Right after the grant; exact."""
    new_balance_number: float
    """The same as a number."""
    available: str
    tokens_bought: int | None = None
    tokens_granted: int | None = None
    tokens_platform: int | None = None
    credits_granted: float | None = None
    expires_at: str | None = None
    is_replay: bool


class AdjustParams(Params):
    """A correction by hand."""

    user_id: UserId
    amount: Amount
    """Signed: above zero adds, below takes."""
    reason: Reason
    asset: Asset = "TOKEN"
    idempotency_key: Key | None = None


class AdjustResult(Result):
    """The balance after a correction."""

    user_id: str
    asset: str
    amount: str
    new_balance: str
    available: str
    is_replay: bool


async def grant_tokens(context: Context, params: GrantTokensParams) -> GrantResult:
    """Put virtual tokens into a user's account, once for its idempotency key. Admins only."""
    paid = params.price_paid
    order = GrantOrder(
        user_id=params.user_id,
        asset=TOKEN,
        amount=params.tokens,
        kind=params.kind,
        reason=params.reason or "",
        expires_us=_expiry(params.expires_at),
        priority=params.priority,
        paid_nano=_paid(paid, params.kind),
        paid_currency=params.currency,
        type=params.purchase_type,
        key=params.idempotency_key,
    )
    granted = await context.services.money.desk.grant(actor_of(context), order)
    shown = _granted(order, granted)
    tokens = {"tokens_bought": order.amount, "tokens_granted": granted.amount, "tokens_platform": granted.fee}
    return shown.model_copy(update=tokens)


async def grant_credits(context: Context, params: GrantCreditsParams) -> GrantResult:
    """Put credits into a user's account, once for its idempotency key. Admins only."""
    if (params.amount is None) == (params.price_usd is None):
        raise InvalidParams("give amount or priceUsd, and not both")
    amount, paid, kind = _credits(context, params)
    order = GrantOrder(
        user_id=params.user_id,
        asset=CREDIT,
        amount=amount,
        kind=kind,
        reason=params.reason or "",
        expires_us=_expiry(params.expires_at),
        priority=params.priority,
        paid_nano=paid,
        paid_currency=params.currency,
        type=params.purchase_type,
        key=params.idempotency_key,
        metadata=labels_of(params.metadata),
    )
    granted = await context.services.money.desk.grant(actor_of(context), order)
    return _granted(order, granted).model_copy(update={"credits_granted": number(granted.amount, CREDIT)})


async def adjust_balance(context: Context, params: AdjustParams) -> AdjustResult:
    """Correct a balance up or down, with a reason; it writes a movement and never overwrites. Admins only."""
    amount = amount_of(params.amount, params.asset, "amount")
    if amount == 0:
        raise InvalidParams("amount: must not be zero")
    done = await context.services.money.desk.adjust(
        Author(actor_of(context), params.reason),
        credits_of(params.user_id, params.asset),
        amount,
        params.idempotency_key,
    )
    return AdjustResult(
        user_id=params.user_id,
        asset=params.asset,
        amount=text(amount, params.asset),
        new_balance=text(done.posted, params.asset),
        available=text(done.available, params.asset),
        is_replay=done.is_replay,
    )


def _credits(context: Context, params: GrantCreditsParams) -> tuple[int, int, GrantKind]:
    """Amount, price paid and kind of a grant of credits."""
    if params.price_usd is not None:
        price = above_zero(params.price_usd, USD, "priceUsd")
        rules = context.services.quotes.rules
        amount = credits_of_price(rules, price, margin_ppm=ppm_from_percent(params.margin_percent))
        kind = params.kind or "purchase"
        return amount, price if kind == "purchase" else 0, kind
    assert params.amount is not None, "one of both is given"
    kind = params.kind or "promotion"
    return above_zero(params.amount, CREDIT, "amount"), _paid(params.price_paid, kind), kind


def _paid(price: float | str | None, kind: GrantKind) -> int:
    if price is None:
        return 0
    if kind != "purchase":
        raise InvalidParams("pricePaid: only a purchase is paid for; set kind to purchase")
    return above_zero(price, USD, "pricePaid")


def _expiry(at: Instant | None) -> int:
    """When a grant ends. Whether that has passed says the ledger, after it has looked for a repeated key's first answer."""
    if at is None:
        return NEVER_US
    expires = us_of(at)
    if expires <= 0:
        raise InvalidParams("expiresAt: must lie ahead")
    return expires


def _granted(order: GrantOrder, granted: Granted) -> GrantResult:
    asset, done = order.asset, granted.done
    return GrantResult(
        grant_id=granted.source_ref,
        user_id=order.user_id,
        asset=asset,
        amount=text(granted.amount, asset),
        platform_fee=text(granted.fee, asset),
        new_balance=text(done.posted, asset),
        new_balance_number=number(done.posted, asset),
        available=text(done.available, asset),
        expires_at=iso_or_none(order.expires_us),
        is_replay=done.is_replay,
    )


_FAULTS = (Forbidden, InvalidAmount, IdempotencyConflict)

METHODS = [
    Method(
        "grantTokens",
        grant_tokens,
        scope="money:write",
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(
            Example(
                "a purchase of a thousand tokens",
                {"userId": "u1", "tokens": 1000, "kind": "purchase", "pricePaid": "10", "idempotencyKey": "order-1"},
                {"grantId": "order-1", "tokensBought": 1000, "tokensGranted": 800, "tokensPlatform": 200},
            ),
        ),
    ),
    Method(
        "grantCredits",
        grant_credits,
        scope="money:write",
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(
            Example(
                "a month of the professional plan",
                {"userId": "u1", "priceUsd": "99", "purchaseType": "subscription", "idempotencyKey": "invoice-1"},
                {"grantId": "invoice-1", "asset": "CREDIT", "amount": "1980", "creditsGranted": 1980.0},
            ),
        ),
    ),
    Method(
        "adjustBalance",
        adjust_balance,
        scope="money:write",
        access=Access.REQUIRED,
        faults=(*_FAULTS, PaymentRequired),
        examples=(
            Example(
                "a hundred tokens for a bad day",
                {"userId": "u1", "amount": 100, "reason": "outage of 3 May"},
                {"userId": "u1", "asset": "TOKEN", "amount": "100", "newBalance": "900"},
            ),
        ),
    ),
]
