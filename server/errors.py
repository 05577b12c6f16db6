"""The one table from fault to HTTP status, for every door that speaks HTTP. JSON-RPC numbers live in `methods/errors.py`."""

import math
from typing import Final

from billing import errors as booked
from methods import errors as calling
from monetization import errors as commerce
from storage import errors as kept
from storage.errors import Fault

STATUSES: Final[dict[type[Fault], int]] = {
    calling.MethodNotFound: 404,
    calling.InvalidParams: 400,
    calling.Internal: 500,
    commerce.QuotaExceeded: 402,
    commerce.RateLimited: 429,
    commerce.PaymentRequired: 402,
    commerce.Unauthenticated: 401,
    calling.Forbidden: 403,
    commerce.NotEntitled: 403,
    calling.ProviderFailed: 502,
    calling.ProviderTimedOut: 504,
    calling.UnknownModel: 404,
    calling.UnknownProvider: 404,
    commerce.PriceUnknown: 404,
    commerce.OutOfTime: 400,
    commerce.KeysOff: 404,
    commerce.TooManyKeys: 400,
    booked.InsufficientFunds: 402,
    booked.AccountSuspended: 402,
    booked.QuotaUsedUp: 402,
    booked.NotRefundable: 409,
    booked.AccountNotEmpty: 409,
    booked.InvalidAmount: 400,
    booked.HoldClosed: 409,
    kept.InvalidCursor: 400,
    kept.IdempotencyConflict: 409,
    kept.VersionChanged: 409,
    commerce.Overloaded: 503,
    kept.StorageUnavailable: 503,
    kept.NotFound: 404,
    calling.Cancelled: 499,
}

REFUSALS: Final = frozenset({401, 402, 403, 429, 503})
"""What `/rpc` shows as a status when `http_status = "mapped"`: refusals by policy. Everything else stays 200 there."""


def status_of(fault: Fault) -> int:
    """The HTTP status of a fault; 500 for one that no table names."""
    if isinstance(fault, kept.IdempotencyConflict) and fault.slug == "key_reused":
        return 422  # draft-ietf-httpapi-idempotency-key-header-07, section 2.7
    for kind in type(fault).__mro__:
        if kind in STATUSES:
            return STATUSES[kind]
    return 500


def headers_of(fault: Fault) -> list[tuple[bytes, bytes]]:
    """Headers that belong to the status: WWW-Authenticate (RFC 6750, section 3) and Retry-After in whole seconds (RFC 9110)."""
    headers: list[tuple[bytes, bytes]] = []
    if isinstance(fault, commerce.Unauthenticated):
        headers.append((b"www-authenticate", b'Bearer realm="tollgate"'))
    if fault.retry_after_seconds is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(fault.retry_after_seconds))))
    return headers
