"""Usage rows as files: `exportUsage` streams them as CSV or NDJSON, at any number of rows in the memory of one page.

However many run in a process, they read one page at a time together, and leave it as much time as that took for everything else.
The text goes out as it is read, the newest row first; over JSON-RPC as deltas of text, over `GET /v1/usage/export` as the file.
"""

import asyncio
import csv
import io
from collections.abc import Callable, Sequence
from typing import Final, Literal

import orjson

from methods.context import Context
from methods.dialects.canonical import TextDelta
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Result
from methods.reports_events import EventEntry, entry_of
from methods.reports_shapes import RangeParams, range_of, whose_of
from monetization.reports.asking import Whose
from storage.records.usage import UsageRow

Format = Literal["csv", "ndjson"]
PAGE: Final = 100
"""Rows that are read and written at once, which keeps everybody else waiting for some four milliseconds."""
_COLUMNS: Final = tuple(field.alias or name for name, field in EventEntry.model_fields.items())
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets take for the beginning of a formula. Source: OWASP, CSV Injection."""


class ExportParams(RangeParams):
    """Which rows, as what."""

    format: Format = "csv"
    everybody: bool = False
    """All users' rows; needs the scope `users:read`."""
    stream: bool = False
    """Over JSON-RPC: true, with `Accept: text/event-stream`."""


class ExportResult(Result):
    """What was streamed."""

    format: Format
    rows: int
    characters: int


async def export_usage(context: Context, params: ExportParams) -> ExportResult:
    """Stream usage rows. Raises: InvalidParams where nobody takes a stream."""
    if context.sink is None:
        raise InvalidParams("exportUsage answers as a stream: send stream: true with Accept: text/event-stream, "
                            "or GET /v1/usage/export")  # fmt: skip
    whose = _whose(context, params)
    span = range_of(context, params.period, params.start_date, params.end_date)
    rendered: Callable[[Sequence[UsageRow]], str] = _csv if params.format == "csv" else _ndjson
    rows = characters = 0
    cursor: str | None = None
    text = _line(_COLUMNS) if params.format == "csv" else ""
    reports, seconds = context.services.reports, asyncio.get_running_loop().time
    while True:
        async with reports.exporting:
            began = seconds()
            page = await reports.events(whose, span, where=params.where, limit=PAGE, cursor=cursor)
            text += rendered(page.rows)
            # A file of SQLite is read without a wait, and a client that takes all at once lets nobody else have a turn.
            await asyncio.sleep(seconds() - began)
        if text:
            await context.sink([TextDelta(text)])
        rows, characters, text = rows + len(page.rows), characters + len(text), ""
        cursor = page.next_cursor
        if cursor is None:
            return ExportResult(format=params.format, rows=rows, characters=characters)


def _whose(context: Context, params: ExportParams) -> Whose:
    if not params.everybody:
        return whose_of(context, params)
    if params.user_id is not None or params.organization_id is not None:
        raise InvalidParams("give either everybody or whose rows are meant, not both")
    if not context.caller.may("users:read"):
        raise Forbidden(
            "everybody's usage needs the scope 'users:read'; leave everybody out",
            reason="scope_required",
            data={"scope": "users:read"},
        )
    return Whose()


def _csv(rows: Sequence[UsageRow]) -> str:
    shown = (entry_of(row).model_dump(by_alias=True) for row in rows)
    return "".join(_line([_cell(entry[name]) for name in _COLUMNS]) for entry in shown)


def _ndjson(rows: Sequence[UsageRow]) -> str:
    return "".join(entry_of(row).to_wire().decode() + "\n" for row in rows)


def _line(cells: Sequence[object]) -> str:
    """One line of CSV (RFC 4180)."""
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _cell(value: object) -> object:
    """A value as a spreadsheet may be given it: no text of a caller's becomes a formula."""
    if isinstance(value, dict):
        value = orjson.dumps(value).decode() if value else ""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


METHODS = [
    Method(
        "exportUsage",
        export_usage,
        scope="account:read",
        access=Access.REQUIRED,
        faults=(Forbidden, InvalidParams),
        streams=True,
        examples=(
            Example("a stream", {"format": "ndjson", "stream": True}, {"format": "ndjson", "rows": 0, "characters": 0}),
        ),
    ),
]
