"""What a user has to spend: `getTokenBalance` (S1, virtual tokens) and `getCreditBalance` (S4-24). Reads only."""

from billing.accounts import credits_of, pool_of
from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Params, Result, Tool
from methods.money_shapes import UserId, iso_or_none, number, organization_alone, text, user_of
from methods.organizations import organization_id_of
from monetization.statements import Standing
from storage.records.money import CREDIT, TOKEN


class BalanceParams(Params):
    """Whose balance."""

    user_id: UserId | None = None
    """For admins only. Absent: the caller's own."""
    organization_id: UserId | None = None
    """In the place of a user: the pool of the caller's organization, for admins of any."""


class TokenBalanceResult(Result):
    """Virtual tokens: granted + adjusted + moved - used - expired - refunded is the balance."""

    user_id: str | None = None
    organization_id: str | None = None
    """Of a pool."""
    virtual_token_balance: int
    """What is there, with what running calls hold."""
    available_tokens: int
    """What a new call may take."""
    held_tokens: int
    overdraft_tokens: int
    total_tokens_purchased: int
    """Bought, the platform's share included."""
    total_tokens_granted: int
    """Put into the account: the usable part of purchases, promotions, allowances."""
    total_tokens_used: int
    """Taken by calls, fees included, less what was given back."""
    total_tokens_expired: int
    total_tokens_refunded: int
    total_tokens_adjusted: int
    total_tokens_moved: int
    platform_fee_collected: int
    """What the platform kept of purchases."""


class CreditBalanceResult(Result):
    """Credits: `totalCredits` less `usedCredits` is `remainingCredits`. The strings are exact."""

    user_id: str | None = None
    organization_id: str | None = None
    """Of a pool."""
    total_credits: float
    """Granted, less what expired or was refunded, with corrections."""
    used_credits: float
    remaining_credits: float
    available_credits: float
    """What a new call may take."""
    held_credits: float
    remaining_exact: str
    available_exact: str
    held_exact: str
    credit_value_usd: str
    tier: str | None = None
    """The tier of the caller's credential; absent when an admin looks at somebody else."""
    monthly_tokens_used: int
    monthly_requests_used: int
    percent_used: str
    expires_at: str | None = None
    """When the first of the credits that are left expires. Absent: none does."""


async def get_token_balance(context: Context, params: BalanceParams) -> TokenBalanceResult:
    """The virtual tokens of a user or of an organization's pool, and where all of them came from and went."""
    whose, found = await _found(context, params, TOKEN)
    return TokenBalanceResult(
        **whose,
        virtual_token_balance=found.balance.posted,
        available_tokens=found.balance.available,
        held_tokens=found.balance.held,
        overdraft_tokens=found.balance.overdraft,
        total_tokens_purchased=found.bought,
        total_tokens_granted=found.granted,
        total_tokens_used=found.used,
        total_tokens_expired=found.lapsed,
        total_tokens_refunded=found.refunded,
        total_tokens_adjusted=found.adjusted,
        total_tokens_moved=found.moved,
        platform_fee_collected=found.fees,
    )


async def get_credit_balance(context: Context, params: BalanceParams) -> CreditBalanceResult:
    """The credits of a user or of an organization's pool, with what this month's calls counted."""
    whose, found = await _found(context, params, CREDIT)
    money, user_id = context.services.money, whose.get("user_id")
    now_us = money.clock_us()
    if user_id is None:
        organization_id = whose["organization_id"]
        owner, account = f"org:{organization_id}", pool_of(organization_id, CREDIT)
    else:
        owner, account = f"user:{user_id}", credits_of(user_id, CREDIT)
    month = await money.statements.month(owner, now_us)
    ends_us = await money.statements.ends_us(account, now_us)
    balance = found.balance
    return CreditBalanceResult(
        **whose,
        total_credits=number(balance.posted + found.used, CREDIT),
        used_credits=number(found.used, CREDIT),
        remaining_credits=number(balance.posted, CREDIT),
        available_credits=number(balance.available, CREDIT),
        held_credits=number(balance.held, CREDIT),
        remaining_exact=text(balance.posted, CREDIT),
        available_exact=text(balance.available, CREDIT),
        held_exact=text(balance.held, CREDIT),
        credit_value_usd=text(context.services.quotes.rules.credit_value_nano, CREDIT),
        tier=context.caller.tier if _is_callers(context, whose) else None,
        monthly_tokens_used=month.tokens,
        monthly_requests_used=month.requests,
        percent_used=_percent(found),
        expires_at=iso_or_none(ends_us),
    )


async def _found(context: Context, params: BalanceParams, asset: str) -> tuple[dict[str, str], Standing]:
    """Whose balance, and the balance. Raises: Forbidden, InvalidParams."""
    statements = context.services.money.statements
    named = params.organization_id or organization_alone(context, params.user_id)
    if named is None:
        user_id = user_of(context, params.user_id)
        return {"user_id": user_id}, await statements.standing(user_id, asset)
    if params.user_id is not None:
        raise InvalidParams("give userId or organizationId, not both")
    organization_id = organization_id_of(context, named, "users:read")
    return {"organization_id": organization_id}, await statements.pool(organization_id, asset)


def _is_callers(context: Context, whose: dict[str, str]) -> bool:
    """Whether a balance is what the caller's own calls draw on first, so that their tier is told with it."""
    caller = context.caller
    return whose == (
        {"organization_id": caller.organization_id} if caller.is_organizations else {"user_id": caller.user_id}
    )


def _percent(found: Standing) -> str:
    total = found.balance.posted + found.used
    hundredths = (2 * 10_000 * found.used + total) // (2 * total) if total > 0 else 0
    return f"{hundredths // 100}.{hundredths % 100:02d}%"


METHODS = [
    Method(
        "getTokenBalance",
        get_token_balance,
        scope="account:read",
        tool=Tool("Balance of virtual tokens"),
        access=Access.REQUIRED,
        aliases=("billing.getTokenBalance",),
        faults=(Forbidden,),
        examples=(
            Example(
                "a user without a purchase",
                {},
                {"virtualTokenBalance": 0, "availableTokens": 0, "heldTokens": 0, "totalTokensPurchased": 0},
            ),
        ),
    ),
    Method(
        "getCreditBalance",
        get_credit_balance,
        scope="account:read",
        tool=Tool("Balance of credits"),
        access=Access.REQUIRED,
        aliases=("billing.getCreditBalance",),
        faults=(Forbidden,),
        examples=(
            Example(
                "a user without credits",
                {},
                {"totalCredits": 0.0, "usedCredits": 0.0, "remainingCredits": 0.0, "percentUsed": "0.00%"},
            ),
        ),
    ),
]
