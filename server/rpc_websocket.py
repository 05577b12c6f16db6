"""JSON-RPC over one WebSocket: one message per text frame, concurrent calls, progress as messages. No batches, no money."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import orjson
from starlette.types import Receive, Scope, Send

from methods.errors import Cancelled, Overloaded
from methods.progress import Progress
from monetization.calls import Credential
from server.jsonrpc import Malformed, Request, RpcId, classify, fault_reply, malformed_reply, parse, result_reply
from server.rpc_calls import Arrival, RpcLimits, Runner, is_ignored, progress_token, take_meta, wants_stream
from server.rpc_reading import credential_from
from server.rpc_wire import ProgressWire

DRAIN_LOOK_SECONDS: Final = 1.0
_LEAVING: Final = 1012
_TOO_BIG: Final = 1009
_NOT_TEXT: Final = 1003


class RpcSocket:
    """Serves sockets; each gets a session of its own."""

    def __init__(
        self, runner: Runner, limits: RpcLimits, *, is_draining: Callable[[], bool], monotonic: Callable[[], float]
    ) -> None:
        self._runner = runner
        self._limits = limits
        self._is_draining = is_draining
        self._monotonic = monotonic

    async def serve(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        """Serve one socket until either side closes it; closing cancels what runs on it."""
        await receive()
        if self._is_draining():
            await send({"type": "websocket.close", "code": _LEAVING})
            return
        await send({"type": "websocket.accept", "headers": []})
        credential = credential_from(scope, dict(scope["headers"]))
        session = _Session(self._runner, self._limits, send, credential, request_id, self._monotonic)
        leaving = asyncio.get_running_loop().create_task(self._leave(session))
        try:
            await session.read(receive)
        finally:
            leaving.cancel()
            await session.end()

    async def _leave(self, session: "_Session") -> None:
        """Close a socket of a process that leaves, as soon as nothing runs on it."""
        while True:
            if self._is_draining() and not session.running:
                await session.close(_LEAVING)
                return
            await asyncio.sleep(DRAIN_LOOK_SECONDS)


def _refuse_batch() -> None:
    raise Malformed(-32600, "batch_on_socket", "A WebSocket takes no batches; send one request per message.")


class _Session:
    """One socket: who speaks on it and what runs on it."""

    def __init__(
        self,
        runner: Runner,
        limits: RpcLimits,
        send: Send,
        credential: Credential,
        request_id: str,
        monotonic: Callable[[], float],
    ) -> None:
        self._runner = runner
        self._limits = limits
        self._send = send
        self._credential = credential
        self._request_id = request_id
        self._monotonic = monotonic
        self._count = 0
        self._is_closed = False
        self.running: dict[asyncio.Task[None], Request] = {}
        self._cancelled: set[asyncio.Task[None]] = set()

    async def read(self, receive: Receive) -> None:
        """Take messages until the client leaves or breaks the rules of the transport."""
        while not self._is_closed:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self._is_closed = True
                return
            text = message.get("text")
            if text is None:
                await self.close(_NOT_TEXT)
                return
            body = text.encode("utf-8", "surrogatepass")
            if len(body) > self._limits.body_bytes_max:
                await self.close(_TOO_BIG)
                return
            await self._take(body)

    async def close(self, code: int) -> None:
        """Close from our side, once."""
        if not self._is_closed:
            self._is_closed = True
            await self._send({"type": "websocket.close", "code": code})

    async def end(self) -> None:
        """Cancel what runs and wait until it has closed its affairs."""
        self._is_closed = True
        tasks = list(self.running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

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
        if is_ignored(request) or self._has_cancelled(request):
            return
        if len(self.running) >= limits.socket_calls_max:
            if not request.is_notification:
                busy = Overloaded(f"at most {limits.socket_calls_max} calls may run on one socket; wait for one to end")
                await self._say(fault_reply(request.rpc_id, busy, request_id))
            return
        task = asyncio.get_running_loop().create_task(self._run(request, request_id))
        self.running[task] = request
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

    def _has_cancelled(self, request: Request) -> bool:
        """Cancel by id what runs on this socket. False: it is no such message, or may mean a call elsewhere."""
        if request.method != "$/cancelRequest" or not request.is_notification:
            return False
        wanted: RpcId | object = request.params.get("id", self) if type(request.params) is dict else self
        found = [t for t, r in self.running.items() if not r.is_notification and r.rpc_id == wanted]
        if len(found) == 1:
            self._cancelled.add(found[0])
            found[0].cancel()
        return bool(found)

    async def _run(self, request: Request, request_id: str) -> None:
        task = asyncio.current_task()
        try:
            reply = await self._reply(request, request_id)
        except asyncio.CancelledError:
            if task is None or task not in self._cancelled or task.uncancel() > 0:
                raise
            reply = fault_reply(request.rpc_id, Cancelled("the caller cancelled this call"), request_id)
        if not request.is_notification:
            await self._say(reply)

    async def _reply(self, request: Request, request_id: str) -> bytes:
        arrival = Arrival(self._credential, request_id, "websocket", self._monotonic())
        if request.is_notification or not wants_stream(request.params):
            return (await self._runner.run(request, arrival, request_id)).reply
        wire: ProgressWire | None = None
        try:
            meta = take_meta(request)
            wire = ProgressWire(progress_token(meta, request), request_id)

            async def sink(items: Sequence[Progress]) -> None:
                for message in wire.render(items):
                    await self._say(message)

            answer = await self._runner.run_stream(request, meta, arrival, request_id, sink)
        except Exception as error:  # noqa: BLE001  # the socket's net, for streams
            is_partial = wire is not None and wire.seq > 0
            return self._runner.failed(request, error, request_id, is_partial=is_partial).reply
        return self._runner.finished(request, answer, request_id).reply

    async def _say(self, message: bytes) -> None:
        if not self._is_closed:
            await self._send({"type": "websocket.send", "text": message.decode()})

    def _forget(self, task: asyncio.Task[None]) -> None:
        self.running.pop(task, None)
        self._cancelled.discard(task)
        if not task.cancelled():
            task.exception()  # a socket that broke while we spoke ends the reading side; there is nobody to tell
