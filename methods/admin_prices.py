"""What an admin sets while the server runs: prices and burn tables (S2-26). A change holds from now on or later, never before."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import Field, StrictFloat, StrictInt

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Params, Result
from methods.money_shapes import ADMIN, Amount, Instant, Key, Reason, actor_of, amount_of, text, us_of
from monetization.charging.burn_tables import BurnTable, rule_from
from monetization.errors import OutOfTime
from monetization.once import Act, Written
from monetization.periods import iso
from monetization.price_setting import Author, latest
from monetization.register_rows import RuleMembers, TableVersion, body_of_version, table_at
from monetization.registers import PriceEntry
from storage.errors import IdempotencyConflict, NotFound
from storage.records.money import USD

Name = Annotated[str, Field(min_length=1, max_length=200)]
TableId = Annotated[str, Field(min_length=1, max_length=100)]
RuleMember = StrictInt | StrictFloat | Annotated[str, Field(max_length=40, pattern=r"^\d+(\.\d+)?$")]
Rules = Annotated[
    dict[Name, dict[Annotated[str, Field(max_length=40)], RuleMember]],
    Field(min_length=1, max_length=1_000),
]
"""Model, or `default`, → `input_tokens`, `output_tokens`, `flat_rate` in credits, and `per_unit` in tokens; either casing."""


class SetPriceParams(Params):
    """A model's price in dollars per million tokens."""

    provider: Annotated[str, Field(pattern=r"^[^/\s]{1,100}$")]
    """The configured provider's name, or a kind."""
    model: Name
    prices: Annotated[dict[str, Amount], Field(min_length=2, max_length=20)]
    """`input` and `output`, and where they differ `cache_read`, `cache_write_5m`, `reasoning`…; `request` per request."""
    effective_from: Instant | None = None
    """Absent: from now on. A price cannot be changed for the past."""
    reason: Reason | None = None
    idempotency_key: Key | None = None


class PriceResult(Result):
    """A price that was set at run time."""

    provider: str
    model: str
    prices: dict[str, str]
    """Dollars per million tokens, exact."""
    effective_from: str
    version: str
    """What usage rows and receipts name."""
    actor: str
    reason: str
    created_at: str
    is_replay: bool | None = None
    """Of an answer to `setPrice`: it was given before, under the same key."""


class ListPricesParams(Params):
    """Which prices."""

    provider: Name | None = None
    model: Name | None = None


class ListPricesResult(Result):
    """Every price ever set at run time, the newest first."""

    data: list[PriceResult]


class CreateTableParams(Params):
    """A new burn table."""

    name: Name
    rules: Rules
    is_active: bool = True
    """False: it waits for `activateBurnTable`."""
    valid_from: Instant | None = None
    valid_until: Instant | None = None
    reason: Reason | None = None
    idempotency_key: Key | None = None


class UpdateTableParams(Params):
    """A change of a burn table: the next version, in force from now on. What is absent stays."""

    id: TableId
    name: Name | None = None
    rules: Rules | None = None
    valid_from: Instant | None = None
    valid_until: Instant | None = None
    reason: Reason | None = None
    idempotency_key: Key | None = None


class TableParams(Params):
    """Which burn table."""

    id: TableId
    reason: Reason | None = None
    idempotency_key: Key | None = None


class ActivateParams(TableParams):
    """Which burn table to switch."""

    is_active: bool = True
    """False: switch it off."""


class ListTablesParams(Params):
    """Which burn tables."""

    include_deleted: bool = False


class TableResult(Result):
    """A burn table in its newest version."""

    id: str
    name: str
    version: int
    rules: dict[str, dict[str, object]]
    is_active: bool
    """Switched on. Of several that are, the one switched on last decides, within its validity."""
    is_in_force: bool
    """It decides now."""
    is_deleted: bool | None = None
    valid_from: str | None = None
    valid_until: str | None = None
    actor: str
    reason: str
    is_replay: bool | None = None
    """Of an answer to a change: it was given before, under the same key."""


class ListTablesResult(Result):
    """Burn tables in their newest versions."""

    data: list[TableResult]


