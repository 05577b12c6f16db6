"""What an operator sets at run time: prices and burn tables, each an appended row with its actor and reason. Nothing is edited.

A change holds from now on or later, never before: what was charged stays charged by the price that it was charged by.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from monetization.charging.burn_tables import BurnTable, rule_from
from monetization.errors import OutOfTime
from monetization.prices.overrides import price_from
from monetization.register_rows import (
    BURN_TABLE,
    PRICE,
    RuleMembers,
    TableVersion,
    body_of_price,
    body_of_version,
)
from monetization.registers import PriceEntry, Registers
from storage.errors import Fault, IdempotencyConflict, NotFound
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

    async def set_price(
        self, author: Author, name: str, dollars: Mapping[str, str], effective_us: int | None
    ) -> PriceEntry:
        """Set a model's price from an instant on; None: from now on.

        Raises: ValueError for figures that are no price, OutOfTime for an instant that has passed.
        """
        now = self.clock_us()
        starts = now if effective_us is None else effective_us
        if starts < now:
            raise OutOfTime("a price cannot be changed for the past; leave effectiveFrom out, or give a later instant")
        price_from(name, dollars, version="", valid_from_us=starts)
        row = KeptRow(self.tenant, PRICE, name, body_of_price(dollars), author.actor, author.reason, starts)
        await self._keep(row, None)
        await self.registers.refresh()
        written = [entry for entry in self.registers.snapshot.prices if entry.name == name]
        return next(entry for entry in reversed(written) if entry.price.valid_from_us == starts)

    async def create_table(self, author: Author, table: BurnTable, rules: RuleMembers) -> TableVersion:
        """Make a table; its id and version are given here. Raises: ValueError for rules that are none."""
        for model, members in rules.items():
            rule_from(model, members)
        now = self.clock_us()
        made = replace(table, id=f"bt_{self.new_id()}", version=1)
        body = body_of_version(made, rules, activated_us=now if made.is_active else 0)
        return await self._write(author, made.id, 1, body)

    async def change_table(
        self, author: Author, table_id: str, change: Callable[[TableVersion, int], str]
    ) -> TableVersion:
        """Write the next version of a table: `change` makes its JSON from the version before and the instant.

        Raises: NotFound; ValueError from `change`; IdempotencyConflict when others change it all the time.
        """
        for _ in range(ATTEMPTS_MAX):
            await self.registers.refresh()
            before = latest(self.registers, table_id)
            body = change(before, self.clock_us())
            try:
                return await self._write(author, table_id, before.table.version + 1, body)
            except IdempotencyConflict:
                continue
        raise IdempotencyConflict(f"burn table {table_id!r} is being changed by others; try again")

    async def _write(self, author: Author, table_id: str, version: int, body: str) -> TableVersion:
        """Append a version. Raises: IdempotencyConflict when somebody else has written one of this number."""
        row = KeptRow(self.tenant, BURN_TABLE, table_id, body, author.actor, author.reason, self.clock_us())
        await self._keep(row, Idempotency("burn_table", f"{table_id}#{version}", self.new_id()))
        await self.registers.refresh()
        return latest(self.registers, table_id, with_deleted=True)

    async def _keep(self, row: KeptRow, once: Idempotency | None) -> None:
        outcome = await self.store.submit(Keep(row, once))
        if isinstance(outcome, Refusal):
            raise _fault(outcome)


def latest(registers: Registers, table_id: str, *, with_deleted: bool = False) -> TableVersion:
    """The newest version of a table. Raises: NotFound, also for one that was deleted."""
    versions = (registers.snapshot.tables or {}).get(table_id)
    if versions is None or (versions[-1][1].is_deleted and not with_deleted):
        raise NotFound(
            f"there is no burn table {table_id[:100]!r}; listBurnTables names them", data={"id": table_id[:100]}
        )
    return versions[-1][1]


def _fault(refusal: Refusal) -> Fault:
    assert refusal.reason == "key_reused", "appending a row can be refused for nothing else"
    return IdempotencyConflict("somebody else changed this at the same time; try again")
