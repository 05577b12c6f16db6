"""`checkEntitlement` in OpenMonetize's shape (S2-23, S2-24): may this be done, what does it cost at most, and what if not.

It asks the ladder's own steps without making a call, so the answer is a preview: only a hold is a promise.
"""

from dataclasses import replace
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from methods.context import Context
from methods.eligibility import PREVIEWED, Name, Tokens, balance_of, caller_of, code_of, reason_of
from methods.errors import Forbidden, InvalidParams, UnknownModel, UnknownProvider
from methods.method import Access, Example, Method, Params, Result, Tool
from methods.money_shapes import UserId, number, text
from methods.pricing import is_priced, rated_units
from monetization.callers import Caller
from monetization.charging.policies import Charge, charge_units, credits_for, dollars
from monetization.eligibility import Metered, Preview
from monetization.errors import NotEntitled, PaymentRequired, PriceUnknown, QuotaExceeded
from monetization.ingestion.rating import Rated
from monetization.terms import Most, Route, Target, Terms
from monetization.tiers import Policy
from storage.errors import Fault
from storage.records.money import CREDIT

LABELS: Final = {"upgrade": "Upgrade the plan", "purchase": "Buy more", "subscribe": "Renew the subscription"}


class Both(Params):
    """Members in either casing: OpenMonetize writes snake_case, everybody else camelCase."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Action(Both):
    """What the user is about to do."""

    type: Literal["token_usage", "image_generation", "video_generation", "api_call", "custom"] = "token_usage"
    provider: Name | None = None
    """In any case; absent: the default one."""
    model: Name | None = None
    estimated_input_tokens: Tokens = 0
    estimated_output_tokens: Tokens = 0
    estimated_duration_seconds: Annotated[float, Field(ge=0, le=10**9)] | None = None
    estimated_count: Tokens | None = None
    image_size: Name | None = None
    quality: Name | None = None


class EntitlementParams(Both):
    """Who wants to do what."""

    customer_id: UserId | None = None
    """Taken for compatibility; the tenant comes from the credential."""
    user_id: UserId | None = None
    """For admins only. Absent: the caller."""
    feature_id: Name | None = None
    action: Action | None = None


class Step(Result):
    """What the user can do about a refusal."""

    type: Literal["upgrade", "purchase", "subscribe"]
    label: str
    url: str | None = None


class EntitlementResult(Result):
    """Whether it would be served now, and what it would cost at most."""

    allowed: bool
    reason: str
    """For people."""
    code: str
    """For programs: `ok`, `soft_limit`, or the stable reason of the refusal."""
    estimated_cost_credits: float | None = None
    """Absent, as in dollars: nothing prices what is counted, or it was refused before it was priced."""
    estimated_cost_usd: str | None = None
    current_balance: str | None = None
    """In the asset that the plan charges."""
    balance_asset: str | None = None
    limit_type: Literal["HARD", "SOFT", "NONE"]
    """How the feature is counted: past a HARD limit it is refused, past a SOFT one it is told, NONE counts nothing."""
    limit_value: int | None = None
    current_usage: int | None = None
    """Of the running period."""
    actions: list[Step]


async def check_entitlement(context: Context, params: EntitlementParams) -> EntitlementResult:
    """Whether a feature, a model and an amount would be allowed now, what it would cost at most, and what to do if not."""
    caller = await caller_of(context, params.user_id)
    action = params.action or Action()
    asked = context.services.eligibility
    feature = params.feature_id
    # A name that no tier sells gates nobody (OpenMonetize: no entitlement means credits only); a quota may still count it.
    gated = feature if feature is not None and asked.is_feature(feature) else None
    units = _units(context, action, caller) if _counts_units(action) else None
    rate = None if units is None else lambda _: units.charge
    terms, most = Terms(is_metered=True, feature=gated), _most(context, action, is_counted=units is not None)
    preview = await asked.preview(caller, PREVIEWED, terms, most, rate)
    count = 1 if action.estimated_count is None else action.estimated_count
    metered = None if feature is None else await asked.metered(caller, feature, count)
    if preview.refusal is None and metered is not None and metered.is_passed:
        preview = _past(preview, metered)
    charge = None if preview.quote is None else preview.quote.charge
    asset, balance = await balance_of(context, caller, charge, seen=preview.seen)
    cost, worth = _estimated(context, charge, units)
    return EntitlementResult(
        allowed=preview.refusal is None,
        reason=reason_of(preview),
        code=code_of(preview),
        estimated_cost_credits=None if worth is None else number(worth, CREDIT),
        estimated_cost_usd=None if cost is None else dollars(cost),
        current_balance=None if balance is None else text(balance, asset),
        balance_asset=None if balance is None else asset,
        limit_type="NONE" if metered is None else "HARD" if metered.quota.is_hard else "SOFT",
        limit_value=None if metered is None else metered.quota.limit,
        current_usage=None if metered is None else metered.used,
        actions=[] if preview.refusal is None else _steps(context, preview.refusal),
    )


def _past(preview: Preview, metered: Metered) -> Preview:
    """The preview of an action that goes past its feature's own limit."""
    quota = metered.quota
    if not quota.is_hard:
        return replace(preview, is_soft=True)
    data = {"quotaUsed": metered.used, "quotaLimit": quota.limit, "resource": quota.resource, "period": quota.period}
    what = (
        f"the {quota.period} limit of {quota.limit} for {quota.resource!r} is used up; upgrade, or wait for its reset"
    )
    return replace(preview, refusal=QuotaExceeded(what, data=data))


