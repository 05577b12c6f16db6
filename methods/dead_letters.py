"""Events that could not be rated: `listDeadLetters`, `getIngestionInfo`, `replayDeadLetters`, `deleteDeadLetters`."""

from typing import Annotated, Any, Final, Literal  # Any: an event as it was told is JSON

from pydantic import Field

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, NoParams, Params, Result
from methods.money_shapes import Reason, actor_of
from monetization.ingestion.batches import GONE, Status, Verdict, rejected
from monetization.ingestion.dead_letters import Letter
from monetization.periods import iso
from storage.errors import InvalidCursor, NotFound, StorageUnavailable, VersionChanged

_AT_ONCE: Final = 500
LetterId = Annotated[str, Field(min_length=1, max_length=64)]
Cursor = Annotated[str, Field(min_length=1, max_length=2_000)]


class LettersParams(Params):
    """Which page."""

    limit: Annotated[int, Field(ge=1, le=_AT_ONCE)] = 50
    cursor: Cursor | None = None


class LetterShown(Result):
    """An event that waits for its cause to be mended."""

    id: str
    reason: str
    """`unknown_model`, `unknown_user` or `unit_not_priced`."""
    detail: str
    """What to mend."""
    received_at: str
    event: dict[str, Any]
    """As it was told, by its snake_case names."""


class LettersResult(Result):
    """Dead letters, the oldest first."""

    dead_letters: list[LetterShown]
    next_cursor: str | None = None


class IngestionInfo(Result):
    """How ingestion stands."""

    dead_letters: int
    is_more: bool
    """There are more dead letters than were counted."""
    by_reason: dict[str, int]
    oldest_received_at: str | None = None
    in_flight: int
    """Events under way in the process that answers."""
    in_flight_max: int
    """Beyond so many it answers 503 until there is room."""


class ReplayParams(Params):
    """Which letters to book now: those that are named, or all, page by page."""

    ids: Annotated[list[LetterId], Field(min_length=1, max_length=_AT_ONCE)] | None = None
    """As `listDeadLetters` shows them. Absent: with `all`, every one."""
    all: bool = False
    cursor: Cursor | None = None
    """With `all`: `nextCursor` of the answer before."""
    reason: Reason | None = None


class Replayed(Result):
    """What became of one letter."""

    id: str
    event_id: str | None = None
    status: Status
    """`accepted`: booked, and no letter any more. `duplicate`: it was booked before. `rejected`: it waits, but for `gone`."""
    reason: str | None = None
    detail: str | None = None


class ReplayResult(Result):
    """What became of the letters."""

    accepted: int
    duplicates: int
    rejected: int
    results: list[Replayed]
    next_cursor: str | None = None
    """With `all`: there are more letters; ask again with it."""


class DeleteParams(Params):
    """Which letters are given up."""

    ids: Annotated[list[LetterId], Field(min_length=1, max_length=_AT_ONCE)]
    reason: Reason | None = None


class Deleted(Result):
    """What became of one letter."""

    id: str
    status: Literal["deleted", "not_found"]


class DeleteResult(Result):
    """What became of the letters."""

    deleted: int
    results: list[Deleted]


async def list_dead_letters(context: Context, params: LettersParams) -> LettersResult:
    """Events that could not be rated or ascribed, each with its reason, in pages."""
    page = await context.services.ingestion.letters.page(limit=params.limit, cursor=params.cursor)
    return LettersResult(dead_letters=[_shown(letter) for letter in page.rows], next_cursor=page.next_cursor)


async def get_ingestion_info(context: Context, params: NoParams) -> IngestionInfo:
    """How ingestion stands: dead letters that wait, by reason, and the events under way in the process that answers."""
    del params
    ingestion = context.services.ingestion
    waiting = await ingestion.letters.waiting()
    return IngestionInfo(
        dead_letters=sum(waiting.by_reason.values()),
        is_more=waiting.is_more,
        by_reason=dict(sorted(waiting.by_reason.items())),
        oldest_received_at=None if waiting.oldest_us is None else iso(waiting.oldest_us),
        in_flight=ingestion.in_flight,
        in_flight_max=ingestion.in_flight_max,
    )


