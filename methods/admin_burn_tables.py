"""What an admin sets while the server runs: burn tables (S2-26). A change holds from now on or later, never before."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

from pydantic import Field, StrictFloat, StrictInt

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Params, Result
from methods.money_shapes import Instant, Key, Name, Reason, author_of, us_of
from monetization.charging.burn_tables import BurnTable, rule_from
from monetization.once import Act, Written
from monetization.periods import iso
from monetization.price_setting import latest
from monetization.register_rows import RuleMembers, TableVersion, body_of_version, table_at
from storage.errors import IdempotencyConflict, NotFound

TableId = Annotated[str, Field(min_length=1, max_length=100)]
RuleMember = StrictInt | StrictFloat | Annotated[str, Field(max_length=40, pattern=r"^\d+(\.\d+)?$")]
Rules = Annotated[
    dict[Name, dict[Annotated[str, Field(max_length=40)], RuleMember]],
    Field(min_length=1, max_length=1_000),
]
"""Model, or `default`, → `input_tokens`, `output_tokens`, `flat_rate` in credits, and `per_unit` in tokens; either casing."""


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
            author_of(context, params.reason), table, params.rules, act=_act("create_table", params)
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
        written = await setting.change_table(author_of(context, params.reason), params.id, changed, act=act)
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


def _check(table: BurnTable) -> None:
    if table.valid_until_us is not None and table.valid_until_us <= table.valid_from_us:
        raise InvalidParams("validUntil: must be after validFrom")


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
        "createBurnTable",
        create_burn_table,
        scope="prices:write",
        access=Access.REQUIRED,
        faults=(Forbidden, IdempotencyConflict),
        examples=(Example("one model", {"name": "2026", "rules": _RULES}, _SHOWN),),
    ),
    Method(
        "updateBurnTable",
        update_burn_table,
        scope="prices:write",
        access=Access.REQUIRED,
        faults=_CHANGED,
        examples=(Example("another name", {"id": "bt_1", "name": "2026"}, {**_SHOWN, "version": 2}),),
    ),
    Method(
        "activateBurnTable",
        activate_burn_table,
        scope="prices:write",
        access=Access.REQUIRED,
        faults=_CHANGED,
        examples=(Example("switch it on", {"id": "bt_1"}, {**_SHOWN, "version": 2}),),
    ),
    Method(
        "deleteBurnTable",
        delete_burn_table,
        scope="prices:write",
        access=Access.REQUIRED,
        faults=_CHANGED,
        examples=(
            Example("out of use", {"id": "bt_1"}, {**_SHOWN, "version": 2, "isActive": False, "isDeleted": True}),
        ),
    ),
    Method(
        "listBurnTables",
        list_burn_tables,
        scope="prices:write",
        access=Access.REQUIRED,
        faults=(Forbidden,),
        examples=(Example("all", {}, {"data": [_SHOWN]}),),
    ),
]
