"""From the names in a request to the targets that may serve it, and from a target to its provider. No wire, no price."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from methods.dialects.canonical import ChatReply
from methods.errors import UnknownModel, UnknownProvider
from methods.providers import falling_back
from methods.providers.base import Ask, Batches, Provider
from methods.providers.falling_back import OnTarget
from monetization.terms import Target


@dataclass(frozen=True, slots=True)
class RoutingConfig:
    """`[routing]`."""

    default_provider: str | None = None
    default_model: str | None = None
    fallbacks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Model, or `provider/model` → what is asked when it fails, in order, each as a model or `provider/model`."""


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

    Without a catalogue, a provider with an empty list takes any name, and the vendor decides.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        *,
        models: Mapping[str, Sequence[str]] | None = None,
        routing: RoutingConfig | None = None,
        catalogue: Catalogue | None = None,
        clock: Callable[[], float],
    ) -> None:
        self.clock = clock
        """Monotonic seconds: the clock that providers are timed with."""
        self.providers = dict(providers)
        """Configured name → provider."""
        self.routing = routing or RoutingConfig()
        self.default_provider = self.routing.default_provider
        self._models = {name: tuple((models or {}).get(name, ())) for name in self.providers}
        self._catalogue = catalogue

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
        """What may serve a call: the first choice, then its fallbacks. Raises: UnknownProvider, UnknownModel."""
        first = self._first(provider or None, model or None)
        targets = [first]
        fallbacks = self.routing.fallbacks
        for name in fallbacks.get(f"{first.provider}/{first.model}", fallbacks.get(first.model, ())):
            target = self._by_model(name)
            if target not in targets:
                targets.append(target)
        return tuple(targets)

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
        """A model without a provider: who lists it, `provider/model`, who has a price for it, the default provider."""
        order = self._in_order()
        for name in order:
            if model in self._models[name]:
                return Target(name, model, self.providers[name].kind)
        head, slash, rest = model.partition("/")
        if slash and rest and head in self.providers:
            return self._of_provider(head, rest)
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


def _unknown_model(what: str, **data: object) -> UnknownModel:
    return UnknownModel(f"{what}; listAllowedModels names those that are served", data=data)
