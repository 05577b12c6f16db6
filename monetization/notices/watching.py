"""The look-out: reads what was used and what goes out, and tells what the rules find. It runs beside calls, never in one.

Every process may look: a notice is written once, whoever finds it first.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

import orjson

from billing.accounts import credits_of, pool_of
from monetization.notices.desk import Notices
from monetization.notices.kinds import Notice
from monetization.notices.rules import LOOK_BACK_DAYS, SignalRules, of_balances, of_installation, of_threshold, of_user
from monetization.periods import start_of
from monetization.reports.asking import Reports, Whose, folded, together
from monetization.reports.ranges import DAY_US, Range
from storage.records.ledger import AccountKey
from storage.records.money import CREDIT, TOKEN
from storage.records.reports import Dim, UsageSum
from storage.store import Reader

MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
LOOK_MINUTES: Final = 5
"""How far back errors are looked for."""
OVERLAP_US: Final = 10_000_000
"""How far a look reaches back before the last one, because what happened just before that may have been written after it."""
USERS_MAX: Final = 500
"""Users, and organizations, that one look goes through, those who used most first."""
PAUSE_SECONDS: Final = 0.01
"""Between two users, so that calls are served in between."""
EVENTS_MAX: Final = 500
BEHIND: Final = 200
"""Ids that are read again, because another process may commit a smaller one later."""
BEFORE_START: Final = 1_000
"""Events from before the start that are looked at, since the process before may have died over them."""
QUOTA_TOPIC: Final = "quota.threshold"


class LookOut:
    """Looks around now and then."""

    def __init__(self, store: Reader, notices: Notices, rules: SignalRules, clock_us: Callable[[], int]) -> None:
        self._store = store
        self._reports = Reports(store, clock_us)
        self._notices = notices
        self._rules = rules
        self._clock_us = clock_us
        self._looked_us = 0
        self._last_id: int | None = None
        self._read: OrderedDict[int, None] = OrderedDict()

    async def read_events(self) -> int:
        """Put quota thresholds that went out into words; returns how many notices that made. Raises: StorageUnavailable."""
        if self._last_id is None:
            self._last_id = max(0, await self._store.outbox_last() - BEFORE_START)
        told = 0
        after = max(0, self._last_id - BEHIND)
        for event in await self._store.outbox(after, EVENTS_MAX + BEHIND):
            if event.id in self._read:
                continue
            if event.topic == QUOTA_TOPIC:
                notice = of_threshold(orjson.loads(event.payload))
                told += notice is not None and await self._tell(notice, is_sent=True)
            self._last_id = max(self._last_id, event.id)
            self._read[event.id] = None
            while len(self._read) > 2 * (EVENTS_MAX + BEHIND):
                self._read.popitem(last=False)
        return told

    async def look(self) -> int:
        """Look at who used something since the last look, and at the last minutes; returns how many notices that made.

        The first look of each hour goes a day back: events may be told of late, and nobody may have looked for a while.

        Raises: StorageUnavailable.
        """
        now_us = self._clock_us()
        is_first = self._looked_us < start_of("hourly", now_us)
        span = Range(now_us - DAY_US if is_first else self._looked_us - OVERLAP_US, now_us + 1)
        told = await self._look_at_users(span, now_us)
        told += await self._look_at_pools(span, now_us)
        told += await self._look_at_errors(now_us)
        self._looked_us = now_us
        return told

    async def _look_at_users(self, span: Range, now_us: int) -> int:
        told = 0
        for part in await self._most(span, "user_id"):
            user_id = part.key[0]
            if user_id is not None:
                days = await self._days(Whose(user_id), now_us)
                balances = await self._balances(partial(credits_of, user_id), days, now_us)
                told += await self._tell_all(of_user(self._rules, user_id, days, balances, now_us))
                await asyncio.sleep(PAUSE_SECONDS)
        return told

    async def _look_at_pools(self, span: Range, now_us: int) -> int:
        told = 0
        for part in await self._most(span, "organization_id"):
            organization_id = part.key[0]
            if organization_id is not None:
                days = await self._days(Whose(organization_id=organization_id), now_us)
                balances = await self._balances(partial(pool_of, organization_id), days, now_us)
                told += await self._tell_all(of_balances(self._rules, f"org:{organization_id}", days, balances, now_us))
                await asyncio.sleep(PAUSE_SECONDS)
        return told

    async def _most(self, span: Range, by: Dim) -> tuple[UsageSum, ...]:
        """Those who used most."""
        return (await self._store.usage_top(Whose().scope(), span.edges, by=(by,), limit=USERS_MAX)).sums

    async def _days(self, whose: Whose, now_us: int) -> tuple[UsageSum, ...]:
        """The last thirty times 24 hours, to the end of this one."""
        end_us = start_of("hourly", now_us) + HOUR_US  # whole hours, so that sums answer and no row is read
        return await self._reports.series(
            whose, tuple(end_us - back * DAY_US for back in range(LOOK_BACK_DAYS, -1, -1))
        )

    async def _balances(
        self, account_of: Callable[[str], AccountKey], days: Sequence[UsageSum], now_us: int
    ) -> dict[str, int]:
        """What is left of each asset that paid calls, where its account has moved within a day.

        A member's calls may be paid by a pool, and a pool's members may pay themselves: an account that rests is not the one.
        """
        paid = {asset for day in days for asset, amount in day.charged.items() if amount and asset in (TOKEN, CREDIT)}
        balances = {}
        for asset in sorted(paid):
            account = account_of(asset)
            newest = (await self._store.transfers(account, limit=1)).rows
            if newest and newest[0].booked_us > now_us - DAY_US:
                balances[asset] = (await self._store.balance(account)).available
        return balances

    async def _look_at_errors(self, now_us: int) -> int:
        """What fails, of the calls on the platform's keys and of all, so that neither hides the other.

        What was refused counts nowhere: who asks wrongly, or with a key that holds no longer, could wake the operator as often
        as it pleases, and it is theirs to mend.
        """
        span = Range(now_us - LOOK_MINUTES * MINUTE_US, now_us + 1)
        by: tuple[Dim, ...] = ("provider", "caller_kind", "outcome")
        kinds = await self._reports.parts(Whose(), span, by, where={"source": "gateway"})
        judged = [part for part in kinds if part.key[2] != "refused"]
        told = 0
        for parts in ([part for part in judged if part.key[1] != "byok"], judged):
            providers = {name: part for name, part in folded(parts, 0).items() if name is not None}
            found = of_installation(self._rules, together(parts), providers, LOOK_MINUTES, now_us)
            told += await self._tell_all(found)
        return told

    async def _tell_all(self, notices: Iterable[Notice]) -> int:
        return sum([await self._tell(notice) for notice in notices])

    async def _tell(self, notice: Notice, *, is_sent: bool = False) -> bool:
        return await self._notices.tell(notice, self._clock_us(), is_sent=is_sent)
