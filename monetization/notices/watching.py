"""The look-out: reads what was used and what goes out, and tells what the rules find. It runs beside calls, never in one.

Every process may look: a notice is written once, whoever finds it first.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import orjson

from billing.accounts import credits_of
from monetization.notices.desk import Notices
from monetization.notices.kinds import Notice
from monetization.notices.rules import LOOK_BACK_DAYS, SignalRules, of_installation, of_threshold, of_user
from monetization.periods import start_of
from monetization.reports.asking import Reports, Whose, folded, together
from monetization.reports.ranges import DAY_US, Range
from storage.records.money import CREDIT, TOKEN
from storage.store import Reader

MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
LOOK_MINUTES: Final = 5
"""How far back errors are looked for."""
USERS_MAX: Final = 500
"""Users that one look goes through, those who used most first."""
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

        Raises: StorageUnavailable.
        """
        now_us = self._clock_us()
        since_us = self._looked_us or now_us - LOOK_MINUTES * MINUTE_US
        told = await self._look_at_users(Range(since_us, now_us))
        told += await self._look_at_errors(now_us)
        self._looked_us = now_us
        return told

    async def _look_at_users(self, span: Range) -> int:
        told = 0
        active = (
            await self._reports.parts(Whose(), span, ("user_id",), limit=USERS_MAX)
            if span.since_us < span.until_us
            else ()
        )
        for part in active:
            user_id = part.key[0]
            if user_id is not None:
                told += await self._look_at_user(user_id, span.until_us)
                await asyncio.sleep(PAUSE_SECONDS)
        return told

    async def _look_at_user(self, user_id: str, now_us: int) -> int:
        end_us = start_of("hourly", now_us) + HOUR_US  # whole hours, so that sums answer and no row is read
        edges = tuple(end_us - back * DAY_US for back in range(LOOK_BACK_DAYS, -1, -1))
        days = await self._reports.series(Whose(user_id), edges)
        paid = {asset for day in days for asset, amount in day.charged.items() if amount and asset in (TOKEN, CREDIT)}
        balances = {asset: (await self._store.balance(credits_of(user_id, asset))).available for asset in sorted(paid)}
        told = 0
        for notice in of_user(self._rules, user_id, days, balances, now_us):
            told += await self._tell(notice)
        return told

    async def _look_at_errors(self, now_us: int) -> int:
        span = Range(now_us - LOOK_MINUTES * MINUTE_US, now_us + 1)
        parts = await self._reports.parts(Whose(), span, ("provider",), where={"source": "gateway"})
        providers = {name: part for name, part in folded(parts, 0).items() if name is not None}
        told = 0
        for notice in of_installation(self._rules, together(parts), providers, LOOK_MINUTES, now_us):
            told += await self._tell(notice)
        return told

    async def _tell(self, notice: Notice, *, is_sent: bool = False) -> bool:
        return await self._notices.tell(notice, self._clock_us(), is_sent=is_sent)