async def set_price(context: Context, params: SetPriceParams) -> PriceResult:
    """Set what a model costs, from now on or later; calls that have begun keep their price. Admins only."""
    dollars = {key: text(amount_of(value, USD, f"prices.{key}"), USD) for key, value in params.prices.items()}
    effective = None if params.effective_from is None else us_of(params.effective_from)
    name = f"{params.provider}/{params.model}"
    setting = context.services.money.setting
    try:
        written = await setting.set_price(
            _author(context, params.reason), name, dollars, effective, key=params.idempotency_key
        )
    except ValueError as wrong:
        raise InvalidParams(str(wrong)) from None
    return _price(written.what).model_copy(update={"is_replay": written.is_replay})


async def list_prices(context: Context, params: ListPricesParams) -> ListPricesResult:
    """The prices set at run time, with their history. Admins only."""
    shown = [_price(entry) for entry in reversed(context.services.money.registers.snapshot.prices)]
    wanted = [
        price for price in shown if params.provider in (None, price.provider) and params.model in (None, price.model)
    ]
    return ListPricesResult(data=wanted)


async def create_burn_table(context: Context, params: CreateTableParams) -> TableResult:
    """Make a burn table: what models burn in credits, in place of the price book. Admins only."""
    table = BurnTable(
        id="",
        name=params.name,
        version=0,
        valid_from_us=0 if params.valid_from is None else us_of(params.valid_from),
        valid_until_us=None if params.valid_until is None else us_of(params.valid_until),
        is_active=params.is_active,
    )
    _check(table)
    try:
        made = await context.services.money.setting.create_table(
            _author(context, params.reason), table, params.rules, act=_act("create_table", params)
        )
    except ValueError as wrong:
        raise InvalidParams(f"rules: {wrong}") from None
    return _written(context, made)


async def update_burn_table(context: Context, params: UpdateTableParams) -> TableResult:
    """Change a burn table from now on; what was burned stays burned by the version that it was burned by. Admins only."""

    def changed(before: TableVersion, now_us: int) -> str:
        del now_us
        rules: RuleMembers = before.rules if params.rules is None else params.rules
        for model, members in rules.items():
            rule_from(model, members)
        table = replace(
            before.table,
            version=before.table.version + 1,
            name=params.name or before.table.name,
            valid_from_us=before.table.valid_from_us if params.valid_from is None else us_of(params.valid_from),
            valid_until_us=before.table.valid_until_us if params.valid_until is None else us_of(params.valid_until),
        )
        _check(table)
        return body_of_version(table, rules, activated_us=before.activated_us)

    return await _change(context, params, changed, _act("update_table", params))


async def activate_burn_table(context: Context, params: ActivateParams) -> TableResult:
    """Switch a burn table on or off. Admins only."""

    def changed(before: TableVersion, now_us: int) -> str:
        table = replace(before.table, version=before.table.version + 1, is_active=params.is_active)
        return body_of_version(table, before.rules, activated_us=now_us if params.is_active else before.activated_us)

    return await _change(context, params, changed, _act("activate_table", params))


async def delete_burn_table(context: Context, params: TableParams) -> TableResult:
    """Take a burn table out of use; its versions stay readable for what was burned by them. Admins only."""

    def changed(before: TableVersion, now_us: int) -> str:
        del now_us
        table = replace(before.table, version=before.table.version + 1, is_active=False)
        return body_of_version(table, before.rules, activated_us=before.activated_us, is_deleted=True)

    return await _change(context, params, changed, _act("delete_table", params))


async def list_burn_tables(context: Context, params: ListTablesParams) -> ListTablesResult:
    """Burn tables in their newest versions. Admins only."""
    registers = context.services.money.registers
    newest = [latest(registers, table_id, with_deleted=True) for table_id in registers.snapshot.tables or {}]
    in_force = table_at(tuple((registers.snapshot.tables or {}).values()), context.services.money.clock_us())
    return ListTablesResult(
        data=[_table(version, in_force) for version in newest if params.include_deleted or not version.is_deleted]
    )


async def _change(
    context: Context,
    params: UpdateTableParams | TableParams,
    changed: Callable[[TableVersion, int], str],
    act: Act,
) -> TableResult:
    setting = context.services.money.setting
    try:
        written = await setting.change_table(_author(context, params.reason), params.id, changed, act=act)
    except ValueError as wrong:
        raise InvalidParams(f"rules: {wrong}") from None
    return _written(context, written)


def _act(name: str, params: CreateTableParams | UpdateTableParams | TableParams) -> Act:
    return Act(name, params.idempotency_key, params.model_dump(mode="json", exclude={"idempotency_key"}))


