"""Prices and burn tables as kept rows: what their JSON looks like, and how it is read back. Pure; nothing is stored here."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from monetization.charging.burn_tables import BurnTable, rule_from
from monetization.prices.overrides import price_from
from monetization.prices.rates import Price
from storage.records.kept import KeptRow

PRICE: Final = "price"
"""Kept rows of this kind: key `provider/model`, body dollars per million tokens by bucket."""
BURN_TABLE: Final = "burn_table"
"""Kept rows of this kind: key the table's id, body one version of it."""

T = TypeVar("T")
RuleMembers = Mapping[str, Mapping[str, object]]
"""Model → the members of its rule, as the operator wrote them."""


@dataclass(frozen=True, slots=True)
class TableVersion:
    """One version of a burn table as it was written."""

    table: BurnTable
    rules: RuleMembers
    """As written, to show them and to make the next version from."""
    activated_us: int
    """When it was switched on; of several tables in force the one switched on last decides."""
    is_deleted: bool
    starts_us: int
    """From when on this version stands in the place of the one before."""
    row_id: int
    actor: str
    reason: str


def timeline(versions: Iterable[tuple[int, T]]) -> list[tuple[int, T]]:
    """Versions in the order in which they were written → what holds from when on: the newest one, from its start on."""
    kept: list[tuple[int, T]] = []
    for start, version in versions:
        while kept and kept[-1][0] >= start:
            kept.pop()
        kept.append((start, version))
    return kept


def price_of_row(row: KeptRow) -> Price:
    """The price of a kept row. Raises: ValueError when the row is not one."""
    body = _object(row.body)
    if not all(isinstance(value, str) for value in body.values()) or "/" not in row.key:
        raise ValueError("prices are decimal strings under provider/model")
    dollars = {key: str(value) for key, value in body.items()}
    return price_from(row.key, dollars, version=f"price-{row.id}", valid_from_us=row.valid_from_us)


def body_of_price(dollars: Mapping[str, str]) -> str:
    """The JSON of a price row."""
    return json.dumps(dict(dollars))


def version_of_row(row: KeptRow) -> TableVersion:
    """The burn table version of a kept row. Raises: ValueError when the row is not one."""
    body = _object(row.body)
    rules = _rules(body.get("rules"))
    until = body.get("validUntilUs")
    table = BurnTable(
        id=row.key,
        name=str(body["name"]) if "name" in body else row.key,
        version=_whole(body, "version"),
        rules={model: rule_from(model, members) for model, members in rules.items()},
        valid_from_us=_whole(body, "validFromUs"),
        valid_until_us=None if until is None else _whole(body, "validUntilUs"),
        is_active=body.get("isActive") is True,
    )
    return TableVersion(
        table=table,
        rules=rules,
        activated_us=_whole(body, "activatedUs"),
        is_deleted=body.get("isDeleted") is True,
        starts_us=row.valid_from_us,
        row_id=row.id,
        actor=row.actor,
        reason=row.reason,
    )


def body_of_version(table: BurnTable, rules: RuleMembers, *, activated_us: int, is_deleted: bool = False) -> str:
    """The JSON of a burn table row."""
    return json.dumps(
        {
            "name": table.name,
            "version": table.version,
            "rules": {model: dict(members) for model, members in rules.items()},
            "validFromUs": table.valid_from_us,
            "validUntilUs": table.valid_until_us,
            "isActive": table.is_active,
            "activatedUs": activated_us,
            "isDeleted": is_deleted,
        }
    )


def table_at(timelines: Sequence[Sequence[tuple[int, TableVersion]]], at_us: int) -> BurnTable | None:
    """The table that decides at an instant; None where none is in force."""
    found = [version for versions in timelines if (version := _at(versions, at_us)) is not None]
    standing = [version for version in found if not version.is_deleted and version.table.holds_at(at_us)]
    return max(standing, key=lambda version: (version.activated_us, version.row_id)).table if standing else None


def _at(versions: Sequence[tuple[int, TableVersion]], at_us: int) -> TableVersion | None:
    return next((version for start, version in reversed(versions) if start <= at_us), None)


def _object(text: str) -> dict[str, object]:
    body = json.loads(text)
    if not isinstance(body, dict):
        raise ValueError("the row is no JSON object")  # noqa: TRY004  # one kind of error for every bad row
    return body


def _rules(value: object) -> RuleMembers:
    if not isinstance(value, dict) or not all(isinstance(members, dict) for members in value.values()):
        raise ValueError("rules: must map models to rules")
    return value


def _whole(body: Mapping[str, object], name: str) -> int:
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name}: must be a whole number")  # noqa: TRY004  # one kind of error for every bad row
    return value
