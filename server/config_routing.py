"""`[routing]` of the configuration file: which provider and model a name means, and what contradicts itself there."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field

from server.config_values import Names, Section

if TYPE_CHECKING:
    from monetization.tiers import Tier, Tiers
    from server.config import Settings
    from server.config_sections import ProviderSettings

Problem = tuple[str, str]
"""The key, and what is wrong with it and what to do."""

Weight = Annotated[int, Field(ge=1, le=1_000_000)]


def _weighed(value: object) -> object:
    return {value: 1} if isinstance(value, str) else value


class EquivalentsSettings(Section):
    """`[routing.equivalents.NAME]`: models that do the same work, in the operator's judgement."""

    models: Annotated[Names, Field(min_length=2)]
    """Each as `provider/model`."""
    policy: Literal["cheapest", "fastest"]
    """Which of them serves a call that asks for one of them and names no provider."""


class RoutingSettings(Section):
    """`[routing]`."""

    default_provider: str | None = None
    default_model: str | None = None
    fallbacks: dict[str, Names] = Field(default_factory=dict)
    """Model, `provider/model` or alias → what is asked when it fails, in order, in the same words."""
    aliases: dict[str, Annotated[dict[str, Weight], BeforeValidator(_weighed), Field(min_length=1)]] = Field(
        default_factory=dict
    )
    """Name → the `provider/model` that it stands for, or several, each with its weight."""
    patterns: dict[str, str] = Field(default_factory=dict)
    """A name that ends in `*` → the provider of models that begin so; the first that fits counts."""
    balance: Literal["weighted", "least_latency"] = "weighted"
    """How one of several targets of an alias is chosen."""
    equivalents: dict[str, EquivalentsSettings] = Field(default_factory=dict)
    substitutes: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Tier → model, `provider/model`, alias or pattern → the `provider/model` or alias that serves its callers instead."""


def contradictions(settings: "Settings", tiers: "Tiers | None") -> Iterator[Problem]:
    """What is named and not there. `tiers`: None where they contradict themselves, which is told elsewhere."""
    yield from _defaults(settings)
    yield from _fallbacks(settings)
    yield from _names(settings)
    yield from _equivalents(settings)
    if tiers is not None:
        yield from _substitutes(settings, tiers)


def _defaults(settings: "Settings") -> Iterator[Problem]:
    routing, providers = settings.routing, settings.providers
    if routing.default_model is not None and routing.default_provider is None:
        yield "routing.default_model", "needs default_provider; name the provider that serves it"
    if routing.default_provider is not None:
        provider = providers.get(routing.default_provider)
        if provider is None:
            yield (
                "routing.default_provider",
                f"there is no [providers.{routing.default_provider}]; add it or name another",
            )
        elif provider.models and routing.default_model is not None and routing.default_model not in provider.models:
            yield "routing.default_model", f"is not in providers.{routing.default_provider}.models; add it there"


def _fallbacks(settings: "Settings") -> Iterator[Problem]:
    for model, others in settings.routing.fallbacks.items():
        for other in (model, *others):
            if other not in settings.routing.aliases and not _is_served(other, settings.providers):
                yield (
                    f"routing.fallbacks.{model}",
                    f"no configured provider serves {other!r}; configure one or remove it",
                )


def _names(settings: "Settings") -> Iterator[Problem]:
    routing, providers = settings.routing, settings.providers
    for name, targets in routing.aliases.items():
        for target in targets:
            yield from _exactly(f"routing.aliases.{name}", target, providers)
    for pattern, provider in routing.patterns.items():
        if not pattern.endswith("*") or "*" in pattern[:-1]:
            yield f"routing.patterns.{pattern}", 'must end in its only "*", as "claude-*" does'
        if provider not in providers:
            yield f"routing.patterns.{pattern}", f"there is no [providers.{provider}]; add it or name another"


def _equivalents(settings: "Settings") -> Iterator[Problem]:
    found: dict[str, str] = {}
    for name, group in settings.routing.equivalents.items():
        for model in group.models:
            yield from _exactly(f"routing.equivalents.{name}", model, settings.providers)
            if found.setdefault(model, name) != name:
                yield f"routing.equivalents.{name}", f"{model!r} is in {found[model]!r} already; keep it in one of them"


def _substitutes(settings: "Settings", tiers: "Tiers") -> Iterator[Problem]:
    routing = settings.routing
    for name, substitutes in routing.substitutes.items():
        tier = tiers.by_key.get(name)
        if tier is None:
            known = ", ".join(sorted(tiers.by_key))
            yield f"routing.substitutes.{name}", f"there is no tier of this key; known: {known}"
            continue
        for model, instead in substitutes.items():
            key = f"routing.substitutes.{name}.{model}"
            targets = routing.aliases.get(instead, {instead: 1})
            for target in targets:
                yield from _exactly(key, target, settings.providers)
            if not any(_includes(tier, target) for target in targets):
                yield key, f"tier {name!r} does not include {instead!r}; add it to the tier, or name another"


def _includes(tier: "Tier", target: str) -> bool:
    provider, _, model = target.partition("/")
    return tier.includes_provider(provider) and tier.includes_model(model)


def _exactly(key: str, name: str, providers: "dict[str, ProviderSettings]") -> Iterator[Problem]:
    provider, slash, model = name.partition("/")
    if not slash or not model:
        yield key, f'{name!r} names no provider; write it as "provider/model"'
    elif provider not in providers:
        yield key, f"there is no [providers.{provider}]; add it or name another"
    elif not _is_served(name, providers):
        yield key, f"{model!r} is not in providers.{provider}.models; add it there"


def _is_served(model: str, providers: "dict[str, ProviderSettings]") -> bool:
    if any(model in provider.models for provider in providers.values()):
        return True
    owner, slash, rest = model.partition("/")
    if slash:
        return owner in providers and (not providers[owner].models or rest in providers[owner].models)
    return any(not provider.models for provider in providers.values())
