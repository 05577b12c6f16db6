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
_REFUSALS: Final = {
    "key_reused": CONFLICT,
    "version_changed": Rejected("gone", "somebody else has just replayed or deleted this dead letter"),
}
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
    """The elements of one batch, by their places."""

    def __init__(self, elements: Sequence[object], window: Window) -> None:
        self.events: dict[int, Event] = {}
        """The first of each identity."""
        self.verdicts: dict[int, Verdict] = {}
        self._twins: dict[int, tuple[int, bool]] = {}
        """Place of a repetition → place of the first, and whether they say the same."""
        self._count = len(elements)
        first: dict[tuple[str, str], int] = {}
        for place, element in enumerate(elements):
            try:
                event = event_of(element, window)
            except Rejected as wrong:
                self.verdicts[place] = rejected(_id_in(element), wrong)
                continue
            before = first.setdefault((event.source, event.id), place)
            if before == place:
                self.events[place] = event
            else:
                self._twins[place] = (before, digest_of(self.events[before]) == digest_of(event))

    def all(self) -> list[Verdict]:
        """Every verdict, in the order of the elements. What was said twice counts once, so the second is a duplicate."""
        for place, (before, is_same) in self._twins.items():
            verdict = self.verdicts[before]
            if not is_same:
                self.verdicts[place] = rejected(verdict.event_id, CONFLICT)
            elif verdict.status == "rejected" and verdict.dead_letter_id is None:
                self.verdicts[place] = verdict
            else:
                self.verdicts[place] = Verdict("duplicate", verdict.event_id)
        return [self.verdicts[place] for place in range(self._count)]


def _id_in(element: object) -> str | None:
    """The id of an element that is no event, so that its sender knows which one is meant."""
    if not isinstance(element, dict):
        return None
    found = next((element[name] for name in ("event_id", "eventId", "id") if name in element), None)
    return found[:_ID_CHARS_SHOWN] if isinstance(found, str) else None
