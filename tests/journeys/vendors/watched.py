"""The server as it is, in a process that also tells how many tasks it has: `GET /tasks`.

`python -m tests.journeys.vendors.watched serve --config FILE --port PORT`, like the command of the product.
"""

import argparse
import asyncio
import os
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from server.app import create_app
from server.config import Settings
from server.drain import Drain
from server.serving import serve


def watched(settings: Settings, drain: Drain) -> ASGIApp:
    """The product's own app, and one path more."""
    app = create_app(settings, drain)

    async def ask(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/tasks":
            await app(scope, receive, send)
            return
        body = b"%d" % len(asyncio.all_tasks())
        head = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    return ask


def main() -> None:
    """Serve until a signal says leave."""
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["serve"])
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--port", required=True)
    given = parser.parse_args()
    settings = Settings.load(given.config, {**os.environ, "TOLLGATE__SERVER__PORT": given.port})
    serve(settings, file=given.config, make_app=watched)


if __name__ == "__main__":
    main()
