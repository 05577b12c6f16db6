"""How one call may be paid for: the sources in the order they are tried, each as one hold of money and quota together."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, Literal, NamedTuple

from billing.accounts import TENANT as THE_TENANT
from monetization import quotas
from monetization.callers import Budget, Caller, Pool
from monetization.charging.policies import Charge
from monetization.charging.rounding import divide
from monetization.periods import start_of
from monetization.prices.rates import MILLION
from monetization.rollover import carry_of
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
BOOKED: Final = frozenset({TOKENS, REQUESTS, OVERAGE, COST, OWN_TOKENS, OWN_REQUESTS})
"""What only calls count: statements are made of these counters, so nothing else may add to them."""
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
    ways = _payers_ways(caller, tier, quote, now_us, overdraft_tokens)
    if not caller.budgets and not caller.quotas:
        return ways
    stored = quotas.claims_of(caller.quotas, quota_of(quote), now_us, is_own_key=quote.policy == "byok")
    budgets = key_claims(caller, quote, now_us)
    return (replace(source, claims=(*quotas.over(source.claims, stored), *budgets)) for source in ways)


def key_claims(caller: Caller, quote: Charge, now_us: int) -> tuple[Claim, ...]:
    """What a call claims of the budgets of the key that was shown: whoever pays, it counts there too."""
    return _budget_claims(f"key:{caller.key_id}", caller.budgets, quote, now_us)


def _budget_claims(subject: str, budgets: Iterable[Budget], quote: Charge, now_us: int) -> tuple[Claim, ...]:
    amounts = quota_of(quote)
    return tuple(
        Claim(
            WindowKey(TENANT, subject, budget.resource, budget.period, start_of(budget.period, now_us)),
            amounts[budget.resource],
            budget.limit,
        )
        for budget in budgets
    )


class _Payer(NamedTuple):
    """Whose account pays, and in whose windows a call is counted. A plain tuple, because every call makes one."""

    owner_type: str
    owner_id: str
    subjects: tuple[tuple[str, int | None, int | None], ...]
    """Each with its limits of monthly tokens and requests; the payer first."""
    month_us: int
    caps: tuple[Claim, ...] = ()

    def counted(self, resource: str, amount: int) -> tuple[Claim, ...]:
        """What is counted and never refused."""
        return tuple([Claim(self._window(subject, resource), amount) for subject, _, _ in self.subjects])

    def bounded(self, tokens: int, tier: Tier) -> tuple[Claim, ...]:
        """Tokens and a request, within the limits."""
        marks = tier.thresholds_percent
        return tuple(
            claim
            for subject, limit, requests in self.subjects
            for claim in (
                self._rolling(subject, tokens, limit, tier),
                Claim(self._window(subject, REQUESTS), 1, requests, thresholds=marks),
            )
        )

    def _rolling(self, subject: str, tokens: int, limit: int | None, tier: Tier) -> Claim:
        window = self._window(subject, TOKENS)
        carry = None if limit is None else carry_of(tier, window)
        return Claim(window, tokens, limit, thresholds=tier.thresholds_percent, carry=carry)

    def _window(self, subject: str, resource: str) -> WindowKey:
        return WindowKey(TENANT, subject, resource, "monthly", self.month_us)

    def source(
        self, name: SourceName, asset: str, amount: int, claims: tuple[Claim, ...], overdraft: int = 0
    ) -> Source:
        """One way to pay; whatever it is, the caps hold."""
        account = AccountKey(TENANT, self.owner_type, self.owner_id, CREDITS, asset)
        return Source(name, account, amount, (*claims, *self.caps) if self.caps else claims, overdraft)


def _payers_ways(caller: Caller, tier: Tier, quote: Charge, now_us: int, overdraft_tokens: int) -> Iterator[Source]:
    """The pool's ways and the user's, as the organization has set it."""
    assert caller.user_id is not None or caller.pool is not None or quote.policy == "byok", "only a known caller pays"
    pool = None if quote.policy == "byok" and not caller.is_organizations else caller.pool
    if pool is not None:
        yield from _ways(_pool(caller, pool, tier, quote, now_us), tier, quote, overdraft_tokens)
        if pool.pays == "pool":
            return
    yield from _ways(_user(caller, tier, now_us), tier, quote, overdraft_tokens)


def _user(caller: Caller, tier: Tier, now_us: int) -> _Payer:
    owner = caller.user_id or ANONYMOUS
    limits = (quota_limit(caller, tier), request_limit(caller, tier))
    return _Payer("user", owner, ((f"user:{owner}", *limits),), start_of("monthly", now_us))


def _pool(caller: Caller, pool: Pool, tier: Tier, quote: Charge, now_us: int) -> _Payer:
    """The organization's account. The tier's amounts are its members' together; the user's own and the caps hold beside them."""
    together, alone = caller.own_limits.get("organization", {}), caller.own_limits.get("user", {})
    owner = f"org:{pool.organization_id}"
    said = (
        [quotas.monthly(caller.quotas, owner, resource) for resource in (TOKENS, REQUESTS)]
        if caller.quotas
        else [None, None]
    )
    limits = (
        said[0].limit if said[0] else together.get("monthly_tokens", tier.monthly_token_quota),
        said[1].limit if said[1] else together.get("monthly_requests", tier.monthly_request_quota),
    )
    whole = (owner, *limits)
    month_us = start_of("monthly", now_us)
    if caller.user_id is None:
        return _Payer("org", pool.organization_id, (whole,), month_us)
    claimed = None if caller.is_authoritative else caller.limits.get("monthly_token_quota")
    own = min((limit for limit in (alone.get("monthly_tokens"), claimed) if limit is not None), default=None)
    subjects = (
        whole,
        (f"user:{caller.user_id}", own, alone.get("monthly_requests")),
    )
    caps = _budget_claims(f"member:{pool.organization_id}/{caller.user_id}", pool.caps, quote, now_us)
    return _Payer("org", pool.organization_id, subjects, month_us, caps)


def _ways(payer: _Payer, tier: Tier, quote: Charge, overdraft_tokens: int) -> Iterator[Source]:
    match quote.policy:
        case "allowance":
            yield payer.source("quota", "TOKEN", 0, payer.bounded(quote.tokens, tier))
            # Lots and overage are there for what the allowance no longer covers, so its limits do not bind them.
            _, tokens, requests = payer.subjects[0]
            if tokens is not None or requests is not None:
                yield payer.source("lots", "TOKEN", quote.tokens, payer.counted(REQUESTS, 1))
            if tier.overage_nano_per_million is not None:
                price = overage_nano(tier, quote.tokens)
                claims = (*payer.counted(REQUESTS, 1), *payer.counted(OVERAGE, quote.tokens))
                yield payer.source("overage", "USD", price, claims, UNBOUNDED_OVERDRAFT)
        case "virtual_tokens":
            claims = (*payer.counted(TOKENS, quote.tokens), *payer.counted(REQUESTS, 1))
            yield payer.source("lots", "TOKEN", quote.amount, claims, overdraft_tokens)
        case "credits":
            # Both gates apply, the tighter one binds (R10).
            claims = (*payer.bounded(quote.tokens, tier), *payer.counted(COST, quote.cost_nano))
            yield payer.source("lots", "CREDIT", quote.amount, claims)
        case "byok":
            claims = (*payer.counted(OWN_TOKENS, quote.tokens), *payer.counted(OWN_REQUESTS, 1))
            yield payer.source("nothing", "TOKEN", 0, claims)
