"""Writes `ddl.py` from the tables, for `make ddl`. Never runs in a server."""

_HEAD = '''"""The embedded file's tables and indexes as SQL, written down so that a new file needs no library to be made.

Made from `storage/sql/tables.py` by `make ddl`; a test fails when the two differ.
"""

from typing import Final

STATEMENTS: Final = (
'''


LINE_MAX = 120
"""Longer checks are broken at their ANDs."""


def statements() -> list[str]:
    """The DDL of every table and index, in an order in which each can be made."""
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415  # heavy
    from sqlalchemy.schema import CreateIndex, CreateTable  # noqa: PLC0415  # heavy

    from storage.sql.tables import metadata  # noqa: PLC0415  # heavy

    dialect = sqlite.dialect()
    found: list[str] = []
    for table in metadata.sorted_tables:
        found.append(_plain(str(CreateTable(table, if_not_exists=True).compile(dialect=dialect))))
        found += [
            _plain(str(CreateIndex(index, if_not_exists=True).compile(dialect=dialect)))
            for index in sorted(table.indexes, key=lambda index: str(index.name))
        ]
    return found


def _plain(statement: str) -> str:
    """Without the blanks at the ends of lines that the library leaves."""
    lines = (line.replace("\t", "    ").rstrip() for line in statement.strip().splitlines() if line.strip())
    return "\n".join(line if len(line) < LINE_MAX else _broken(line) for line in lines)


def _broken(line: str) -> str:
    for word in ("AND", "WHERE"):
        line = line.replace(f" {word} ", f"\n        {word} ")
    return line


def module() -> str:
    """The text of `ddl.py`."""
    return _HEAD + "".join(f'    """{statement}""",\n' for statement in statements()) + ")\n"
