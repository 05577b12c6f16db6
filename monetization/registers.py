"""The registers: prices and burn tables set at run time, read from kept rows into snapshots that are swapped whole.

A call takes its book from one snapshot and never sees half a change. A row that cannot be read is told of once and left out, so
that the last good one of its model stands. Nothing is written here.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from monetization.charging.burn_tables import BurnRule
from monetization.prices.book import PriceBook, Source, Table
from monetization.prices.rates import Price, Rates
from monetization.register_rows import (
    BURN_TABLE,
    PRICE,
    TableVersion,
    price_of_row,
    table_at,
    timeline,
    version_of_row,
)
from storage.records.kept import KeptRow

KINDS: Final = (PRICE, BURN_TABLE)
T = TypeVar("T")


class Shelf(Protocol):
    """What registers need of the store."""

    async def kept(self, tenant: str, kind: str, key: str | None = None) -> Sequence[KeptRow]:
        """Kept rows of a kind, the oldest first."""
        ...

    async def kept_count(self, tenant: str, kinds: Sequence[str]) -> int:
        """How many kept rows of these kinds there are."""
        ...


@dataclass(frozen=True, slots=True)
class PriceEntry:
    """A price as it was set, for lists and audits."""

    name: str
    price: Price
    dollars: str
    """The JSON as it was set: decimal strings by bucket."""
    actor: str
    reason: str
    created_us: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything set at run time, as of one reading."""

    count: int
    """Rows that were read; more of them mean that the snapshot is old."""
    book: PriceBook
    prices: tuple[PriceEntry, ...] = ()
    """Every price ever set that can be read, the oldest first."""
    tables: Mapping[str, tuple[tuple[int, TableVersion], ...]] | None = None
    """Table id → its versions by their start. None: no table was ever made."""


class Registers:
    """The book and the burn tables in force. `refresh` after a write of one's own, `poll` for the writes of others."""

    def __init__(
        self,
        shelf: Shelf,
        sources: Sequence[Source],
        *,
        on_problem: Callable[[str], None],
        ceiling: Rates | None = None,
        tenant: str = "default",
    ) -> None:
        """`sources` stand under the prices set at run time, in order of precedence."""
        self._shelf = shelf
        self._sources = tuple(sources)
        self._ceiling = ceiling
        self._on_problem = on_problem
        self._tenant = tenant
        self._told: set[int] = set()
        self._lock = asyncio.Lock()
        self.snapshot = Snapshot(0, PriceBook(self._sources, ceiling=ceiling))

    def book(self) -> PriceBook:
        """The price book in force."""
        return self.snapshot.book

    def burn_rule(self, model: str, at_us: int) -> BurnRule | None:
        """The rule of a model at an instant (Unix microseconds). None: the price book decides."""
        tables = self.snapshot.tables
        if tables is None:
            return None
        table = table_at(tuple(tables.values()), at_us)
        return None if table is None else table.rule_for(model)

    def unit_rule(self, names: Iterable[str], at_us: int) -> BurnRule | None:
        """The first rule of these names that prices units which are no tokens, at an instant. None: there is none."""
        tables = self.snapshot.tables
        table = None if tables is None else table_at(tuple(tables.values()), at_us)
        return None if table is None else table.unit_rule(names)

    async def poll(self) -> None:
        """Read everything again if there is more than was read last. One cheap query. Raises: StorageUnavailable."""
        if await self._shelf.kept_count(self._tenant, KINDS) != self.snapshot.count:
            await self.refresh()

    async def refresh(self) -> None:
        """Read everything again. Raises: StorageUnavailable; then the last snapshot stands."""
        async with self._lock:  # so that of two readings the later one stays
            prices = await self._shelf.kept(self._tenant, PRICE)
            tables = await self._shelf.kept(self._tenant, BURN_TABLE)
            self.snapshot = self._read(prices, tables)

    def _read(self, prices: Sequence[KeptRow], tables: Sequence[KeptRow]) -> Snapshot:
        entries = [
            PriceEntry(row.key, price, row.body, row.actor, row.reason, row.created_us)
            for row, price in self._readable(prices, price_of_row)
        ]
        versions = [version for _, version in self._readable(tables, version_of_row)]
        return Snapshot(
            count=len(prices) + len(tables),
            book=PriceBook([Table(_by_model(entries)), *self._sources], ceiling=self._ceiling)
            if entries
            else self._bare(),
            prices=tuple(entries),
            tables=_by_table(versions) or None,
        )

    def _bare(self) -> PriceBook:
        return PriceBook(self._sources, ceiling=self._ceiling)

    def _readable(self, rows: Sequence[KeptRow], read: Callable[[KeptRow], T]) -> list[tuple[KeptRow, T]]:
        found = []
        for row in rows:
            try:
                found.append((row, read(row)))
            except ValueError as wrong:
                if row.id not in self._told:
                    self._told.add(row.id)
                    self._on_problem(f"{row.kind} row {row.id} ({row.key}) cannot be read and is left out: {wrong}")
        return found


def _by_model(entries: Sequence[PriceEntry]) -> dict[str, tuple[Price, ...]]:
    written: dict[str, list[tuple[int, Price]]] = {}
    for entry in entries:
        written.setdefault(entry.name, []).append((entry.price.valid_from_us, entry.price))
    return {name: tuple(price for _, price in timeline(prices)) for name, prices in written.items()}


def _by_table(versions: Sequence[TableVersion]) -> dict[str, tuple[tuple[int, TableVersion], ...]]:
    written: dict[str, list[tuple[int, TableVersion]]] = {}
    for version in versions:
        written.setdefault(version.table.id, []).append((version.starts_us, version))
    return {table_id: tuple(timeline(found)) for table_id, found in written.items()}
