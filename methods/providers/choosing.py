"""Which of several equal targets is asked first. It only orders them: who may serve at all is declared, and a plan narrows it."""

from collections.abc import Callable, Mapping
from math import log
from typing import Protocol, assert_never

from methods.providers.latencies import Latencies
from monetization.terms import Most, Route, Target


class Costs(Protocol):
    """What a call most likely costs where."""

    def cost(self, target: Target, most: Most) -> int | None:
        """In nano dollars, at the prices of now. None: no price is known."""
        ...


class Chooser:
    """Orders equal targets; one whose provider is left alone, or has no free place, comes after all others.

    `random` draws from [0, 1). `is_well` tells of a provider, by its configured name, whether it takes calls now.
    """

    def __init__(
        self,
        *,
        random: Callable[[], float],
        latencies: Latencies,
        costs: Costs | None = None,
        is_well: Mapping[str, Callable[[], bool]] | None = None,
    ) -> None:
        self._random = random
        self._latencies = latencies
        self._costs = costs
        self._is_well = is_well or {}

    def ordered(self, route: Route, most: Most) -> tuple[Target, ...]:
        """The equal targets of a route, the best first. Of equally good ones the first declared is better.

        Leaving some of them out afterwards leaves a fair choice among the others.
        """
        match route.choice:
            case "declared":
                ranks: dict[Target, float] = dict.fromkeys(route.equals, 0)
            case "weighted":
                # The smallest of exponentially distributed numbers is each one's with a chance of its weight's share.
                weights = zip(route.equals, route.weights, strict=True)
                ranks = {target: -log(1.0 - self._random()) / weight for target, weight in weights}
            case "least_latency" | "fastest":
                ranks = {target: self._latencies.rank(target) for target in route.equals}
            case "cheapest":
                ranks = self._priced(route, most)
            case _:
                assert_never(route.choice)
        return tuple(sorted(ranks, key=lambda target: (not self._takes_calls(target), ranks[target])))

    def _priced(self, route: Route, most: Most) -> dict[Target, float]:
        """What each costs; who has no price is no choice, unless nobody has one."""
        costs = self._costs
        found = {} if costs is None else {target: costs.cost(target, most) for target in route.equals}
        return {target: cost for target, cost in found.items() if cost is not None} or dict.fromkeys(route.equals, 0)

    def _takes_calls(self, target: Target) -> bool:
        is_well = self._is_well.get(target.provider)
        return is_well is None or is_well()
