"""Tabs over the ledger: hold money and quota in one command, watch the call, settle or release exactly once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol

from monetization.calls import Call
from monetization.charging.policies import Charge
from monetization.funding import OVERAGE, REQUESTS, TENANT, TOKENS, Source, sources
from monetization.prices.rates import Price
from monetization.quoting import Quote
from monetization.refusals import Links, fault_of
from monetization.replays import ATTEMPTS_MAX, Kept, Replays, worn_out
from monetization.settling import Used, used
from monetization.tab import Item, Meter, Receipt, Sink, Tab
from storage.records.commands import (
    Checkpoint,
    Command,
    Done,
    Extend,
    Hold,
    Idempotency,
    Outcome,
    Refusal,
    Release,
    Settle,
)
from storage.records.usage import Outcome as Ending
from storage.records.usage import Usage, UsageRow

CHECKPOINT_SECONDS: Final = 2.0
"""Between two notes of what a running stream has cost: what a crash may lose of it."""


class Ledger(Protocol):
    """What tabs need of the store."""

    async def submit(self, command: Command) -> Outcome:
        """Apply one command; it is durable when this returns. Raises: StorageUnavailable."""
        ...

    async def submit_together(self, commands: Sequence[Command]) -> tuple[Done, ...] | Refusal:
        """Apply all commands or none, in one commit. Raises: StorageUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class HoldingTabs:
    """Opens tabs whose calls are paid for."""

    ledger: Ledger
    replays: Replays
    links: Links
    clock_us: Callable[[], int]
    monotonic: Callable[[], float]
    new_id: Callable[[], str]
    hold_seconds: int
    """Life of a hold that nobody extends: longer than the longest call."""
    overdraft_tokens: int = 0

    def open(self, call: Call, quote: Quote) -> AbstractAsyncContextManager[Tab]:
        """See `Tabs`."""
        return self._open(call, quote)

    @asynccontextmanager
    async def _open(self, call: Call, quote: Quote) -> AsyncIterator[Tab]:
        tab = await self._place(call, quote)
        if tab.is_replay:
            yield tab
            return
        ending: Ending = "failed"
        try:
            yield tab
            ending = "done"
        except asyncio.CancelledError:
            ending = "cancelled"
            raise
        finally:
            await _to_the_end(tab.close(ending))

    async def _place(self, call: Call, quote: Quote) -> "HoldingTab":
        """The first attempt under the call's key that is new, or that left an answer."""
        for attempt in range(ATTEMPTS_MAX):
            source, held = await self._hold(call, quote, self.replays.key(quote.caller, call, attempt))
            if not held.is_replay:
                return HoldingTab(self, call, quote, source, held)
            first = await self.replays.find(source.account, held.id)
            if first is not None:
                return HoldingTab(self, call, quote, source, held, first=first)
        raise worn_out()

    async def _hold(self, call: Call, quote: Quote, key: Idempotency | None) -> tuple[Source, Done]:
        """Hold by the first source that covers the call. Raises the fault of the first one that does not."""
        refusal: Refusal | None = None
        tried = sources(
            quote.caller, quote.tier, quote.charge, now_us=quote.at_us, overdraft_tokens=self.overdraft_tokens
        )
        for source in tried:
            outcome = await self.ledger.submit(
                Hold(
                    account=source.account,
                    amount=source.amount,
                    expires_us=self.clock_us() + self.hold_seconds * 1_000_000,
                    claims=source.claims,
                    overdraft=source.overdraft or None,
                    ref=call.request_id,
                    idempotency=key,
                )
            )
            if isinstance(outcome, Done):
                return source, outcome
            refusal = refusal or outcome
            if outcome.reason not in ("quota_exceeded", "insufficient"):
                raise fault_of(outcome, source.account.asset, self.links)
        assert refusal is not None, "there is always a source to try"
        raise fault_of(refusal, tried[0].account.asset, self.links)


