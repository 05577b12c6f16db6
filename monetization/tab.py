"""The tab: one call's hold from open to close, and the only place where a call becomes money.

A tab is closed exactly once, shielded from cancellation: done → settle; failed before output → release; failed or left midway →
settle what was delivered, flagged partial.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, TypeVar

from monetization.calls import Call
from monetization.charging.policies import Charge
from monetization.quoting import Quote
from monetization.terms import Target
from storage.records.fact import fact
from storage.records.usage import Side, Usage

Item = TypeVar("Item")
Sink: TypeAlias = Callable[[Sequence[Item]], Awaitable[None]]


@dataclass(slots=True)
class Meter:
    """What one call has really caused so far. The running method reports here; only the tab reads it."""

    target: Target | None = None
    """Who serves the call now. None: no provider was asked yet."""
    usage: Usage | None = None
    """The provider's own count, cumulative. None: it has not sent one."""
    untold: Side | None = None
    """The side that is missing in `usage`, which counts as zero there."""
    bytes_delivered: int = 0
    """UTF-8 bytes of the answer that the provider has produced so far, for an estimate when `usage` never comes."""
    is_complete: bool = False
    """True once the provider finished its answer."""
    first_byte: float | None = None
    """Monotonic seconds when the provider's first output arrived."""
    count_input: Callable[[], int] | None = None
    """Counts the tokens of what was asked, for a provider that never did. Slow: called in a thread, after the call's end."""
    count_output: Callable[[], int] | None = None
    """Counts the tokens of what was delivered, likewise."""
    feature: str | None = None
    """The application's feature that the caller says it asks for."""
    metadata: dict[str, str] = field(default_factory=dict)
    """The caller's own labels for reports (never prompt or answer text)."""


@fact
class MonthSoFar:
    """What was counted in the caller's calendar month, this call included."""

    tokens: int = 0
    requests: int = 0
    cost_nano: int = 0
    """What the providers billed, in nano dollars."""


@fact
class Receipt:
    """What a closed tab came to, as the books stood right after it."""

    usage: Usage
    is_estimated: bool = False
    is_partial: bool = False
    charge: Charge | None = None
    """What the usage costs under the caller's policy."""
    asset: str | None = None
    """What paid: TOKEN, CREDIT or USD; None where quota paid, or nothing was owed."""
    amount: int = 0
    """What was taken, in the asset's scale."""
    balance: int = 0
    """What is left in that asset and not held."""
    posted: int = 0
    """What is left in that asset, with what other calls hold."""
    is_shown_whole: bool = False
    """True: shown in whole units, the rest is carried to the next call (`floor_carry`); the books stay exact."""
    quota_remaining: int | None = None
    """Tokens left in the month, of a member the least of own, pool's and cap's; None: no quota counts them."""
    month: MonthSoFar | None = None
    """Where the policy shows it (`credits`)."""
    is_cost_known: bool = True
    """False: nobody could price the model (a caller's own key), so the cost is unknown, not zero."""
    asked_model: str | None = None
    """`provider/model` that was asked for, where another one served."""
    saving_nano: int | None = None
    """What that one would have charged more, in nano dollars; negative: less. None: nobody can tell."""


class Tab(Protocol):
    """One call's hold."""

    meter: Meter
    answer: object | None
    """The result. Set by the gateway before the block ends; already set when the call repeats an earlier one."""
    receipt: Receipt | None
    """Set once the tab is closed with something used."""

    def watch(self, sink: Sink[Item] | None) -> Sink[Item] | None:
        """The sink for a stream's progress, with the running cost kept in step with what was delivered."""
        ...


class Tabs(Protocol):
    """Opens tabs."""

    def open(self, call: Call, quote: Quote) -> AbstractAsyncContextManager[Tab]:
        """Hold what the call can cost at most; leaving the block closes the tab, whatever happened inside.

        Raises: QuotaExceeded, PaymentRequired, IdempotencyConflict, StorageUnavailable.
        """
        ...
