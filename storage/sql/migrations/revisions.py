"""Which schema revisions exist, without the library that walks them, so that a start costs one comparison."""

from typing import Final

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008")
"""Every revision, oldest first: the ids of `versions/`. A database keeps its own in the table `alembic_version`."""
HEAD: Final = REVISIONS[-1]


def refusal(found: str | None, *, is_empty: bool) -> str:
    """Why a database of that revision is not served, in one line."""
    if found in REVISIONS:
        return f"storage.url: the database has schema {found}, this program needs {HEAD}; run: tollgate migrate --config FILE"
    if found is not None:
        return (
            f"storage.url: the database has schema {found!r}, which this program does not know (it knows up to {HEAD}); "
            "run a newer Tollgate, or tollgate migrate --down-to with the newer one"
        )
    if is_empty:
        return "storage.url: the database is empty; run: tollgate migrate --config FILE"
    return "storage.url: the database holds tables of something else; give Tollgate a database of its own"
