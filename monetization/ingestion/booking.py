"""From a rated event to the ledger: one charge for each, with its row and its counters, once for the event's identity.

What happened cannot be refused. It is tried by the same ways to pay as a call, in the same order; what none of them covers is
put on the first: counted past its quota, taken as far as it has something, and the rest written off. Nothing is priced here.
"""

import hashlib
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from billing.accounts import TENANT
from monetization.callers import Caller
from monetization.funding import Source
from monetization.ingestion.events import Event, digest_of
from monetization.ingestion.rating import Rated
from monetization.ingestion.ways import Ways, told
from monetization.tiers import Tier
from storage.errors import StorageUnavailable
from storage.records.commands import Charge, Command, Configure, Done, Idempotency, Outcome, Refusal
from storage.records.fact import fact
from storage.records.ledger import AccountKey
from storage.records.usage import UsageRow

SCOPE: Final = "event:"
"""Before an event's source: the scope in which its id is taken once."""
REPLAYED: Final = "event_replay:"
"""The same for dead letters that are replayed: their ids were taken as they were kept."""
KEY: Final = "event_key"
KEY_BODY: Final = "event_key_body"
"""Scopes of idempotency keys: whose event has the key, and what it says."""
METHOD: Final = "ingestEvents"
"""What a usage row shows as the method."""
_GO_ON: Final = frozenset({"insufficient", "quota_exceeded", "account_suspended"})
"""Refusals of one way to pay that leave the others open."""


class Ledger(Protocol):
    """What booking needs of the store."""

    def submit(self, command: Command) -> Awaitable[Outcome]:
        """Apply one command; it is durable when this returns. Raises: StorageUnavailable."""
        ...

    async def submit_each(self, commands: Sequence[Command | Sequence[Command]]) -> Sequence[object]:
        """Apply each command or group by itself; an exception where its own mistake stopped it. Raises: StorageUnavailable."""
        ...


@fact
class Order:
    """A rated event and who pays for it."""

    event: Event
    caller: Caller
    tier: Tier
    rated: Rated
    door: str
    before: tuple[Command, ...] = ()
    """What belongs into the same commit, or nothing of it happens."""
    scope: str = SCOPE


def identity(event: Event, *, scope: str = SCOPE, expires_us: int) -> Idempotency:
    """What makes the event count once, however often and at whatever time it is told."""
    return Idempotency(scope + event.source, event.id, digest_of(event), expires_us)


def row_id(event: Event) -> str:
    """The id of the event's usage row: when it happened, so that rows of one time stand together, then who it is.

    The time is in it, so that an event that is told anew after its identity was forgotten has a row of its own.
    """
    said = f"{TENANT}\x00{event.source}\x00{event.id}\x00{event.occurred_us}"
    return f"{event.occurred_us // 1_000:012x}{hashlib.blake2b(said.encode(), digest_size=10).hexdigest()}"


class _Attempt:
    """One order on its way through the ways to pay."""

    __slots__ = ("order", "outcome", "place", "ways")

    def __init__(self, order: Order, ways: tuple[Source, ...]) -> None:
        self.order = order
        self.ways = ways
        self.place = 0
        self.outcome: Outcome | BaseException | None = None
        """None: it goes on."""

    @property
    def is_last(self) -> bool:
        """Nothing is tried after this, so nothing is refused for lack of means."""
        return len(self.ways) == 1 or self.place == len(self.ways)

    @property
    def way(self) -> Source:
        """What is tried now."""
        order = self.order
        return told(self.ways[0 if self.is_last else self.place], order.tier, order.rated.charge)

    def take(self, outcome: object, charge_at: int) -> None:
        """Hear what came of it. `charge_at`: where in its group the charge stands."""
        match outcome:
            case Done() | BaseException():
                self.outcome = outcome
            case Refusal(reason=reason, index=index) if not self.is_last and reason in _GO_ON and index == charge_at:
                self.place += 1
            case Refusal():
                self.outcome = outcome
            case [*done]:
                found = done[charge_at]
                assert isinstance(found, Done), "a group that was applied answers with what each command did"
                self.outcome = found


