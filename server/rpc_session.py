"""JSON-RPC over one WebSocket: one message per text frame, concurrent calls, progress as messages. No batches, no money."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import orjson
from starlette.types import Receive, Send

from methods.errors import Overloaded
from methods.progress import Progress
from monetization.calls import Call, Credential
from server.jsonrpc import Malformed, Request, RpcId, classify, fault_reply, malformed_reply, parse, result_reply
from server.rpc_calls import (
    Arrival,
    RpcLimits,
    Runner,
    by_wish,
    call_from_wire,
    is_ignored,
    progress_token,
    take_meta,
    wants_stream,
)
from server.rpc_wire import ProgressWire

_TOO_BIG: Final = 1009
_NOT_TEXT: Final = 1003
_TURN: Final = 32
"""Messages after which everybody else has a turn."""


class _Running:
    """One call of a socket, which its caller may cancel until its reply is on its way."""

    __slots__ = ("_is_wished", "has_ended", "rpc_id", "task")

    def __init__(self, rpc_id: RpcId) -> None:
        self.rpc_id = rpc_id
        self.task: asyncio.Task[None] | None = None
        self.has_ended = False
        self._is_wished = False

    def cancel(self) -> None:
        """End the call. Not at once: a task that has not begun would end without ever answering."""
        if not self._is_wished:  # a second cancellation would look like somebody else's
            self._is_wished = True
            asyncio.get_running_loop().call_soon(self._cancel)

    def _cancel(self) -> None:
        if self.task is not None and not self.has_ended:
            self.task.cancel()

    def is_cancelled(self) -> bool:
        """After a CancelledError: True if only the caller's wish caused it, which is then taken back."""
        return self._is_wished and self.task is not None and self.task.uncancel() == 0


def _refuse_batch() -> None:
    raise Malformed(-32600, "batch_on_socket", "A WebSocket takes no batches; send one request per message.")


