"""Bounds how many calls one provider serves at the same time in this process. Callers' own limits live in monetization."""

import asyncio
from collections import deque
from types import TracebackType

from methods.dialects.canonical import ChatReply
from methods.providers.base import Ask, Batches, Provider
from methods.providers.wrapping import Stream, WrappedStream, Wrapping
from monetization.errors import Overloaded


class Capping(Wrapping):
    """At most `limit` calls run, at most `waiting_max` more wait, each at most `wait_seconds`; then Overloaded.

    Slots are handed on in order of arrival, so nobody overtakes those who wait.
    """

    def __init__(self, inner: Provider, limit: int, *, waiting_max: int = 256, wait_seconds: float = 10.0) -> None:
        super().__init__(inner)
        self._limit = limit
        self._waiting_max = waiting_max
        self._wait_seconds = wait_seconds
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def running(self) -> int:
        """Slots in use."""
        return self._running

    @property
    def is_full(self) -> bool:
        """Whether a call made now would have to wait."""
        return self._running >= self._limit

    async def complete(self, ask: Ask) -> ChatReply:
        """The inner provider's answer. Raises: also Overloaded."""
        if self._running < self._limit:
            self._running += 1
        else:
            await self._wait()
        try:
            return await self.inner.complete(ask)
        finally:
            self.release()

    def stream(self, ask: Ask) -> Stream:
        """The inner provider's stream, which holds its slot until it is left. Raises: also Overloaded."""
        return _Capped(self.inner.stream(ask), self)

    async def take(self) -> None:
        """Return with a slot. Raises: Overloaded."""
        if self._running < self._limit:
            self._running += 1
        else:
            await self._wait()

    def release(self) -> None:
        """Hand a slot on."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._running -= 1

    async def _wait(self) -> None:
        """Return with a slot, which `release` of another call hands over."""
        if len(self._waiting) >= self._waiting_max:
            raise self._overloaded()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._wait_seconds):
                await turn
        except BaseException as ended:
            if turn.done() and not turn.cancelled():
                self.release()  # The slot came at the very moment of giving up.
            else:
                self._waiting.remove(turn)
            if isinstance(ended, TimeoutError):
                raise self._overloaded() from None
            raise

    def _overloaded(self) -> Overloaded:
        return Overloaded(
            f"provider {self.name!r} already serves {self._limit} calls of this server; try again soon",
            reason="provider_busy",
            retry_after_seconds=1.0,
            data={"provider": self.name},
        )


class _Capped(WrappedStream):
    __slots__ = ("_cap",)

    def __init__(self, inner: Stream, cap: Capping) -> None:
        super().__init__(inner)
        self._cap = cap

    async def __aenter__(self) -> Batches:
        await self._cap.take()
        try:
            return await self._inner.__aenter__()
        except BaseException:
            self._cap.release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return await self._inner.__aexit__(kind, error, trace)
        finally:
            self._cap.release()
