"""The floor of ingestion: parse a batch, look at three members of each event, insert all in one durable commit. No user, no price,
no balance, no quota, no sums, as anybody would write it who only keeps events.
"""

import argparse
import sqlite3
import time

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def keeper(path: str) -> Starlette:
    """An app that keeps the events of every POST body."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE event (id TEXT PRIMARY KEY, user TEXT, kind TEXT, at INTEGER, body TEXT) STRICT")

    async def keep(request: Request) -> Response:
        events, now = orjson.loads(await request.body())["events"], time.time_ns()
        rows = [
            (event["event_id"], event["user_id"], event["event_type"], now, orjson.dumps(event).decode())
            for event in events
        ]
        connection.execute("BEGIN")
        connection.executemany("INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute("COMMIT")
        return Response(orjson.dumps({"accepted": len(rows)}), media_type="application/json", status_code=202)

    return Starlette(routes=[Route("/v1/events/ingest", keep, methods=["POST"])])


def main() -> None:
    """`python -m tests.bench.metering.floor PORT FILE`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("file")
    given = parser.parse_args()
    app = keeper(given.file)
    uvicorn.run(
        app, host="127.0.0.1", port=given.port, loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )


if __name__ == "__main__":
    main()
