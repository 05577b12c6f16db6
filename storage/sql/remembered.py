"""Balances and windows kept in memory, for checks. What stands here answers questions; a call is only ever decided in its commit.

Every commit of this process takes out what it changed before anybody hears of it, so the next question sees it. Where other
processes write too, what they change is seen once what was read before is as old as it may get.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from storage.ledger.state import Changes
from storage.records.ledger import AccountKey, Balance, WindowKey, WindowView
from storage.records.money import NEVER_US

COUNT_MAX = 20_000
"""Balances, and windows, kept in memory; of more, those go that were read longest ago."""
REMEMBERED_US_MAX = 1_000_000
"""How old a value may be where other processes write too, unless the configuration says otherwise."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class Looks(Protocol):
    """Where a value comes from that is not in memory. Both may raise StorageUnavailable."""

    async def balance_until(self, key: AccountKey) -> tuple[Balance, int]:
        """The balance after the last commit, and when time alone changes it: its next lot expires."""
        ...

    async def window(self, key: WindowKey) -> WindowView:
        """One quota window's counters after the last commit."""
        ...


class _Read(Generic[Value]):
    """A value that holds from when it was asked for until an instant; while it is being read, until none."""

    __slots__ = ("asked_us", "until_us", "value")
    value: Value

    def __init__(self, asked_us: int) -> None:
        self.asked_us = asked_us
        self.until_us = 0


class _Memory(Generic[Key, Value]):
    """What was read, by its key."""

    def __init__(
        self,
        read: Callable[[Key], Awaitable[tuple[Value, int]]],
        clock_us: Callable[[], int],
        age_us_max: int,
        count_max: int,
    ) -> None:
        self._read = read
        self._clock_us = clock_us
        self._age_us_max = age_us_max
        self._count_max = count_max
        self.kept: dict[Key, _Read[Value]] = {}

    async def get(self, key: Key) -> Value:
        """The value from memory, or read and kept."""
        now = self._clock_us()
        found = self.kept.get(key)
        # A clock that was set back makes everything old, for nobody knows how old it is.
        if found is not None and found.asked_us <= now < found.until_us:
            return found.value
        return await self._learned(key, now)

    async def _learned(self, key: Key, now_us: int) -> Value:
        kept = self.kept
        kept.pop(key, None)
        while len(kept) >= self._count_max:
            del kept[next(iter(kept))]
        # It stands there before it is read: a commit that comes meanwhile takes it out, and then nobody finds what was read.
        place: _Read[Value] = _Read(now_us)
        kept[key] = place
        value, until_us = await self._read(key)
        place.value = value
        place.until_us = min(until_us, now_us + self._age_us_max)
        return value


class Remembered:
    """A store's balances and windows from memory. See `storage.store.Counters` for the promise."""

    def __init__(
        self, looks: Looks, clock_us: Callable[[], int], *, age_us_max: int = NEVER_US, count_max: int = COUNT_MAX
    ) -> None:
        """`age_us_max`: how old a value may get that other processes change too; 0: each question is asked below."""

        async def window(key: WindowKey) -> tuple[WindowView, int]:
            return await looks.window(key), NEVER_US  # a window is of one period; the next one has another key

        self._balances = _Memory(looks.balance_until, clock_us, age_us_max, count_max)
        self._windows = _Memory(window, clock_us, age_us_max, count_max)

    def balance(self, key: AccountKey) -> Awaitable[Balance]:
        """The balance."""
        return self._balances.get(key)

    def window(self, key: WindowKey) -> Awaitable[WindowView]:
        """One quota window's counters."""
        return self._windows.get(key)

    def changed(self, changes: Changes) -> None:
        """A commit has made these changes, or may have: nothing of them is remembered. Before anybody hears of the commit."""
        kept, kept_windows = self._balances.kept, self._windows.kept
        for account in (*changes.accounts_new, *changes.accounts):
            kept.pop(account.key, None)
        for window in (*changes.windows_new, *changes.windows):
            kept_windows.pop(window.key, None)