def _counts_units(action: Action) -> bool:
    """Whether units are what it costs; what names tokens and no count is priced by its tokens, as events are."""
    names_count = action.estimated_count is not None or action.estimated_duration_seconds is not None
    return action.type != "token_usage" and (
        names_count or not (action.estimated_input_tokens or action.estimated_output_tokens)
    )


def _units(context: Context, action: Action, caller: Caller) -> Rated:
    """What units come to, by the code that rates the event that will tell of them; without a price, a charge of nothing."""
    said: dict[str, object] = {
        "event_type": action.type.upper(),
        "provider": action.provider,
        "model": action.model,
        "image_size": action.image_size,
        "quality": action.quality,
    }
    if action.estimated_duration_seconds is not None:
        said["duration_seconds"] = action.estimated_duration_seconds
    elif action.estimated_count is not None:
        said["quantity"] = action.estimated_count
    policy: Policy = "byok" if caller.kind == "byok" else context.services.tiers().of(caller.tier).policy
    try:
        return rated_units(context, said, policy)[1]
    except (PriceUnknown, InvalidParams):
        return Rated(charge_units(policy, context.services.quotes.rules, 0, burned=0, tokens=0), None, None)


def _most(context: Context, action: Action, *, is_counted: bool) -> Most:
    """The most that an action can cause. Raises: UnknownModel, UnknownProvider."""
    services, provider, model = context.services, action.provider, action.model
    if provider is not None and provider not in services.router.providers:
        provider = provider.lower()  # OpenMonetize writes OPENAI
    if is_counted and provider is None and model is None:
        return Most()  # units of no model, such as pages
    route: Route | None = None
    targets: tuple[Target, ...] = ()
    try:
        route = services.router.route(provider, model)
        targets = route.targets
    except (UnknownProvider, UnknownModel):
        # Who tells of usage by events asks about models that nobody serves here; what prices those prices this.
        told = None if provider is None or model is None else services.ingestion.rating.target(provider, model)
        if not is_counted and (told is None or not is_priced(context, told)):
            raise
        targets = () if told is None else (told,)
    return Most(
        targets,
        route=route,
        tokens_input=action.estimated_input_tokens,
        tokens_output=action.estimated_output_tokens,
        is_output_asked=True,
    )


def _estimated(context: Context, charge: Charge | None, units: Rated | None) -> tuple[int | None, int | None]:
    """Cost in nano dollars, and what the action is worth in credits; each None where nobody knows it."""
    if charge is None:
        return None, None
    cost = charge.cost_nano if units is None else units.cost_nano
    if charge.asset == CREDIT and (cost is not None or charge.amount):
        return cost, charge.amount
    return cost, None if cost is None else credits_for(context.services.quotes.rules, cost)


def _steps(context: Context, refusal: Fault) -> list[Step]:
    links = context.services.eligibility.links
    if isinstance(refusal, PaymentRequired) and refusal.slug.startswith("subscription_"):
        return [_step("subscribe", links.billing)]
    if isinstance(refusal, PaymentRequired):
        return [_step("purchase", links.billing), _step("upgrade", links.upgrade)]
    if isinstance(refusal, NotEntitled | QuotaExceeded):
        return [_step("upgrade", links.upgrade)]
    return []


def _step(kind: Literal["upgrade", "purchase", "subscribe"], url: str) -> Step:
    return Step(type=kind, label=LABELS[kind], url=url or None)


METHODS = [
    Method(
        "checkEntitlement",
        check_entitlement,
        scope="account:read",
        tool=Tool("Would a feature be allowed?"),
        access=Access.REQUIRED,
        faults=(Forbidden, UnknownModel, UnknownProvider),
        examples=(
            Example(
                "before an answer of a thousand tokens",
                {"featureId": "basic_ai", "action": {"type": "token_usage", "estimatedOutputTokens": 1000}},
                {"allowed": True, "reason": "allowed", "code": "ok", "limitType": "NONE", "actions": []},
            ),
        ),
    ),
]
