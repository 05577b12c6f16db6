"""How one call may be paid for: the sources in the order they are tried, each as one hold of money and quota together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from monetization.callers import Caller
from monetization.charging.policies import Charge
from monetization.charging.rounding import divide
from monetization.periods import start_of
from monetization.prices.rates import MILLION
from monetization.tiers import Tier
from storage.records.commands import Claim
from storage.records.ledger import CREDITS, AccountKey, WindowKey

TENANT: Final = "default"
TOKENS: Final = "tokens"
REQUESTS: Final = "requests"
OVERAGE: Final = "overage"
OWN_TOKENS: Final = "own_tokens"
"""Tokens and requests on the caller's own provider key are counted apart: they must not eat what a plan has paid for."""
OWN_REQUESTS: Final = "own_requests"
ANONYMOUS: Final = "anonymous"
"""Owner of the counters of all callers without a credential; they bring their own key, so no money moves."""
UNBOUNDED_OVERDRAFT: Final = 10**15
"""What overage may run up before it is refused: a million dollars in nano units, or 10**15 tokens."""

SourceName = Literal["quota", "lots", "overage", "nothing"]


@dataclass(frozen=True, slots=True)
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
    return {TOKENS: charge.tokens, REQUESTS: 1, OVERAGE: charge.tokens, OWN_TOKENS: charge.tokens, OWN_REQUESTS: 1}


def quota_limit(caller: Caller, tier: Tier) -> int | None:
    """The monthly tokens of a caller. A credential may lower what the tier says, and raise it only if authoritative (R19)."""
    claimed = caller.limits.get("monthly_token_quota")
    if claimed is None:
        return tier.monthly_token_quota
    if caller.is_authoritative or tier.monthly_token_quota is None:
        return claimed
    return min(claimed, tier.monthly_token_quota)


def sources(caller: Caller, tier: Tier, quote: Charge, *, now_us: int, overdraft_tokens: int = 0) -> Sequence[Source]:
    """What is tried for a call, in order: the period's allowance, then lots, then overage."""
    assert caller.user_id is not None or quote.policy == "byok", "only a known caller pays"
    owner = caller.user_id or ANONYMOUS
    limit = quota_limit(caller, tier)
    requests = _claim(owner, REQUESTS, 1, tier.monthly_request_quota, now_us)

    def account(asset: str) -> AccountKey:
        return AccountKey(TENANT, "user", owner, CREDITS, asset)

    def tokens(up_to: int | None) -> Claim:
        return _claim(owner, TOKENS, quote.tokens, up_to, now_us)

    match quote.policy:
        case "allowance":
            # Lots and overage are there for what the allowance no longer covers, so its limits do not bind them.
            found = [Source("quota", account("TOKEN"), 0, (tokens(limit), requests))]
            if limit is not None or tier.monthly_request_quota is not None:
                found.append(
                    Source("lots", account("TOKEN"), quote.tokens, (_claim(owner, REQUESTS, 1, None, now_us),))
                )
            if tier.overage_nano_per_million is not None:
                price = overage_nano(tier, quote.tokens)
                claims = (
                    _claim(owner, REQUESTS, 1, None, now_us),
                    _claim(owner, OVERAGE, quote.tokens, None, now_us),
                )
                found.append(Source("overage", account("USD"), price, claims, UNBOUNDED_OVERDRAFT))
            return found
        case "virtual_tokens":
            claims = (tokens(None), _claim(owner, REQUESTS, 1, None, now_us))
            return [Source("lots", account("TOKEN"), quote.amount, claims, overdraft_tokens)]
        case "credits":
            # Both gates apply, the tighter one binds (R10).
            return [Source("lots", account("CREDIT"), quote.amount, (tokens(limit), requests))]
        case "byok":
            counters = (
                _claim(owner, OWN_TOKENS, quote.tokens, None, now_us),
                _claim(owner, OWN_REQUESTS, 1, None, now_us),
            )
            return [Source("nothing", account("TOKEN"), 0, counters)]


def _claim(owner: str, resource: str, amount: int, limit: int | None, now_us: int) -> Claim:
    key = WindowKey(TENANT, f"user:{owner}", resource, "monthly", start_of("monthly", now_us))
    return Claim(key, amount, limit)
