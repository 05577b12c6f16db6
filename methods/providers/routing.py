"""From the names in a request to the targets that may serve it, and from a target to its provider. No wire, no price.

A model's name means, in this order: an alias; a model that a provider lists, the default provider's first; `provider/model`; the
provider whose pattern it fits; a model with a price, the default provider's first. Where the call names its provider, an alias
means its targets there, and the name is else a model of that provider; nobody else is as good then.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Protocol

from methods.dialects.canonical import ChatReply
from methods.errors import UnknownModel, UnknownProvider
from methods.providers import falling_back
from methods.providers.base import Ask, Batches, Provider
from methods.providers.choosing import Chooser
from methods.providers.falling_back import OnTarget
from methods.providers.names import RoutingConfig
from monetization.terms import Most, Route, Target


class Catalogue(Protocol):
    """Which models have a price: what a provider without a list of models serves."""

    def knows(self, target: Target) -> bool:
        """Whether this model has a price now."""
        ...

    def models(self, provider: str, kind: str) -> Iterable[str]:
        """The models with a price."""
        ...


class Router:
    """Knows all providers. `models` holds each provider's configured list; an empty one means: every model with a price.

    Without a catalogue, a provider with an empty list takes any name, and the vendor decides. Without a chooser, equal targets
    are asked in the order in which they are declared.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        *,
        models: Mapping[str, Sequence[str]] | None = None,
        routing: RoutingConfig | None = None,
        catalogue: Catalogue | None = None,
        chooser: Chooser | None = None,
        clock: Callable[[], float],
    ) -> None:
        """Raises: UnknownProvider, where the routing names one that is not there."""
        self.clock = clock
        """Monotonic seconds: the clock that providers are timed with."""
        self.providers = dict(providers)
        """Configured name → provider."""
        self.routing = routing or RoutingConfig()
        self.default_provider = self.routing.default_provider
        self._models = {name: tuple((models or {}).get(name, ())) for name in self.providers}
        self._catalogue = catalogue
        self._chooser = chooser
        self._patterns = [(pattern.rstrip("*"), name) for pattern, name in self.routing.patterns.items()]
        self._aliases = {name: self._alias(name, weights) for name, weights in self.routing.aliases.items()}
        for name in {to for of_tier in self.routing.substitutes.values() for to in of_tier.values()} - {*self._aliases}:
            self._exactly(name)  # now, because it is needed in the middle of a call
        self._groups: dict[Target, Route] = {}
        for group in self.routing.equivalents.values():
            equals = [self._exactly(name) for name in group.models]
            for asked in equals:
                others = [target for target in equals if target != asked]
                self._groups[asked] = Route((asked, *others), asked=asked, choice=group.policy)

    @property
    def aliases(self) -> tuple[str, ...]:
        """The names that stand for models, in the declared order."""
        return tuple(self._aliases)

    def provider(self, target: Target) -> Provider:
        """The provider of a target that `resolve` gave. Raises: UnknownProvider."""
        return self._named(target.provider)

    def models(self, provider: str) -> list[str]:
        """The models of a provider that can be named, in order. Raises: UnknownProvider."""
        kind = self._named(provider).kind
        configured = self._models[provider]
        if configured or self._catalogue is None:
            return list(configured)
        return sorted(self._catalogue.models(provider, kind))

    def resolve(self, provider: str | None, model: str | None) -> tuple[Target, ...]:
        """Everybody who may serve a call, in the declared order. Raises: UnknownProvider, UnknownModel."""
        return self.route(provider, model).targets

    def route(self, provider: str | None, model: str | None) -> Route:
        """Who may serve a call: those equal to what was asked for, then the fallbacks. Raises: UnknownProvider, UnknownModel."""
        route = self._aliased(provider or None, model or None)
        if route is None:
            first = self._first(provider or None, model or None)
            route = Route((first,), asked=first)
            if self._groups and not provider and model != f"{first.provider}/{first.model}":
                route = self._groups.get(first, route)
        names = self._fallbacks_of(route) if self.routing.fallbacks else ()
        return route.with_fallbacks(self._beside(route.equals, names)) if names else route

    def choose(self, tier: str, most: Most) -> Most:
        """The same call with the best of the equal targets first: of those that serve the tier's callers instead, if any do.

        Raises: UnknownModel, where nobody serves a fallback any more.
        """
        route = most.route
        if route is None:
            return most
        substitutes = self.routing.substitutes.get(tier)
        if substitutes is not None:
            route = self._substituted(substitutes, route)
        if route.choice != "declared" and self._chooser is not None:
            return most.routed(route, self._chooser.ordered(route, most) + route.fallbacks)
        return most if route is most.route else most.routed(route, route.targets)

    def in_place_of(self, target: Target) -> tuple[Target, ...]:
        """What the operator declares to serve in the place of a model: its equivalents, then its fallbacks."""
        route = self._groups.get(target) or Route((target,))
        names = self._fallbacks_of(route)
        return route.equals[1:] + self._beside(route.equals, names)

    async def complete(self, targets: Sequence[Target], ask: Ask, on_target: OnTarget) -> ChatReply:
        """The answer of the first target that gives one; `on_target` hears of each just before it is asked."""
        return await falling_back.complete(self._chain(targets, ask), ask, on_target)

    def stream(self, targets: Sequence[Target], ask: Ask, on_target: OnTarget) -> AbstractAsyncContextManager[Batches]:
        """The stream of the first target that begins one. After its first event no other target is asked."""
        return falling_back.stream(self._chain(targets, ask), ask, on_target)

    def _chain(self, targets: Sequence[Target], ask: Ask) -> list[tuple[Target, Provider]]:
        """Targets with their providers. A caller's own key stays with the provider that it was given for."""
        assert targets, "a call has at least one target"
        if ask.own_key is not None and len(targets) > 1:
            targets = [target for target in targets if target.provider == targets[0].provider]
        return [(target, self._named(target.provider)) for target in targets]

    # What stands beside a model ----------------------------------------------------------------------------------------

    def _alias(self, name: str, weights: Mapping[str, int]) -> Route:
        """What an alias stands for, before its fallbacks."""
        equals = tuple(self._exactly(target) for target in weights)
        if len(equals) == 1:
            return Route(equals, asked=equals[0], name=name)
        return Route(equals, name=name, choice=self.routing.balance, weights=tuple(weights.values()))

    def _aliased(self, provider: str | None, model: str | None) -> Route | None:
        """What an alias stands for; None where the name is none, or none of its targets is at the named provider."""
        route = self._aliases.get(model) if model is not None else None
        if route is None:
            return None
        if provider is not None:
            return route.of_provider(provider)
        if self._groups and route.asked in self._groups:
            return replace(self._groups[route.asked], name=route.name)
        return route

    def _substituted(self, substitutes: Mapping[str, str], route: Route) -> Route:
        """The route to what serves instead, measured against what was asked for; the same where nothing does."""
        asked = route.asked
        names = [] if route.name is None else [route.name]
        if asked is not None:
            names += [f"{asked.provider}/{asked.model}", asked.model]
        instead = next((substitutes[name] for name in names if name in substitutes), None)
        if instead is None:
            fits = (to for pattern, to in substitutes.items() for name in names if _fits(pattern, name))
            instead = next(fits, None)
        if instead is None:
            return route
        other = self._aliased(None, instead)
        if other is None:
            target = self._exactly(instead)
            other = self._groups.get(target) or Route((target,))
        if asked is not None and asked in other.equals:
            return route
        names_after = self._fallbacks_of(other) if self.routing.fallbacks else ()
        return replace(other, fallbacks=self._beside(other.equals, names_after), asked=asked, name=route.name)

    def _fallbacks_of(self, route: Route) -> Sequence[str]:
        fallbacks = self.routing.fallbacks
        if route.name is not None and route.name in fallbacks:
            return fallbacks[route.name]
        first = route.equals[0]
        return fallbacks.get(f"{first.provider}/{first.model}", fallbacks.get(first.model, ()))

    def _beside(self, equals: tuple[Target, ...], names: Sequence[str]) -> tuple[Target, ...]:
        """The targets of names, without those that are there already."""
        found: list[Target] = []
        for name in names:
            alias = self._aliases.get(name)
            for target in (self._by_model(name),) if alias is None else alias.equals:
                if target not in equals and target not in found:
                    found.append(target)
        return tuple(found)

    # What a name means -------------------------------------------------------------------------------------------------

    def _exactly(self, name: str) -> Target:
        """A target as the operator writes it: `provider/model`."""
        provider, _, model = name.partition("/")
        return Target(provider, model, self._named(provider).kind)

    def _first(self, provider: str | None, model: str | None) -> Target:
        if provider is not None:
            self._named(provider)
            return self._of_provider(provider, model)
        if model is not None:
            return self._by_model(model)
        if self.routing.default_model is not None:
            name = self.routing.default_provider
            return self._by_model(self.routing.default_model) if name is None else self._of_provider(name, None)
        names = [self.routing.default_provider] if self.routing.default_provider else list(self.providers)
        if len(names) == 1:
            return self._of_provider(names[0], None)
        raise UnknownModel(
            "name a model; this server has no default one (listAllowedModels names those that are served)"
        )

    def _of_provider(self, provider: str, model: str | None) -> Target:
        """A model of a named provider, or its default one."""
        known = self._named(provider)
        if model is not None:
            bare = model.removeprefix(f"{provider}/")
            for name in (model, bare):
                target = Target(provider, name, known.kind)
                if self._serves(target):
                    return target
            raise _unknown_model(
                f"provider {provider!r} does not serve model {model!r}", provider=provider, model=model
            )
        default = self.routing.default_model
        if default is not None and self.routing.default_provider in (None, provider):
            target = Target(provider, default.removeprefix(f"{provider}/"), known.kind)
            if self._serves(target):
                return target
        if self._models[provider]:
            return Target(provider, self._models[provider][0], known.kind)
        raise _unknown_model(f"name a model of provider {provider!r}; it has no default one", provider=provider)

    def _by_model(self, model: str) -> Target:
        """A model without a provider, no alias: see above, and the default provider where nobody knows prices."""
        order = self._in_order()
        for name in order:
            if model in self._models[name]:
                return Target(name, model, self.providers[name].kind)
        head, slash, rest = model.partition("/")
        if slash and rest and head in self.providers:
            return self._of_provider(head, rest)
        for begin, name in self._patterns:
            target = Target(name, model, self._named(name).kind)
            if model.startswith(begin) and self._serves(target):
                return target
        if self._catalogue is not None:
            for name in order:
                target = Target(name, model, self.providers[name].kind)
                if self._serves(target):
                    return target
        elif self.default_provider is not None and not self._models[self._named(self.default_provider).name]:
            return Target(self.default_provider, model, self.providers[self.default_provider].kind)
        raise _unknown_model(f"no configured provider serves model {model!r}", model=model)

    def _in_order(self) -> list[str]:
        """All names, the default provider first."""
        return sorted(self.providers, key=lambda name: name != self.default_provider)

    def _serves(self, target: Target) -> bool:
        listed = self._models[target.provider]
        if listed:
            return target.model in listed
        return self._catalogue is None or self._catalogue.knows(target)

    def _named(self, name: str) -> Provider:
        try:
            return self.providers[name]
        except KeyError:
            raise UnknownProvider(
                f"no provider {name!r} is configured; listProviders names those that are", data={"provider": name}
            ) from None


def _fits(pattern: str, name: str) -> bool:
    return pattern.endswith("*") and name.startswith(pattern[:-1])


def _unknown_model(what: str, **data: object) -> UnknownModel:
    return UnknownModel(f"{what}; listAllowedModels names those that are served", data=data)