def _written(context: Context, written: Written[TableVersion]) -> TableResult:
    """A change's answer: as everything stood when it was written, so that a repeated key shows the same."""
    version = written.what
    timelines = (context.services.money.registers.snapshot.tables or {}).values()
    then = [[entry for entry in timeline if entry[1].row_id <= version.row_id] for timeline in timelines]
    shown = _table(version, table_at(then, version.starts_us))
    return shown.model_copy(update={"is_replay": written.is_replay})


def _author(context: Context, reason: str | None) -> Author:
    return Author(actor_of(context), reason or "")


def _check(table: BurnTable) -> None:
    if table.valid_until_us is not None and table.valid_until_us <= table.valid_from_us:
        raise InvalidParams("validUntil: must be after validFrom")


def _price(entry: PriceEntry) -> PriceResult:
    provider, _, model = entry.name.partition("/")
    prices: Mapping[str, str] = json.loads(entry.dollars)
    return PriceResult(
        provider=provider,
        model=model,
        prices=dict(prices),
        effective_from=iso(entry.price.valid_from_us),
        version=entry.price.version,
        actor=entry.actor,
        reason=entry.reason,
        created_at=iso(entry.created_us),
    )


def _table(version: TableVersion, in_force: BurnTable | None) -> TableResult:
    table = version.table
    return TableResult(
        id=table.id,
        name=table.name,
        version=table.version,
        rules={model: dict(members) for model, members in version.rules.items()},
        is_active=table.is_active,
        is_in_force=in_force is not None and in_force.id == table.id,
        is_deleted=version.is_deleted or None,
        valid_from=iso(table.valid_from_us) if table.valid_from_us else None,
        valid_until=None if table.valid_until_us is None else iso(table.valid_until_us),
        actor=version.actor,
        reason=version.reason,
    )


_RULES = {"gpt-4-turbo": {"input_tokens": 1.5, "output_tokens": 10.0, "per_unit": 1000}}
_SHOWN = {"id": "bt_1", "name": "2026", "version": 1, "rules": _RULES, "isActive": True, "isInForce": True}
_CHANGED = (Forbidden, NotFound, IdempotencyConflict)

METHODS = [
    Method(
        "setPrice",
        set_price,
        access=Access.REQUIRED,
        role=ADMIN,
        faults=(Forbidden, OutOfTime),
        examples=(
            Example(
                "a price from now on",
                {"provider": "openai", "model": "gpt-4o", "prices": {"input": "2.5", "output": "10"}},
                {"provider": "openai", "model": "gpt-4o", "prices": {"input": "2.5", "output": "10"}},
            ),
        ),
    ),
    Method(
        "listPrices",
        list_prices,
        access=Access.REQUIRED,
        role=ADMIN,
        faults=(Forbidden,),
        examples=(Example("of one model", {"model": "gpt-4o"}, {"data": []}),),
    ),
    Method(
        "createBurnTable",
        create_burn_table,
        access=Access.REQUIRED,
        role=ADMIN,
        faults=(Forbidden,),
        examples=(Example("one model", {"name": "2026", "rules": _RULES}, _SHOWN),),
    ),
    Method(
        "updateBurnTable",
        update_burn_table,
        access=Access.REQUIRED,
        role=ADMIN,
        faults=_CHANGED,
        examples=(Example("another name", {"id": "bt_1", "name": "2026"}, {**_SHOWN, "version": 2}),),
    ),
    Method(
        "activateBurnTable",
        activate_burn_table,
        access=Access.REQUIRED,
        role=ADMIN,
        faults=_CHANGED,
        examples=(Example("switch it on", {"id": "bt_1"}, {**_SHOWN, "version": 2}),),
    ),
    Method(
        "deleteBurnTable",
        delete_burn_table,
        access=Access.REQUIRED,
        role=ADMIN,
        faults=_CHANGED,
        examples=(
            Example("out of use", {"id": "bt_1"}, {**_SHOWN, "version": 2, "isActive": False, "isDeleted": True}),
        ),
    ),
    Method(
        "listBurnTables",
        list_burn_tables,
        access=Access.REQUIRED,
        role=ADMIN,
        faults=(Forbidden,),
        examples=(Example("all", {}, {"data": [_SHOWN]}),),
    ),
]
