"""What tabs work with: the ledger, clocks, and how long each of their waits is. What a tab does is `monetization.held`'s."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from monetization.alarms import Alarms
from monetization.finishing import PATIENCE_SECONDS, Arrears
from monetization.refusals import Links
from monetization.replays import Replays
from storage.records.commands import Command, Done, Outcome, Refusal

CHECKPOINT_SECONDS: Final = 2.0
"""Between two notes of what a running stream has cost: what a crash may lose of it."""
FIRST_NOTE_SECONDS: Final = 0.25
"""From a stream's first piece to its first note. Sooner, and every short stream would cost one commit more."""
HOLD_WAIT_SECONDS: Final = 10.0
"""For a hold to be made. A call that no provider was asked for yet is better refused than kept by a store that is too slow."""


class Ledger(Protocol):
    """What tabs need of the store."""

    def submit(self, command: Command) -> Awaitable[Outcome]:
        """Apply one command; it is durable when this returns. Raises: StorageUnavailable."""
        ...

    def submit_together(self, commands: Sequence[Command]) -> Awaitable[tuple[Done, ...] | Refusal]:
        """Apply all commands or none, in one commit. Raises: StorageUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What every tab works with."""

    ledger: Ledger
    replays: Replays
    links: Links
    clock_us: Callable[[], int]
    monotonic: Callable[[], float]
    new_id: Callable[[], str]
    hold_seconds: int
    """Life of a hold whose process died. A running call extends its own at half of it."""
    overdraft_tokens: int = 0
    sleep_seconds: Callable[[float], Awaitable[object]] = asyncio.sleep
    patience_seconds: Sequence[float] = PATIENCE_SECONDS
    """Waits between attempts to write what a call came to, while the store is unavailable."""
    arrears: Arrears = field(default_factory=Arrears)
    """Goes on with what was delivered when those waits are over."""
    hold_wait_seconds: float = HOLD_WAIT_SECONDS
    first_note_seconds: float = FIRST_NOTE_SECONDS

    heartbeats: Alarms = field(init=False)
    """Rings for every call at half of its hold's life."""
    hold_waits: Alarms = field(init=False)
    """Rings for every call whose hold takes too long."""
    first_notes: Alarms = field(init=False)
    """Rings for every stream that has just begun."""
    notes: Alarms = field(init=False)
    """Rings for every stream that goes on, also while its provider is silent."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "heartbeats", Alarms(self.hold_seconds / 2))
        object.__setattr__(self, "hold_waits", Alarms(self.hold_wait_seconds))
        object.__setattr__(self, "first_notes", Alarms(self.first_note_seconds))
        object.__setattr__(self, "notes", Alarms(CHECKPOINT_SECONDS))

    def expiry_us(self) -> int:
        """When a hold made or extended now ends by itself."""
        return self.clock_us() + self.hold_seconds * 1_000_000
