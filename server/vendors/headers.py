"""What the vendors' doors say in headers: ids, waits, what is left of the limits, and what a call came to."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from methods.errors import ProviderFailed
from methods.money_shapes import text
from methods.providers.faults import AUTH, BILLING, FORBIDDEN
from monetization.calls import Call
from monetization.tab import Receipt
from server.errors import headers_of
from server.rate_headers import rate_headers
from server.vendors.surface import Rates, Surface
from storage.ephemeral.limiter import Standing
from storage.errors import Fault

Headers = list[tuple[bytes, bytes]]
_RETRIED: Final = frozenset({408, 409, 429})
"""Statuses below 500 that the vendors' SDKs repeat by themselves."""
_SERVERS: Final = 500
"""From here on a status tells of the server, and SDKs repeat all of them."""
_WAIT_MAX: Final = 120.0
"""Seconds: OpenAI's SDK gives up above, Anthropic's would sleep for whatever it is told."""
_BUSY: Final = frozenset({429, 503, 529})
"""Statuses that say how long to wait, always: clients without a rule of their own go by it."""
_WAIT_USUAL: Final = 1
"""Seconds, where nobody knows: a provider that limits or has no room often does not say for how long."""
_OPERATORS: Final = frozenset({AUTH, BILLING, FORBIDDEN})
"""What only the operator can mend."""
_SECOND_US: Final = 1_000_000


def ids(request_id: str) -> Headers:
    """OpenAI's clients read `x-request-id`, which every answer has, Anthropic's `request-id`."""
    return [(b"request-id", request_id.encode("ascii", "replace"))]


def of_fault(surface: Surface, fault: Fault, status: int) -> Headers:
    """When to come back, and whether at all: SDKs repeat some statuses by themselves unless they are told not to."""
    found = headers_of(fault)
    may_help = _may_help(fault, status)
    if may_help and status in _BUSY and fault.retry_after_seconds is None:
        found.append((b"retry-after", b"%d" % _WAIT_USUAL))
    is_repeated = status in _RETRIED or status >= _SERVERS
    if is_repeated and surface.rates != "none" and not may_help:
        found.append((b"x-should-retry", b"false"))
    return found


def _may_help(fault: Fault, status: int) -> bool:
    """Whether the same request may succeed soon."""
    wait = fault.retry_after_seconds
    if wait is not None:
        return wait <= _WAIT_MAX
    if isinstance(fault, ProviderFailed):
        return fault.slug not in _OPERATORS
    return status >= _SERVERS


def of_limits(surface: Surface, call: Call, now: float) -> Headers:
    """Where the caller stands with our own limits, in the vendor's names and in ours. `now` is Unix seconds."""
    told = call.standings
    if not told:
        return []
    found = rate_headers(told)
    if surface.rates != "none":
        found += _in_vendors_names(surface.rates, told[-1](), now)
    return found


def _in_vendors_names(rates: Rates, standings: Sequence[Standing], now: float) -> Headers:
    found: Headers = []
    for resource in ("requests", "tokens"):
        tightest = _tightest(resource, standings)
        if tightest is None:
            continue
        limit, left, reset_us = tightest
        if rates == "openai":
            named = (f"x-ratelimit-{part}-{resource}" for part in ("limit", "remaining", "reset"))
            reset = _duration(reset_us)
        else:
            named = (f"anthropic-ratelimit-{resource}-{part}" for part in ("limit", "remaining", "reset"))
            reset = _instant(now, reset_us)
        found += [
            (name.encode(), value.encode()) for name, value in zip(named, (str(limit), str(left), reset), strict=True)
        ]
    return found


def _tightest(resource: str, standings: Sequence[Standing]) -> tuple[int, int, int] | None:
    """Limit, rest and microseconds until some of it comes back, of the limit that has the least left."""
    found: tuple[int, int, int] | None = None
    for standing in standings:
        limit: int | None = getattr(standing.bound, resource)
        if limit is None:
            continue
        left = max(0, limit - getattr(standing, resource))
        if found is None or left < found[1]:
            found = (limit, left, standing.reset_us)
    return found


def _duration(microseconds: int) -> str:
    """As OpenAI writes it: `12ms`, `6s`, `1m30s`."""
    if microseconds < _SECOND_US:
        return f"{-(-microseconds // 1000)}ms"
    seconds = -(-microseconds // _SECOND_US)
    return f"{seconds // 60}m{seconds % 60}s" if seconds >= 60 else f"{seconds}s"  # noqa: PLR2004  # a minute


def _instant(now: float, microseconds: int) -> str:
    """As Anthropic writes it: RFC 3339."""
    seconds = -(-(int(now * _SECOND_US) + microseconds) // _SECOND_US)
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def of_receipt(call: Call, answer: object) -> Headers:
    """What the call came to, for a reply that was whole when its head was written."""
    found: Headers = []
    if isinstance(answer, dict):
        for name in ("provider", "model"):
            value = answer.get(name)
            if isinstance(value, str) and _is_word(value):
                found.append((b"x-tollgate-%b" % name.encode(), value.encode()))
    if call.receipts:
        found += _figures(call.receipts[-1])
    return found


def _is_word(value: str) -> bool:
    """Whether it can stand in a header."""
    return value.isascii() and value.isprintable()


def _figures(receipt: Receipt) -> Headers:
    found: Headers = []
    if receipt.charge is not None and receipt.is_cost_known:
        found.append((b"x-tollgate-cost", text(receipt.charge.cost_nano, "USD").encode()))
    if receipt.asset is not None:
        found += [
            (b"x-tollgate-asset", receipt.asset.encode()),
            (b"x-tollgate-charge", text(receipt.amount, receipt.asset).encode()),
            (b"x-tollgate-balance", text(receipt.balance, receipt.asset).encode()),
        ]
    if receipt.asked_model is not None and _is_word(receipt.asked_model):
        found.append((b"x-tollgate-asked-model", receipt.asked_model.encode()))
        if receipt.saving_nano is not None:
            found.append((b"x-tollgate-saving", text(receipt.saving_nano, "USD").encode()))
    if receipt.quota_remaining is not None:
        found.append((b"x-tollgate-quota-remaining", b"%d" % receipt.quota_remaining))
    return found