async def replay_dead_letters(context: Context, params: ReplayParams) -> ReplayResult:
    """Book events whose cause was mended, in their own period and once, however often this is asked."""
    if (params.ids is None) == (not params.all):
        raise InvalidParams("name the letters as ids, or set all; not both")
    ingestion, cursor = context.services.ingestion, None
    actor, reason = actor_of(context), params.reason or ""
    verdicts: dict[str, Verdict] = {}
    if params.ids is None:
        page = await ingestion.letters.page(limit=_AT_ONCE, cursor=params.cursor)
        cursor = page.next_cursor
        verdicts = {letter.id: await ingestion.replay(letter, actor, reason) for letter in page.rows}
    for letter_id in dict.fromkeys(params.ids or ()):
        try:
            verdicts[letter_id] = await ingestion.replay(await ingestion.letters.get(letter_id), actor, reason)
        except NotFound:  # as when a replay is asked again that was broken off
            verdicts[letter_id] = rejected(None, GONE)
    results = [
        Replayed(
            id=letter_id,
            event_id=verdict.event_id,
            status=verdict.status,
            reason=verdict.reason,
            detail=verdict.detail,
        )
        for letter_id, verdict in verdicts.items()
    ]
    return ReplayResult(
        accepted=sum(result.status == "accepted" for result in results),
        duplicates=sum(result.status == "duplicate" for result in results),
        rejected=sum(result.status == "rejected" for result in results),
        results=results,
        next_cursor=cursor,
    )


async def delete_dead_letters(context: Context, params: DeleteParams) -> DeleteResult:
    """Give events up: each stands in the audit as it was told, and its id may be told anew. Admins only."""
    letters = context.services.ingestion.letters
    results = []
    for letter_id in dict.fromkeys(params.ids):
        try:
            await letters.delete(actor_of(context), params.reason or "", await letters.get(letter_id))
        except (NotFound, VersionChanged):  # another operator was faster
            results.append(Deleted(id=letter_id, status="not_found"))
        else:
            results.append(Deleted(id=letter_id, status="deleted"))
    return DeleteResult(deleted=sum(result.status == "deleted" for result in results), results=results)


def _shown(letter: Letter) -> LetterShown:
    return LetterShown(
        id=letter.id,
        reason=letter.reason,
        detail=letter.detail,
        received_at=iso(letter.received_us),
        event=dict(letter.said),
    )


_ID: Final = "1793523600000000-0123456789abcdef"
_LETTER: Final = {
    "id": _ID,
    "reason": "unknown_model",
    "detail": "no price is known for openai/gpt-9; set one, then replay the event",
    "receivedAt": "2026-11-01T09:00:00Z",
    "event": {
        "event_id": "evt_124",
        "user_id": "user-123",
        "event_type": "TOKEN_USAGE",
        "provider": "OPENAI",
        "model": "gpt-9",
        "input_tokens": 1000,
        "output_tokens": 500,
        "timestamp": "2026-11-01T08:59:00+00:00",
    },
}

METHODS = (
    Method(
        "getIngestionInfo",
        get_ingestion_info,
        scope="events:write",
        access=Access.REQUIRED,
        faults=(Forbidden, StorageUnavailable),
        examples=(
            Example(
                "two events whose model has no price",
                {},
                {
                    "deadLetters": 2,
                    "isMore": False,
                    "byReason": {"unknown_model": 2},
                    "oldestReceivedAt": "2026-11-01T09:00:00Z",
                    "inFlight": 100,
                    "inFlightMax": 10_000,
                },
            ),
        ),
    ),
    Method(
        "listDeadLetters",
        list_dead_letters,
        scope="events:write",
        access=Access.REQUIRED,
        faults=(Forbidden, InvalidCursor),
        examples=(Example("the first ones", {"limit": 10}, {"deadLetters": [_LETTER]}),),
    ),
    Method(
        "replayDeadLetters",
        replay_dead_letters,
        scope="events:write",
        access=Access.REQUIRED,
        faults=(Forbidden, InvalidCursor, StorageUnavailable),
        examples=(
            Example(
                "one whose model has a price now",
                {"ids": [_ID], "reason": "gpt-9 has a price"},
                {
                    "accepted": 1,
                    "duplicates": 0,
                    "rejected": 0,
                    "results": [{"id": _ID, "eventId": "evt_124", "status": "accepted"}],
                },
            ),
        ),
    ),
    Method(
        "deleteDeadLetters",
        delete_dead_letters,
        scope="money:write",
        access=Access.REQUIRED,
        faults=(Forbidden, NotFound),
        examples=(
            Example(
                "one that was a mistake",
                {"ids": [_ID], "reason": "sent by a test"},
                {"deleted": 1, "results": [{"id": _ID, "status": "deleted"}]},
            ),
        ),
    ),
)
