"""The WebSocket end of the JSON-RPC door: who may open a socket, and when we close it. Messages are the session's."""

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.types import Receive, Scope, Send

from server.rpc_calls import RpcLimits, Runner
from server.rpc_reading import Refused, credential_from
from server.rpc_session import RpcSession

LOOK_SECONDS: Final = 0.25
"""Between two looks at the open sockets: whether the process leaves, and whether a client still reads."""
_LEAVING: Final = 1012
"""Service restart (IANA WebSocket close codes): come again."""


class RpcSocket:
    """Serves sockets; each gets a session of its own. One task looks after all of them while there are any."""

    def __init__(
        self, runner: Runner, limits: RpcLimits, *, is_draining: Callable[[], bool], monotonic: Callable[[], float]
    ) -> None:
        self._runner = runner
        self._limits = limits
        self._is_draining = is_draining
        self._monotonic = monotonic
        self._sessions: set[RpcSession] = set()
        self._looking: asyncio.Task[None] | None = None

    async def serve(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        """Serve one socket until either side closes it; closing cancels what runs on it."""
        await receive()
        if self._is_draining():
            await self._refuse(scope, send, request_id)
            return
        await send({"type": "websocket.accept", "headers": []})
        credential = credential_from(scope, dict(scope["headers"]))
        session = RpcSession(
            self._runner,
            self._limits,
            send,
            credential,
            request_id,
            is_draining=self._is_draining,
            monotonic=self._monotonic,
        )
        self._add(session)
        try:
            await session.read(receive)
        finally:
            self._remove(session)
            await session.end()

    async def _refuse(self, scope: Scope, send: Send, request_id: str) -> None:
        """Refuse the handshake as a POST is refused, or with a close where the server cannot show a status."""
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": _LEAVING})
            return
        refused = Refused.draining(self._limits.retry_after_seconds)
        headers = [(b"content-type", b"application/json"), *refused.headers]
        await send({"type": "websocket.http.response.start", "status": refused.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": refused.reply(request_id)})

    def _add(self, session: RpcSession) -> None:
        self._sessions.add(session)
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look())

    def _remove(self, session: RpcSession) -> None:
        self._sessions.discard(session)
        if not self._sessions and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for session in list(self._sessions):
                if session.is_stalled():
                    session.interrupt(None)
                elif self._is_draining() and not session.running:
                    session.interrupt(_LEAVING)
