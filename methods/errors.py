"""Faults of calling, and the one table from fault to JSON-RPC number.

Fault
├── MethodNotFound     -32601
├── InvalidParams      -32602
├── Unauthenticated    -32004  no credential, or one that does not hold
├── Forbidden          -32005  known, but not allowed
├── ProviderFailed     -32006  the AI provider answered with an error, or not at all
├── ProviderTimedOut   -32007
├── UnknownModel       -32008
├── UnknownProvider    -32008
├── Internal           -32603  our mistake; the log has it, the caller does not
├── Overloaded         -32010  this server is at its limit, or draining
└── Cancelled          -32800
"""

from typing import Final

from billing import errors as booked
from monetization import errors as commerce
from monetization.errors import Overloaded, Unauthenticated  # who may call, and when, is decided one floor below
from storage import errors as kept
from storage.errors import Fault

__all__ = [
    "CODES",
    "INTERNAL_ERROR",
    "INVALID_REQUEST",
    "PARSE_ERROR",
    "SERVING",
    "Cancelled",
    "Forbidden",
    "Internal",
    "InvalidParams",
    "MethodNotFound",
    "Overloaded",
    "ProviderFailed",
    "ProviderTimedOut",
    "Unauthenticated",
    "UnknownModel",
    "UnknownProvider",
    "code_of",
]


class MethodNotFound(Fault):
    """There is no method of this name. `data.method` repeats the name."""

    reason = "method_not_found"
    message = "Method not found"


class InvalidParams(Fault):
    """The parameters do not fit the method. `data.errors` lists path and problem of each."""

    is_of_caller = True
    reason = "invalid_params"
    message = "Invalid params"


class Forbidden(Fault):
    """The caller is known and may not do this."""

    is_of_caller = True
    reason = "forbidden"
    message = "Forbidden"


class ProviderFailed(Fault):
    """The AI provider answered with an error, garbage, or half an answer. `data`: provider, status, message (cleaned of keys)."""

    reason = "provider_error"
    message = "Provider failed"


class ProviderTimedOut(Fault):
    """The AI provider did not answer in time."""

    reason = "provider_timeout"
    message = "Provider timed out"


class UnknownModel(Fault):
    """No configured provider serves this model; `listAllowedModels` names those that are served."""

    reason = "unknown_model"
    message = "Unknown model or provider"


class UnknownProvider(Fault):
    """No provider of this name is configured; `listProviders` names those that are."""

    reason = "unknown_provider"
    message = "Unknown model or provider"


class Internal(Fault):
    """Our mistake. It never says more than that; the log has the rest under the same request id."""

    reason = "internal_error"
    message = "Internal error"


class Cancelled(Fault):
    """The caller cancelled the call."""

    reason = "cancelled"
    message = "Request cancelled"


SERVING: Final[tuple[type[Fault], ...]] = (
    UnknownModel,
    UnknownProvider,
    commerce.PriceUnknown,
    commerce.NotEntitled,
    commerce.QuotaExceeded,
    commerce.RateLimited,
    commerce.PaymentRequired,
    Overloaded,
    ProviderFailed,
    ProviderTimedOut,
)
"""What every method may raise that asks a provider and is paid for."""

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
INTERNAL_ERROR: Final = -32603

# Fault → JSON-RPC number (design R14). Most derived first is not needed: the lookup walks the class's own MRO.
CODES: Final[dict[type[Fault], int]] = {
    MethodNotFound: -32601,
    InvalidParams: -32602,
    Internal: INTERNAL_ERROR,
    commerce.QuotaExceeded: -32001,
    commerce.RateLimited: -32002,
    commerce.PaymentRequired: -32003,
    Unauthenticated: -32004,
    Forbidden: -32005,
    commerce.NotEntitled: -32005,
    ProviderFailed: -32006,
    ProviderTimedOut: -32007,
    UnknownModel: -32008,
    UnknownProvider: -32008,
    commerce.PriceUnknown: -32008,
    commerce.OutOfTime: -32602,
    commerce.KeysOff: -32011,
    commerce.TooManyKeys: -32602,
    booked.InsufficientFunds: -32003,
    booked.AccountSuspended: -32003,
    booked.QuotaUsedUp: -32001,
    booked.NotRefundable: -32602,
    booked.AccountNotEmpty: -32009,
    booked.InvalidAmount: -32602,
    booked.HoldClosed: -32009,
    kept.InvalidCursor: -32602,
    kept.IdempotencyConflict: -32009,
    kept.VersionChanged: -32009,
    Overloaded: -32010,
    kept.StorageUnavailable: -32010,
    kept.NotFound: -32011,
    Cancelled: -32800,
}


def code_of(fault: Fault) -> int:
    """The JSON-RPC number of a fault; -32603 for one that no table names (a tidy test forbids that)."""
    for kind in type(fault).__mro__:
        if kind in CODES:
            return CODES[kind]
    return INTERNAL_ERROR
