"""Tiers: what each plan says. Built-in ones are always there; the operator's file overrides them key by key."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

Policy = Literal["allowance", "virtual_tokens", "credits", "byok"]


KEY_PATTERN: Final = r"^[^\s\x00-\x1f\x7f=]([^\x00-\x1f\x7f=]{0,62}[^\s\x00-\x1f\x7f=])?$"
"""Of a tier's key: any name of up to 64 printable characters (S0-02) without `=`, which ends it in a command."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One plan. None means that the tier does not limit it; an empty set of providers or models means all."""

    key: str
    name: str
    aliases: tuple[str, ...] = ()
    price_nano: int = 0
    """Price per month in nano dollars (scale 9)."""
    policy: Policy = "allowance"
    monthly_token_quota: int | None = None
    monthly_request_quota: int | None = None
    max_tokens_per_request: int | None = None
    """The most tokens that one call may produce."""
    rpm: int | None = None
    tpm: int | None = None
    concurrent: int | None = None
    features: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    """Model names; a trailing `*` matches any ending."""
    overage_nano_per_million: int | None = None
    """Price of a million tokens past the quota in nano dollars. None: no overage, the quota is hard."""
    rollover_max_tokens: int = 0
    """Of a month's unused tokens, how many the next one may use besides its own."""
    thresholds_percent: tuple[int, ...] = (80, 95, 100)
    """Where a month's use of tokens and requests is told of, in percent of the quota, rising."""

    def includes_provider(self, name: str) -> bool:
        """Whether calls may be served by this provider."""
        return not self.providers or name in self.providers

    def includes_model(self, model: str) -> bool:
        """Whether calls may be served by this model."""
        return not self.models or is_among(self.models, model)


def is_among(patterns: frozenset[str], model: str) -> bool:
    """Whether one of the patterns is this model, or ends in `*` and begins it."""
    return model in patterns or any(pattern.endswith("*") and model.startswith(pattern[:-1]) for pattern in patterns)


_DOLLAR_NANO = 1_000_000_000

# Prices and allowances come from the credits document (S4-09 to S4-12), speeds from the OpenSaaS document (S0-18) with the
# tokens per minute raised so that one full request always fits into a minute (R6, R7 of the settled contradictions).
BUILT_IN: tuple[Tier, ...] = (
    Tier("anonymous", "Anonymous", policy="byok", rpm=5, tpm=500, concurrent=1),
    Tier(
        "free",
        "Free",
        monthly_token_quota=50_000,
        monthly_request_quota=100,
        max_tokens_per_request=4_000,
        rpm=5,
        tpm=8_000,
        concurrent=1,
        features=frozenset({"basic_ai"}),
    ),
    Tier(
        "starter",
        "Starter",
        price_nano=19 * _DOLLAR_NANO,
        monthly_token_quota=500_000,
        monthly_request_quota=1_000,
        max_tokens_per_request=4_000,
        rpm=10,
        tpm=20_000,
        concurrent=2,
        features=frozenset({"basic_ai"}),
    ),
    Tier(
        "professional",
        "Professional",
        aliases=("pro", "growth"),
        price_nano=99 * _DOLLAR_NANO,
        monthly_token_quota=5_000_000,
        monthly_request_quota=10_000,
        max_tokens_per_request=8_000,
        rpm=100,
        tpm=100_000,
        concurrent=10,
        features=frozenset({"basic_ai", "advanced_ai", "analytics"}),
    ),
    Tier(
        "enterprise",
        "Enterprise",
        price_nano=499 * _DOLLAR_NANO,
        monthly_token_quota=50_000_000,
        monthly_request_quota=100_000,
        max_tokens_per_request=32_000,
        rpm=1_000,
        tpm=1_000_000,
        concurrent=50,
        features=frozenset({"basic_ai", "advanced_ai", "analytics", "priority_support"}),
    ),
)


ORDER: Final = tuple(tier.key for tier in BUILT_IN)
"""The built-in tiers, lowest first."""


class Tiers:
    """Every tier, found by key or alias. Immutable: a reload makes a new one."""

    def __init__(self, tiers: Iterable[Tier], *, default: str, order: Sequence[str] | None = None) -> None:
        """`order`: keys or aliases, lowest first; a tier that is not in it is above and below none. None: the built-in one.

        Raises: ValueError, beginning with the key of the configuration that is wrong.
        """
        self.by_key: Mapping[str, Tier] = MappingProxyType({tier.key: tier for tier in tiers})
        names = {key: key for key in self.by_key}
        for tier in self.by_key.values():
            for alias in tier.aliases:
                if names.setdefault(alias, tier.key) != tier.key:
                    raise ValueError(f"tiers.{tier.key}.aliases: {alias!r} already names tier {names[alias]!r}")
        self._names = names
        if default not in names:
            raise ValueError(f"charging.default_tier: there is no tier {default!r}; known: {', '.join(sorted(names))}")
        self.default = self.by_key[names[default]]
        self._ranks = self._ranked([key for key in ORDER if key in names] if order is None else order)

    def _ranked(self, order: Sequence[str]) -> Mapping[str, int]:
        ranks: dict[str, int] = {}
        for rank, name in enumerate(order):
            key = self._names.get(name)
            if key is None:
                raise ValueError(f"charging.tier_order: there is no tier {name!r}; remove it or add [tiers.{name}]")
            if key in ranks:
                raise ValueError(f"charging.tier_order: names tier {key!r} twice; keep one")
            ranks[key] = rank
        return MappingProxyType(ranks)

    def rank(self, name: str) -> int | None:
        """The tier's place in the order, 0 the lowest; None for a tier outside it."""
        return self._ranks.get(self.of(name).key)

    def is_at_least(self, name: str, required: str) -> bool:
        """Whether a tier is the required one or above it. A tier outside the order is at least itself and nothing else."""
        key, floor = self.of(name).key, self._names.get(required, required)
        if key == floor:
            return True
        mine, least = self._ranks.get(key), self._ranks.get(floor)
        return mine is not None and least is not None and mine > least

    def key_of(self, name: str) -> str | None:
        """The tier key that a name or alias means; None when it means none."""
        return self._names.get(name)

    def of(self, name: str) -> Tier:
        """The tier of a key or alias; the default one for a name that means none."""
        key = self._names.get(name)
        return self.default if key is None else self.by_key[key]


def name_of(key: str) -> str:
    """How a tier is shown of which nobody has said it."""
    return key[:1].upper() + key[1:]


def merged(overrides: Mapping[str, Mapping[str, object]], *, policy: Policy) -> list[Tier]:
    """The built-in tiers with the operator's keys laid over them, then the operator's own tiers.

    Args:
        overrides: tier key → the fields that the operator's file names, as `Tier` spells them.
        policy: the charging policy of tiers that do not name one.
    """
    built_in = {tier.key: tier if tier.policy == "byok" else replace(tier, policy=policy) for tier in BUILT_IN}
    made = {
        key: replace(built_in.get(key, Tier(key, name_of(key), policy=policy)), **fields)  # type: ignore[arg-type]  # the configuration has typed them
        for key, fields in overrides.items()
    }
    return list({**built_in, **made}.values())
