"""What an admin sets for one user or organization: the subscription (S0-14) and own limits on top of the tier. Audited."""

from typing import Annotated

from pydantic import Field, StrictInt, model_validator

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Params, Result
from methods.money_shapes import Instant, Reason, UserId, actor_of, us_of
from monetization.directory import Act, Document, putting
from monetization.periods import iso
from monetization.subscriptions import LIMITS, SUBSCRIBED, SUBSCRIPTION, Status, Subscription, subscription_of
from storage.errors import NotFound, VersionChanged

Figure = Annotated[StrictInt, Field(ge=0, le=2**53 - 1)]
TierName = Annotated[str, Field(min_length=1, max_length=100)]


class Whom(Params):
    """A user or an organization: exactly one of them."""

    user_id: UserId | None = None
    organization_id: UserId | None = None

    @model_validator(mode="after")
    def _one(self) -> "Whom":
        if (self.user_id is None) == (self.organization_id is None):
            raise ValueError("give userId or organizationId, one of them")
        return self

    @property
    def owner(self) -> str:
        """As the directory names it."""
        return f"org:{self.organization_id}" if self.user_id is None else f"user:{self.user_id}"


class SubscriptionParams(Whom):
    """A subscription as it shall be from now on; what is left out stays as it is."""

    tier: TierName | None = None
    """Key or alias. Required for the first subscription."""
    status: Status | None = None
    """`suspended` and `expired` refuse calls until it changes; `cancelled` ends it."""
    monthly_token_limit: Figure | None = None
    """In the place of the tier's monthly tokens."""
    period_start: Instant | None = None
    """When the running billing period began."""
    reason: Reason | None = None


class SubscriptionResult(Result):
    """A subscription."""

    success: bool = True
    user_id: str | None = None
    organization_id: str | None = None
    subscription_tier: str
    status: Status
    monthly_token_limit: int | None = None
    """Absent: the tier's."""
    period_start: str | None = None
    version: int
    """Grows with every change."""


class LimitsParams(Whom):
    """Own limits; what is left out is the tier's again. None at all removes them."""

    rpm: Figure | None = None
    tpm: Figure | None = None
    concurrent: Figure | None = None
    monthly_tokens: Figure | None = None
    monthly_requests: Figure | None = None
    reason: Reason | None = None


class LimitsResult(Result):
    """Own limits; a limit that is absent is the tier's."""

    success: bool = True
    user_id: str | None = None
    organization_id: str | None = None
    rpm: int | None = None
    tpm: int | None = None
    concurrent: int | None = None
    monthly_tokens: int | None = None
    monthly_requests: int | None = None


async def update_user_subscription(context: Context, params: SubscriptionParams) -> SubscriptionResult:
    """Set what a user or an organization has subscribed to; within a second it wins over what credentials claim."""
    directory = context.services.directory
    profile = await directory.fresh(params.owner)
    before, old = profile.one(SUBSCRIPTION), subscription_of(profile)
    made = _changed(old, params, _tier_key(context, params.tier))
    details = {"subscription": made.members(), "before": None if old is None else old.members()}
    act = Act(actor_of(context), SUBSCRIBED, params.owner, params.reason or "", details)
    put = putting(SUBSCRIPTION, params.owner, params.owner, made.members(), expect=before.version if before else 0)
    await directory.put(act, [put])
    return _shown(params, made, _version(before))


async def set_limits(context: Context, params: LimitsParams) -> LimitsResult:
    """Set a user's or an organization's own limits in the place of the tier's; for an organization, over all of its calls."""
    figures = params.model_dump(by_alias=True, exclude_none=True, exclude={"user_id", "organization_id", "reason"})
    act = Act(actor_of(context), "setLimits", params.owner, params.reason or "", {"limits": figures})
    await context.services.directory.put(act, [putting(LIMITS, params.owner, params.owner, figures or None)])
    return LimitsResult(
        user_id=params.user_id,
        organization_id=params.organization_id,
        rpm=params.rpm,
        tpm=params.tpm,
        concurrent=params.concurrent,
        monthly_tokens=params.monthly_tokens,
        monthly_requests=params.monthly_requests,
    )


def _tier_key(context: Context, name: str | None) -> str | None:
    if name is None:
        return None
    key = context.services.tiers().key_of(name)
    if key is None:
        raise NotFound(f"there is no tier {name!r}; listTiers names them", data={"tier": name})
    return key


def _changed(old: Subscription | None, params: SubscriptionParams, tier: str | None) -> Subscription:
    if old is None and tier is None:
        raise InvalidParams("tier: there is no subscription yet; name its tier")
    base = old or Subscription("")
    return Subscription(
        tier=base.tier if tier is None else tier,
        status=base.status if params.status is None else params.status,
        monthly_tokens=base.monthly_tokens if params.monthly_token_limit is None else params.monthly_token_limit,
        period_start_us=base.period_start_us if params.period_start is None else us_of(params.period_start),
    )


def _version(before: Document | None) -> int:
    return 1 if before is None else before.version + 1


def _shown(params: SubscriptionParams, made: Subscription, version: int) -> SubscriptionResult:
    return SubscriptionResult(
        user_id=params.user_id,
        organization_id=params.organization_id,
        subscription_tier=made.tier,
        status=made.status,
        monthly_token_limit=made.monthly_tokens,
        period_start=None if made.period_start_us is None else iso(made.period_start_us),
        version=version,
    )


METHODS = [
    Method(
        "updateUserSubscription",
        update_user_subscription,
        scope="users:write",
        access=Access.REQUIRED,
        faults=(Forbidden, InvalidParams, NotFound, VersionChanged),
        examples=(
            Example(
                "a user on the starter plan",
                {"userId": "u1", "tier": "starter", "monthlyTokenLimit": 600000},
                {"success": True, "userId": "u1", "subscriptionTier": "starter", "status": "active"},
            ),
        ),
    ),
    Method(
        "setLimits",
        set_limits,
        scope="users:write",
        access=Access.REQUIRED,
        faults=(Forbidden,),
        examples=(
            Example("a faster user", {"userId": "u1", "rpm": 600}, {"success": True, "userId": "u1", "rpm": 600}),
        ),
    ),
]
