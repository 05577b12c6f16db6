"""May I, and who am I: `checkRequestEligibility`, `getUserStatus`, `getCurrentTier`.

They ask the ladder's own steps without making a call, so their answer is a preview: only a hold is a promise.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import Field

from billing.accounts import credits_of, pool_of
from methods.context import Context
from methods.errors import Forbidden
from methods.method import Access, Example, Method, Params, Result, Tool
from methods.money_shapes import UserId, iso_or_none, number, organization_alone, text, user_of
from methods.tiers import TierResult, shown_tier
from monetization.callers import Caller
from monetization.charging.policies import Charge
from monetization.eligibility import Preview
from monetization.errors import PaymentRequired, QuotaExceeded
from monetization.statements import Bought
from monetization.terms import Most, Terms
from storage.records.ledger import AccountKey, Balance
from storage.records.money import TOKEN, USD

Name = Annotated[str, Field(min_length=1, max_length=200)]
Tokens = Annotated[int, Field(ge=0, le=2**40)]
UserType = Literal["subscription", "byok", "unknown"]
PREVIEWED: Final = "executeAIRequest"
"""The method that would be called."""
NOTHING_SEEN: Final[Mapping[AccountKey, Balance]] = MappingProxyType({})


class EligibilityParams(Params):
    """A request as the user imagines it."""

    estimated_tokens: Tokens = 1000
    has_api_key: bool = False
    """The user would bring an own provider key."""
    user_id: UserId | None = None
    """For admins only. Absent: the caller."""


class EligibilityResult(Result):
    """Whether the request would be served."""

    can_make_request: bool
    reason: str
    code: str
    user_type: UserType
    token_balance: int | None = None
    """Virtual tokens that a call may take now."""
    estimated_cost: int | None = None
    """Tokens that the plan would charge, fee included."""
    requires_tokens: bool | None = None
    requires_api_key: bool | None = None


class WhoParams(Params):
    """Whose status."""

    user_id: UserId | None = None
    """For admins only. Absent: the caller."""


class Features(Result):
    """What the user's standing brings."""

    token_tracking: bool
    unlimited_byok: Annotated[bool, Field(serialization_alias="unlimitedBYOK")]
    usage_analytics: bool


class StatusResult(Result):
    """Who the user is to us."""

    user_id: str | None = None
    """Absent for a key of an organization alone: then all is the organization's."""
    user_type: UserType
    has_subscription: bool
    has_purchases: bool
    total_purchases: int
    total_amount_spent_usd: float
    total_amount_spent_exact: str
    subscription_tier: str
    subscription_status: str
    organization_id: str | None = None
    features: Features


class CurrentTierResult(Result):
    """The tier in force for the user."""

    success: bool = True
    data: TierResult
    subscription_status: str
    period_start: str | None = None


async def check_request_eligibility(context: Context, params: EligibilityParams) -> EligibilityResult:
    """Whether a request of about so many tokens would be served, with the plan or with an own key."""
    caller = await caller_of(context, params.user_id)
    if params.has_api_key:
        return EligibilityResult(
            can_make_request=True, reason="your own provider key pays for it", code="ok", user_type="byok"
        )
    tokens = params.estimated_tokens
    route = context.services.router.route(None, None)
    most = Most(route.targets, route=route, tokens_input=tokens, is_output_asked=True)
    preview = await context.services.eligibility.preview(caller, PREVIEWED, Terms(is_metered=True), most)
    _, balance = await balance_of(context, caller, None, asset=TOKEN)
    refusal = preview.refusal
    charge = None if preview.quote is None else preview.quote.charge
    is_short = isinstance(refusal, PaymentRequired | QuotaExceeded)
    return EligibilityResult(
        can_make_request=refusal is None,
        reason=reason_of(preview),
        code=code_of(preview),
        user_type=_type(caller),
        token_balance=balance,
        estimated_cost=None if charge is None else charge.amount if charge.asset == TOKEN else charge.tokens,
        requires_tokens=is_short if is_short and code_of(preview) != "api_key_required" else None,
        requires_api_key=True if code_of(preview) == "api_key_required" else None,
    )


