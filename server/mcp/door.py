"""`/mcp` as an ASGI app: what must hold before the SDK sees a message. It knows no tool and no method but the one that cancels.

Before a message is read: the verb, the `Host`, the `Origin` and the credential. The same credential goes with every call that the
message comes to, so nothing that is found out here is believed there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container
from contextlib import suppress
from typing import Any, Final  # Any: messages are JSON of every shape

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from methods.deadlines import Deadlines
from monetization.alarms import Alarms
from monetization.callers import Caller
from monetization.calls import Credential
from monetization.errors import Unauthenticated
from server.errors import headers_of, status_of
from server.jsonrpc import fault_reply, internal_reply, malformed_reply
from server.jsonrpc_parse import Malformed, parse
from server.mcp.exchange import Exchange, run, running_id
from server.mcp.guard import Guard
from server.mcp.signpost import Signpost
from server.near import near
from server.plain_http import Means
from server.rate_headers import rate_headers
from server.rpc_reading import (
    WATCH_AFTER_SECONDS,
    Departure,
    Left,
    Refused,
    Sender,
    credential_from,
    read_body,
)
from server.whole_replies import offered
from storage.errors import Fault

Identify = Callable[[Credential], Awaitable[Caller]]
_UNREADABLE: Final = 400
_INTERNAL: Final = 500
_MESSAGES_MAX: Final = 100
"""Of an array, which no revision that is spoken here takes."""


class McpDoor:
    """The door. Replies are plain JSON unless somebody wants to see progress: a stream costs several times as much."""

    def __init__(
        self,
        means: Means,
        *,
        guard: Guard,
        signpost: Signpost,
        identify: Identify,
        tools: Container[str],
        plain: ASGIApp,
        streaming: ASGIApp,
    ) -> None:
        """`plain` and `streaming` serve messages, `tools` are those that say nothing unless they are asked for progress."""
        self._means = means
        self._reading = Deadlines(means.limits.read_timeout_seconds)
        self._watching = Alarms(WATCH_AFTER_SECONDS)
        self._guard = guard
        self._signpost = signpost
        self._identify = identify
        self._tools = tools
        self._plain = plain
        self._streaming = streaming

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange. The broad net of this door is here."""
        request_id = self._means.request_id(scope)
        out, answer = Sender(send, offered(scope)), _Answer(send)
        try:
            exchange = await self._admit(scope, request_id)
            body = await read_body(receive, self._means.limits, self._reading, near(scope))
            limits = self._means.limits
            said = parse(body, depth_max=limits.depth_max, batch_max=_MESSAGES_MAX)
            exchange.enter(scope)
            await self._hand_on(scope, exchange, said, body, receive, answer)
        except Left:
            return
        except Refused as refused:
            await out.refuse(refused, request_id, receive)
        except Malformed as wrong:
            await out.json(malformed_reply(wrong, request_id), _UNREADABLE)
        except Fault as fault:
            await out.json(fault_reply(None, fault, request_id), status_of(fault), self._headers(scope, fault))
        except Exception as problem:
            self._means.crashed(problem, request_id)
            if answer.has_begun:
                raise
            await out.json(internal_reply(None, request_id), _INTERNAL)

    async def _admit(self, scope: Scope, request_id: str) -> Exchange:
        """Who asks. Raises: Refused; Unauthenticated, RateLimited, Overloaded."""
        if scope["method"] != "POST":
            # There is nothing to listen to (GET) and no session to end (DELETE): every worker serves every message.
            raise Refused(405, "method_not_allowed", "Send it with POST.", (b"allow", b"POST, OPTIONS"))
        self._guard.check(scope["headers"])
        if self._means.is_draining():
            raise Refused.draining(self._means.limits.retry_after_seconds)
        started, headers = self._means.monotonic(), dict(scope["headers"])
        credential = credential_from(scope, headers)
        if credential.kind == "none":
            raise Unauthenticated("send 'Authorization: Bearer <key or token>'", reason="credential_required")
        return Exchange(
            credential,
            await self._identify(credential),
            request_id,
            started,
            idempotency_key=headers.get(b"idempotency-key"),
            traceparent=headers.get(b"traceparent"),
        )

    async def _hand_on(
        self, scope: Scope, exchange: Exchange, said: object, body: bytes, receive: Receive, answer: "_Answer"
    ) -> None:
        message: dict[str, Any] = said if isinstance(said, dict) else {}
        params = message.get("params")
        params = params if isinstance(params, dict) else {}
        if message.get("method") == "notifications/cancelled" and "id" not in message:
            await self._cancel(exchange, params.get("requestId"))
        answer.exchange = exchange
        # Blanks around a value are no part of it (RFC 9110, section 5.5); the SDK compares these with the message.
        scope["headers"] = [(name, value.strip() if name[:4] == b"mcp-" else value) for name, value in scope["headers"]]
        if self._wants_stream(message, params):
            await self._streaming(scope, _Replay(body, receive), answer.send)
            return
        departure = Departure(receive, self._watching, near(scope))
        try:
            await self._plain(scope, _Replay(body, _never), answer.send)
        except asyncio.CancelledError:
            # Only the cancellation that the client's leaving caused ends here; the server's own goes on.
            if not departure.is_over():
                raise
        finally:
            departure.stop()

    def _wants_stream(self, message: dict[str, Any], params: dict[str, Any]) -> bool:
        if message.get("method") != "tools/call":
            return False
        meta, name = params.get("_meta"), params.get("name")
        return (isinstance(meta, dict) and "progressToken" in meta) or type(name) is not str or name not in self._tools

    async def _cancel(self, exchange: Exchange, said: object) -> None:
        """End a call of the same caller, of that id, in this process: what its client takes back before 2026-07-28.

        Later clients close the connection instead, which is noticed wherever the call runs.
        """
        if type(said) is not str and type(said) is not int:
            return
        with suppress(Fault):  # nobody waits for an answer to a notification; the log has it
            await run(self._means, exchange, "cancelRequest", {"id": running_id(said)}, meta={}, message_id="cancel")

    def _headers(self, scope: Scope, fault: Fault) -> list[tuple[bytes, bytes]]:
        if not isinstance(fault, Unauthenticated):
            return headers_of(fault)
        is_shown = credential_from(scope, dict(scope["headers"])).kind != "none"
        return [self._signpost.challenge(problem=str(fault) if is_shown else None)]


class _Replay:
    """A `receive` that gives a body which was read already, and then goes on."""

    __slots__ = ("_body", "_receive")

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        """The next message."""
        body, self._body = self._body, None
        if body is None:
            return await self._receive()
        return {"type": "http.request", "body": body, "more_body": False}


async def _never() -> Message:
    """Who has left is noticed elsewhere."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nothing ends this wait but a cancellation")


class _Answer:
    """The answer on its way out, with what the call left of the caller's limits."""

    __slots__ = ("_send", "exchange", "has_begun")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.exchange: Exchange | None = None
        self.has_begun = False

    def send(self, message: Message) -> Awaitable[None]:
        """Send a message of the answer."""
        if message["type"] == "http.response.start":
            self.has_begun = True
            call = None if self.exchange is None else self.exchange.call
            if call is not None:
                message["headers"] = [*message["headers"], *rate_headers(call.standings)]
        return self._send(message)
