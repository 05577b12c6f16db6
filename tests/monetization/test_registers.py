"""The registers: snapshots from kept rows, whatever the rows say, whoever wrote them, and whenever they are read."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monetization.charging.burn_tables import BurnTable
from monetization.errors import PriceUnknown
from monetization.once import Act
from monetization.price_setting import Author, PriceSetting
from monetization.prices.book import Table
from monetization.prices.overrides import price_from
from monetization.prices.rates import nano_per_million, rates_from
from monetization.register_rows import BURN_TABLE, PRICE, body_of_price, body_of_version, timeline
from monetization.registers import Registers
from monetization.terms import Target
from storage.errors import StorageUnavailable
from storage.records.kept import KeptRow
from storage.store import open_store

GPT = Target("openai", "gpt-4o", "openai")
KEYLESS = Act("test", None, {})
BUILT_IN = Table({"openai/gpt-4o": (price_from("openai/gpt-4o", {"input": "5", "output": "15"}, version="built-in"),)})
RULES = {"gpt-4o": {"input_tokens": 1, "output_tokens": 2, "per_unit": 1000}}


@dataclass
class Rows:
    """A shelf in memory."""

    rows: list[KeptRow] = field(default_factory=list)
    is_down: bool = False
    readings: int = 0

    def put(self, kind: str, key: str, body: str, starts_us: int = 0) -> None:
        self.rows.append(KeptRow("default", kind, key, body, "boss", "", starts_us, id=len(self.rows) + 1))

    async def kept(self, tenant: str, kind: str, key: str | None = None) -> Sequence[KeptRow]:
        del tenant, key
        if self.is_down:
            raise StorageUnavailable
        self.readings += 1
        return [row for row in self.rows if row.kind == kind]

    async def kept_count(self, tenant: str, kinds: Sequence[str]) -> int:
        del tenant
        if self.is_down:
            raise StorageUnavailable
        return sum(1 for row in self.rows if row.kind in kinds)


def price(dollars: str) -> str:
    return body_of_price({"input": dollars, "output": dollars})


def table(version: int, *, is_active: bool = True, until_us: int | None = None, activated_us: int = 1) -> str:
    made = BurnTable("", "t", version, valid_until_us=until_us, is_active=is_active)
    return body_of_version(made, RULES, activated_us=activated_us)


def registers_over(rows: Rows, problems: list[str] | None = None) -> Registers:
    return Registers(rows, [BUILT_IN], on_problem=(problems if problems is not None else []).append)


async def test_prices_set_at_run_time_stand_over_the_others_from_their_start_on() -> None:
    rows = Rows()
    registers = registers_over(rows)
    rows.put(PRICE, "openai/gpt-4o", price("7"), 100)
    rows.put(PRICE, "openai/gpt-4o", price("8"), 200)
    rows.put("other", "openai/gpt-4o", "nonsense")
    await registers.refresh()
    versions = [registers.book().find(GPT, at).version for at in (0, 99, 100, 199, 200, 10**15)]
    assert versions == ["built-in", "built-in", "price-1", "price-1", "price-2", "price-2"]


async def test_a_price_written_later_takes_the_place_of_one_that_was_to_begin_later() -> None:
    rows = Rows()
    rows.put(PRICE, "openai/gpt-4o", price("7"), 200)
    rows.put(PRICE, "openai/gpt-4o", price("8"), 100)
    registers = registers_over(rows)
    await registers.refresh()
    assert registers.book().find(GPT, 300).version == "price-2"


@given(starts=st.lists(st.integers(0, 9), max_size=8), at=st.integers(0, 9))
def test_the_newest_row_holds_from_its_start_on(starts: list[int], at: int) -> None:
    found = [version for start, version in timeline([(start, n) for n, start in enumerate(starts)]) if start <= at]
    newest = [n for n, start in enumerate(starts) if start <= at]
    assert (found[-1] if found else None) == (newest[-1] if newest else None)


@pytest.mark.parametrize(
    "body", ["{", "[]", "{}", '{"input": 1, "output": 1}', '{"input": "x", "output": "1"}', "null"]
)
async def test_a_bad_price_row_leaves_the_last_good_one_and_is_told_of_once(body: str) -> None:
    rows, problems = Rows(), list[str]()
    rows.put(PRICE, "openai/gpt-4o", price("7"))
    rows.put(PRICE, "openai/gpt-4o", body, 5)
    rows.put(PRICE, "no-slash", price("7"))
    registers = registers_over(rows, problems)
    for _ in range(3):
        await registers.refresh()
    assert registers.book().find(GPT, 10).version == "price-1"
    assert len(problems) == 2
    assert "price row 2 (openai/gpt-4o)" in problems[0]


@pytest.mark.parametrize(
    "body", ["{", "[]", "{}", '{"rules": []}', '{"rules": {"m": {"input_tokens": -1}}, "version": 1}']
)
async def test_a_bad_burn_table_row_leaves_the_last_good_version(body: str) -> None:
    rows, problems = Rows(), list[str]()
    rows.put(BURN_TABLE, "bt_1", table(1))
    rows.put(BURN_TABLE, "bt_1", body)
    registers = registers_over(rows, problems)
    await registers.refresh()
    assert registers.burn_rule("gpt-4o", 10) is not None
    assert len(problems) == 1


async def test_a_poll_reads_only_when_somebody_wrote() -> None:
    rows = Rows()
    registers = registers_over(rows)
    await registers.poll()
    assert rows.readings == 0
    rows.put(PRICE, "openai/gpt-4o", price("7"))
    await registers.poll()
    assert registers.book().find(GPT, 0).version == "price-1"
    seen = rows.readings
    await registers.poll()
    assert rows.readings == seen


async def test_while_the_store_is_down_the_last_snapshot_stands() -> None:
    rows = Rows()
    rows.put(PRICE, "openai/gpt-4o", price("7"))
    registers = registers_over(rows)
    await registers.refresh()
    rows.is_down = True
    for read in (registers.poll, registers.refresh):
        with pytest.raises(StorageUnavailable):
            await read()
    assert registers.book().find(GPT, 0).version == "price-1"


async def test_a_book_that_a_call_holds_does_not_change_under_it() -> None:
    rows = Rows()
    registers = registers_over(rows)
    held = registers.book()
    rows.put(PRICE, "openai/gpt-4o", price("7"))
    await registers.refresh()
    assert held.find(GPT, 0).version == "built-in"
    assert registers.book().find(GPT, 0).version == "price-1"


async def test_of_two_tables_the_one_switched_on_last_decides_within_its_validity() -> None:
    rows = Rows()
    rows.put(BURN_TABLE, "bt_1", table(1, activated_us=1))
    rows.put(
        BURN_TABLE, "bt_2", table(1, activated_us=2, until_us=50).replace('"input_tokens": 1', '"input_tokens": 9')
    )
    registers = registers_over(rows)
    await registers.refresh()
    rules = [registers.burn_rule("gpt-4o", at) for at in (10, 49, 50)]
    assert [rule.input_nano // 10**9 for rule in rules if rule] == [9, 9, 1]
    assert registers.burn_rule("another", 10) is None, "no default rule: the price book decides"


async def test_a_table_switched_off_still_stands_for_calls_that_began_before() -> None:
    rows = Rows()
    rows.put(BURN_TABLE, "bt_1", table(1), 10)
    rows.put(BURN_TABLE, "bt_1", table(2, is_active=False), 20)
    registers = registers_over(rows)
    await registers.refresh()
    assert [registers.burn_rule("gpt-4o", at) is not None for at in (9, 10, 19, 20)] == [False, True, True, False]


async def test_a_model_that_nobody_prices_costs_the_ceiling_where_there_is_one() -> None:
    unknown = Target("openai", "nobody-knows", "openai")
    with pytest.raises(PriceUnknown):
        registers_over(Rows()).book().find(unknown, 0)
    ceiling = rates_from(input=nano_per_million("50"), output=nano_per_million("200"))
    book = Registers(Rows(), [BUILT_IN], on_problem=print, ceiling=ceiling).book()
    found = book.find(unknown, 0)
    assert (found.version, found.base) == ("ceiling", ceiling)
    assert book.find(GPT, 0).version == "built-in"
    assert book.models("openai", "openai") == ["gpt-4o"]


async def test_what_one_process_sets_another_one_sees_at_its_next_poll() -> None:
    clock = [1_700_000_000_000_000]
    ids = iter(range(100))
    async with open_store("sqlite://", clock_us=lambda: clock[0]) as store:
        mine, other = (Registers(store, [BUILT_IN], on_problem=print) for _ in range(2))
        setting = PriceSetting(store, mine, lambda: clock[0], lambda: str(next(ids)))
        dollars = {"input": "1", "output": "2"}
        entry = (await setting.set_price(Author("boss", "why"), "openai/gpt-4o", dollars, None)).what
        await setting.create_table(Author("boss"), BurnTable("", "t", 0), RULES, act=KEYLESS)
        assert mine.book().find(GPT, clock[0]).version == entry.price.version
        assert other.book().find(GPT, clock[0]).version == "built-in"
        await other.poll()
        assert other.book().find(GPT, clock[0]).version == entry.price.version
        assert other.burn_rule("gpt-4o", clock[0]) == mine.burn_rule("gpt-4o", clock[0]) is not None
        rows = await store.kept("default", PRICE)
        assert [(row.actor, row.reason, json.loads(row.body)["output"]) for row in rows] == [("boss", "why", "2")]


async def test_two_processes_that_change_one_table_at_once_both_get_their_version() -> None:
    ids = iter(range(100))
    async with open_store("sqlite://", clock_us=lambda: 5) as store:
        settings = [
            PriceSetting(store, Registers(store, [], on_problem=print), lambda: 5, lambda: str(next(ids)))
            for _ in range(2)
        ]
        made = (await settings[0].create_table(Author("boss"), BurnTable("", "t", 0), RULES, act=KEYLESS)).what

        def renamed(name: str) -> "asyncio.Task[int]":
            async def change() -> int:
                setting = settings[len(name) % 2]
                version = await setting.change_table(
                    Author(name),
                    made.table.id,
                    lambda before, _now: body_of_version(
                        replace(before.table, name=name, version=before.table.version + 1), before.rules, activated_us=0
                    ),
                    act=KEYLESS,
                )
                return version.what.table.version

            return asyncio.ensure_future(change())

        assert sorted(await asyncio.gather(renamed("a"), renamed("bb"), renamed("ccc"))) == [2, 3, 4]
        assert len(await store.kept("default", BURN_TABLE)) == 4
