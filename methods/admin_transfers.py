"""What an admin moves between owners: `transferBalance`, into a team's pool, out of it, or from user to user."""

from pydantic import Field

from billing.accounts import credits_of, pool_of
from billing.errors import InvalidAmount
from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Params, Result
from methods.money_shapes import Amount, Asset, Key, Reason, UserId, above_zero, actor_of, text
from monetization.errors import PaymentRequired
from monetization.price_setting import Author
from storage.errors import IdempotencyConflict
from storage.records.ledger import AccountKey


class Owner(Params):
    """Whose balance: a user's own, or the pool of an organization. Name one of them."""

    user_id: UserId | None = None
    organization_id: UserId | None = None
    team_id: UserId | None = None
    """Another word for `organizationId`."""


class TransferParams(Params):
    """A move between two owners."""

    source: Owner = Field(alias="from")
    target: Owner = Field(alias="to")
    amount: Amount
    reason: Reason
    asset: Asset = "TOKEN"
    idempotency_key: Key | None = None


class TransferResult(Result):
    """The giver's balance after a move. Asked again with the same key, the first answer."""

    transaction_id: str
    """As `getTransactions` shows it, on both sides."""
    asset: str
    amount: str
    new_balance: str
    """Of the giver."""
    available: str
    """Of it, what running calls do not hold."""
    is_replay: bool


async def transfer_balance(context: Context, params: TransferParams) -> TransferResult:
    """Move units between owners; they keep their expiry, their priority and what was paid for them. Admins only.

    Only what is not held by running calls and has not expired can be moved, never an overdraft.
    """
    asset = params.asset
    source, target = _account(params.source, asset, "from"), _account(params.target, asset, "to")
    if source == target:
        raise InvalidParams("from and to name the same balance; name two owners")
    done = await context.services.money.desk.transfer(
        Author(actor_of(context), params.reason),
        source=source,
        target=target,
        amount=above_zero(params.amount, asset, "amount"),
        key=params.idempotency_key,
    )
    return TransferResult(
        transaction_id=f"{asset}-{done.id}",
        asset=asset,
        amount=text(done.amount, asset),
        new_balance=text(done.posted, asset),
        available=text(done.available, asset),
        is_replay=done.is_replay,
    )


def _account(owner: Owner, asset: str, name: str) -> AccountKey:
    """Raises: InvalidParams unless exactly one owner is named."""
    named = [one for one in (owner.user_id, owner.organization_id, owner.team_id) if one is not None]
    if len(named) != 1:
        raise InvalidParams(f"{name}: give userId or organizationId, and not both")
    return credits_of(named[0], asset) if owner.user_id is not None else pool_of(named[0], asset)


METHODS = [
    Method(
        "transferBalance",
        transfer_balance,
        scope="money:write",
        access=Access.REQUIRED,
        faults=(Forbidden, InvalidAmount, IdempotencyConflict, PaymentRequired),
        examples=(
            Example(
                "five hundred tokens into a team's pool",
                {"from": {"userId": "u1"}, "to": {"teamId": "blue"}, "amount": 500, "reason": "pooled for the project"},
                {
                    "transactionId": "TOKEN-12",
                    "asset": "TOKEN",
                    "amount": "500",
                    "newBalance": "300",
                    "available": "300",
                },
            ),
        ),
    ),
]
