"""Faults of the ground floor. A Fault is an error that a caller may see; numbers and HTTP statuses live in tables further up.

Fault
├── NotFound              there is no such row for this caller
├── InvalidCursor         the page's cursor is not one of ours
├── IdempotencyConflict   the key was used before with another body, or its first call still runs
├── VersionChanged        somebody else has changed it since it was read
└── StorageUnavailable    the store could not keep its promise now; nothing was written
    └── StoreClosed       this process is leaving; another one may be asked

StoreRefused stands beside them: it stops the start and no caller ever sees it.
"""

from collections.abc import Mapping
from typing import ClassVar


class Fault(Exception):
    """An error that a caller may see, in the words of the floor that raised it.

    `message` says what, which and what next. `data` travels to the caller as it is, so it holds wire names (camelCase) and
    never anything of our insides. `reason` is stable: clients switch on it.
    """

    reason: ClassVar[str] = "internal_error"
    message: str = "Internal error"
    is_of_caller: ClassVar[bool] = False
    """True: the request or who makes it is why, and nothing has failed that an operator could mend."""

    def __init__(
        self,
        detail: str | None = None,
        *,
        message: str | None = None,
        reason: str | None = None,
        retry_after_seconds: float | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        if message is not None:
            self.message = message
        super().__init__(detail or self.message)
        self.detail = detail
        self.slug = reason or self.reason
        self.retry_after_seconds = retry_after_seconds
        """Seconds after which the same call may succeed. None: waiting does not help, or nobody knows."""
        self.data = dict(data or {})


class NotFound(Fault):
    """There is no such thing, or it belongs to someone else; the two look the same from outside."""

    reason = "not_found"
    message = "Not found"


class InvalidCursor(Fault):
    """The cursor is not one that a page of ours gave; begin with the first page."""

    reason = "invalid_cursor"
    message = "Invalid cursor"


class IdempotencyConflict(Fault):
    """The idempotency key was used before with another body (`key_reused`) or its first call still runs (`in_progress`)."""

    reason = "key_reused"
    message = "Idempotency conflict"


class VersionChanged(Fault):
    """What was to be changed is not what was read any more: read it again. `data.version` is the one that stands, 0 for none."""

    reason = "version_changed"
    message = "Changed meanwhile"


class StorageUnavailable(Fault):
    """The store could not keep its promise now. Nothing was written; the same call may be repeated."""

    reason = "storage_unavailable"
    message = "Service overloaded"


class StoreClosed(StorageUnavailable):
    """This process has closed its store and will not open it again; another one may be asked."""

    reason = "store_closed"


class StoreRefused(Exception):
    """The store cannot be opened as configured. Raised at start only; the message is one line that names the key."""


class StoreInUse(StoreRefused):
    """Another process has the store for itself: a server runs on it."""
