"""The tiers in force: one whole set, swapped whole. A reload that cannot be read changes nothing and says why."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from monetization.tiers import Tiers


@dataclass(frozen=True, slots=True)
class Read:
    """What the operator's file says now."""

    tiers: Tiers
    warnings: Sequence[str] = ()
    """What is allowed but probably not meant."""
    waiting: Sequence[str] = ()
    """Other sections that changed too: they wait for a restart."""


class Unreadable(Exception):
    """The file cannot be served. The text is one line that names the key and says what to do."""


class TierFile(Protocol):
    """Where the tiers come from."""

    def read(self) -> Read:
        """Read it. Raises: Unreadable."""
        ...

    def stamp(self) -> object:
        """Something that differs once the file was written again; None where there is no file."""
        ...


@dataclass(frozen=True, slots=True)
class Reload:
    """How a reload went."""

    is_done: bool
    problem: str | None = None
    """Why nothing changed; None where it went well."""
    changed: Sequence[str] = ()
    """Keys of the tiers that are new, gone or different."""
    warnings: Sequence[str] = ()
    waiting: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Reading:
    """What was read and not yet put in force."""

    number: int
    stamp: object
    tiers: Tiers | None
    """None: it cannot be served."""
    reload: Reload


class TiersInForce:
    """Holds the tiers and reads them again: when asked to, and when the file was written."""

    def __init__(self, tiers: Tiers, file: TierFile) -> None:
        self._tiers = tiers
        self._file = file
        self._listeners: list[Callable[[Reload], None]] = []
        self._seen = file.stamp()
        self._readings = 0
        self._last = 0
        """The reading in force."""

    def tell(self, listener: Callable[[Reload], None]) -> None:
        """Let somebody hear of every reload from now on, whether asked for or seen, well or not."""
        self._listeners.append(listener)

    def tiers(self) -> Tiers:
        """The tiers in force now."""
        return self._tiers

    def reload(self) -> Reload:
        """Read the file now. Never raises for what the file says: then nothing changed, and `problem` says why."""
        return self._take(self._read())

    async def reload_noted(self, note: Callable[[Reload], Awaitable[None]]) -> Reload:
        """The same, once `note` has written down what comes of it; what `note` raises is passed on, and nothing has changed."""
        reading = self._read()
        await note(reading.reload)
        return self._take(reading)

    def _read(self) -> _Reading:
        self._readings += 1
        stamp = self._file.stamp()  # before reading: what is written meanwhile is read next time
        try:
            read = self._file.read()
        except Unreadable as wrong:
            return _Reading(self._readings, stamp, None, Reload(is_done=False, problem=str(wrong)))
        changed = _changed(self._tiers, read.tiers)
        reload = Reload(is_done=True, changed=changed, warnings=read.warnings, waiting=read.waiting)
        return _Reading(self._readings, stamp, read.tiers, reload)

    def _take(self, reading: _Reading) -> Reload:
        """Put it in force, unless a later reading is already."""
        if reading.number > self._last:
            self._seen = reading.stamp
            if reading.tiers is not None:
                self._tiers, self._last = reading.tiers, reading.number
        for listener in self._listeners:
            listener(reading.reload)
        return reading.reload

    async def poll(self) -> None:
        """Reload if the file was written since the last reading. One look at the file's dates."""
        if self._file.stamp() != self._seen:
            self.reload()


def _changed(before: Tiers, after: Tiers) -> list[str]:
    old, new = before.by_key, after.by_key
    changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    if before.default.key != after.default.key:
        changed |= {before.default.key, after.default.key}
    return sorted(changed | {key for key in old.keys() & new.keys() if before.rank(key) != after.rank(key)})
