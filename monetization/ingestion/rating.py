"""What an event costs: tokens by the price book or the burn table in force, units by burn rules and set prices. Pure.

The functions that quote and charge calls rate events too, so a preview and an event's charge agree to the unit. What nothing
prices is not free: it is unrated.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from monetization.charging.burn_tables import BurnRule
from monetization.charging.policies import Charge, Rules, charge_for, charge_units
from monetization.charging.rounding import divide
from monetization.errors import PriceUnknown
from monetization.ingestion.events import NANO, UNITS, Event
from monetization.ingestion.rejecting import Rejected, Unrated
from monetization.prices.book import PriceBook
from monetization.prices.rates import STANDARD, Price, Processing
from monetization.terms import Target
from monetization.tiers import Policy
from storage.records.fact import fact
from storage.records.money import AMOUNT_MAX

KINDS_BY_NAME: Final[Mapping[str, str]] = {"amazon": "aws", "simulator": ""}
"""Vendors whose name is not the price book's; the simulator prices anything, so only a configured one may."""
UNKNOWN_MAX: Final = 10_000
"""Names without a price that are remembered, because a search through all models takes long."""


@fact
class UnitPrice:
    """What one unit costs that is no token."""

    usd_nano: int
    tokens: int | None = None
    """Virtual tokens that it stands for. None: those who pay with tokens cannot be charged for it unless it is free."""

    @property
    def tokens_each(self) -> int | None:
        """The same, where what costs nothing stands for none."""
        return 0 if self.tokens is None and self.usd_nano == 0 else self.tokens


@fact
class Rated:
    """What an event comes to."""

    charge: Charge
    cost_nano: int | None
    """None: no price in dollars is known; it was priced in credits, or the caller's own key was used."""
    price_version: str | None


@dataclass(frozen=True, slots=True)
class Rating:
    """Rates events by what is in force."""

    book: Callable[[], PriceBook]
    rules: Rules
    burns: Callable[[str, int], BurnRule | None]
    """As `Quotes.burns`."""
    unit_rules: Callable[[Iterable[str], int], BurnRule | None]
    """(names, Unix microseconds) → the first burn rule of these names that prices units."""
    unit_prices: Mapping[str, UnitPrice]
    """By name in lower case, see `names_of`."""
    providers: Mapping[str, str]
    """Configured provider → its kind."""
    _unknown: dict[PriceBook, set[Target]] = field(default_factory=dict)
    """Names without a price in the book in force; of an older book nothing is remembered."""

    def rate(self, event: Event, policy: Policy, now_us: int) -> Rated:
        """What the event costs under a policy, by what held when it happened, and where nothing did by what holds now.

        So a price that is set after the event mends what could not be rated. Raises: Unrated, Rejected.
        """
        made = self._tokens if event.quantity_nano is None else self._units
        rated = made(event, policy, now_us)
        charge = rated.charge
        if max(charge.amount, charge.cost_nano, charge.fee_nano) > AMOUNT_MAX:
            raise Rejected("out_of_range", "this event costs more than any account can hold; correct its figures")
        return rated

    def target(self, provider: str, model: str) -> Target:
        """A provider, in lower case, and a model as the price book finds them: configured, or known by its vendor's name."""
        kind = self.providers.get(provider) or KINDS_BY_NAME.get(provider, provider)
        return Target(provider, model, kind)

    def _tokens(self, event: Event, policy: Policy, now_us: int) -> Rated:
        assert event.provider is not None, "an event of tokens names provider and model"
        assert event.model is not None, "the same"
        target = self.target(event.provider, event.model)
        price = self._price(target, event.processing, event.occurred_us, now_us)
        if policy != "byok":
            _demand(price, event)
        cost = price.cost(event.usage) if price is not None else 0
        burn = self.burns(event.model, event.occurred_us) if policy == "credits" else None
        charge = charge_for(policy, self.rules, event.usage, cost, burn)
        return Rated(charge, None if price is None else cost, None if price is None else price.version)

    def _price(self, target: Target, processing: Processing, *instants_us: int) -> Price | None:
        book = self.book()
        unknown = self._unknown.get(book)
        if unknown is None:
            self._unknown.clear()
            unknown = self._unknown[book] = set()
        if unknown and target in unknown:
            return None
        for at_us in instants_us:
            price = _found(book, target, at_us, processing)
            if price is not None:
                return price
        if len(unknown) < UNKNOWN_MAX and not book.knows(target, AMOUNT_MAX):  # neither now nor later on
            unknown.add(target)
        return None

    def _units(self, event: Event, policy: Policy, now_us: int) -> Rated:
        assert event.quantity_nano is not None, "asked for units only"
        quantity, names = event.quantity_nano, names_of(event)
        name = next((name for name in names if name.lower() in self.unit_prices), None)
        price = None if name is None else self.unit_prices[name.lower()]
        cost = 0 if price is None else divide(quantity * price.usd_nano, NANO, "half_even")
        rule = self._unit_rule(names, event.occurred_us, now_us) if policy == "credits" else None
        each = None if price is None else price.tokens_each
        if policy == "virtual_tokens" and each is None:
            raise Unrated("unit_not_priced", f"{names[0]!r} stands for no virtual tokens; set its unit price in tokens")
        if policy != "byok" and price is None and rule is None:
            raise Unrated("unit_not_priced", f"nothing prices {names[0]!r}; set a unit price or a burn rule for it")
        burned = None if rule is None else rule.burn_units(quantity)
        tokens = 0 if each is None else divide(quantity * each, NANO, "ceil")
        charge = charge_units(policy, self.rules, cost, burned=burned, tokens=tokens)
        return Rated(charge, None if price is None else cost, None if price is None else f"unit:{name}"[:200])

    def _unit_rule(self, names: Sequence[str], *instants_us: int) -> BurnRule | None:
        return next((rule for at_us in instants_us if (rule := self.unit_rules(names, at_us)) is not None), None)


def _found(book: PriceBook, target: Target, at_us: int, processing: Processing) -> Price | None:
    try:
        return book.find(target, at_us, processing)
    except PriceUnknown:
        return None


def _demand(price: Price | None, event: Event) -> None:
    """Whoever pays is told what; output that has no price is not given away."""
    handled = "" if event.processing == STANDARD else f" with {event.processing} processing"
    named = f"{event.provider}/{event.model}{handled}"
    if price is None:
        raise Unrated("unknown_model", f"no price is known for {named}; set one, then replay the event")
    if event.usage.tokens_output and not price.is_output_priced:
        raise Unrated("unknown_model", f"{named} has no price for output; set one, then replay the event")


def names_of(event: Event) -> Sequence[str]:
    """The names under which an event's units may be priced, the most exact one first.

    `provider/model` and `model`, each with size and quality, then the unit and the kind. A name that does not say the unit stands
    for the kind's usual one, so that nothing priced by the second is charged by the minute.
    """
    return tuple(_names(event))


def _names(event: Event) -> Iterator[str]:
    is_usual = UNITS.get(event.kind) == event.unit
    ending = "" if is_usual else f"/{event.unit}"
    if event.model is not None:
        bases = [event.model] if event.provider is None else [f"{event.provider}/{event.model}", event.model]
        for base in bases:
            for count in range(len(event.variant), -1, -1):
                yield "/".join((base, *event.variant[:count])) + ending
    yield event.unit or ""
    if is_usual:
        yield event.kind.lower()
