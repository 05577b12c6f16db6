"""The floor of ingestion: parse a batch, look at four members, insert all in one statement, commit. No identity, no money.

As anybody would write it on the same HTTP stack, the same driver and the same durability; telling of an event twice adds one row.
"""

import argparse
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from storage.sql.postgres.connections import address_of, driver
from tests.bench.serving import serve

Row = tuple[str, str, int, int, str]
Insert = Callable[[Sequence[Row]], Awaitable[None]]
_TABLE = (
    "CREATE TABLE IF NOT EXISTS bare_event "
    "(id TEXT PRIMARY KEY, user_id TEXT, tokens_in BIGINT, tokens_out BIGINT, said TEXT)"
)
_KINDS = (str, str, int, int, str)


@asynccontextmanager
async def _sqlite(path: str) -> AsyncIterator[Insert]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(_TABLE)

        async def insert(rows: Sequence[Row]) -> None:
            connection.execute("BEGIN")
            connection.executemany("INSERT OR IGNORE INTO bare_event VALUES (?, ?, ?, ?, ?)", rows)
            connection.execute("COMMIT")

        yield insert


@asynccontextmanager
async def _postgres(url: str) -> AsyncIterator[Insert]:
    async with driver().create_pool(address_of(url).dsn, min_size=4, max_size=4) as pool:
        await pool.execute(_TABLE)

        async def insert(rows: Sequence[Row]) -> None:
            columns = [list(column) for column in zip(*rows, strict=True)]
            await pool.execute(
                "INSERT INTO bare_event SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[]) "
                "ON CONFLICT DO NOTHING",
                *columns,
            )

        yield insert


def rows_of(body: bytes) -> list[Row]:
    """The events of a body. Raises: KeyError, TypeError, ValueError for what is no batch of events."""
    rows = [
        (
            event["event_id"],
            event["user_id"],
            event["input_tokens"],
            event["output_tokens"],
            orjson.dumps(event).decode(),
        )
        for event in orjson.loads(body)["events"]
    ]
    if not all(tuple(map(type, row)) == _KINDS for row in rows):
        raise ValueError("a member of the wrong kind")
    return rows


def bare(url: str) -> Starlette:
    """An app that keeps every batch that is posted to it in the database at `url`."""
    made: list[Insert] = []

    async def take(request: Request) -> Response:
        rows = rows_of(await request.body())
        await made[0](rows)
        return Response(orjson.dumps({"accepted": len(rows)}), status_code=202, media_type="application/json")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        opened = _sqlite(url.removeprefix("sqlite:///")) if url.startswith("sqlite:") else _postgres(url)
        async with opened as insert:
            made.append(insert)
            yield

    return Starlette(routes=[Route("/v1/events/ingest", take, methods=["POST"])], lifespan=lifespan)


def main() -> None:
    """`python -m tests.bench.metering.bare PORT DATABASE_URL`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("url")
    given = parser.parse_args()
    serve(bare(given.url), given.port)


if __name__ == "__main__":
    main()
