"""Many commands of one waiter on their way through a lane: few pieces, not a future for each. Their meaning is not known here."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from storage.errors import StorageUnavailable
from storage.ledger.evaluate import Each, Group
from storage.records.commands import Command

# Any: outcomes are of every kind, as the lane gives them.

EACH_MAX: Final = 125
"""Commands of one piece: what goes into one commit, so that nobody's many keep others waiting for long."""
Submit: TypeAlias = Callable[[object, int], "asyncio.Future[Any]"]
"""A lane's: queues a command of a weight."""


async def each(submit: Submit, commands: Sequence[Command | Sequence[Command]]) -> list[Any]:
    """The outcome of each command or group of commands; an exception where one broke.

    Where one breaks its piece, those of the piece are told one by one. Raises: StorageUnavailable, when some may be applied.
    """
    told = [Group(tuple(command)) if isinstance(command, Sequence) else command for command in commands]
    pieces = [told[start : start + EACH_MAX] for start in range(0, len(told), EACH_MAX)]
    futures = [submit(Each(tuple(piece)), len(piece)) for piece in pieces]
    found: list[Any] = await asyncio.gather(*futures, return_exceptions=True)
    outcomes: list[Any] = []
    for piece, outcome in zip(pieces, found, strict=True):
        if isinstance(outcome, StorageUnavailable):
            raise outcome
        is_broken = isinstance(outcome, BaseException)
        outcomes += await _one_by_one(submit, piece) if is_broken else outcome
    return outcomes


async def _one_by_one(submit: Submit, commands: Sequence[Command | Group]) -> list[Any]:
    return await asyncio.gather(*[submit(command, 1) for command in commands], return_exceptions=True)
