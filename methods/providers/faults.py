"""From what went wrong at a vendor to the fault that a caller may see. One table; no network here.

Reasons, and what retrying, the breaker and falling back make of them, are listed beside the table.
"""

from collections.abc import Mapping
from typing import Final

import orjson

from methods.dialects.base import Dialect, Untranslatable
from methods.dialects.canonical import VendorError
from methods.errors import InvalidParams, ProviderFailed, ProviderTimedOut, Unauthenticated, UnknownModel
from methods.providers.cleaning import clean
from monetization.errors import PaymentRequired
from storage.errors import Fault

UNREACHABLE: Final = "provider_unreachable"
CONNECT_TIMEOUT: Final = "provider_connect_timeout"
FIRST_BYTE_TIMEOUT: Final = "provider_first_byte_timeout"
STALLED: Final = "provider_stalled"
TIMEOUT: Final = "provider_timeout"
DISCONNECTED: Final = "provider_disconnected"
CUT: Final = "provider_cut"
MALFORMED: Final = "provider_malformed"
REDIRECTED: Final = "provider_redirected"
TOO_LARGE: Final = "provider_reply_too_large"
AUTH: Final = "provider_auth"
BILLING: Final = "provider_billing"
FORBIDDEN: Final = "provider_forbidden"
RATE_LIMITED: Final = "provider_rate_limited"
UNAVAILABLE: Final = "provider_unavailable"
REJECTED: Final = "provider_rejected"
CIRCUIT_OPEN: Final = "provider_circuit_open"
UNSUPPORTED: Final = "operation_unsupported"
UNTRANSLATABLE: Final = "untranslatable"
OWN_KEY_REQUIRED: Final = "own_key_required"

RETRYABLE: Final = frozenset({UNREACHABLE, CONNECT_TIMEOUT, RATE_LIMITED, UNAVAILABLE})
"""Reasons after which the same request may be sent again: it never arrived, or the vendor refused it before working on it."""

UNWELL: Final = frozenset(
    {
        UNREACHABLE,
        CONNECT_TIMEOUT,
        FIRST_BYTE_TIMEOUT,
        STALLED,
        TIMEOUT,
        DISCONNECTED,
        CUT,
        MALFORMED,
        REDIRECTED,
        UNAVAILABLE,
        AUTH,
        BILLING,
    }
)
"""Reasons that speak against the provider itself, so that the breaker counts them. A rate limit is not one: it says when to
come back, and other callers' keys may have another limit. Nor is what it forbids: that is about one model or one content, which
anybody may ask for."""

_UNSAID: Final = "what it says about a server-side prompt is not shown"
# Only beginnings count: a vendor may repeat what a client wrote, and both kinds of words speak against the provider.
_UNPAID_WORDS: Final = ("your credit balance is too low", "your prepayment credits are depleted")
"""What Anthropic says with 400 and Google with 429 where an account has no money left."""
TOO_LONG: Final = "context_length_exceeded"
"""OpenAI's code for a conversation that is longer than its model reads, which the others say in words."""
_TOO_LONG_WORDS: Final = ("prompt is too long", "the input token count")
"""What Anthropic and Google begin with there."""
_BAD_KEY_WORDS: Final = ("api key not valid", "api_key_invalid", "invalid api key", "api key expired")


def fault_of(
    error: VendorError,
    *,
    provider: str,
    model: str,
    is_own_key: bool,
    secrets: tuple[str, ...] = (),
    is_private: bool = False,
) -> Fault:
    """The fault that stands for a vendor's error, in words that are free of keys.

    `secrets` are the credentials that the request carried; `is_private` keeps all of the vendor's words back. What a vendor says
    about the operator's key or bill is nobody's business, so those messages are ours alone.
    """
    status = error.status
    data: dict[str, object] = {"provider": provider, "status": status, "kind": clean(error.kind, secrets)}
    message = _UNSAID if is_private else clean(error.message, secrets)
    named = {} if is_private else _named(error)
    if _is_about_key(error):
        return _key_fault(error.status, provider, is_own_key=is_own_key, data=data)
    if _is_about_bill(error):
        return _bill_fault(provider, is_own_key=is_own_key, data=data)
    return _status_fault(error, message, provider, model, data, named)


def _named(error: VendorError) -> dict[str, object]:
    """What the vendor calls this mistake of a request, and the member that it names."""
    is_too_long = error.status == 400 and error.message.lower().startswith(_TOO_LONG_WORDS)  # noqa: PLR2004  # HTTP
    named = {"vendorCode": TOO_LONG if is_too_long else error.code, "vendorParam": error.param}
    return {name: word for name, word in named.items() if word is not None}


