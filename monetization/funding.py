"""How one call may be paid for: the sources in the order they are tried, each as one hold of money and quota together."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, Literal

from billing.accounts import TENANT as THE_TENANT
from monetization import quotas
from monetization.callers import Caller
from monetization.charging.policies import Charge
from monetization.charging.rounding import divide
from monetization.periods import start_of
from monetization.prices.rates import MILLION
from monetization.tiers import Tier
from storage.records.commands import Claim
from storage.records.fact import fact
from storage.records.ledger import CREDITS, AccountKey, WindowKey

TENANT: Final = THE_TENANT
TOKENS: Final = quotas.TOKENS
REQUESTS: Final = quotas.REQUESTS
OVERAGE: Final = "overage"
COST: Final = "cost"
"""What the providers billed for a caller's calls, in nano dollars: counted for those who pay with credits, never limited."""
OWN_TOKENS: Final = "own_tokens"
"""Tokens and requests on the caller's own provider key are counted apart: they must not eat what a plan has paid for."""
OWN_REQUESTS: Final = "own_requests"
ANONYMOUS: Final = "anonymous"
"""Owner of the counters of all callers without a credential; they bring their own key, so no money moves."""
UNBOUNDED_OVERDRAFT: Final = 10**15
"""What overage may run up before it is refused: a million dollars in nano units, or 10**15 tokens."""

SourceName = Literal["quota", "lots", "overage", "nothing"]


@fact
class Source:
    """One way to pay for a call."""

    name: SourceName
    account: AccountKey
    amount: int
    """Held in the account's asset; 0 where only quota is held."""
    claims: tuple[Claim, ...]
    overdraft: int = 0

    def actual(self, tier: Tier, charge: Charge) -> int:
        """What a charge takes from this source, in the account's asset."""
        match self.name:
            case "quota" | "nothing":
                return 0
            case "lots":
                return charge.amount
            case "overage":
                return overage_nano(tier, charge.tokens)


def overage_nano(tier: Tier, tokens: int) -> int:
    """The price of tokens past the quota, in nano dollars, rounded up."""
    assert tier.overage_nano_per_million is not None, "asked only where the tier sells overage"
    return divide(tokens * tier.overage_nano_per_million, MILLION, "ceil")


def quota_of(charge: Charge) -> dict[str, int]:
    """What a charge counts in the windows that its hold claimed."""
    return {
        TOKENS: charge.tokens,
        REQUESTS: 1,
        OVERAGE: charge.tokens,
        COST: charge.cost_nano,
        OWN_TOKENS: charge.tokens,
        OWN_REQUESTS: 1,
        "message": 1,
        "completion": 1,
        "api_call": 1,
    }


def quota_limit(caller: Caller, tier: Tier) -> int | None:
    """The monthly tokens of a caller: a quota that was set, else those kept for the user, else the tier's.

    A credential may lower what we keep or the tier says, and raise it only if authoritative (R19).
    """
    said = quotas.monthly(caller.quotas, f"user:{caller.user_id}", TOKENS) if caller.quotas else None
    if said is not None:
        return said.limit
    own = caller.own_limits.get("user")
    ours = tier.monthly_token_quota if own is None else own.get("monthly_tokens", tier.monthly_token_quota)
    claimed = caller.limits.get("monthly_token_quota")
    if claimed is None:
        return ours
    if caller.is_authoritative or ours is None:
        return claimed
    return min(claimed, ours)


def request_limit(caller: Caller, tier: Tier) -> int | None:
    """The monthly requests of a caller: a quota that was set, else those kept for the user, else the tier's."""
    said = quotas.monthly(caller.quotas, f"user:{caller.user_id}", REQUESTS) if caller.quotas else None
    if said is not None:
        return said.limit
    own = caller.own_limits.get("user")
    return tier.monthly_request_quota if own is None else own.get("monthly_requests", tier.monthly_request_quota)


def sources(caller: Caller, tier: Tier, quote: Charge, *, now_us: int, overdraft_tokens: int = 0) -> Iterator[Source]:
    """What is tried for a call, in order: the period's allowance, then lots, then overage. Each is made when it is its turn."""
    ways = _ways(caller, tier, quote, now_us, overdraft_tokens)
    if not caller.budgets and not caller.quotas:
        return ways
    stored = quotas.claims_of(caller.quotas, quota_of(quote), now_us, is_own_key=quote.policy == "byok")
    budgets = key_claims(caller, quote, now_us)
    return (replace(source, claims=(*quotas.over(source.claims, stored), *budgets)) for source in ways)


def key_claims(caller: Caller, quote: Charge, now_us: int) -> tuple[Claim, ...]:
    """What a call claims of the budgets of the key that was shown: whoever pays, it counts there too."""
    amounts, subject = quota_of(quote), f"key:{caller.key_id}"
    return tuple(
        Claim(
            WindowKey(TENANT, subject, budget.resource, budget.period, start_of(budget.period, now_us)),
            amounts[budget.resource],
            budget.limit,
        )
        for budget in caller.budgets
    )


def _ways(caller: Caller, tier: Tier, quote: Charge, now_us: int, overdraft_tokens: int) -> Iterator[Source]:
    assert caller.user_id is not None or quote.policy == "byok", "only a known caller pays"
    owner = caller.user_id or ANONYMOUS
    subject, month = f"user:{owner}", start_of("monthly", now_us)

    def account(asset: str) -> AccountKey:
        return AccountKey(TENANT, "user", owner, CREDITS, asset)

    def claim(resource: str, amount: int, limit: int | None = None) -> Claim:
        return Claim(WindowKey(TENANT, subject, resource, "monthly", month), amount, limit)

    def bounded() -> tuple[Claim, Claim]:
        return (
            claim(TOKENS, quote.tokens, quota_limit(caller, tier)),
            claim(REQUESTS, 1, request_limit(caller, tier)),
        )

    match quote.policy:
        case "allowance":
            yield Source("quota", account("TOKEN"), 0, bounded())
            # Lots and overage are there for what the allowance no longer covers, so its limits do not bind them.
            if quota_limit(caller, tier) is not None or request_limit(caller, tier) is not None:
                yield Source("lots", account("TOKEN"), quote.tokens, (claim(REQUESTS, 1),))
            if tier.overage_nano_per_million is not None:
                price = overage_nano(tier, quote.tokens)
                claims = (claim(REQUESTS, 1), claim(OVERAGE, quote.tokens))
                yield Source("overage", account("USD"), price, claims, UNBOUNDED_OVERDRAFT)
        case "virtual_tokens":
            claims = (claim(TOKENS, quote.tokens), claim(REQUESTS, 1))
            yield Source("lots", account("TOKEN"), quote.amount, claims, overdraft_tokens)
        case "credits":
            # Both gates apply, the tighter one binds (R10).
            yield Source("lots", account("CREDIT"), quote.amount, (*bounded(), claim(COST, quote.cost_nano)))
        case "byok":
            yield Source("nothing", account("TOKEN"), 0, (claim(OWN_TOKENS, quote.tokens), claim(OWN_REQUESTS, 1)))
