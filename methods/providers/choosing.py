"""Which of several equal targets is asked first. It only orders them: who may serve at all is declared, and a plan narrows it."""

from collections.abc import Callable, Mapping, Sequence
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
        equals = route.equals
        match route.choice:
            case "declared":
                ranks: Sequence[float] = [0] * len(equals)
            case "weighted":
                # The smallest of exponentially distributed numbers is each one's with a chance of its weight's share.
                ranks = [-log(1.0 - self._random()) / weight for weight in route.weights]
            case "least_latency" | "fastest":
                ranks = [self._latencies.rank(target) for target in equals]
            case "cheapest":
                equals, ranks = self._priced(equals, most)
            case _:
                assert_never(route.choice)
        well = [self._takes_calls(target) for target in equals]
        best_first = sorted(range(len(equals)), key=lambda at: (not well[at], ranks[at]))
        return tuple([equals[at] for at in best_first])

    def _priced(self, equals: tuple[Target, ...], most: Most) -> tuple[tuple[Target, ...], Sequence[float]]:
        """Those that have a price, and what each costs; all, as equally dear, where none has one."""
        if self._costs is not None:
            costs = [self._costs.cost(target, most) for target in equals]
            found = [(target, cost) for target, cost in zip(equals, costs, strict=True) if cost is not None]
            if found:
                return tuple([target for target, _ in found]), [cost for _, cost in found]
        return equals, [0] * len(equals)

    def _takes_calls(self, target: Target) -> bool:
        is_well = self._is_well.get(target.provider)
        return is_well is None or is_well()