def _bill_fault(provider: str, *, is_own_key: bool, data: dict[str, object]) -> Fault:
    """The caller pays for an account of its own; this server's is the operator's matter."""
    if is_own_key:
        what = f"provider {provider!r} wants payment for your account there; pay there, or leave your own key out"
        return PaymentRequired(what, reason="own_account_unpaid", data=data)
    return ProviderFailed(
        f"provider {provider!r} wants payment for this server's account there", reason=BILLING, data=data
    )


def _status_fault(
    error: VendorError, message: str, provider: str, model: str, data: dict[str, object], named: dict[str, object]
) -> Fault:
    match error.status:
        case 404:
            return UnknownModel(
                f"provider {provider!r} does not serve model {model!r}: {message}", data={**data, **named}
            )
        case 408 | 504:
            return ProviderTimedOut(f"provider {provider!r} timed out: {message}", reason=TIMEOUT, data=data)
        case 429:
            return ProviderFailed(
                f"provider {provider!r} is limiting requests: {message}",
                reason=RATE_LIMITED,
                retry_after_seconds=error.retry_after_seconds,
                data=data,
            )
        case status if 400 <= status < 500:  # noqa: PLR2004  # HTTP: the request is wrong
            why = f"provider {provider!r} refused the request: {message}"
            return InvalidParams(why, reason=REJECTED, data={**data, **named})
    return ProviderFailed(
        f"provider {provider!r} failed: {message}",
        reason=UNAVAILABLE,
        retry_after_seconds=error.retry_after_seconds,
        data=data,
    )


def failed(provider: str, reason: str, what: str, **data: object) -> ProviderFailed:
    """A failure that the vendor has no words for."""
    return ProviderFailed(f"provider {provider!r} {what}", reason=reason, data={"provider": provider, **data})


def unsupported(provider: str, operation: str) -> InvalidParams:
    """What a vendor does not do at all."""
    what = {"embed": "embeddings", "count": "counts of tokens"}.get(operation, operation)
    return InvalidParams(
        f"provider {provider!r} has no {what}; name a model of another provider",
        reason=UNSUPPORTED,
        data={"provider": provider, "operation": operation},
    )


def untranslatable(provider: str, why: Untranslatable) -> InvalidParams:
    """The fault for what a provider cannot be told."""
    return InvalidParams(
        f"provider {provider!r} cannot be asked for {why.field}: {why.why}",
        reason=UNTRANSLATABLE,
        data={"provider": provider, "field": why.field},
    )


def timed_out(provider: str, reason: str, what: str, seconds: float | None) -> ProviderTimedOut:
    """A wait that was given up. `seconds` is the configured bound."""
    within = "" if seconds is None else f" within {seconds:g} s"
    data: Mapping[str, object] = {"provider": provider}
    return ProviderTimedOut(f"provider {provider!r} {what}{within}", reason=reason, data=data)


def error_in(dialect: Dialect, body: bytes) -> VendorError | None:
    """The error in a reply with status 200, as some vendors send it: written as in the middle of a stream. None: no error."""
    try:
        events = dialect.event_parser().feed(b"data: %b\n\n" % orjson.dumps(orjson.loads(body)))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return next((event for event in events if isinstance(event, VendorError)), None)


def _is_about_key(error: VendorError) -> bool:
    if error.status in (401, 403):
        return True
    # Google answers a wrong key with 400 INVALID_ARGUMENT.
    return error.status == 400 and error.message.lower().startswith(_BAD_KEY_WORDS)  # noqa: PLR2004  # HTTP


def _is_about_bill(error: VendorError) -> bool:
    if error.status == 402 or error.kind == "insufficient_quota":  # noqa: PLR2004  # HTTP: payment required
        return True
    return error.status in (400, 429) and error.message.lower().startswith(_UNPAID_WORDS)


def _key_fault(status: int, provider: str, *, is_own_key: bool, data: dict[str, object]) -> Fault:
    if is_own_key:
        return Unauthenticated(
            f"provider {provider!r} refused your own key; check the key and what it may do",
            reason="own_key_refused",
            data=data,
        )
    if status == 403:  # noqa: PLR2004  # HTTP: who asks is known, and may not do this
        return ProviderFailed(
            f"provider {provider!r} does not do this for this server; name another model",
            reason=FORBIDDEN,
            data={"provider": provider},
        )
    return ProviderFailed(f"provider {provider!r} did not let this server in", reason=AUTH, data={"provider": provider})
