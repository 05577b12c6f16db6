"""Balances and windows kept in memory, for checks. What stands here answers questions; a call is only ever decided in its commit.

Every commit of this process takes out what it changed before anybody hears of it, so the next question sees it. Where other
processes write too, what they change is seen once what was read before is as old as it may get.
"""

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from storage.ledger.state import Changes
from storage.records.ledger import AccountKey, Balance, Look, WindowKey, WindowView
from storage.records.money import NEVER_US

COUNT_MAX = 20_000
"""Balances, and windows, kept in memory; of more, those go that were read longest ago."""
REMEMBERED_US_MAX = 1_000_000
"""How old a value may be where other processes write too, unless the configuration says otherwise."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class Looks(Protocol):
    """Where the figures come from that are not in memory."""

    async def look_until(self, windows: Sequence[WindowKey], account: AccountKey | None) -> tuple[Look, int]:
        """These after the last commit, and when the account's next lot expires. Raises: StorageUnavailable."""
        ...


class _Read(Generic[Value]):
    """A value that holds from when it was asked for until an instant; while it is being read, until none."""

    __slots__ = ("asked_us", "until_us", "value")
    value: Value

    def __init__(self, asked_us: int) -> None:
        self.asked_us = asked_us
        self.until_us = 0

    def keep(self, value: Value, until_us: int) -> None:
        """It is read."""
        self.value = value
        self.until_us = until_us


class _Memory(dict[Key, _Read[Value]]):
    """What was read, by its key; the oldest first."""

    def fresh(self, key: Key, now_us: int) -> Value | None:
        """The value, where one is kept that holds now."""
        found = self.get(key)
        # A clock that was set back makes everything old, for nobody knows how old it is.
        return found.value if found is not None and found.asked_us <= now_us < found.until_us else None

    def place(self, key: Key, now_us: int, count_max: int) -> _Read[Value]:
        """Where what is read now will stand. A commit that comes meanwhile takes it out, and then nobody finds what was read."""
        self.pop(key, None)
        while len(self) >= count_max:
            del self[next(iter(self))]
        place: _Read[Value] = _Read(now_us)
        self[key] = place
        return place


class Remembered:
    """A store's balances and windows from memory. See `storage.store.Counters` for the promise."""

    def __init__(
        self, looks: Looks, clock_us: Callable[[], int], *, age_us_max: int = NEVER_US, count_max: int = COUNT_MAX
    ) -> None:
        """`age_us_max`: how old a value may get that other processes change too; 0: each question is asked below."""
        self._looks = looks
        self._clock_us = clock_us
        self._age_us_max = age_us_max
        self._count_max = count_max
        self._balances: _Memory[AccountKey, Balance] = _Memory()
        self._windows: _Memory[WindowKey, WindowView] = _Memory()

    async def balance(self, key: AccountKey) -> Balance:
        """The balance."""
        return self._balances.fresh(key, self._clock_us()) or (await self.look((), key)).balance

    async def window(self, key: WindowKey) -> WindowView:
        """One quota window's counters."""
        return self._windows.fresh(key, self._clock_us()) or (await self.look((key,), None)).windows[key]

    async def look(self, windows: Sequence[WindowKey], account: AccountKey | None) -> Look:
        """All of them; what is not in memory is asked for together."""
        now = self._clock_us()
        fresh = self._windows.fresh
        known = {key: view for key in windows if (view := fresh(key, now)) is not None}
        missing = [key for key in windows if key not in known]
        balance = Balance() if account is None else self._balances.fresh(account, now)
        if balance is not None and not missing:
            return Look(known, balance)
        read = await self._learned(missing, account if balance is None else None, now)
        return Look(known | read.windows, read.balance if balance is None else balance)

    async def _learned(self, windows: Sequence[WindowKey], account: AccountKey | None, now_us: int) -> Look:
        places = {key: self._windows.place(key, now_us, self._count_max) for key in dict.fromkeys(windows)}
        place = None if account is None else self._balances.place(account, now_us, self._count_max)
        read, until_us = await self._looks.look_until(list(places), account)
        old_us = now_us + self._age_us_max
        for key, view in read.windows.items():
            places[key].keep(view, old_us)  # it is of one period: the next one has another key
        if place is not None:
            place.keep(read.balance, min(until_us, old_us))
        return read

    def changed(self, changes: Changes) -> None:
        """A commit has made these changes, or may have: nothing of them is remembered. Before anybody hears of the commit."""
        balances, windows = self._balances, self._windows
        for account in (*changes.accounts_new, *changes.accounts):
            balances.pop(account.key, None)
        for window in (*changes.windows_new, *changes.windows):
            windows.pop(window.key, None)
