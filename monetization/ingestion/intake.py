"""Taking events: a batch in, one verdict for each element out, all of it durable and rated before anybody hears of it.

The order: parse, find who pays, rate, book what can be booked and keep what cannot. One bad element harms no other. How many
events may be under way is bounded, so a slow store refuses batches before memory grows.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from monetization.alarms import Alarms
from monetization.callers import Caller
from monetization.directory import Directory
from monetization.errors import Overloaded
from monetization.finishing import again, ended, until_done
from monetization.ingestion.batches import KEY_CONFLICT, Batch, Verdict, rejected, verdict_of
from monetization.ingestion.booking import KEY, REPLAYED, Booking, Order
from monetization.ingestion.dead_letters import DeadLetters, Letter, act_on, keeping, taking_away
from monetization.ingestion.events import Event, Window
from monetization.ingestion.payers import Payers
from monetization.ingestion.rating import Rating
from monetization.ingestion.rejecting import Rejected, Unrated
from monetization.tiers import Tiers
from storage.errors import StorageUnavailable, VersionChanged
from storage.records.commands import Done, Refusal

RETRY_SECONDS: Final = 1
SLOW_RETRY_SECONDS: Final = 5
WAIT_SECONDS: Final = 20.0
"""For a batch to be booked, which takes some commits. Longer, and senders give up without a word of ours."""
_TOO_SLOW: Final = (
    "the database is too slow to book these events now; send the same batch again, what is booked counts once"
)
AT_ONCE: Final = 250
"""Events that are parsed and rated at a stretch: some milliseconds in which this process serves nobody else."""
_NOBODY: Final = Unrated(
    "unknown_user", "nothing is known of this user; give a subscription or units, then replay the event"
)
Who = tuple[str, str | None]
"""User and organization, as an event names them."""


class _Room:
    """How many events are under way in this process."""

    __slots__ = ("_late", "taken")

    def __init__(self) -> None:
        self.taken = 0
        self._late: set[asyncio.Future[list[Verdict]]] = set()

    def leave_to_itself(self, work: "asyncio.Future[list[Verdict]]") -> None:
        """Keep a batch that nobody waits for any longer until it is done. Its sender hears of it when it comes again."""
        self._late.add(work)
        work.add_done_callback(self._forget)

    def _forget(self, work: "asyncio.Future[list[Verdict]]") -> None:
        self._late.discard(work)
        if not work.cancelled():
            work.exception()  # heard, so that the loop does not tell of it


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes events."""

    rating: Rating
    payers: Payers
    booking: Booking
    directory: Directory
    tiers: Callable[[], Tiers]
    clock_us: Callable[[], int]
    future_us: int
    late_us: int
    in_flight_max: int
    on_taken: Callable[[str, int], None] = lambda _result, _count: None
    """Hears how many events of a batch were accepted, duplicate, rejected or kept as a dead_letter."""
    waits: Alarms = field(default_factory=lambda: Alarms(WAIT_SECONDS))
    """Rings when a batch has been under way for longer than its sender is kept waiting."""
    _room: _Room = field(default_factory=_Room)

    @property
    def in_flight(self) -> int:
        """Events under way in this process."""
        return self._room.taken

    @property
    def letters(self) -> DeadLetters:
        """The events that could not be rated."""
        return DeadLetters(self.directory)

    async def take(self, elements: Sequence[object], door: str) -> list[Verdict]:
        """Take a batch; each element gets its verdict, in their order. Whoever leaves meanwhile leaves nothing half done.

        Raises: Overloaded; StorageUnavailable, after which some events may be booked: the same batch may be sent again.
        """
        room, wanted = self._room, len(elements)
        if room.taken and room.taken + wanted > self.in_flight_max:
            raise Overloaded(
                "too many events are under way here; send this batch again",
                reason="too_many_events",
                retry_after_seconds=RETRY_SECONDS,
            )
        room.taken += wanted
        work = asyncio.ensure_future(self._take_counted(elements, door))
        left = await until_done(work, self.waits)
        if not work.done():
            room.leave_to_itself(work)
            if left is not None:
                raise again(left)
            raise StorageUnavailable(_TOO_SLOW, retry_after_seconds=SLOW_RETRY_SECONDS)
        verdicts, left = ended(work, left)
        if left is not None:
            raise again(left)
        return verdicts

    async def _take_counted(self, elements: Sequence[object], door: str) -> list[Verdict]:
        try:
            verdicts = await self._take_all(elements, door)
        except StorageUnavailable as away:  # of a batch in parts, or in rounds, some may be booked
            raise StorageUnavailable(
                "the database cannot record events now; send all of these again, what it has of them counts once",
                reason=away.slug,
                retry_after_seconds=away.retry_after_seconds or RETRY_SECONDS,
            ) from away
        finally:
            self._room.taken -= len(elements)
        for result, count in Counter(map(_result, verdicts)).items():
            self.on_taken(result, count)
        return verdicts

    async def _take_all(self, elements: Sequence[object], door: str) -> list[Verdict]:
        """Some at a time, so that calls are served between them; what is said twice in two parts the ledger finds."""
        verdicts: list[Verdict] = []
        while len(verdicts) < len(elements):
            now_us = self.clock_us()
            window = Window(now_us, self.future_us, self.late_us)
            batch = Batch(elements[len(verdicts) : len(verdicts) + AT_ONCE], window)
            verdicts += await self._take(batch, door, now_us)
        return verdicts

    async def _take(self, batch: Batch, door: str, now_us: int) -> list[Verdict]:
        payers, tiers = await self._payers(batch.events.values()), self.tiers()
        orders: dict[int, Order] = {}
        unrated: dict[int, Unrated] = {}
        for place, event in batch.events.items():
            try:
                orders[place] = self._order(event, payers, tiers, door, now_us)
            except Unrated as why:
                unrated[place] = why
            except Rejected as wrong:
                batch.verdicts[place] = rejected(event.id, wrong)
        if orders:
            batch.verdicts.update(await self._book(orders, now_us))
        if unrated:
            batch.verdicts.update(await self._keep(batch.events, unrated, now_us))
        return batch.all()

    async def _payers(self, events: Iterable[Event]) -> Mapping[Who, Caller | None]:
        """Everybody who is named, each looked for once; those who are new together, because each is some readings."""
        named = {(event.user_id, event.organization_id) for event in events}
        found = {who: self.payers.at_once(*who) for who in named}
        unknown = [who for who, caller in found.items() if caller is None]
        new = [who for who in unknown if not self.payers.has_met(who[0])]
        found.update(zip(new, await asyncio.gather(*[self.payers.of(*who) for who in new]), strict=True))
        for who in unknown:
            if found[who] is None and self.payers.has_met(who[0]):
                found[who] = await self.payers.of(*who)
        return found

    def _order(self, event: Event, payers: Mapping[Who, Caller | None], tiers: Tiers, door: str, now_us: int) -> Order:
        """Who pays what. Raises: Unrated, Rejected."""
        caller = payers[event.user_id, event.organization_id]
        if caller is None:
            raise _NOBODY
        tier = tiers.of(caller.tier)
        return Order(event, caller, tier, self.rating.rate(event, tier.policy, now_us), door)

    async def _book(self, orders: Mapping[int, Order], now_us: int) -> dict[int, Verdict]:
        outcomes = await self.booking.book(tuple(orders.values()), now_us)
        verdicts: dict[int, Verdict] = {}
        for (place, order), outcome in zip(orders.items(), outcomes, strict=True):
            if isinstance(outcome, Refusal) and outcome.data.get("scope") == KEY:
                verdicts[place] = await self._keys_verdict(order, now_us)
            else:
                verdicts[place] = verdict_of(order.event, outcome)
        return verdicts

    async def _keys_verdict(self, order: Order, now_us: int) -> Verdict:
        """On an event whose idempotency key another one has taken."""
        is_same = await self.booking.is_said_before(order, now_us)
        return Verdict("duplicate", order.event.id) if is_same else rejected(order.event.id, KEY_CONFLICT)

    async def _keep(
        self, events: Mapping[int, Event], unrated: Mapping[int, Unrated], now_us: int
    ) -> dict[int, Verdict]:
        dedupe_us, verdicts = self.booking.dedupe_us, {}
        letters = [keeping(events[place], why, now_us=now_us, dedupe_us=dedupe_us) for place, why in unrated.items()]
        outcomes = await self.booking.ledger.submit_each([put for _, put in letters])
        for (place, why), (letter_id, _), outcome in zip(unrated.items(), letters, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            assert isinstance(outcome, Done | Refusal), "a single command is answered with one of these"
            is_new = isinstance(outcome, Done) and not outcome.is_replay
            event = events[place]
            verdicts[place] = rejected(event.id, why, letter_id) if is_new else verdict_of(event, outcome)
        return verdicts

    async def replay(self, letter: Letter, actor: str, reason: str) -> Verdict:
        """Book a dead letter, in the commit that takes it away. What still cannot be rated stays. Raises: StorageUnavailable."""
        now_us = self.clock_us()
        try:
            event = letter.event()
            payers = await self._payers([event])
            order = self._order(event, payers, self.tiers(), "replay", now_us)
        except Rejected as why:
            return rejected(_said_id(letter), why, letter.id)
        act = act_on("replayDeadLetter", actor, reason, letter)
        before = (taking_away(letter), act.row())
        order = Order(event, order.caller, order.tier, order.rated, order.door, before, REPLAYED)
        verdict = (await self._book({0: order}, now_us))[0]
        if verdict.status == "duplicate":
            await self._forget(letter, actor, reason)
        return verdict

    async def _forget(self, letter: Letter, actor: str, reason: str) -> None:
        """Take a letter away whose event was booked by another way; it may be gone already."""
        try:
            await self.directory.put(act_on("replayDeadLetter", actor, reason, letter), [taking_away(letter)])
        except VersionChanged:
            return


def _result(verdict: Verdict) -> str:
    return verdict.status if verdict.dead_letter_id is None else "dead_letter"


def _said_id(letter: Letter) -> str:
    return str(letter.said.get("event_id", ""))