class RpcSession:
    """One socket: who speaks on it and what runs on it."""

    def __init__(
        self,
        runner: Runner,
        limits: RpcLimits,
        send: Send,
        credential: Credential,
        request_id: str,
        *,
        is_draining: Callable[[], bool],
        monotonic: Callable[[], float],
    ) -> None:
        self._runner = runner
        self._limits = limits
        self._send = send
        self._credential = credential
        self._request_id = request_id
        self._is_draining = is_draining
        self._monotonic = monotonic
        self._count = 0
        self._is_closed = False
        self._reader = asyncio.current_task()
        self._interrupted = False
        self._writing_since: float | None = None
        self._close_code: int | None = None
        self.running: dict[asyncio.Task[None], _Running] = {}

    async def read(self, receive: Receive) -> None:
        """Take messages until the client leaves, breaks the rules of the transport, or is interrupted."""
        try:
            await self._read(receive)
        except asyncio.CancelledError:
            # Only an interruption ends here; a cancellation by the server goes on.
            if not self._interrupted or self._reader is None or self._reader.uncancel() > 0:
                raise
        if self._close_code is not None:
            await self._close(self._close_code)

    async def _read(self, receive: Receive) -> None:
        while not self._is_closed:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self._is_closed = True
                return
            text = message.get("text")
            if text is None:
                self._close_code = _NOT_TEXT
                return
            body = text.encode("utf-8", "surrogatepass")
            if len(body) > self._limits.body_bytes_max:
                self._close_code = _TOO_BIG
                return
            await self._take(body)
            if not self._count % _TURN:
                await asyncio.sleep(0)  # what has arrived together is taken without a wait

    def interrupt(self, code: int | None) -> None:
        """End the session from our side, with this close code. None: the client takes nothing, so nothing is said."""
        if not self._interrupted and self._reader is not None:
            self._interrupted = True
            self._close_code = code
            self._reader.cancel()

    def is_stalled(self) -> bool:
        """Whether the client has taken nothing of what was written for too long."""
        since = self._writing_since
        return since is not None and self._monotonic() - since > self._limits.write_timeout_seconds

    async def end(self) -> None:
        """Cancel what runs and wait until it has closed its affairs."""
        self._is_closed = True
        tasks = list(self.running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _close(self, code: int) -> None:
        if not self._is_closed:
            self._is_closed = True
            await self._send({"type": "websocket.close", "code": code})

    async def _take(self, body: bytes) -> None:
        self._count += 1
        request_id = f"{self._request_id}-{self._count}"
        limits = self._limits
        try:
            message = parse(body, depth_max=limits.depth_max, batch_max=limits.batch_max)
            if type(message) is list:
                _refuse_batch()
            request = classify(message, method_chars_max=limits.method_chars_max, id_chars_max=limits.id_chars_max)
            if request.method == "authenticate":
                await self._authenticate(request)
                return
        except Malformed as wrong:
            await self._say(malformed_reply(wrong, request_id))
            return
        if request.method == "$/cancelRequest" and request.is_notification:
            self._cancel(request.params)
            return
        if is_ignored(request):
            return
        busy = self._busy()
        if busy is not None:
            if not request.is_notification:
                await self._say(fault_reply(request.rpc_id, busy, request_id))
            return
        running = _Running(request.rpc_id)
        running.task = task = asyncio.get_running_loop().create_task(self._run(request, request_id, running))
        self.running[task] = running
        task.add_done_callback(self._forget)

    async def _authenticate(self, request: Request) -> None:
        """Take a bearer token as the first message, for clients that cannot set headers; each call checks it."""
        params = request.params
        token = params.get("token") if type(params) is dict else None
        if self._count != 1 or type(token) is not str or not token:
            detail = "'authenticate' must be the first message and name a 'token'."
            raise Malformed(-32600, "invalid_authenticate", detail, request.rpc_id)
        self._credential = Credential("bearer", token, self._credential.address)
        if not request.is_notification:
            await self._say(result_reply(request.rpc_id, orjson.dumps({"accepted": True})))

    def _busy(self) -> Overloaded | None:
        if self._is_draining():
            after = self._limits.retry_after_seconds
            return Overloaded("this server is leaving; connect again", reason="draining", retry_after_seconds=after)
        calls_max = self._limits.socket_calls_max
        if len(self.running) >= calls_max:
            return Overloaded(f"at most {calls_max} calls may run on one socket; wait for one to end")
        return None

    def _cancel(self, params: object) -> None:
        """Cancel by id what runs on this socket, and nothing elsewhere: clients count their ids anew on each socket."""
        wanted = params.get("id") if type(params) is dict else None
        if type(wanted) not in (str, int, float):
            return
        found = [running for running in self.running.values() if running.rpc_id == wanted and not running.has_ended]
        if len(found) == 1:
            found[0].cancel()

    async def _run(self, request: Request, request_id: str, running: "_Running") -> None:
        reply = await self._reply(request, request_id, running)
        running.has_ended = True
        if not request.is_notification:
            await self._say(reply)

    async def _reply(self, request: Request, request_id: str, running: "_Running") -> bytes:
        arrival = Arrival(self._credential, request_id, "websocket", self._monotonic())
        runner = self._runner
        if request.is_notification or not wants_stream(request.params):
            return (await runner.run(request, arrival, request_id, is_cancelled=running.is_cancelled)).reply
        wire: ProgressWire | None = None
        call: Call | None = None
        try:
            meta = take_meta(request)
            call = call_from_wire(request, meta, arrival, request_id, is_stream=True)
            wire = ProgressWire(progress_token(meta, request), request_id)

            async def sink(items: Sequence[Progress]) -> None:
                for message in wire.render(items):
                    await self._say(message)

            return runner.rendered(request, await runner.serve(call, sink)).reply
        except asyncio.CancelledError:
            if not running.is_cancelled():
                raise
            error: Exception = by_wish()
        except Exception as wrong:  # noqa: BLE001  # the socket's net, for streams
            error = wrong
        is_partial = wire is not None and wire.seq > 0
        return runner.failed(request, error, request_id, call, is_partial=is_partial).reply

    async def _say(self, message: bytes) -> None:
        if self._is_closed:
            return
        if self._writing_since is None:
            self._writing_since = self._monotonic()
        try:
            await self._send({"type": "websocket.send", "text": message.decode()})
        except OSError:
            self._is_closed = True  # the client is gone; the reading side hears it next and cancels what runs
        else:
            self._writing_since = None

    def _forget(self, task: asyncio.Task[None]) -> None:
        self.running.pop(task, None)
        if not task.cancelled():
            task.exception()  # a socket that broke while we spoke ends the reading side; there is nobody to tell
