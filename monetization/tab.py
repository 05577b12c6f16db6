"""The tab: one call's hold from open to close, and the only place where a call becomes money.

A tab is closed exactly once, shielded from cancellation: done → settle; failed before output → release; failed or left midway →
settle what was delivered, flagged partial.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from monetization.callers import Caller
from monetization.calls import Call
from monetization.terms import Most, Target
from storage.records.usage import Usage


@dataclass(slots=True)
class Meter:
    """What one call has really caused so far. The running method reports here; only the tab reads it."""

    target: Target | None = None
    """Who serves the call now. None: no provider was asked yet."""
    usage: Usage | None = None
    """The provider's own count, cumulative. None: it has not sent one."""
    bytes_delivered: int = 0
    """UTF-8 bytes of the answer that the provider has produced so far, for an estimate when `usage` never comes."""
    is_complete: bool = False
    """True once the provider finished its answer."""
    first_byte: float | None = None
    """Monotonic seconds when the provider's first output arrived."""
    metadata: dict[str, str] = field(default_factory=dict)
    """The caller's own labels for reports (never prompt or answer text)."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a closed tab came to."""

    usage: Usage
    is_estimated: bool = False
    is_partial: bool = False


class Tab(Protocol):
    """One call's hold."""

    meter: Meter
    receipt: Receipt | None
    """Set once the tab is closed with something used."""


class Tabs(Protocol):
    """Opens tabs."""

    def open(self, caller: Caller, call: Call, most: Most) -> AbstractAsyncContextManager[Tab]:
        """Hold what the call can cost at most; leaving the block closes the tab, whatever happened inside."""
        ...
