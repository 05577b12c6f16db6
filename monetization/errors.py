"""Faults of commerce: what a plan does not allow, or what cannot be paid.

Fault
├── QuotaExceeded     the amount of a period is used up
├── RateLimited       too fast, or too many at once
├── PaymentRequired   no money, or the subscription does not pay for this now
├── NotEntitled       the plan does not include it
├── OutOfTime         a change for the past
├── KeysOff           this server keeps no keys of this kind
├── TooManyKeys       more keys than one user may have
└── PriceUnknown      nobody can say what the model costs, so it is refused

StorageUnavailable
└── ChargedLater      the store was away when a whole answer had been sent
"""

from storage.errors import Fault, StorageUnavailable


class Unauthenticated(Fault):
    """No credential, or one that does not hold (expired, forged, for someone else)."""

    is_of_caller = True
    reason = "unauthenticated"
    message = "Unauthenticated"


class Overloaded(Fault):
    """This server is at its limit or draining; nothing was started."""

    reason = "overloaded"
    message = "Service overloaded"


class QuotaExceeded(Fault):
    """The amount of a period is used up; the message names the period. `data`: quotaUsed, quotaLimit, resetDate, upgradeUrl."""

    reason = "quota_exceeded"
    message = "Quota exceeded"


class RateLimited(Fault):
    """Too many requests or tokens in the window, or too many calls at once. `data`: limit, resetTime, retryAfter."""

    reason = "rate_limited"
    message = "Rate limit exceeded"


class PaymentRequired(Fault):
    """The balance is too small, or the subscription is expired or suspended. `data`: reason, billingUrl."""

    is_of_caller = True
    reason = "insufficient_funds"
    message = "Payment required"


class NotEntitled(Fault):
    """The caller's tier does not include this feature, provider or model. `data`: tier, upgradeUrl."""

    reason = "not_entitled"
    message = "Forbidden"


class PriceUnknown(Fault):
    """No price is known for the model: it is refused, never free. Add it to `[prices]`."""

    reason = "price_unknown"
    message = "Unknown model or provider"


class OutOfTime(Fault):
    """A price or table may only change from now on: what was charged stays as it was charged."""

    reason = "in_the_past"
    message = "Invalid params"


class KeysOff(Fault):
    """This server issues or keeps no keys, because its operator has not configured the secret that guards them."""

    reason = "keys_off"
    message = "Keys are not available here"


class TooManyKeys(Fault):
    """The user has as many keys as one may have."""

    reason = "too_many_keys"
    message = "Too many keys"


class ChargedLater(StorageUnavailable):
    """The whole answer was streamed to the caller, and the store is away: the charge follows when it is back."""
