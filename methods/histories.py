"""What a user did and received, page by page: usage, top-ups, purchases, movements. Reads only.

Sources: the billing methods of the virtual tokens document (S1-13, section 2.2 of the inventory) and OpenMonetize's transactions.
"""

from typing import Literal

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Params, Result, Tool
from methods.money_shapes import Asset, Cursor, Limit, UserId, iso_or_none, number, organization_alone, text, user_of
from methods.paging import Offset, Paging, page_at, paging_of
from methods.usage_shapes import RowFigures, cost_text, figures_of
from monetization.periods import iso
from monetization.purchases import PurchaseType
from monetization.statements import Bought, Movement, Page
from storage.errors import InvalidCursor
from storage.records.ledger import LotView
from storage.records.money import TOKEN, USD
from storage.records.usage import UsageRow


class PageParams(Params):
    """Which page, newest first."""

    limit: Limit = 50
    cursor: Cursor | None = None
    """`nextCursor` of the page before. Absent: the first page."""
    user_id: UserId | None = None
    """For admins only. Absent: the caller's own."""


class PurchaseParams(Params):
    """Which purchases, newest first."""

    limit: Limit = 50
    type: Literal["all", "subscription", "one_time"] = "all"
    cursor: Cursor | None = None
    user_id: UserId | None = None
    """For admins only. Absent: the caller's own."""


class TransactionParams(PageParams):
    """Which movements, newest first."""

    asset: Asset = TOKEN
    offset: Offset | None = None
    """In the place of `cursor`."""


class UsageEntry(RowFigures):
    """One call."""

    id: str
    request_id: str
    cost_exact: str | None = None


class UsageHistoryResult(Result):
    """One page of calls."""

    history: list[UsageEntry]
    next_cursor: str | None = None
    """Absent: there are no more."""


class TopupEntry(Result):
    """Units that were put into an account."""

    id: str
    """What a refund of a purchase names."""
    asset: str
    kind: Literal["purchase", "promotion", "allowance"]
    source: str
    amount: float
    remaining: float
    amount_exact: str
    remaining_exact: str
    priority: int
    """Lower is spent first."""
    created_at: str
    expires_at: str | None = None


class TopupHistoryResult(Result):
    """One page of top-ups."""

    topups: list[TopupEntry]
    next_cursor: str | None = None


class PurchaseEntry(Result):
    """One purchase: what was paid for, what of it could be used, what the platform kept."""

    id: str
    type: PurchaseType
    asset: str
    purchased: float
    granted: float
    platform_fee: float
    remaining: float
    refunded: float
    amount_paid: float
    amount_paid_exact: str
    currency: str
    purchased_at: str
    expires_at: str | None = None


class PurchaseSummary(Result):
    """All purchases of the asked type, not only this page."""

    total_purchases: int
    subscription_purchases: int
    one_time_purchases: int
    total_amount_spent_usd: float
    total_tokens_purchased: int


class PurchaseHistoryResult(Result):
    """One page of purchases with their summary."""

    purchases: list[PurchaseEntry]
    summary: PurchaseSummary
    next_cursor: str | None = None


class TransactionEntry(Result):
    """One movement on the account; amounts are exact decimal strings, taken ones negative."""

    id: str
    """What a refund of a charge names."""
    transaction_type: Literal["PURCHASE", "GRANT", "BURN", "REFUND", "EXPIRATION", "ADJUSTMENT", "TRANSFER"]
    amount: str
    balance_before: str | None = None
    """Absent on an account that moved on while it was read."""
    balance_after: str | None = None
    description: str
    reference: str | None = None
    """Of a call: its request id."""
    created_at: str


class TransactionsResult(Result):
    """One page of movements."""

    asset: str
    data: list[TransactionEntry]
    next_cursor: str | None = None
    pagination: Paging


async def get_usage_history(context: Context, params: PageParams) -> UsageHistoryResult:
    """The user's calls with what they used and cost."""
    statements, alone = context.services.money.statements, organization_alone(context, params.user_id)
    if alone is not None:
        page = await statements.usage_alone(alone, limit=params.limit, cursor=params.cursor)
    else:
        page = await statements.usage(user_of(context, params.user_id), limit=params.limit, cursor=params.cursor)
    return UsageHistoryResult(history=[_usage(row) for row in page.rows], next_cursor=page.next_cursor)


async def get_topup_history(context: Context, params: PageParams) -> TopupHistoryResult:
    """Everything that was put into the user's accounts, and what is left of each."""
    user_id = user_of(context, params.user_id)
    page = await context.services.money.statements.topups(user_id, limit=params.limit, cursor=params.cursor)
    return TopupHistoryResult(topups=[_topup(lot) for lot in page.rows], next_cursor=page.next_cursor)


async def get_purchase_history(context: Context, params: PurchaseParams) -> PurchaseHistoryResult:
    """The user's purchases, from subscriptions and one by one."""
    user_id = user_of(context, params.user_id)
    kind = None if params.type == "all" else params.type
    page, bought = await context.services.money.statements.purchases(
        user_id, kind, limit=params.limit, cursor=params.cursor
    )
    return PurchaseHistoryResult(
        purchases=[_purchase(found) for found in page.rows], summary=_summary(bought), next_cursor=page.next_cursor
    )


async def get_transactions(context: Context, params: TransactionParams) -> TransactionsResult:
    """What moved on one of the user's accounts."""
    user_id = user_of(context, params.user_id)

    async def read(limit: int, cursor: str | None) -> Page[Movement]:
        return await context.services.money.statements.movements(user_id, params.asset, limit=limit, cursor=cursor)

    page = await page_at(read, params.limit, params.cursor, params.offset)
    return TransactionsResult(
        asset=params.asset,
        data=[_transaction(movement, params.asset) for movement in page.rows],
        next_cursor=page.next_cursor,
        pagination=paging_of(params, page),
    )