class HoldingTab:
    """One call's hold, from open to close."""

    def __init__(
        self, tabs: HoldingTabs, call: Call, quote: Quote, source: Source, held: Done, *, first: Kept | None = None
    ) -> None:
        self.meter = Meter()
        self.answer: object | None = None if first is None else first.answer
        self.receipt: Receipt | None = None if first is None else first.receipt
        self.is_replay = first is not None
        self._tabs = tabs
        self._call = call
        self._quote = quote
        self._source = source
        self._held = held
        self._amount = held.amount
        self._noted = tabs.monotonic()

    def watch(self, sink: Sink[Item] | None) -> Sink[Item] | None:
        """The sink, with the running cost noted as the stream goes on."""
        if sink is None:
            return None

        async def watched(items: Sequence[Item]) -> None:
            await sink(items)
            if self._tabs.monotonic() - self._noted >= CHECKPOINT_SECONDS:
                await self._note()

        return watched

    async def _note(self) -> None:
        """Tell the ledger what the call has cost so far; raise the hold before the stream passes it. Raises: PaymentRequired."""
        self._noted = self._tabs.monotonic()
        so_far = used(self.meter, self._quote.most)
        if so_far is None:
            return
        charge, _ = self._quote.charged(self.meter.target, so_far.usage)
        cost = self._source.actual(self._quote.tier, charge)
        expires = self._tabs.clock_us() + self._tabs.hold_seconds * 1_000_000
        hold_id = self._held.id
        outcome = await self._tabs.ledger.submit_together(
            [
                Extend(tenant=TENANT, hold_id=hold_id, amount=max(0, cost - self._amount), expires_us=expires),
                Checkpoint(tenant=TENANT, hold_id=hold_id, used=cost, quota=quota_of(charge)),
            ]
        )
        if isinstance(outcome, Refusal):
            raise fault_of(outcome, self._source.account.asset, self._tabs.links)
        self._amount = max(self._amount, cost)

    async def close(self, ending: Ending) -> None:
        """Settle what was used, or release the hold; with the usage row, in one commit."""
        tabs, hold_id = self._tabs, self._held.id
        found = used(self.meter, self._quote.most)
        if found is None:
            row = self._row(ending, Used(Usage()), None, None, 0)
            await tabs.ledger.submit(Release(tenant=TENANT, hold_id=hold_id, usage=row))
            return
        charge, price = self._quote.charged(self.meter.target, found.usage)
        amount = self._source.actual(self._quote.tier, charge)
        settle = Settle(
            tenant=TENANT,
            hold_id=hold_id,
            amount=amount,
            quota=quota_of(charge),
            usage=self._row("partial" if found.is_partial else ending, found, charge, price, amount),
            ref=self._call.request_id,
        )
        expected = self._receipt(found, charge, price, self._settled(charge, amount))
        keep = tabs.replays.keep(self._call, hold_id, self.answer, expected) if ending == "done" else []
        outcome = await tabs.ledger.submit_together([settle, *keep])
        if isinstance(outcome, Refusal):
            raise fault_of(outcome, self._source.account.asset, tabs.links)
        # With a key, the first answer and its repetitions must be the same, so both show what was kept.
        self.receipt = expected if keep else self._receipt(found, charge, price, outcome[0])

    def _settled(self, charge: Charge, amount: int) -> Done:
        """What settling will answer if nothing else touches the account in between."""
        held, actual = self._held, quota_of(charge)
        claimed = {claim.window.resource: claim.amount for claim in self._source.claims}
        windows = tuple(
            view._replace(used=view.used + actual[resource], held=view.held - claimed.get(resource, 0))
            for view in held.windows
            if (resource := view.key.resource) in actual
        )
        return replace(held, amount=amount, posted=held.posted - amount, held=held.held - self._amount, windows=windows)

    def _receipt(self, found: Used, charge: Charge, price: Price | None, done: Done) -> Receipt:
        window = next((view for view in done.windows if view.key.resource == TOKENS), None)
        limit = next((claim.limit for claim in self._source.claims if claim.window.resource == TOKENS), None)
        return Receipt(
            usage=found.usage,
            is_estimated=found.is_estimated,
            is_partial=found.is_partial,
            charge=charge,
            asset=self._source.account.asset if self._source.amount else None,
            amount=done.amount,
            balance=done.posted - done.held,
            quota_remaining=None if window is None or limit is None else max(0, limit - window.used - window.held),
            is_cost_known=price is not None,
        )

    def _row(self, ending: Ending, found: Used, charge: Charge | None, price: Price | None, amount: int) -> UsageRow:
        call, caller, meter = self._call, self._quote.caller, self.meter
        target = meter.target
        return UsageRow(
            id=self._tabs.new_id(),
            request_id=call.request_id,
            occurred_us=self._tabs.clock_us(),
            user_id=caller.user_id,
            organization_id=caller.organization_id,
            caller_kind=caller.kind,
            tier=self._quote.tier.key,
            method=call.method,
            door=call.door,
            provider=target.provider if target else None,
            model=target.model if target else None,
            outcome=ending,
            usage=found.usage,
            tenant=TENANT,
            is_estimated=found.is_estimated,
            is_partial=found.is_partial,
            latency_us=int((self._tabs.monotonic() - call.started) * 1_000_000),
            first_byte_us=None if meter.first_byte is None else int((meter.first_byte - call.started) * 1_000_000),
            is_stream=call.is_stream,
            metadata=meter.metadata,
            price_version=price.version if price else None,
            cost_nano=charge.cost_nano if charge and price else None,
            fee_nano=charge.fee_nano if charge else None,
            charge_amount=amount if charge else None,
            charge_asset=self._source.account.asset if amount else None,
        )


def quota_of(charge: Charge) -> dict[str, int]:
    """What a charge counts in the windows that its hold claimed."""
    return {TOKENS: charge.tokens, REQUESTS: 1, OVERAGE: charge.tokens}


async def _to_the_end(closing: Awaitable[None]) -> None:
    """Run what must happen although the caller may have left: cancelled or not, it runs once and to its end."""
    task = asyncio.ensure_future(closing)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as leaving:
            if task.cancelled():
                raise
            cancelled = leaving
    if cancelled is not None:
        raise cancelled
    task.result()
