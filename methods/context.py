"""What a handler may touch while it runs. No store, no door, no credential but the caller's own provider key."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from methods.progress import ProgressSink
from monetization.admission import Admission
from monetization.callers import Caller
from monetization.calls import Call
from monetization.desk import Desk
from monetization.directory import Directory
from monetization.eligibility import Eligibility
from monetization.ingestion.intake import Intake
from monetization.keys.desk import KeyDesk
from monetization.keys.provider_keys import ProviderKeys
from monetization.notices.desk import Notices
from monetization.price_setting import PriceSetting
from monetization.quota_desk import QuotaDesk
from monetization.quoting import Quotes
from monetization.registers import Registers
from monetization.reports.asking import Reports
from monetization.statements import Statements
from monetization.tab import Meter
from monetization.terms import Most
from monetization.tiers import Tiers
from monetization.tiers_in_force import Reload
from storage.records.fact import fact

if TYPE_CHECKING:
    from methods.catalog import Catalog
    from methods.prompts import PromptRegistry
    from methods.providers.routing import Router


class Running(Protocol):
    """The calls that run in this process, by who made them."""

    def cancel(self, caller: Caller, rpc_id: str | float) -> bool:
        """Cancel the caller's own call of that id. False: none runs, or the id is not unique among the caller's calls."""
        ...


@dataclass(frozen=True, slots=True)
class Money:
    """What methods about money work with: statements to read, and for admins a desk and the registers."""

    statements: Statements
    desk: Desk
    registers: Registers
    setting: PriceSetting
    clock_us: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Keys:
    """What methods about keys work with."""

    issued: KeyDesk
    """The keys that this gateway has issued."""
    kept: ProviderKeys
    """The provider keys that users have left here."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that handlers share, built once by the composition root."""

    router: "Router"
    prompts: "PromptRegistry"
    catalog: "Catalog"
    running: Running
    admission: Admission
    """Asked where a caller stands; admitting is the gateway's."""
    clock: Callable[[], float]
    """Unix seconds."""
    health: Callable[[], Mapping[str, object]]
    """A detail-free report on this process."""
    openrpc: Callable[[], Awaitable[Mapping[str, object]]]
    """The OpenRPC document."""
    tiers: Callable[[], Tiers]
    """The tiers in force now."""
    reload_tiers: Callable[[Callable[[Reload], Awaitable[None]]], Awaitable[Reload]]
    """Reads the operator's file again; what comes of it is noted first, and in force once the note has been written."""
    quotes: Quotes
    """Prices and rules in force now; the same code quotes, charges and shows previews."""
    money: Money
    """Statements, and the admin's desk."""
    eligibility: Eligibility
    """Whether a call would be served, asked without making it."""
    directory: Directory
    """What is known of users, organizations and keys."""
    keys: Keys
    """Those that this gateway has issued, and those that users have left here."""
    quotas: QuotaDesk
    """Where quotas stand."""
    reports: Reports
    """What usage comes to."""
    notices: Notices
    """What users and operators were told."""
    ingestion: Intake
    """Takes usage that did not pass through us."""


@fact
class Context:
    """One run of a method."""

    caller: Caller
    call: Call
    services: Services
    meter: Meter
    sink: ProgressSink | None
    """Where progress goes; None when nobody reads it as it happens."""
    most: Most | None = None
    """What this run may cause at most, after the tier had its say: `most.tokens_output` is what the provider must be told.
    Set exactly for metered methods."""
