"""The one way of a process to its counters: commands go in the order in which they were given, all that wait in one pipeline.

Order matters: a caller who has its answer and calls again at once must find its slot free, so what was given back is sent before
what is asked for next. A server that is gone or hangs is noticed within one `answer_seconds`; from then on nobody waits for it,
and the lane looks by itself whether it is there again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from storage.ephemeral.wire import Argument, NoScriptError, Reply, Wire

BATCH_MAX: Final = 128
"""Commands in one pipeline: what a server answers well within the time it has."""
CONNECT_SECONDS_MAX: Final = 1.0
RETRY_SECONDS: Final = 0.25
"""Between two looks for a server that is away."""
LATE_SECONDS: Final = 0.005
"""A timer that fires later than this shows that the loop itself was held up, and the answer may lie there unread."""

Answer: TypeAlias = list[int]


class Script:
    """A script with the name under which a server keeps it."""

    __slots__ = ("sha", "text")

    def __init__(self, text: str) -> None:
        import hashlib  # noqa: PLC0415  # only where there is a server to name scripts for

        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Command:
    """One run of a script."""

    __slots__ = ("answer", "arguments", "keys", "orphaned", "script")

    def __init__(
        self,
        script: Script,
        keys: Sequence[str],
        arguments: Sequence[Argument],
        answer: "asyncio.Future[Answer | None] | None" = None,
        orphaned: Callable[[Answer], None] | None = None,
    ) -> None:
        self.script = script
        self.keys = keys
        self.arguments = arguments
        self.answer = answer
        """None inside: the server cannot tell."""
        self.orphaned = orphaned
        """Told of an answer that nobody waits for any more."""

    def named(self) -> list[Argument]:
        """The command for a server that knows the script."""
        return ["EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.arguments]

    def whole(self) -> list[Argument]:
        """The command for a server that does not; it keeps the script from then on."""
        return ["EVAL", self.script.text, len(self.keys), *self.keys, *self.arguments]

    def resolve(self, answer: Answer | None) -> None:
        """Hand the answer over."""
        waiter = self.answer
        if waiter is None:
            return
        if not waiter.done():
            waiter.set_result(answer)
        elif waiter.cancelled() and answer is not None and self.orphaned is not None:
            self.orphaned(answer)


class Lane:
    """Runs scripts. Used from one event loop."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Wire]],
        scripts: Sequence[Script],
        *,
        answer_seconds: float,
        on_change: Callable[[str | None], None],
    ) -> None:
        """Nothing is opened yet.

        `scripts` are told to each server first, so that none comes late. `on_change` is told once what is wrong when the
        server is lost, and None when it answers again.
        """
        self._connect = connect
        self._scripts = scripts
        self._answer_seconds = answer_seconds
        self._on_change = on_change
        self._queue: list[Command] = []
        self._asleep: asyncio.Future[None] | None = None
        self._tried = asyncio.Event()
        self._lost: str | None = None
        self.is_up = False
        """False: nothing is sent, and commands are answered with None at once."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Serve while the block runs; it begins when the server has answered, or could not be reached once."""
        serving = asyncio.create_task(self._serve(), name="limits lane")
        try:
            await self._tried.wait()
            yield
        finally:
            self.is_up = False
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            self._fail_all()

    def put(self, command: Command) -> None:
        """Send as soon as what was put before has been sent; while the server is away, answer None."""
        if not self.is_up:
            command.resolve(None)
            return
        self._queue.append(command)
        if self._asleep is not None and not self._asleep.done():
            self._asleep.set_result(None)

    async def ask(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument], orphaned: Callable[[Answer], None]
    ) -> Answer | None:
        """Run a script and wait for its answer. None: the server cannot tell now."""
        if not self.is_up:
            return None
        answer: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self.put(Command(script, keys, arguments, answer, orphaned))
        try:
            return await answer
        except asyncio.CancelledError:
            if not answer.cancelled() and (told := answer.result()) is not None:
                orphaned(told)  # it had come already, and the caller left before reading it
            raise

    async def _serve(self) -> None:
        while True:
            try:
                await self._serve_once()
            except Exception as problem:  # noqa: BLE001  # the net of this job: whatever it is, the server is asked again
                self._down(problem)
                await asyncio.sleep(RETRY_SECONDS)

    async def _serve_once(self) -> None:
        """Connect and serve until the server is lost. Raises what lost it."""
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            wire = await self._connect()
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                await wire.load([script.text for script in self._scripts])
            self._up()
            await self._pump(wire)
        except Exception as problem:
            self._down(problem)  # at once: callers wait
            raise
        finally:
            await wire.close()

    async def _pump(self, wire: Wire) -> None:
        while True:
            if not self._queue:
                self._asleep = asyncio.get_running_loop().create_future()
                await self._asleep
            batch = self._queue[:BATCH_MAX]
            replies = await self._within([command.named() for command in batch], wire)
            # A server that has forgotten its scripts is told again; only then may a command overtake another one.
            unknown = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if unknown:
                again = await self._within([batch[place].whole() for place in unknown], wire)
                for place, reply in zip(unknown, again, strict=True):
                    replies[place] = reply
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
            del self._queue[: len(batch)]
            for command, reply in zip(batch, replies, strict=True):
                command.resolve(reply if isinstance(reply, list) else [])

    async def _within(self, commands: Sequence[Sequence[Argument]], wire: Wire) -> list[Reply]:
        """Send, and wait no longer than allowed; time in which this process itself was held up does not count."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle | None = None
        async with asyncio.timeout(None) as bound:

            def look(due_at: float) -> None:
                nonlocal timer
                now = loop.time()
                if now - due_at > LATE_SECONDS:
                    timer = loop.call_at(now + LATE_SECONDS, look, now + LATE_SECONDS)
                else:
                    bound.reschedule(now)

            due = loop.time() + self._answer_seconds
            timer = loop.call_at(due, look, due)
            try:
                return await wire.send(commands)
            finally:
                timer.cancel()  # whichever of them is the last

    def _up(self) -> None:
        self.is_up = True
        self._tried.set()
        if self._lost is not None:
            self._lost = None
            self._on_change(None)

    def _down(self, problem: BaseException) -> None:
        self.is_up = False
        self._tried.set()
        self._fail_all()
        if self._lost is None:
            self._lost = type(problem).__name__
            self._on_change(self._lost)

    def _fail_all(self) -> None:
        failed, self._queue = self._queue, []
        for command in failed:
            command.resolve(None)
