"""All that commerce may know of a method: its terms, and the most that one call of it can cause."""

from dataclasses import dataclass, field

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


@fact
class Most:
    """The greatest usage that one call can cause, before it runs."""

    targets: tuple[Target, ...] = ()
    """Everything that may serve the call: the first choice, then its fallbacks."""
    tokens_input: int = 0
    """Upper estimate of the tokens in."""
    tokens_output: int = 0
    """The most tokens out that the provider is told to produce."""
    tokens_input_likely: int = 0
    """What the tokens in will most likely come to: charged where no provider ever counted them."""
    has_media: bool = False
    """True: images or audio go in, which some models price apart from text."""
    marks_cache: bool = False
    """True: the request asks the provider to write its prompt cache, which some providers price above fresh input."""
    is_output_asked: bool = False
    """True: the caller named `tokens_output` itself. False: it is a default, and a tier may lower it silently."""
    plan: object = field(default=None, compare=False, repr=False)
    """What the method made of its parameters to know all this; its handler goes by it, so what was quoted is what is sent."""