@dataclass(frozen=True, slots=True)
class Booking:
    """Charges orders."""

    ledger: Ledger
    dedupe_us: int
    """How long an identity is kept."""
    ways: Ways = field(default_factory=Ways)
    """How callers may pay."""

    async def book(self, orders: Sequence[Order], now_us: int) -> list[Outcome]:
        """Charge all orders; those of one round share their commits. Raises: StorageUnavailable, when some may be booked."""
        ways = self.ways
        attempts = [
            _Attempt(order, ways.of(order.event, order.caller, order.tier, order.rated.charge)) for order in orders
        ]
        waiting = attempts
        while waiting:
            made = [self._commands(attempt.order, attempt.way, attempt.is_last, now_us) for attempt in waiting]
            outcomes = await self.ledger.submit_each(
                [commands[0] if len(commands) == 1 else commands for commands, _ in made]
            )
            for attempt, (_, charge_at), outcome in zip(waiting, made, outcomes, strict=True):
                attempt.take(outcome, charge_at)
            waiting = [attempt for attempt in waiting if attempt.outcome is None]
        failed = [attempt.outcome for attempt in attempts if isinstance(attempt.outcome, BaseException)]
        if failed:  # the store's own word goes before any other, because a repetition then helps
            raise next((one for one in failed if isinstance(one, StorageUnavailable)), failed[0])
        return [attempt.outcome for attempt in attempts if isinstance(attempt.outcome, Done | Refusal)]

    async def is_said_before(self, order: Order, now_us: int) -> bool:
        """Whether the other event that has this one's idempotency key says the same. Raises: StorageUnavailable."""
        first = self.ways.of(order.event, order.caller, order.tier, order.rated.charge)[0]
        _, body = self._keys(order, first.account, now_us)
        return isinstance(await self.ledger.submit(body), Done)

    def _commands(self, order: Order, way: Source, is_last: bool, now_us: int) -> tuple[list[Command], int]:  # noqa: FBT001  # of one attempt
        """One attempt as commands, and where among them the charge stands."""
        commands = list(order.before)
        if way.overdraft:
            commands.append(Configure(account=way.account, overdraft=way.overdraft))
        charge_at = len(commands)
        event = order.event
        row = _row(order, way)
        commands.append(
            Charge(
                account=way.account,
                amount=way.amount,
                claims=way.claims,
                on_short="write_off" if is_last else "refuse",
                usage=row,
                ref=row.id,
                occurred_us=event.occurred_us,
                is_brief=True,
                idempotency=identity(event, scope=order.scope, expires_us=now_us + self.dedupe_us),
            )
        )
        if event.idempotency_key is not None:
            commands += self._keys(order, way.account, now_us)
        return commands, charge_at

    def _keys(self, order: Order, account: AccountKey, now_us: int) -> tuple[Command, Command]:
        """What takes the event's idempotency key: nothing is set, only the key is kept, for this event and for what it says."""
        event, expires_us = order.event, now_us + self.dedupe_us
        assert event.idempotency_key is not None, "asked for events with a key"
        whose = Idempotency(KEY, event.idempotency_key, f"{event.source}\t{event.id}", expires_us)
        body = Idempotency(KEY_BODY, event.idempotency_key, digest_of(event), expires_us)
        return Configure(account=account, idempotency=whose), Configure(account=account, idempotency=body)


def _row(order: Order, way: Source) -> UsageRow:
    event, caller, rated = order.event, order.caller, order.rated
    return UsageRow(
        id=row_id(event),
        request_id=event.id,
        occurred_us=event.occurred_us,
        user_id=caller.user_id,
        caller_kind="byok" if rated.charge.policy == "byok" else caller.kind,
        tier=order.tier.key,
        method=METHOD,
        door=order.door,
        provider=event.provider,
        model=event.model,
        outcome="done",
        usage=event.usage,
        tenant=TENANT,
        organization_id=caller.organization_id,
        feature=event.feature,
        metadata=event.metadata,
        price_version=rated.price_version,
        cost_nano=rated.cost_nano,
        fee_nano=rated.charge.fee_nano,
        charge_amount=way.amount,
        charge_asset=way.account.asset if way.amount else None,
        kind=event.kind,
        unit=event.unit,
        quantity_nano=event.quantity_nano,
        source=event.source,
    )
