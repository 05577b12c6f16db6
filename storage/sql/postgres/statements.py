"""Statements in bulk: one array for each column, whatever the number of rows. No rows are touched here."""
# ruff: noqa: S608  # statements are built from our own names, never from values

from collections.abc import Iterable, Sequence
from typing import Any

# Any: columns hold what their table says.

TEXTS = frozenset((
    "actor", "asked_model", "asset", "body", "caller_kind", "category", "charge_asset", "code", "digest", "door", "feature",
    "hash", "id:usage", "key", "key_id", "kind:directory", "kind:kept", "kind:usage", "kind:usage_series", "marks", "method",
    "metadata", "model", "note", "on_expire", "organization_id",
    "outcome", "owner", "owner_id", "owner_type", "paid_currency", "payload", "period", "prev_hash", "price_version", "provider",
    "reason", "ref", "request_hash", "request_id", "resource", "result", "scope", "source", "source_ref", "state",
    "subject", "tenant", "tier", "topic", "unit", "user_id",
))  # fmt: skip
"""The columns that hold text, with the table's name where another table's column of that name holds a number."""


def type_of(table: str, column: str) -> str:
    """The SQL type of a column: every one is either text or eight bytes."""
    return "text" if column in TEXTS or f"{column}:{table}" in TEXTS else "bigint"


def _arrays(table: str, columns: Sequence[str]) -> str:
    return ", ".join(f"${at}::{type_of(table, column)}[]" for at, column in enumerate(columns, 1))


def insert(table: str, columns: str | Iterable[str], end: str = "") -> str:
    """INSERT every row of the arrays, in their order."""
    names = columns.split(", ") if isinstance(columns, str) else list(columns)
    return f"INSERT INTO {table} ({', '.join(names)}) SELECT * FROM unnest({_arrays(table, names)}) {end}"


def update(table: str, keys: str, columns: str) -> str:
    """UPDATE the rows that the key arrays name, each with its values. The rows are locked by the caller."""
    key_names, names = keys.split(", "), columns.split(", ")
    values = ", ".join(f"{name}=v.{name}" for name in names)
    same = " AND ".join(f"t.{name}=v.{name}" for name in key_names)
    everything = [*key_names, *names]
    return f"UPDATE {table} t SET {values} FROM unnest({_arrays(table, everything)}) AS v({', '.join(everything)}) WHERE {same}"


def select_by(table: str, keys: str, columns: str) -> str:
    """SELECT the rows that the key arrays name."""
    names = keys.split(", ")
    same = " AND ".join(f"t.{name}=v.{name}" for name in names)
    wanted = ", ".join(f"t.{name}" for name in columns.split(", "))
    return f"SELECT {wanted} FROM unnest({_arrays(table, names)}) AS v({', '.join(names)}) JOIN {table} t ON {same}"


def arrays(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Rows turned into columns. There is at least one row."""
    return list(zip(*rows, strict=True))
