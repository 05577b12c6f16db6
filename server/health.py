"""Whether this process lives and whether it should get traffic. Answers are for a balancer and never show our insides."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.drain import Drain

Check = Callable[[], Awaitable[object]]
"""Returns when its subject works and raises when it does not."""
OK = 200
OnFailure = Callable[[str, Exception], None]


class Health:
    """Readiness of one process: started, not leaving, and every named check passes."""

    def __init__(
        self,
        drain: Drain,
        checks: Mapping[str, Check],
        *,
        timeout_seconds: float = 2.0,
        on_failure: OnFailure | None = None,
    ) -> None:
        self._drain = drain
        self.checks = dict(checks)
        """More may be added until `started`."""
        self._timeout_seconds = timeout_seconds
        self._on_failure = on_failure
        self.is_started = False

    def started(self) -> None:
        """The start is complete; from now on the checks decide."""
        self.is_started = True

    async def report(self) -> dict[str, bool]:
        """Every condition of readiness by name. Names are the operator's words; nothing says why one fails."""
        own = {"started": self.is_started, "accepting": not self._drain.is_leaving}
        if not all(own.values()):
            return own  # what is starting or leaving may have nothing left to check
        passed = await asyncio.gather(*(self._passes(name, check) for name, check in self.checks.items()))
        return own | dict(zip(self.checks, passed, strict=True))

    async def _passes(self, name: str, check: Check) -> bool:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await check()
        except Exception as problem:  # noqa: BLE001  # whatever a check raises means one thing: not ready
            if self._on_failure is not None:
                self._on_failure(name, problem)
            return False
        return True


def health_routes(health: Health) -> list[Route]:
    """`/livez` and `/readyz`, with the aliases `/health` and `/ready`."""

    async def live(request: Request) -> Response:
        del request
        return _reply(OK, {"status": "alive"})

    async def ready(request: Request) -> Response:
        report = await health.report()
        is_ready = all(report.values())
        body: dict[str, object] = {"status": "ready" if is_ready else "unavailable"}
        if "verbose" in request.query_params:
            body["checks"] = {name: "pass" if passes else "fail" for name, passes in report.items()}
        return _reply(OK if is_ready else 503, body)

    return [
        Route("/livez", live, methods=["GET"]),
        Route("/health", live, methods=["GET"]),
        Route("/readyz", ready, methods=["GET"]),
        Route("/ready", ready, methods=["GET"]),
    ]


def _reply(status: int, body: Mapping[str, object]) -> Response:
    headers = {"cache-control": "no-store"} | ({} if status == OK else {"retry-after": "1"})
    return Response(orjson.dumps(body), status, headers, media_type="application/json")
