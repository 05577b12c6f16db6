"""What an operator sets at run time: prices and burn tables, each an appended row with its actor and reason. Nothing is edited.

A change holds from now on or later, never before: what was charged stays charged by the price that it was charged by.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from monetization.charging.burn_tables import BurnTable, rule_from
from monetization.directory import AUDIT
from monetization.errors import OutOfTime
from monetization.once import Act, Once, Written
from monetization.prices.overrides import price_from
from monetization.register_rows import (
    BURN_TABLE,
    PRICE,
    RuleMembers,
    TableVersion,
    body_of_price,
    body_of_version,
    version_of_row,
)
from monetization.registers import PriceEntry, Registers
from storage.errors import IdempotencyConflict, NotFound
from storage.records.commands import Idempotency, Keep, Refusal
from storage.records.kept import KeptRow
from storage.store import Store

ATTEMPTS_MAX: Final = 5
"""How often a change of a table is begun anew because somebody else changed it meanwhile."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes something, and why."""

    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PriceSetting:
    """Writes prices and burn tables."""

    store: Store
    registers: Registers
    clock_us: Callable[[], int]
    new_id: Callable[[], str]
    tenant: str = "default"

    @property
    def once(self) -> Once:
        """The keys of what was set before."""
        return Once(self.store, self.new_id, self.tenant)

    async def set_price(
        self, author: Author, name: str, dollars: Mapping[str, str], effective_us: int | None, *, key: str | None = None
    ) -> Written[PriceEntry]:
        """Set a model's price from an instant on; None: from now on. Once for its key.

        Raises: ValueError for figures that are no price, OutOfTime for an instant that has passed, IdempotencyConflict.
        """
        asked = {"name": name, "dollars": dict(dollars), "effective": effective_us, "reason": author.reason}
        act = Act("set_price", key, asked)
        first = await self.once.first(act)
        if first is None:
            starts = self._start_of_price(name, dollars, effective_us)
            row = KeptRow(self.tenant, PRICE, name, body_of_price(dollars), author.actor, author.reason, starts)
            audit = self._audit(author, "setPrice", f"price:{name}", {"prices": dict(dollars), "startsUs": starts})
            if await self._keep(Keep(row), audit, *self.once.note(act, {"starts": starts}, author.actor)):
                await self.registers.refresh()
                return Written(self._entry(name, starts))
            first = await self.once.first(act)
            assert first is not None, "the same key at the same time has been noted"
        await self.registers.refresh()
        return Written(self._entry(name, first.wrote["starts"], first.created_us), is_replay=True)

    def _start_of_price(self, name: str, dollars: Mapping[str, str], effective_us: int | None) -> int:
        now = self.clock_us()
        starts = now if effective_us is None else effective_us
        if starts < now:
            raise OutOfTime("a price cannot be changed for the past; leave effectiveFrom out, or give a later instant")
        price_from(name, dollars, version="", valid_from_us=starts)
        return starts

    def _entry(self, name: str, starts: int, created_us: int | None = None) -> PriceEntry:
        """The newest price of that name and start; of those written at an instant."""
        return next(
            entry
            for entry in reversed(self.registers.snapshot.prices)
            if (entry.name, entry.price.valid_from_us) == (name, starts) and created_us in (None, entry.created_us)
        )

    async def create_table(
        self, author: Author, table: BurnTable, rules: RuleMembers, *, act: Act
    ) -> Written[TableVersion]:
        """Make a table; its id and version are given here. Raises: ValueError for rules that are none; IdempotencyConflict."""
        for model, members in rules.items():
            rule_from(model, members)
        first = await self._first_version(act)
        if first is None:
            now = self.clock_us()
            made = replace(table, id=f"bt_{self.new_id()}", version=1)
            body = body_of_version(made, rules, activated_us=now if made.is_active else 0)
            written = await self._write(author, made.id, 1, body, act)
            first = written or await self._first_version(act)
            assert first is not None, "the same key at the same time has been noted"
            return Written(first, is_replay=written is None)
        return Written(first, is_replay=True)

    async def change_table(
        self, author: Author, table_id: str, change: Callable[[TableVersion, int], str], *, act: Act
    ) -> Written[TableVersion]:
        """Write the next version of a table: `change` makes its JSON from the version before and the instant.

        Raises: NotFound; ValueError from `change`; IdempotencyConflict, also when others change it all the time.
        """
        for _ in range(ATTEMPTS_MAX):
            await self.registers.refresh()
            first = await self._first_version(act)
            if first is not None:
                return Written(first, is_replay=True)
            before = latest(self.registers, table_id)
            body = change(before, self.clock_us())
            written = await self._write(author, table_id, before.table.version + 1, body, act)
            if written is not None:
                return Written(written)
        raise IdempotencyConflict(f"burn table {table_id!r} is being changed by others; try again")

    async def _first_version(self, act: Act) -> TableVersion | None:
        """The version that the first act under the key wrote. Raises: IdempotencyConflict."""
        first = await self.once.first(act)
        if first is None:
            return None
        await self.registers.refresh()
        versions = [version_of_row(row) for row in await self.store.kept(self.tenant, BURN_TABLE, first.wrote["id"])]
        return next(version for version in versions if version.table.version == first.wrote["version"])

    async def _write(self, author: Author, table_id: str, version: int, body: str, act: Act) -> TableVersion | None:
        """Append a version. None: somebody else has written one of this number, or has used the key."""
        row = KeptRow(self.tenant, BURN_TABLE, table_id, body, author.actor, author.reason, self.clock_us())
        alone = Keep(row, Idempotency("burn_table", f"{table_id}#{version}", self.new_id()))
        audit = self._audit(author, "setBurnTable", f"burn_table:{table_id}", {"version": version})
        note = self.once.note(act, {"id": table_id, "version": version}, author.actor)
        if not await self._keep(alone, audit, *note):
            return None
        await self.registers.refresh()
        return latest(self.registers, table_id, with_deleted=True)

    def _audit(self, author: Author, action: str, target: str, body: Mapping[str, object]) -> Keep:
        text = json.dumps({"action": action, **body})
        return Keep(KeptRow(self.tenant, AUDIT, target, text, author.actor, author.reason))

    async def _keep(self, *rows: Keep) -> bool:
        """Append all rows or none. False: one of them had been written before."""
        outcome = await self.store.submit_together(rows)
        if isinstance(outcome, Refusal):
            assert outcome.reason == "key_reused", "appending a row can be refused for nothing else"
            return False
        return True


def latest(registers: Registers, table_id: str, *, with_deleted: bool = False) -> TableVersion:
    """The newest version of a table. Raises: NotFound, also for one that was deleted."""
    versions = (registers.snapshot.tables or {}).get(table_id)
    if versions is None or (versions[-1][1].is_deleted and not with_deleted):
        raise NotFound(
            f"there is no burn table {table_id[:100]!r}; listBurnTables names them", data={"id": table_id[:100]}
        )
    return versions[-1][1]