async def get_user_status(context: Context, params: WhoParams) -> StatusResult:
    """What kind of user this is, what they have bought, and what that brings them."""
    caller = await caller_of(context, params.user_id)
    bought: list[Bought] = []
    if caller.user_id is not None:  # a pool is filled by transfers: nobody buys for it
        _, bought = await context.services.money.statements.purchases(caller.user_id, None, limit=1, cursor=None)
    spent = sum(one.lot.paid_nano for one in bought if one.lot.paid_currency == USD)
    tier = context.services.tiers().of(caller.tier)
    return StatusResult(
        user_id=caller.user_id,
        user_type=_type(caller),
        has_subscription=tier.policy != "byok" and caller.subscription_status in ("active", "trialing", "past_due"),
        has_purchases=bool(bought),
        total_purchases=len(bought),
        total_amount_spent_usd=number(spent, USD),
        total_amount_spent_exact=text(spent, USD),
        subscription_tier=tier.key,
        subscription_status=caller.subscription_status,
        organization_id=caller.organization_id,
        features=Features(
            token_tracking=tier.policy != "byok",
            unlimited_byok=True,
            usage_analytics="analytics" in tier.features or "analytics" in caller.features,
        ),
    )


async def get_current_tier(context: Context, params: WhoParams) -> CurrentTierResult:
    """The tier that is in force for the user, whoever said it: the subscription, the credential, or the default."""
    caller = await caller_of(context, params.user_id)
    start = caller.period_start_us
    return CurrentTierResult(
        data=shown_tier(context.services.tiers().of(caller.tier)),
        subscription_status=caller.subscription_status,
        period_start=None if start is None else iso_or_none(start),
    )


async def caller_of(context: Context, named: str | None) -> Caller:
    """The caller, or for an admin the user that is named. Raises: Forbidden, InvalidParams."""
    if organization_alone(context, named) is not None:
        return context.caller
    user = user_of(context, named)
    return context.caller if user == context.caller.user_id else await context.services.eligibility.caller(user)


async def balance_of(
    context: Context,
    caller: Caller,
    charge: Charge | None,
    *,
    asset: str | None = None,
    seen: Mapping[AccountKey, Balance] = NOTHING_SEEN,
) -> tuple[str, int | None]:
    """The balance in the asset that the caller's plan charges; None for somebody without an account.

    `seen`: balances that were read a moment ago.
    """
    named = asset or (charge.asset if charge is not None else None) or TOKEN
    pool = caller.pool
    if pool is not None:
        account = pool_of(pool.organization_id, named)
    elif caller.user_id is not None:
        account = credits_of(caller.user_id, named)
    else:
        return named, None
    balance = seen.get(account) or await context.services.eligibility.counters.balance(account)
    return named, balance.available


def reason_of(preview: Preview) -> str:
    """What a preview says, for people."""
    if preview.refusal is not None:
        return str(preview.refusal)
    return "allowed past a soft limit" if preview.is_soft else "allowed"


def code_of(preview: Preview) -> str:
    """What a preview says, for programs."""
    if preview.refusal is not None:
        return preview.refusal.slug
    return "soft_limit" if preview.is_soft else "ok"


def _type(caller: Caller) -> UserType:
    match caller.kind:
        case "subscription":
            return "subscription"
        case "byok":
            return "byok"
        case _:
            return "unknown"


_FAULTS = (Forbidden,)

METHODS = [
    Method(
        "checkRequestEligibility",
        check_request_eligibility,
        scope="account:read",
        tool=Tool("Would a request be served?"),
        access=Access.REQUIRED,
        aliases=("user.checkRequestEligibility",),
        faults=_FAULTS,
        examples=(
            Example(
                "about a thousand tokens",
                {"estimatedTokens": 1000},
                {"canMakeRequest": True, "reason": "allowed", "code": "ok", "userType": "subscription"},
            ),
        ),
    ),
    Method(
        "getUserStatus",
        get_user_status,
        scope="account:read",
        access=Access.REQUIRED,
        aliases=("user.getUserStatus", "ai.getUserStatus"),
        faults=_FAULTS,
        examples=(
            Example(
                "the caller",
                {},
                {"userId": "u1", "userType": "subscription", "hasSubscription": True, "hasPurchases": False},
            ),
        ),
    ),
    Method(
        "getCurrentTier",
        get_current_tier,
        scope="account:read",
        tool=Tool("The plan in force"),
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(
            Example("the caller", {}, {"success": True, "data": {"tier": "starter"}, "subscriptionStatus": "active"}),
        ),
    ),
]
