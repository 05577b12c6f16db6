"""The answers of the REST facades that are no results: each family's one shape of an error, and its status."""

from collections.abc import Mapping
from typing import Final

from monetization.errors import QuotaExceeded
from server.errors import status_of
from server.rest.route import Family
from server.rest_ingestion import error_body
from storage.errors import Fault

INTERNAL: Final = 500
_OWN: Final[dict[type[Fault], int]] = {QuotaExceeded: 429}
"""Where REST differs from the one table: 402 is for money here, 429 for whatever time mends (R15)."""


def rest_status_of(fault: Fault) -> int:
    """The HTTP status of a fault."""
    return next((status for kind, status in _OWN.items() if isinstance(fault, kind)), None) or status_of(fault)


def error_of(
    family: Family, error: str, message: str, request_id: str, details: Mapping[str, object] | None = None
) -> bytes:
    """OpenMonetize's `{error, message, details?}`; in the credits guide's family the same after `success: false`."""
    said = error_body(error, message, request_id, details)
    return b'{"success":false,' + said[1:] if family == "credits" else said
