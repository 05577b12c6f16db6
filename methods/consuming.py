"""Credits taken for what a service has sold by itself: `consumeCredits` (S2-36). What AI calls cost is charged by the tab."""

from billing.accounts import credits_of
from billing.errors import InvalidAmount
from methods.context import Context
from methods.errors import Forbidden
from methods.method import Access, Example, Method, Params, Result
from methods.money_shapes import (
    Amount,
    Key,
    Metadata,
    Name,
    Reason,
    UserId,
    above_zero,
    actor_of,
    labels_of,
    number,
    text,
)
from monetization.errors import PaymentRequired
from monetization.price_setting import Author
from storage.errors import IdempotencyConflict
from storage.records.commands import Charge
from storage.records.money import CREDIT
from storage.records.usage import UsageRow

SOURCE = "consume"
"""Of the usage rows: a service named the amount itself."""


class ConsumeParams(Params):
    """What was sold, in credits."""

    user_id: UserId
    amount: Amount
    feature_id: Name | None = None
    reason: Reason | None = None
    metadata: Metadata | None = None
    """Labels of the service's own, in the usage row."""
    idempotency_key: Key | None = None
    """The same key takes once and answers the same."""


class ConsumeResult(Result):
    """What was taken."""

    transaction_id: str
    """What `refundCharge` names."""
    user_id: str
    amount: str
    """Exact."""
    new_balance: float
    new_balance_exact: str
    is_replay: bool


async def consume_credits(context: Context, params: ConsumeParams) -> ConsumeResult:
    """Take credits from a user, all of them or none, with a usage row; once for its idempotency key. Admins only."""
    amount, labels = above_zero(params.amount, CREDIT, "amount"), labels_of(params.metadata)
    money = context.services.money
    user = await context.services.eligibility.caller(params.user_id)
    now_us, new = money.clock_us(), money.desk.new_id()
    row = UsageRow(
        id=f"{now_us // 1_000:012x}{new[:20]}",
        request_id=context.call.request_id,
        occurred_us=now_us,
        user_id=params.user_id,
        caller_kind=user.kind,
        tier=user.tier,
        method="consumeCredits",
        door=context.call.door,
        provider=None,
        model=None,
        outcome="done",
        organization_id=user.organization_id,
        feature=params.feature_id,
        metadata=labels,
        charge_amount=amount,
        charge_asset=CREDIT,
        kind="CUSTOM",
        unit="credits",
        quantity_nano=amount,
        source=SOURCE,
    )
    charge = Charge(
        account=credits_of(params.user_id, CREDIT), amount=amount, usage=row, ref=row.id, occurred_us=now_us
    )
    body = {"userId": params.user_id, "amount": amount, "featureId": params.feature_id, "metadata": labels or None}
    author = Author(actor_of(context), params.reason or "")
    done = await money.desk.consume(author, charge, body, params.idempotency_key)
    return ConsumeResult(
        transaction_id=f"{CREDIT}-{done.id}",
        user_id=params.user_id,
        amount=text(amount, CREDIT),
        new_balance=number(done.posted, CREDIT),
        new_balance_exact=text(done.posted, CREDIT),
        is_replay=done.is_replay,
    )


METHODS = [
    Method(
        "consumeCredits",
        consume_credits,
        scope="money:write",
        access=Access.REQUIRED,
        faults=(Forbidden, InvalidAmount, IdempotencyConflict, PaymentRequired),
        examples=(
            Example(
                "an export that costs 25 credits",
                {"userId": "u1", "amount": "25", "featureId": "export", "idempotencyKey": "export-7"},
                {"transactionId": "CREDIT-12", "userId": "u1", "amount": "25", "newBalance": 75.0},
            ),
        ),
    ),
]
