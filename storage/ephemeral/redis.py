"""The counters of many processes, in Redis or Valkey. One check is one script and one round trip, whatever it has to check."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from typing import Final

from storage.ephemeral import scripts
from storage.ephemeral.lane import Answer, Command, Lane, Script
from storage.ephemeral.limiter import Bound, Pass, Refused, Resource, Standing
from storage.ephemeral.wire import connect

RENEWALS: Final = 3
"""Renewals in the life of a lease, so that one or two may be lost."""
TOGETHER: Final = 64
"""Leases renewed in one go, so that a check never waits behind all of them."""

_RESOURCES: Final[tuple[Resource, ...]] = ("requests", "tokens", "concurrent")
_HEAD: Final = 4
"""Numbers before the standings in the answer of a check."""


class Taken:
    """See `Pass`."""

    __slots__ = ("_answer", "_bounds", "_keys", "_lease", "_limiter", "_tokens")

    def __init__(
        self,
        limiter: "RedisLimiter",
        bounds: Sequence[Bound],
        keys: Sequence[str],
        lease: str,
        tokens: int,
        answer: Answer,
    ) -> None:
        self._limiter = limiter
        self._bounds = bounds
        self._keys = keys
        self._lease = lease
        self._tokens = tokens
        self._answer = answer

    def settle(self, tokens: int) -> None:
        """See `Pass`."""
        self._limiter.give_back(self._keys, self._lease, self._answer[1], 0, tokens - self._tokens)

    def undo(self) -> None:
        """See `Pass`."""
        self._limiter.give_back(self._keys, self._lease, self._answer[1], -1, -self._tokens)

    def standings(self) -> tuple[Standing, ...]:
        """See `Pass`."""
        return _standings(self._bounds, self._answer, _HEAD)


class RedisLimiter:
    """The limiter of any number of processes."""

    def __init__(
        self,
        url: str,
        *,
        prefix: str,
        lease_seconds: int,
        answer_seconds: float,
        new_id: Callable[[], str],
        on_change: Callable[[str | None], None],
    ) -> None:
        """Nothing is opened yet.

        Args:
            url: as `[storage] redis_url` takes it; whether it leads to a cluster is asked there.
            prefix: before every key, so that several servers can share a store. Without braces.
            lease_seconds: life of a slot whose process died; a running call renews its own.
            answer_seconds: for the store to answer; then it counts as down, and nobody waits for it.
            new_id: makes a name that no other process has.
            on_change: told once what is wrong when the store is lost, and None when it answers again.
        """
        self._prefix = prefix
        self._life_ms = lease_seconds * 1000
        self._process = new_id()
        self._numbers = count(1)
        self._leases: dict[str, Sequence[str]] = {}
        self._take, self._give_back = Script(scripts.TAKE), Script(scripts.GIVE_BACK)
        self._renew, self._look = Script(scripts.RENEW), Script(scripts.LOOK)
        known = (self._take, self._give_back, self._renew, self._look)
        self._lane = Lane(partial(connect, url), known, answer_seconds=answer_seconds, on_change=on_change)

    @property
    def is_up(self) -> bool:
        """Whether the store answers."""
        return self._lane.is_up

    @asynccontextmanager
    async def open(self) -> AsyncIterator["RedisLimiter"]:
        """Keep the way to the store and the leases of running calls while the block runs."""
        async with self._lane.open():
            renewing = asyncio.create_task(self._keep_leases(), name="limits leases")
            try:
                yield self
            finally:
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)
                await self.look(())  # what was given back last has been sent when this is answered

    async def take(self, bounds: Sequence[Bound], tokens: int) -> Pass | Refused | None:
        """See `Limiter`."""
        lease = f"{self._process}:{next(self._numbers)}"
        keys = self._keys(bounds)
        limits = [-1 if limit is None else limit for b in bounds for limit in (b.requests, b.tokens, b.concurrent)]

        def undo(answer: Answer) -> None:
            if answer[0]:
                self.give_back(keys, lease, answer[1], -1, -tokens)

        answer = await self._lane.ask(self._take, keys, [tokens, lease, self._life_ms, *limits], undo)
        if answer is None:
            return None
        is_taken, subject, limit, wait_us = answer[:_HEAD]
        if not is_taken:
            standings = _standings(bounds, answer, _HEAD)
            return Refused(
                bounds[subject - 1], _RESOURCES[limit - 1], None if wait_us < 0 else max(wait_us, 1), standings
            )
        self._leases[lease] = keys
        return Taken(self, bounds, keys, lease, tokens, answer)

    async def look(self, bounds: Sequence[Bound]) -> tuple[Standing, ...] | None:
        """See `Limiter`."""
        answer = await self._lane.ask(self._look, self._keys(bounds), (), lambda _: None)
        return None if answer is None else _standings(bounds, answer, 0)

    def give_back(self, keys: Sequence[str], lease: str, step: int, requests: int, tokens: int) -> None:
        """End a lease and correct what it took. While the store is away this is lost: leases and windows end by themselves."""
        self._leases.pop(lease, None)
        self._lane.put(Command(self._give_back, keys, [lease, step, requests, tokens]))

    def _keys(self, bounds: Sequence[Bound]) -> list[str]:
        prefix = self._prefix
        return [f"{prefix}:{bound.key}:{kind}" for bound in bounds for kind in "ws"]

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._life_ms / 1000 / RENEWALS)
            known = list(self._leases)
            if not known:  # what lies between closes idle connections, and a loss is better seen before a call waits
                await self.look(())
            for first in range(0, len(known), TOGETHER):
                await self._renew_all(known[first : first + TOGETHER])

    async def _renew_all(self, leases: Sequence[str]) -> None:
        waiting = []
        for lease in leases:
            keys = self._leases.get(lease)  # a call may have ended while the ones before it were renewed
            if keys is not None:
                answer: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
                self._lane.put(Command(self._renew, keys[1::2], [lease, self._life_ms], answer))
                waiting.append(answer)
        if waiting:
            await asyncio.wait(waiting)


def _standings(bounds: Sequence[Bound], answer: Answer, begin: int) -> tuple[Standing, ...]:
    numbers = zip(*[iter(answer[begin:])] * 4, strict=True)
    return tuple(Standing(bound, *four) for bound, four in zip(bounds, numbers, strict=True))
