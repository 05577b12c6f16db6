"""What every door of plain HTTP beside `/rpc` is made of: how a call is served, and the bounds and clocks around it."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Scope

from server.rpc_calls import Crashed, RpcLimits, Serve


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
