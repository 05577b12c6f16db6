"""The shipped app under calls while the collector is held back; tells what it then finds. A process of the test beside it."""

import asyncio
import gc
import socket
import sys
import time
from collections import Counter
from pathlib import Path

import orjson
import uvicorn
import uvloop

from server.app import create_app
from server.auth.issuing import Holder, issued
from server.demo import demo_settings
from server.drain import Drain
from server.serving import _config, listen

CALLS = 10
BODIES: dict[str, dict[str, object]] = {
    "free": {"method": "ping"},
    "paid": {"method": "executeAIRequest", "params": {"content": "Hi", "options": {"maxTokens": 20}}},
    "stream": {"method": "executeAIRequest", "params": {"content": "Hi", "stream": True, "options": {"maxTokens": 20}}},
    "uncounted": {
        "method": "executeAIRequest",
        "params": {"content": "Hi [simulate no-usage]", "options": {"maxTokens": 20}},
    },
    "left": {
        "method": "executeAIRequest",
        "params": {"content": "Hi [simulate slow-stream]", "stream": True, "options": {"maxTokens": 20}},
    },
    "refused": {"method": "executeAIRequest", "params": {"content": "Hi", "options": {"model": "nobody"}}},
}


async def main() -> None:
    settings = demo_settings(Path(sys.argv[2]))
    app = create_app(settings, Drain())
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(_config(app, settings.server))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    token = issued(settings, Holder("ada", "enterprise"), expires_seconds=600, now=time.time())
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    body = orjson.dumps({"jsonrpc": "2.0", "id": 1, **BODIES[sys.argv[1]]})
    head = f"POST /rpc HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {token}\r\n"
    accept = "text/event-stream" if sys.argv[1] in ("stream", "left") else "application/json"
    asked = f"{head}accept: {accept}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    async def call() -> None:
        writer.write(asked)
        answer = b""
        while b'"id":1' not in answer or (accept[:4] == "text" and not answer.endswith(b"\r\n0\r\n\r\n")):
            more = await reader.read(65536)
            assert more, answer
            answer += more
        assert (b'"error"' in answer) == (sys.argv[1] == "refused"), answer

    async def leave() -> None:
        loop, connection = asyncio.get_running_loop(), socket.socket()
        with connection:
            connection.settimeout(0)
            await loop.sock_connect(connection, listener.getsockname())
            await loop.sock_sendall(connection, asked)
            answer = b""
            while b"$/progress" not in answer:
                more = await loop.sock_recv(connection, 65536)
                assert more, answer
                answer += more

    async def made() -> None:
        """Make a call, and see it end."""
        before = len(asyncio.all_tasks())
        await (leave if sys.argv[1] == "left" else call)()
        async with asyncio.timeout(30):
            while len(asyncio.all_tasks()) > before:  # noqa: ASYNC110  # the tasks are the server's own
                await asyncio.sleep(0.005)

    await made()  # what the first one makes may stay
    gc.collect()
    gc.disable()
    for _ in range(CALLS):
        await made()
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    found = Counter(f"{type(each).__module__}.{type(each).__name__}" for each in gc.garbage)
    sys.stderr.write(orjson.dumps({kind: count for kind, count in found.items() if count >= CALLS - 1}).decode())
    gc.set_debug(0)
    writer.close()
    server.should_exit = True
    await running


if __name__ == "__main__":
    uvloop.run(main())
