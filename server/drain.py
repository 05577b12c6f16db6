"""Leaving: whether this process still takes work, and how many calls run in it. No signal and no socket is handled here."""

import asyncio


class Drain:
    """What the doors ask before they take a call, and what the end of the process waits for. One per process.

    The journal counts calls in and out. `wait` may only be used from the loop that runs the calls.
    """

    def __init__(self) -> None:
        self.is_leaving = False
        """True once the process was told to leave: readiness fails, so that nobody sends more."""
        self.is_draining = False
        """True once new calls are refused."""
        self.running = 0
        """Calls between their first and last step."""
        self._idle: asyncio.Event | None = None

    def announce(self) -> None:
        """Let readiness fail while calls are still taken: a balancer needs a moment to see it."""
        self.is_leaving = True

    def begin(self) -> None:
        """Take no more calls. Saying it twice changes nothing."""
        self.is_leaving = self.is_draining = True

    def enter(self) -> None:
        """A call has begun."""
        self.running += 1

    def leave(self) -> None:
        """A call has ended, however it ended."""
        self.running -= 1
        if self.running == 0 and self._idle is not None:
            self._idle.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until no call runs, at most so long. False: the time is over and calls still run."""
        if self.running == 0:
            return True
        self._idle = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return self.running == 0
        return True
