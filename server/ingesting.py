"""Builds what takes usage from elsewhere, from the settings and the parts that calls use too. Nothing is taken here."""

from collections.abc import Callable

from monetization.charging.policies import Rules
from monetization.directory import Directory
from monetization.ingestion.booking import Booking
from monetization.ingestion.intake import Intake
from monetization.ingestion.payers import Payers
from monetization.ingestion.rating import Rating, UnitPrice
from monetization.ingestion.ways import Ways
from monetization.people import People
from monetization.registers import Registers
from monetization.tiers_in_force import TiersInForce
from server.config import Settings
from server.config_values import nano
from storage.store import Store

_DAY_US = 24 * 3600 * 1_000_000


def intake_of(
    settings: Settings,
    store: Store,
    directory: Directory,
    in_force: TiersInForce,
    registers: Registers,
    rules: Rules,
    clock_us: Callable[[], int],
    on_taken: Callable[[str, int], None],
) -> Intake:
    """What takes events, as the configuration says."""
    said, tiers = settings.ingestion, in_force.tiers
    people = People(directory, lambda name: tiers().key_of(name))
    payers = Payers(store, directory, people, lambda: tiers().default.key, said.unknown_users)
    in_force.tell(lambda _: payers.forget())
    return Intake(
        rating=_rating(settings, registers, rules),
        payers=payers,
        booking=Booking(store, said.dedupe_days * _DAY_US, Ways(settings.charging.overdraft_tokens)),
        directory=directory,
        tiers=tiers,
        clock_us=clock_us,
        future_us=said.future_seconds * 1_000_000,
        late_us=said.late_days * _DAY_US,
        in_flight_max=said.in_flight_max,
        on_taken=on_taken,
    )


def _rating(settings: Settings, registers: Registers, rules: Rules) -> Rating:
    prices = {
        name.lower(): UnitPrice(nano(price.usd), price.tokens) for name, price in settings.ingestion.unit_prices.items()
    }
    providers = {name: provider.kind for name, provider in settings.providers.items()}
    return Rating(registers.book, rules, registers.burn_rule, registers.unit_rule, prices, providers)
