"""A batch sorted out: which elements are events, which say the same twice, and one verdict for each. Pure."""

from collections.abc import Sequence
from typing import Final, Literal

from monetization.ingestion.events import Event, Window, digest_of, event_of
from monetization.ingestion.rejecting import Rejected
from storage.records.commands import Done, Outcome
from storage.records.fact import fact

Status = Literal["accepted", "duplicate", "rejected"]
_ID_CHARS_SHOWN: Final = 255
CONFLICT: Final = Rejected(
    "event_conflict", "another event was told of under this id; take a new id, or correct the first one by hand"
)
KEY_CONFLICT: Final = Rejected(
    "idempotency_conflict", "another event was told of under this idempotency key; take a new key"
)
GONE: Final = Rejected(
    "gone", "no such dead letter waits: it was replayed or deleted; listDeadLetters names those that do"
)
_REFUSALS: Final = {"key_reused": CONFLICT, "version_changed": GONE}
_BEYOND: Final = Rejected("out_of_range", "this event takes a counter or an account beyond what it can hold")


@fact
class Verdict:
    """What became of one element."""

    status: Status
    event_id: str | None
    """As far as it could be read."""
    reason: str | None = None
    """Stable. None: it was accepted, or is an exact resend."""
    detail: str | None = None
    dead_letter_id: str | None = None
    """The event is kept here and need not be sent again; it can be replayed once the cause is mended."""


def rejected(event_id: str | None, why: Rejected, dead_letter_id: str | None = None) -> Verdict:
    """The verdict on an event that is not booked."""
    return Verdict("rejected", event_id, why.reason, why.detail, dead_letter_id)


def verdict_of(event: Event, outcome: Outcome) -> Verdict:
    """The verdict that the ledger's answer comes to."""
    if isinstance(outcome, Done):
        return Verdict("duplicate" if outcome.is_replay else "accepted", event.id)
    return rejected(event.id, _REFUSALS.get(outcome.reason, _BEYOND))


class Batch:
    """The first elements, by their places: up to one that says something else under an id or a key that is in here already.

    That one, and what follows it, belongs into a batch of its own, so that it meets what became of the other.
    """

    def __init__(self, elements: Sequence[object], window: Window) -> None:
        self.events: dict[int, Event] = {}
        """The first of each identity."""
        self.verdicts: dict[int, Verdict] = {}
        self.count = len(elements)
        """How many elements are in here."""
        self._twins: dict[int, int] = {}
        """Place of an exact repetition → place of the first."""
        first: dict[tuple[str, str], int] = {}
        keys: set[str | None] = set()
        for place, element in enumerate(elements):
            try:
                event = event_of(element, window)
            except Rejected as wrong:
                self.verdicts[place] = rejected(_id_in(element), wrong)
                continue
            key = event.idempotency_key
            before = first.get((event.source, event.id))
            if before is not None and _are_alike(self.events[before], event):
                self._twins[place] = before
            elif before is not None or (key is not None and key in keys):
                self.count = place
                break
            else:
                first[event.source, event.id] = place
                keys.add(key)
                self.events[place] = event

    def all(self) -> list[Verdict]:
        """Every verdict, in the order of the elements. What was said twice counts once, so the second is a duplicate."""
        for place, before in self._twins.items():
            verdict = self.verdicts[before]
            if verdict.status == "rejected" and verdict.dead_letter_id is None:
                self.verdicts[place] = verdict
            else:
                self.verdicts[place] = Verdict("duplicate", verdict.event_id)
        return [self.verdicts[place] for place in range(self.count)]


def _are_alike(one: Event, other: Event) -> bool:
    """Whether two events of one identity say the same, under the same idempotency key."""
    return one.idempotency_key == other.idempotency_key and digest_of(one) == digest_of(other)


def _id_in(element: object) -> str | None:
    """The id of an element that is no event, so that its sender knows which one is meant."""
    if not isinstance(element, dict):
        return None
    found = next((element[name] for name in ("event_id", "eventId", "id") if name in element), None)
    return found[:_ID_CHARS_SHOWN] if isinstance(found, str) else None
