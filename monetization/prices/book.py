"""The price book: finds the price of a model that is valid at an instant. Unknown is a fault, never zero."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from monetization.errors import PriceUnknown
from monetization.prices.rates import STANDARD, Price, Processing, Rates
from monetization.terms import Most, Target

CEILING: Final = "ceiling"
"""The price version of a model that nobody has a price for, where the operator set a ceiling instead of a refusal."""
_TIMELINES_KEPT: Final = 4096
"""More than all vendors' models together that one server will see."""


class Source(Protocol):
    """One place where prices come from."""

    def find(self, target: Target) -> Sequence[Price]:
        """Every price this source knows for the target, oldest first; empty when it knows none."""
        ...

    def models(self, provider: str, kind: str) -> Iterable[str]:
        """The models of a provider that this source has a price for now."""
        ...


@dataclass(frozen=True, slots=True)
class Table:
    """A source from explicit rows: the operator's configuration, the legacy book, or the prices set at run time."""

    rows: Mapping[str, tuple[Price, ...]]
    """`provider/model` or `kind/model` → prices, oldest first. The configured provider's name wins over its kind."""

    def find(self, target: Target) -> Sequence[Price]:
        """See `Source`."""
        return (
            self.rows.get(f"{target.provider}/{target.model}") or self.rows.get(f"{target.kind}/{target.model}") or ()
        )

    def models(self, provider: str, kind: str) -> Iterable[str]:
        """See `Source`."""
        prefixes = {f"{provider}/", f"{kind}/"}
        return [key.split("/", 1)[1] for key in self.rows if any(key.startswith(prefix) for prefix in prefixes)]


class PriceBook:
    """Sources in order of precedence. Immutable: a price set at run time makes a new book, so a call sees one book only."""

    def __init__(self, sources: Sequence[Source], *, ceiling: Rates | None = None) -> None:
        """`ceiling` is what a model costs that no source knows; None: such a model is refused."""
        self._sources = tuple(sources)
        self._ceiling = ceiling
        self._timelines: dict[Target, tuple[tuple[int, ...], tuple[Price, ...]]] = {}

    def find(self, target: Target, at_us: int, processing: Processing = STANDARD) -> Price:
        """The price of the model at an instant (Unix microseconds), for calls handled in this way. Raises: PriceUnknown."""
        price = self._standard(target, at_us).processed_as(processing)
        if price is None:
            raise PriceUnknown(
                f"no price of {processing} processing is known for {target.provider}/{target.model}; add it to [prices]",
                data={"provider": target.provider, "model": target.model[:128], "processing": processing},
            )
        return price

    def _standard(self, target: Target, at_us: int) -> Price:
        timeline = self._timelines.get(target)
        if timeline is None:
            timeline = self._merge(target)
            if timeline[1]:  # names without a price are not kept: anybody may invent them
                if len(self._timelines) >= _TIMELINES_KEPT:  # and names that begin like one with a price, too
                    self._timelines.clear()
                self._timelines[target] = timeline
        starts, prices = timeline
        index = bisect_right(starts, at_us) - 1
        if index < 0 and self._ceiling is not None:
            return Price(target.model, CEILING, 0, self._ceiling)
        if index < 0:
            raise PriceUnknown(
                f"no price is known for {target.provider}/{target.model}; add it to [prices] or choose another model",
                data={"provider": target.provider, "model": target.model[:128]},
            )
        return prices[index]

    def most(self, most: Most, at_us: int) -> tuple[int, Price]:
        """The greatest cost of a call in nano dollars over everything that may serve it, and the first choice's price.

        Raises: PriceUnknown, also when only a fallback has no price.
        """
        dearest, first = 0, None
        for target in most.targets:
            price = self.find(target, at_us)
            if most.tokens_output and not price.is_output_priced:
                raise PriceUnknown(
                    f"{target.provider}/{target.model} has no price for output; choose a model that answers in text",
                    data={"provider": target.provider, "model": target.model[:128]},
                )
            cost = price.most(
                tokens_input=most.tokens_input,
                tokens_output=most.tokens_output,
                has_media=most.has_media,
                # Anthropic writes its cache only where the request marks it; the others decide by themselves.
                writes_cache=most.marks_cache or target.kind != "anthropic",
            )
            dearest, first = max(dearest, cost), first or price
        assert first is not None, "a call that may cost something names what may serve it"
        return dearest, first

    def likely(self, target: Target, most: Most, at_us: int) -> int | None:
        """What a call most likely costs in nano dollars if its answer is as long as it may be. None: no price is known for it."""
        try:
            price = self.find(target, at_us)
        except PriceUnknown:
            return None
        if most.tokens_output and not price.is_output_priced:
            return None
        tokens_input = most.tokens_input_likely or most.tokens_input
        return price.most(
            tokens_input=tokens_input,
            tokens_output=most.tokens_output,
            has_media=most.has_media,
            writes_cache=most.marks_cache,
        )

    def models(self, provider: str, kind: str) -> list[str]:
        """Every model of a provider that has a price, sorted."""
        return sorted({model for source in self._sources for model in source.models(provider, kind)})

    def knows(self, target: Target, at_us: int) -> bool:
        """Whether the model has a price at the instant."""
        try:
            self.find(target, at_us)
        except PriceUnknown:
            return False
        return True

    def _merge(self, target: Target) -> tuple[tuple[int, ...], tuple[Price, ...]]:
        """One timeline: a price of an earlier source holds from its own start on, whatever later sources say after it."""
        merged: list[Price] = []
        until: int | None = None
        for source in self._sources:
            if until is not None and until <= 0:
                break  # a price that has always held leaves no time to those behind it
            found = sorted(source.find(target), key=lambda price: price.valid_from_us)
            kept = [price for price in found if until is None or price.valid_from_us < until]
            merged = kept + merged
            if kept:
                until = kept[0].valid_from_us
        return tuple(price.valid_from_us for price in merged), tuple(merged)
