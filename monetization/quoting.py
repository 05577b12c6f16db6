"""The quote: the most that a call can cost its caller, and the same rules afterwards for what it did cost."""

from collections.abc import Callable
from dataclasses import dataclass

from monetization.callers import Caller
from monetization.charging.burn_tables import BurnRule
from monetization.charging.policies import Charge, Rules, charge_for, quote_for, revenue_of
from monetization.errors import PaymentRequired, PriceUnknown
from monetization.prices.book import PriceBook
from monetization.prices.rates import Price
from monetization.terms import Most, Target
from monetization.tiers import Policy, Tier, Tiers
from storage.records.fact import fact
from storage.records.usage import Usage

BurnRules = Callable[[str, int], BurnRule | None]
"""(model, Unix microseconds) → the rule in force, or None: the price book decides."""


@fact
class Quote:
    """What was promised to a call when it began; a change of tier, price or table does not touch it."""

    caller: Caller
    tier: Tier
    policy: Policy
    most: Most
    at_us: int
    charge: Charge
    """The greatest charge."""
    rules: Rules
    book: PriceBook
    burns: BurnRules

    def charged(self, target: Target | None, usage: Usage) -> tuple[Charge, Price | None]:
        """What a usage costs, by the price of the model that really served, valid when the call began."""
        served = target or self.most.targets[0]
        price = self._price(served)
        burn = self.burns(served.model, self.at_us)
        return charge_for(self.policy, self.rules, usage, price.cost(usage) if price else 0, burn), price

    def compared(self, served: Target | None, usage: Usage, charge: Charge | None) -> tuple[str | None, int | None]:
        """What was asked for where something else served, and what that saved, in nano dollars.

        The saving is what the charge would have been worth less what it is worth; negative where what was asked for is the
        cheaper. None: with an own key, which is charged nothing, and where what was asked for has no price.
        """
        asked = None if self.most.route is None else self.most.route.asked
        if asked is None or served is None or asked is served or asked == served:
            return None, None
        name = f"{asked.provider}/{asked.model}"
        if charge is None or self.policy == "byok":
            return name, None
        try:
            price = self.book.find(asked, self.at_us)
        except PriceUnknown:
            return name, None
        if usage.tokens_output and not price.is_output_priced:
            return name, None
        burn = self.burns(asked.model, self.at_us)
        return name, self._worth(charge_for(self.policy, self.rules, usage, price.cost(usage), burn)) - self._worth(
            charge
        )

    def _worth(self, charge: Charge) -> int:
        return revenue_of(self.rules, charge.asset, charge.amount, charge.cost_nano, charge.fee_nano)

    def _price(self, target: Target) -> Price | None:
        try:
            return self.book.find(target, self.at_us)
        except PriceUnknown:
            # Only a caller's own key reaches a model that nobody can price; the operator pays nothing for it.
            assert self.policy == "byok", "a call that costs the operator was quoted with a price for every target"
            return None


@dataclass(frozen=True, slots=True)
class Quotes:
    """Makes quotes from the tiers, prices and rules in force now."""

    tiers: Callable[[], Tiers]
    book: Callable[[], PriceBook]
    rules: Rules
    burns: BurnRules
    clock_us: Callable[[], int]
    upgrade_url: str = ""

    def quote(self, caller: Caller, most: Most, rate: Callable[[Policy], Charge] | None = None) -> Quote:
        """The most that the call can cost, or what `rate` says that it costs.

        Raises: PriceUnknown; PaymentRequired where the tier sells nothing.
        """
        tier = self.tiers().of(caller.tier)
        book = self.book()
        now = self.clock_us()
        policy = "byok" if caller.kind == "byok" else tier.policy
        if policy == "byok":
            if caller.own_key is None:
                data = {"upgradeUrl": self.upgrade_url} if self.upgrade_url else {}
                raise PaymentRequired(
                    f"tier {tier.key!r} is served with your own provider key only; send it as params.apiKey or upgrade",
                    reason="api_key_required",
                    data=data,
                )
            charge = quote_for(
                policy, self.rules, tokens_input=most.tokens_input, tokens_output=most.tokens_output, cost_nano=0
            )
        else:
            charge = self._dearest(policy, book, most, now) if rate is None else rate(policy)
        return Quote(caller, tier, policy, most, now, charge, self.rules, book, self.burns)

    def _dearest(self, policy: Policy, book: PriceBook, most: Most, now: int) -> Charge:
        cost, _ = book.most(most, now)
        usage = Usage(input=most.tokens_input, output=most.tokens_output)
        if policy != "credits":  # only credits know a burn table, which may differ from model to model
            return charge_for(policy, self.rules, usage, cost)
        charges = [
            charge_for(policy, self.rules, usage, cost, self.burns(target.model, now)) for target in most.targets
        ]
        return max(charges, key=lambda charge: charge.amount)
