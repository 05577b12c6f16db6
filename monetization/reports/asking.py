"""The questions that all reports are made of: sums of usage over a range, in parts, in series. Reads only."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Final

from billing.accounts import TENANT
from monetization.reports.business import Business
from monetization.reports.ranges import Range
from storage.records.fact import fact
from storage.records.ledger import Page
from storage.records.reports import Dim, TooManySums, UsageScope, UsageSum, UsageTop
from storage.records.usage import UsageRow
from storage.store import Reader

PARTS_AT_ONCE: Final = 2_000
"""Parts that are looked at before the database is asked which of them count: some hundredths of a second."""
_MERGED: Final = tuple(item.name for item in fields(UsageSum) if item.name not in {"start_us", "key", "charged"})


class TooManyGroups(Exception):  # the report that was asked for says it in its own words
    """A series has more groups than were asked for at most."""


@fact
class Whose:
    """Whose usage a report is about. Neither: the whole installation's."""

    user_id: str | None = None
    organization_id: str | None = None
    is_alone: bool = False
    """True: of the organization's, what its own keys used and no user."""

    def scope(self, where: Mapping[Dim, str | None] | None = None) -> UsageScope:
        """As the store is asked."""
        return UsageScope(TENANT, self.user_id, self.organization_id, self.where(where))

    def where(self, where: Mapping[Dim, str | None] | None = None) -> Mapping[Dim, str | None]:
        """What rows must be like beside their owner."""
        return {**(where or {}), "user_id": None} if self.is_alone else where or {}


@dataclass(frozen=True, slots=True)
class Reports:
    """Sums of usage. Every method may raise StorageUnavailable."""

    store: Reader
    clock_us: Callable[[], int]
    exporting: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the export whose rows are read now."""

    @property
    def business(self) -> Business:
        """What the operator's business comes to."""
        return Business(self.store)

    async def total(self, whose: Whose, span: Range, where: Mapping[Dim, str | None] | None = None) -> UsageSum:
        """All of a range in one sum."""
        found = await self.store.usage_sums(whose.scope(where), span.edges)
        return found[0] if found else UsageSum(span.since_us)

    async def parts(
        self,
        whose: Whose,
        span: Range,
        by: Sequence[Dim],
        *,
        where: Mapping[Dim, str | None] | None = None,
        sums_max: int | None = None,
    ) -> tuple[UsageSum, ...]:
        """A range by dimensions, the one with the most tokens first. Raises: TooManySums, for more than `sums_max`."""
        found = await self.store.usage_sums(whose.scope(where), span.edges, by=tuple(by), sums_max=sums_max)
        return tuple(sorted(found, key=lambda part: (-part.usage.tokens_total, -part.requests, _sortable(part.key))))

    async def dearest(
        self, whose: Whose, span: Range, dim: Dim, limit: int, where: Mapping[Dim, str | None] | None = None
    ) -> tuple[UsageSum, tuple[UsageSum, ...]]:
        """The whole of a range and its parts by one dimension: all, or of very many those that cost most.

        Callers choose the names of their features, so there is no end to how many there may be.
        """
        try:
            parts = await self.parts(whose, span, (dim,), where=where, sums_max=PARTS_AT_ONCE)
        except TooManySums:
            top = await self.store.usage_top(whose.scope(where), span.edges, by=(dim,), limit=limit, order="cost")
            return await self.total(whose, span, where), top.sums
        return together(parts), parts

    async def series(
        self, whose: Whose, edges_us: Sequence[int], where: Mapping[Dim, str | None] | None = None
    ) -> tuple[UsageSum, ...]:
        """A sum for every bucket between two edges, zeros where nothing was."""
        found = await self.store.usage_sums(whose.scope(where), tuple(edges_us))
        at = {part.start_us: part for part in found}
        return tuple(at.get(start_us) or UsageSum(start_us) for start_us, _ in pairwise(edges_us))

    async def series_by(
        self,
        whose: Whose,
        edges_us: Sequence[int],
        dim: Dim,
        where: Mapping[Dim, str | None] | None = None,
        *,
        groups_max: int | None = None,
    ) -> dict[str | None, tuple[UsageSum, ...]]:
        """The same for each value of a dimension that occurs, zeros where it does not.

        Raises: TooManyGroups, before all are read or any of the zeros is made: callers choose the names of their features.
        """
        sums_max = None if groups_max is None else groups_max * (len(edges_us) - 1)
        try:
            found = await self.store.usage_sums(whose.scope(where), tuple(edges_us), by=(dim,), sums_max=sums_max)
        except TooManySums as many:
            raise TooManyGroups from many
        at: defaultdict[str | None, dict[int, UsageSum]] = defaultdict(dict)
        for part in found:
            at[part.key[0]][part.start_us] = part
        if groups_max is not None and len(at) > groups_max:
            raise TooManyGroups
        starts = edges_us[:-1]
        return {
            value: tuple(parts.get(start_us) or UsageSum(start_us, (value,)) for start_us in starts)
            for value, parts in sorted(at.items(), key=lambda item: _sortable((item[0],)))
        }

    async def top_users(
        self, whose: Whose, span: Range, limit: int, where: Mapping[Dim, str | None] | None = None
    ) -> UsageTop:
        """The users who used most tokens, and how many used something at all. `limit` 0: only the latter."""
        return await self.store.usage_top(whose.scope(where), span.edges, by=("user_id",), limit=limit)

    async def top_features(
        self, whose: Whose, span: Range, limit: int, where: Mapping[Dim, str | None] | None = None
    ) -> tuple[UsageSum, ...]:
        """The features that used most tokens; what names none is not among them."""
        top = await self.store.usage_top(whose.scope(where), span.edges, by=("feature",), limit=limit + 1)
        return tuple(part for part in top.sums if part.key != (None,))[:limit]

    async def events(
        self,
        whose: Whose,
        span: Range,
        *,
        where: Mapping[Dim, str | None] | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[UsageRow]:
        """The rows themselves, the newest first."""  # fmt: skip
        return await self.store.usage(
            TENANT,
            whose.user_id,
            organization_id=whose.organization_id,
            where=whose.where(where),
            limit=limit,
            cursor=cursor,
            since_us=span.since_us,
            until_us=span.until_us,
        )


def together(parts: Sequence[UsageSum]) -> UsageSum:
    """One sum of several."""
    used = [part for part in parts if part.requests]  # a series is mostly buckets without use, which add nothing
    if not used:
        return parts[0] if parts else UsageSum()
    charged: defaultdict[str, int] = defaultdict(int)
    for part in used:
        for asset, amount in part.charged.items():
            charged[asset] += amount
    added = {name: sum((getattr(part, name) for part in used[1:]), getattr(used[0], name)) for name in _MERGED}
    return replace(parts[0], **added, charged=dict(charged))


def folded(parts: Sequence[UsageSum], place: int) -> dict[str | None, UsageSum]:
    """Sums by several dimensions, by one of them alone; the order stays that of the first of each."""
    groups: defaultdict[str | None, list[UsageSum]] = defaultdict(list)
    for part in parts:
        groups[part.key[place]].append(part)
    return {value: replace(together(group), key=(value,)) for value, group in groups.items()}


def _sortable(key: tuple[str | None, ...]) -> tuple[str, ...]:
    return tuple(value or "" for value in key)
