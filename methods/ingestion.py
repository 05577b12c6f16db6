"""`ingestEvents`: usage that did not pass through this server, from those who may tell of it. OpenMonetize's shape.

Sources: S2-19 to S2-21, S2-33 and R30 of the inventory; CloudEvents 1.0. What an event may say stands in
`monetization/ingestion/events.py`.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field

from methods.context import Context
from methods.errors import Forbidden
from methods.event_schema import ELEMENT
from methods.method import Access, Example, Method, Params, Result
from monetization.errors import Overloaded
from monetization.ingestion.batches import Status, Verdict
from storage.errors import StorageUnavailable

# Any: each element is judged by itself, so that a bad one harms no other.

EVENTS_MAX: Final = 1_000


class IngestParams(Params):
    """Some events."""

    events: Annotated[list[Any], Field(min_length=1, max_length=EVENTS_MAX, json_schema_extra={"items": ELEMENT})]
    """Each an object in OpenMonetize's shape, in snake_case or camelCase, or a CloudEvent 1.0 with such an object as its data."""


class EventVerdict(Result):
    """What became of one event."""

    model_config = ConfigDict(frozen=True, alias_generator=None)
    event_id: str | None = None
    """Absent where it could not be read."""
    status: Status
    """`accepted`: rated and booked. `duplicate`: told of before, so it counts once. `rejected`: see `reason`."""
    reason: str | None = None
    detail: str | None = None
    """What to correct."""
    dead_letter_id: str | None = None
    """It is kept here until the cause is mended and `replayDeadLetters` books it: it need not be sent again."""


class IngestResult(Result):
    """What became of a batch. Names as OpenMonetize's clients read them."""

    model_config = ConfigDict(frozen=True, alias_generator=None)
    accepted: int
    """Durable, rated and charged."""
    rejected: int
    """Those that wait as dead letters among them."""
    duplicates: int
    dead_letters: int
    batch_id: str
    status: Literal["processed", "all_duplicates"]
    processing_time_ms: float
    results: list[EventVerdict]
    """One for each element, in their order."""


async def ingest_events(context: Context, params: IngestParams) -> IngestResult:
    """Take up to 1,000 events: each is rated as a call would be and charged in the commit that records it, once for its id."""
    services = context.services
    began = services.clock()
    verdicts = await services.ingestion.take(params.events, context.call.door)
    accepted = sum(verdict.status == "accepted" for verdict in verdicts)
    duplicates = sum(verdict.status == "duplicate" for verdict in verdicts)
    return IngestResult.model_validate(
        {
            "accepted": accepted,
            "rejected": len(verdicts) - accepted - duplicates,
            "duplicates": duplicates,
            "dead_letters": sum(verdict.dead_letter_id is not None for verdict in verdicts),
            "batch_id": f"batch_{context.call.request_id}",
            "status": "all_duplicates" if duplicates == len(verdicts) else "processed",
            "processing_time_ms": round(max(0.0, services.clock() - began) * 1_000, 3),
            "results": [_told(verdict) for verdict in verdicts],  # pydantic makes many verdicts faster than we can
        }
    )


def _told(verdict: Verdict) -> dict[str, str | None]:
    told: dict[str, str | None] = {"event_id": verdict.event_id, "status": verdict.status}
    if verdict.reason is not None:
        told |= {"reason": verdict.reason, "detail": verdict.detail, "dead_letter_id": verdict.dead_letter_id}
    return told


def shown(verdict: Verdict) -> EventVerdict:
    """A verdict on the wire."""
    return EventVerdict.model_construct(
        event_id=verdict.event_id,
        status=verdict.status,
        reason=verdict.reason,
        detail=verdict.detail,
        dead_letter_id=verdict.dead_letter_id,
    )


METHODS = (
    Method(
        "ingestEvents",
        ingest_events,
        scope="events:write",
        access=Access.REQUIRED,
        faults=(Forbidden, Overloaded, StorageUnavailable),
        examples=(
            Example(
                "one use of a model elsewhere",
                {
                    "events": [
                        {
                            "event_id": "evt_123",
                            "customer_id": "your-company",
                            "user_id": "user-123",
                            "event_type": "TOKEN_USAGE",
                            "feature_id": "chat",
                            "provider": "SIMULATOR",
                            "model": "simulator",
                            "input_tokens": 1000,
                            "output_tokens": 500,
                        }
                    ]
                },
                {
                    "accepted": 1,
                    "rejected": 0,
                    "duplicates": 0,
                    "dead_letters": 0,
                    "batch_id": "batch_req_1",
                    "status": "processed",
                    "processing_time_ms": 3.2,
                    "results": [{"event_id": "evt_123", "status": "accepted"}],
                },
            ),
        ),
    ),
)
