"""All that commerce may know of a method: its terms, and the most that one call of it can cause."""

from dataclasses import dataclass, field
from typing import Literal

from monetization.images import image_tokens_beyond
from storage.records.fact import fact


@dataclass(frozen=True, slots=True)
class Terms:
    """What is commercially true of every call of a method."""

    is_metered: bool = False
    """True: the method can reach a paid provider, so a tab is opened around every call. False: it is free, no tab."""
    feature: str | None = None
    """The feature a tier must include. None: every tier may call it."""


FREE = Terms()


@fact
class Target:
    """A provider and a model that may serve a call."""

    provider: str
    """The configured name, as in `[providers.NAME]`."""
    model: str
    kind: str = ""
    """The provider's kind (openai, anthropic, google, simulator), for the price book."""


Choice = Literal["declared", "weighted", "least_latency", "cheapest", "fastest"]
"""How one of several equal targets is chosen. `declared`: in the order in which they were declared."""


@fact
class Route:
    """Who may serve what a call asks for, as the operator declares it; a caller's plan may narrow it."""

    equals: tuple[Target, ...]
    """Any of these is as good as what was asked for; the one that was named, or was declared first, comes first."""
    fallbacks: tuple[Target, ...] = ()
    """Who is asked when none of them answers, in order."""
    asked: Target | None = None
    """The one model that was asked for, which a saving is measured against. None: the name stands for several alike."""
    name: str | None = None
    """What the caller said, where that is an alias."""
    choice: Choice = "declared"
    weights: tuple[int, ...] = ()
    """Of the equal ones, in their order, where they are chosen by weight."""

    @property
    def targets(self) -> tuple[Target, ...]:
        """Everybody, in the declared order."""
        return self.equals + self.fallbacks if self.fallbacks else self.equals

    def with_fallbacks(self, fallbacks: tuple[Target, ...]) -> "Route":
        """The same with these fallbacks. Written out: `replace` takes five times as long, and calls wait for it."""
        return Route(self.equals, fallbacks, self.asked, self.name, self.choice, self.weights)

    def of_provider(self, provider: str) -> "Route | None":
        """The same within one provider, in the declared order. None: it serves none of the equal ones."""
        equals = tuple([target for target in self.equals if target.provider == provider])
        if not equals:
            return None
        fallbacks = tuple([target for target in self.fallbacks if target.provider == provider])
        asked = equals[0] if len(equals) == 1 and self.asked is None else self.asked
        return Route(equals, fallbacks, asked, self.name)


@fact
class Most:
    """The greatest usage that one call can cause, before it runs."""

    targets: tuple[Target, ...] = ()
    """Everything that may serve the call: the first choice, those equal to it, then the fallbacks."""
    tokens_input: int = 0
    """Upper estimate of the tokens in."""
    tokens_output: int = 0
    """The most tokens out that the provider is told to produce."""
    tokens_input_likely: int = 0
    """What the tokens in will most likely come to: charged where no provider ever counted them."""
    has_media: bool = False
    """True: images or audio go in, which some models price apart from text."""
    images: int = 0
    """How many images may be looked at in all their detail, which some models count more for."""
    marks_cache: bool = False
    """True: the request asks the provider to write its prompt cache, which some providers price above fresh input."""
    is_output_asked: bool = False
    """True: the caller named `tokens_output` itself. False: it is a default, and a tier may lower it silently."""
    route: Route | None = field(default=None, compare=False)
    """Where the targets come from. None: only the first is what was asked for, and nothing is to be chosen."""
    plan: object = field(default=None, compare=False, repr=False)
    """What the method made of its parameters to know all this; its handler goes by it, so what was quoted is what is sent."""

    def routed(self, route: Route, targets: tuple[Target, ...]) -> "Most":
        """The same call, served otherwise. Written out: `replace` takes five times as long, and calls wait for it."""
        more = image_tokens_beyond(targets) - image_tokens_beyond(self.targets) if self.images else 0
        return Most(
            targets,
            self.tokens_input + self.images * more if more > 0 else self.tokens_input,
            self.tokens_output,
            self.tokens_input_likely,
            has_media=self.has_media,
            images=self.images,
            marks_cache=self.marks_cache,
            is_output_asked=self.is_output_asked,
            route=route,
            plan=self.plan,
        )
