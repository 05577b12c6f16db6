"""What every door of plain HTTP beside `/rpc` is made of: how a call is served, and the bounds and clocks around it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.types import Scope, Send

from server.rpc_calls import Crashed, RpcLimits, Serve

NO_CONTENT: Final = 204


@dataclass(frozen=True, slots=True)
class Means:
    """What a door works with."""

    serve: Serve
    limits: RpcLimits
    is_draining: Callable[[], bool]
    new_request_id: Callable[[], str]
    crashed: Crashed
    """Is told of a mistake of ours, with the request id."""
    monotonic: Callable[[], float]
    """Seconds."""

    def request_id(self, scope: Scope) -> str:
        """The id that the transport has given the exchange, or a new one."""
        state = scope.get("state")
        return (state.get("request_id") if state else None) or self.new_request_id()


async def nothing(send: Send, headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Answer with 204 and no body."""
    said = [(b"cache-control", b"no-store"), *headers]
    await send({"type": "http.response.start", "status": NO_CONTENT, "headers": said})
    await send({"type": "http.response.body", "body": b""})