def _usage(row: UsageRow) -> UsageEntry:
    return UsageEntry(**figures_of(row), id=row.id, request_id=row.request_id, cost_exact=cost_text(row))


_KINDS: dict[str, Literal["purchase", "promotion", "allowance"]] = {
    "paid": "purchase",
    "promo": "promotion",
    "included": "allowance",
}


def _topup(lot: LotView) -> TopupEntry:
    asset = lot.account.asset
    return TopupEntry(
        id=lot.source_ref,
        asset=asset,
        kind=_KINDS[lot.category],
        source=lot.source,
        amount=number(lot.granted, asset),
        remaining=number(lot.remaining, asset),
        amount_exact=text(lot.granted, asset),
        remaining_exact=text(lot.remaining, asset),
        priority=lot.priority,
        created_at=iso(lot.effective_us),
        expires_at=iso_or_none(lot.expires_us),
    )


def _purchase(found: Bought) -> PurchaseEntry:
    lot, purchase, asset = found.lot, found.purchase, found.purchase.asset
    return PurchaseEntry(
        id=lot.source_ref,
        type=purchase.type,
        asset=asset,
        purchased=number(purchase.bought, asset),
        granted=number(purchase.granted, asset),
        platform_fee=number(purchase.fee, asset),
        remaining=number(lot.remaining, asset),
        refunded=number(found.returned, asset),
        amount_paid=number(lot.paid_nano, USD),
        amount_paid_exact=text(lot.paid_nano, USD),
        currency=lot.paid_currency,
        purchased_at=iso(lot.effective_us),
        expires_at=iso_or_none(lot.expires_us),
    )


def _summary(bought: list[Bought]) -> PurchaseSummary:
    subscriptions = sum(1 for found in bought if found.purchase.type == "subscription")
    spent = sum(found.lot.paid_nano for found in bought if found.lot.paid_currency == "USD")
    return PurchaseSummary(
        total_purchases=len(bought),
        subscription_purchases=subscriptions,
        one_time_purchases=len(bought) - subscriptions,
        total_amount_spent_usd=number(spent, USD),
        total_tokens_purchased=sum(found.purchase.bought for found in bought if found.purchase.asset == TOKEN),
    )


_TYPES: dict[
    str, tuple[Literal["PURCHASE", "GRANT", "BURN", "REFUND", "EXPIRATION", "ADJUSTMENT", "TRANSFER"], str]
] = {
    "purchase": ("PURCHASE", "bought"),
    "promotion": ("GRANT", "granted"),
    "allowance": ("GRANT", "included in the plan"),
    "usage": ("BURN", "a call"),
    "expire": ("BURN", "a call that ended without a word"),
    "late_usage": ("BURN", "a call that ended after its hold"),
    "refund_purchase": ("REFUND", "a purchase taken back"),
    "late_refund": ("REFUND", "a call that used less than its expiry had charged"),
    "refund_charge": ("REFUND", "a charge given back"),
    "breakage": ("EXPIRATION", "bought units that expired"),
    "expired": ("EXPIRATION", "granted units that expired"),
    "adjust": ("ADJUSTMENT", "corrected by an operator"),
    "move": ("TRANSFER", "moved between owners"),
}


def _transaction(movement: Movement, asset: str) -> TransactionEntry:
    transfer = movement.transfer
    kind, about = _TYPES.get(transfer.code, ("ADJUSTMENT", transfer.code))
    return TransactionEntry(
        id=f"{asset}-{transfer.id}",
        transaction_type=kind,
        amount=text(transfer.amount, asset),
        balance_before=None if movement.before is None else text(movement.before, asset),
        balance_after=None if movement.after is None else text(movement.after, asset),
        description=about,
        reference=transfer.ref,
        created_at=iso(transfer.booked_us),
    )


_FAULTS = (Forbidden, InvalidCursor, InvalidParams)
_EMPTY_PAGE = {"limit": 10}

METHODS = [
    Method(
        "getUsageHistory",
        get_usage_history,
        scope="account:read",
        tool=Tool("Calls and what they cost"),
        access=Access.REQUIRED,
        aliases=("billing.getUsageHistory",),
        faults=_FAULTS,
        examples=(Example("the last ten calls of a new user", _EMPTY_PAGE, {"history": []}),),
    ),
    Method(
        "getTopupHistory",
        get_topup_history,
        scope="account:read",
        access=Access.REQUIRED,
        aliases=("billing.getTopupHistory",),
        faults=_FAULTS,
        examples=(Example("the last ten top-ups of a new user", _EMPTY_PAGE, {"topups": []}),),
    ),
    Method(
        "getPurchaseHistory",
        get_purchase_history,
        scope="account:read",
        access=Access.REQUIRED,
        aliases=("billing.getPurchaseHistory", "user.getPurchaseHistory"),
        faults=_FAULTS,
        examples=(
            Example(
                "the subscriptions of a new user",
                {"limit": 10, "type": "subscription"},
                {"purchases": [], "summary": {"totalPurchases": 0, "totalAmountSpentUsd": 0.0}},
            ),
        ),
    ),
    Method(
        "getTransactions",
        get_transactions,
        scope="account:read",
        access=Access.REQUIRED,
        aliases=("billing.getTransactions",),
        faults=_FAULTS,
        examples=(Example("the credits of a new user", {"asset": "CREDIT"}, {"asset": "CREDIT", "data": []}),),
    ),
]
