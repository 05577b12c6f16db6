"""Burn tables: what a model burns in credits, set by the operator in place of the price book. No storage here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from monetization.charging.rounding import divide
from storage.records.usage import Usage

CREDIT_NANO = 1_000_000_000
"""Credits have scale 9: one credit is this many units of the ledger."""
_QUANTITY_NANO = 1_000_000_000
"""Quantities of units have scale 9 too."""


@dataclass(frozen=True, slots=True)
class BurnRule:
    """Nano credits per `per_unit` tokens in and out, or a flat amount per `per_unit` of anything."""

    input_nano: int
    output_nano: int
    per_unit: int
    flat_nano: int = 0
    """Nano credits for every call, whatever it uses; of units that are no tokens, for every `per_unit` of them."""
    is_flat: bool = False
    """True: a flat amount was set, maybe zero, so that the rule prices units that are no tokens."""

    def burn_units(self, quantity_nano: int) -> int:
        """Nano credits for a quantity (scale 9) of units that are no tokens: one division, rounded up to the nano."""
        return divide(quantity_nano * self.flat_nano, self.per_unit * _QUANTITY_NANO, "ceil")

    def burn(self, usage: Usage) -> int:
        """Nano credits for a usage: one division, rounded up to the nano."""
        weighed = usage.tokens_input * self.input_nano + usage.tokens_output * self.output_nano
        return self.flat_nano + divide(weighed, self.per_unit, "ceil")


@dataclass(frozen=True, slots=True)
class BurnTable:
    """One version of a table."""

    id: str
    name: str
    version: int
    rules: Mapping[str, BurnRule] = field(default_factory=dict)
    """Model name → rule; `default` stands for every other model."""
    valid_from_us: int = 0
    valid_until_us: int | None = None
    is_active: bool = True

    def rule_for(self, model: str) -> BurnRule | None:
        """The rule of a model, else the default one, else None: the price book decides."""
        return self.rules.get(model) or self.rules.get("default")

    def unit_rule(self, names: Iterable[str]) -> BurnRule | None:
        """The first rule of these names that prices units which are no tokens. What stands for every model prices none."""
        return next((rule for name in names if (rule := self.rules.get(name)) is not None and rule.is_flat), None)

    def holds_at(self, at_us: int) -> bool:
        """Whether the table is in force at an instant."""
        return (
            self.is_active
            and self.valid_from_us <= at_us
            and (self.valid_until_us is None or at_us < self.valid_until_us)
        )


def rule_from(name: str, members: Mapping[str, object]) -> BurnRule:
    """A rule from `input_tokens`, `output_tokens`, `flat_rate` (credits) and `per_unit` (tokens), in either casing.

    Raises: ValueError, naming the model and the member that is wrong.
    """
    given = {_snake(key): value for key, value in members.items()}
    unknown = sorted(given.keys() - {"input_tokens", "output_tokens", "flat_rate", "per_unit"})
    if unknown:
        raise ValueError(
            f"{name}: unknown member {unknown[0]!r}; known: input_tokens, output_tokens, flat_rate, per_unit"
        )
    per_unit = given.get("per_unit", 1)
    if not isinstance(per_unit, int) or isinstance(per_unit, bool) or not 1 <= per_unit <= CREDIT_NANO:
        raise ValueError(f"{name}: per_unit must be a whole number from 1 to {CREDIT_NANO}")
    if "flat_rate" not in given and not given.keys() & {"input_tokens", "output_tokens"}:
        raise ValueError(f"{name}: give input_tokens and output_tokens, or flat_rate")
    return BurnRule(
        input_nano=_nano(name, "input_tokens", given.get("input_tokens", 0)),
        output_nano=_nano(name, "output_tokens", given.get("output_tokens", 0)),
        per_unit=per_unit,
        flat_nano=_nano(name, "flat_rate", given.get("flat_rate", 0)),
        is_flat="flat_rate" in given,
    )


def _nano(name: str, member: str, credits_: object) -> int:
    try:
        nano = Decimal(str(credits_)) * CREDIT_NANO
        whole = int(nano)
    except (InvalidOperation, ValueError, OverflowError) as broken:
        raise ValueError(f"{name}: {member}: {credits_!r} is not a number of credits") from broken
    if isinstance(credits_, bool) or nano < 0 or nano != whole or whole > 10**18:
        raise ValueError(f"{name}: {member}: {credits_!r} must be zero or more and no finer than 0.000000001")
    return whole


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
