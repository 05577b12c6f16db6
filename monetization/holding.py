"""Tabs over the ledger: hold money and quota in one command, watch the call, settle or release exactly once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass

from monetization.calls import Call
from monetization.finishing import to_the_end
from monetization.funding import Source, sources
from monetization.held import HeldTab, Means
from monetization.quoting import Quote
from monetization.refusals import fault_of
from monetization.replays import ATTEMPTS_MAX, worn_out
from monetization.tab import Tab
from storage.errors import StorageUnavailable
from storage.records.commands import Done, Hold, Idempotency, Refusal


@dataclass(frozen=True, slots=True)
class HoldingTabs(Means):
    """Opens tabs whose calls are paid for."""

    def open(self, call: Call, quote: Quote) -> AbstractAsyncContextManager[Tab]:
        """See `Tabs`."""
        return self._open(call, quote)

    @asynccontextmanager
    async def _open(self, call: Call, quote: Quote) -> AsyncIterator[Tab]:
        tab, left = await to_the_end(self._place(call, quote))
        if left is not None:
            await _abandon(tab, left)
            raise left
        if tab.is_replay:
            yield tab
            return
        tab.keep_alive()
        try:
            yield tab
        except BaseException as ended:
            left = await _abandon(tab, ended)
            if left is not None:
                raise left from ended
            raise
        else:
            _, left = await to_the_end(tab.close("done"))
            if left is not None:
                raise left

    async def _place(self, call: Call, quote: Quote) -> HeldTab:
        """The first attempt under the call's key that is new, or that left an answer."""
        for attempt in range(ATTEMPTS_MAX):
            source, held = await self._hold(call, quote, self.replays.key(quote.caller, call, attempt))
            if not held.is_replay:
                return HeldTab(self, call, quote, source, held)
            first = await self.replays.find(held.id)
            if first is not None:
                return HeldTab(self, call, quote, source, held, first=first)
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
                    expires_us=self.expiry_us(),
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


async def _abandon(tab: HeldTab, ended: BaseException) -> asyncio.CancelledError | None:
    """Close the tab of a call that did not end well. Returns the cancellation that came meanwhile.

    The caller hears of what ended the call, so a store that fails is not told of: the hold then ends by itself.
    """
    if not tab.is_replay:
        with suppress(StorageUnavailable):
            return (
                await to_the_end(tab.close("cancelled" if isinstance(ended, asyncio.CancelledError) else "failed"))
            )[1]
    return None
