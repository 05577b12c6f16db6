"""What is allowed in a tier file but probably not meant: each as one line for the log, the doctor and the answer of a reload."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

from monetization.tiers import BUILT_IN, Tier, Tiers
from storage.records.money import USD, to_text

ModelCosts = Callable[[Tier], Mapping[str, int]]
"""The models that a tier may use, by `provider/model`: nano dollars for a million tokens, half of them in, half out."""


def _no_costs(tier: Tier) -> Mapping[str, int]:
    del tier
    return {}


def warnings(tiers: Tiers, *, providers: Collection[str] = (), costs: ModelCosts = _no_costs) -> list[str]:
    """What looks wrong, the key of the configuration first. `providers`: the configured ones; empty skips that check."""
    return [
        f"tiers.{tier.key}.{warning}"
        for tier in tiers.by_key.values()
        for warning in _of(tier, tiers, providers, costs)
    ]


def _of(tier: Tier, tiers: Tiers, providers: Collection[str], costs: ModelCosts) -> Iterator[str]:
    yield from _speeds(tier)
    if tier.rollover_max_tokens and tier.monthly_token_quota is None:
        yield "rollover_max_tokens: has no effect without monthly_token_quota; add the quota or remove it"
    unknown = sorted(tier.providers - set(providers)) if providers else []
    if unknown and len(unknown) == len(tier.providers):
        yield f"providers: none of them is configured ({', '.join(unknown)}), so this tier can call nothing"
    if tiers.rank(tier.key) is None and not _is_built_in(tier):
        yield f'name: {tier.key!r} is not in charging.tier_order, so no "at least" rule but its own includes it'
    yield from _overage(tier, costs)


def _is_built_in(tier: Tier) -> bool:
    """Whether the operator has said nothing of this tier: it is always there, and whoever orders others need not mean it."""
    return any(replace(built_in, policy=tier.policy) == tier for built_in in BUILT_IN)


def _speeds(tier: Tier) -> Iterator[str]:
    if tier.tpm is not None and tier.max_tokens_per_request is not None and tier.tpm < tier.max_tokens_per_request:
        yield (
            f"tpm: {tier.tpm} is below max_tokens_per_request {tier.max_tokens_per_request}; "
            "a full request is served only once a minute, when nothing else was used"
        )
    month = tier.monthly_token_quota
    if month is not None and tier.max_tokens_per_request is not None and 0 < month < tier.max_tokens_per_request:
        yield f"monthly_token_quota: {month} is below max_tokens_per_request {tier.max_tokens_per_request}"


def _overage(tier: Tier, costs: ModelCosts) -> Iterator[str]:
    if tier.overage_nano_per_million is None:
        return
    if tier.monthly_token_quota is None:
        yield "overage: is never reached without monthly_token_quota; add the quota or remove it"
    dearer = {model: cost for model, cost in costs(tier).items() if cost > tier.overage_nano_per_million}
    if dearer:
        dearest = max(dearer, key=lambda model: dearer[model])
        yield (
            f"overage: {_dollars(tier.overage_nano_per_million)} per million tokens is below what {dearest} costs "
            f"({_dollars(dearer[dearest])}, half in, half out; {len(dearer)} model(s) in all): such calls lose money"
        )


def _dollars(nano: int) -> str:
    return f"${to_text(nano, USD)}"
