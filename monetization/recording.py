"""Tabs that hold nothing: they write the usage row of every metered call, durable before the caller sees the answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from monetization.callers import Caller
from monetization.calls import Call
from monetization.settling import Used, used
from monetization.tab import Meter, Receipt, Tab
from monetization.terms import Most
from storage.records.usage import Outcome, Usage, UsageRow


@dataclass(slots=True)
class RecordingTab:
    """A tab without a hold."""

    meter: Meter = field(default_factory=Meter)
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class RecordingTabs:
    """Opens tabs whose closing records usage."""

    record: Callable[[UsageRow], Awaitable[None]]
    """Returns once the row is durable. Raises: StorageUnavailable."""
    clock_us: Callable[[], int]
    monotonic: Callable[[], float]
    new_id: Callable[[], str]
    """Makes the row's id. The request id is no id of a row: a caller may send the same one twice."""

    def open(self, caller: Caller, call: Call, most: Most) -> AbstractAsyncContextManager[Tab]:
        """See `Tabs`."""
        return self._open(caller, call, most)

    @asynccontextmanager
    async def _open(self, caller: Caller, call: Call, most: Most) -> AsyncIterator[Tab]:
        tab = RecordingTab()
        outcome: Outcome = "failed"
        try:
            yield tab
            outcome = "done"
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            found = used(tab.meter, most)
            row = self._row(caller, call, tab.meter, found, outcome)
            # The row is written even when the caller has left: the provider has done its work.
            await asyncio.shield(asyncio.ensure_future(self.record(row)))
            if found is not None:
                tab.receipt = Receipt(found.usage, is_estimated=found.is_estimated, is_partial=found.is_partial)

    def _row(self, caller: Caller, call: Call, meter: Meter, found: Used | None, outcome: Outcome) -> UsageRow:
        ended = self.monotonic()
        return UsageRow(
            id=self.new_id(),
            request_id=call.request_id,
            occurred_us=self.clock_us(),
            user_id=caller.user_id,
            organization_id=caller.organization_id,
            caller_kind=caller.kind,
            tier=caller.tier,
            method=call.method,
            door=call.door,
            provider=meter.target.provider if meter.target else None,
            model=meter.target.model if meter.target else None,
            outcome="partial" if found is not None and found.is_partial else outcome,
            usage=found.usage if found is not None else Usage(),
            is_estimated=found is not None and found.is_estimated,
            is_partial=found is not None and found.is_partial,
            latency_us=int((ended - call.started) * 1_000_000),
            first_byte_us=None if meter.first_byte is None else int((meter.first_byte - call.started) * 1_000_000),
            is_stream=call.is_stream,
            metadata=meter.metadata,
        )
