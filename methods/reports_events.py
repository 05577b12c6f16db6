"""The single rows of usage: `listUsageEvents`, page by page. Reads only (S3-07; OpenMonetize's `GET /v1/events`)."""

from typing import Annotated

from pydantic import Field

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Result
from methods.money_shapes import Cursor, Limit, Name
from methods.paging import Offset, Paging, page_at, paging_of
from methods.reports_shapes import RangeParams, range_of, whose_of
from methods.usage_shapes import RowFigures, cost_text, figures_of
from storage.errors import InvalidCursor
from storage.records.ledger import Page
from storage.records.money import CREDIT
from storage.records.reports import Dim
from storage.records.usage import UsageRow

_NANO_PLACES = 9


class EventsParams(RangeParams):
    """Which events, the newest first."""

    event_type: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    outcome: Name | None = None
    key_id: Name | None = None
    limit: Limit = 50
    cursor: Cursor | None = None
    """`nextCursor` of the page before. Absent: the first page."""
    offset: Offset | None = None
    """In the place of `cursor`."""


class EventEntry(RowFigures):
    """One call or ingested event."""

    event_id: str
    """Of a call: its request id. Of an ingested event: the id that it came with."""
    request_id: str
    """The same, under the name that a call's answer has for it (S0-12)."""
    event_type: str
    user_id: str | None = None
    organization_id: str | None = None
    key_id: str | None = None
    source: str
    tier: str
    feature_id: str | None = None
    unit_type: str | None = None
    quantity: float | None = None
    cost_usd: str | None = None
    credits_burned: str | None = None
    is_stream: bool
    first_byte_ms: int | None = None
    metadata: dict[str, str]


class EventsResult(Result):
    """One page of events."""

    events: list[EventEntry]
    next_cursor: str | None = None
    """Absent: there are no more."""
    pagination: Paging


async def list_usage_events(context: Context, params: EventsParams) -> EventsResult:
    """Every call and every ingested event, with what it used and cost; never what was asked or answered."""
    whose = whose_of(context, params)
    span = range_of(context, params.period, params.start_date, params.end_date)
    where: dict[Dim, str | None] = {**params.where}
    if params.event_type is not None:
        where["kind"] = params.event_type.upper()
    if params.outcome is not None:
        where["outcome"] = params.outcome
    if params.key_id is not None:
        where["key_id"] = params.key_id

    async def read(limit: int, cursor: str | None) -> Page[UsageRow]:
        return await context.services.reports.events(whose, span, where=where, limit=limit, cursor=cursor)

    page = await page_at(read, params.limit, params.cursor, params.offset)
    return EventsResult(
        events=[entry_of(row) for row in page.rows], next_cursor=page.next_cursor, pagination=paging_of(params, page)
    )


def entry_of(row: UsageRow) -> EventEntry:
    """A usage row as JSON."""
    figures = figures_of(row)
    return EventEntry(
        **figures,
        event_id=row.request_id,
        request_id=row.request_id,
        event_type=row.kind,
        user_id=row.user_id,
        organization_id=row.organization_id,
        key_id=row.key_id,
        source=row.source,
        tier=row.tier,
        feature_id=row.feature,
        unit_type=row.unit,
        quantity=None if row.quantity_nano is None else row.quantity_nano / 10**_NANO_PLACES,
        cost_usd=cost_text(row),
        credits_burned=figures["charged"] if row.charge_asset == CREDIT else None,
        is_stream=row.is_stream,
        first_byte_ms=None if row.first_byte_us is None else row.first_byte_us // 1_000,
        metadata=dict(row.metadata),
    )


METHODS = [
    Method(
        "listUsageEvents",
        list_usage_events,
        scope="account:read",
        access=Access.REQUIRED,
        faults=(Forbidden, InvalidParams, InvalidCursor),
        examples=(Example("the last ten", {"limit": 10}, {"events": []}),),
    ),
]
