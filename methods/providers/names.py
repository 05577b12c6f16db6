"""What the operator's `[routing]` says about names, as values. Nothing is looked up here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Balance = Literal["weighted", "least_latency"]
Policy = Literal["cheapest", "fastest"]


@dataclass(frozen=True, slots=True)
class Equivalents:
    """Models that do the same work, in the operator's judgement."""

    models: tuple[str, ...]
    """Each as `provider/model`."""
    policy: Policy


@dataclass(frozen=True, slots=True)
class RoutingConfig:
    """`[routing]`."""

    default_provider: str | None = None
    default_model: str | None = None
    fallbacks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Model, `provider/model` or alias → what is asked when it fails, in order, in the same words."""
    aliases: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Name → the `provider/model` that it stands for, or several, each with its weight."""
    patterns: Mapping[str, str] = field(default_factory=dict)
    """A name that ends in `*` → the provider of models that begin so; the first that fits counts."""
    balance: Balance = "weighted"
    """How one of several targets of an alias is chosen."""
    equivalents: Mapping[str, Equivalents] = field(default_factory=dict)
    """By a name that only the configuration knows."""
    substitutes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Tier key → model, `provider/model`, alias or pattern → the `provider/model` or alias that serves its callers instead."""

    def named(self) -> Iterator[tuple[str, str]]:
        """Every `provider/model` that must be served, and where the configuration names it."""
        for alias, targets in self.aliases.items():
            yield from ((f"routing.aliases.{alias}", target) for target in targets)
        for name, group in self.equivalents.items():
            yield from ((f"routing.equivalents.{name}", target) for target in group.models)
        for tier, substitutes in self.substitutes.items():
            for model, instead in substitutes.items():
                if instead not in self.aliases:
                    yield f"routing.substitutes.{tier}.{model}", instead

    def measured(self) -> Iterator[tuple[str, str]]:
        """Provider and model of every target that is chosen by its latency."""
        names: list[str] = []
        if self.balance == "least_latency":
            names += [name for alias in self.aliases.values() if len(alias) > 1 for name in alias]
        for group in self.equivalents.values():
            names += group.models if group.policy == "fastest" else ()
        for name in names:
            provider, _, model = name.partition("/")
            yield provider, model
