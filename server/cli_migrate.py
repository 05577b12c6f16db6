"""`tollgate migrate`: the database's schema on the command line. What the schema is lives under `storage`."""

from typing import TYPE_CHECKING

from server.config_errors import OperatorError
from storage.errors import StoreRefused
from storage.sql.migrating import current, migrate
from storage.sql.migrations.revisions import HEAD

if TYPE_CHECKING:
    from server.config import Settings


class MigrationRefused(OperatorError):
    """The schema cannot be brought there, or the database cannot be reached."""


def migrated(settings: "Settings", *, down_to: str | None, is_shown: bool) -> str:
    """Bring the schema to this program's, or down to a revision, or only look; returns one line. Raises: MigrationRefused."""
    url = settings.storage.url.get_secret_value()
    try:
        if not is_shown:
            migrate(url, down_to or "head")
        found = current(url)
    except StoreRefused as refused:
        raise MigrationRefused(str(refused)) from refused
    known = "this program's" if found == HEAD else f"this program's is {HEAD}"
    return f"schema {found or 'none'} ({known})"
