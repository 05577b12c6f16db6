"""Tabs over the ledger: hold money and quota in one command, watch the call, settle or release exactly once."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final

from monetization.calls import Call
from monetization.finishing import again, ended, to_the_end, until_done
from monetization.funding import Source, sources
from monetization.held import HeldTab
from monetization.means import Means
from monetization.quoting import Quote
from monetization.refusals import fault_of
from monetization.replays import ATTEMPTS_MAX, worn_out
from monetization.settling import receipt_of
from monetization.tab import Tab
from storage.errors import Fault, StorageUnavailable
from storage.records.commands import Done, Hold, Idempotency, Outcome, Refusal
from storage.records.usage import Outcome as Ending

_OF_ACCOUNT: Final = frozenset({"provider_rate_limited", "unknown_model"})
"""Reasons that are about the account that asks: its rate there, and the models that it may use."""


@dataclass(frozen=True, slots=True)
class HoldingTabs(Means):
    """Opens tabs whose calls are paid for."""

    def open(self, call: Call, quote: Quote) -> AbstractAsyncContextManager[Tab]:
        """See `Tabs`."""
        return _Opening(self, call, quote)

    async def place(self, call: Call, quote: Quote) -> HeldTab:
        """The first attempt under the call's key that is new, or that left an answer. Who leaves meanwhile leaves no hold."""
        for attempt in range(ATTEMPTS_MAX):
            source, held = await self._hold(call, quote, self.replays.key(quote.caller, call, attempt))
            if not held.is_replay:
                return HeldTab(self, call, quote, source, held)
            first = await self.replays.find(held.id)
            if first is not None:
                return HeldTab(self, call, quote, source, held, first=first)
        raise worn_out()

    async def _in_time(
        self, hold: Hold, tab: Callable[[Done], HeldTab]
    ) -> tuple[Outcome, asyncio.CancelledError | None]:
        """As `to_the_end`, but no longer than `hold_wait_seconds`. A hold that is made later is given back then."""
        placing = asyncio.ensure_future(self.ledger.submit(hold))
        left = await until_done(placing, self.hold_waits)
        if placing.done():
            return ended(placing, left)

        def give_back(placed: "asyncio.Future[Outcome]") -> None:
            if placed.cancelled() or placed.exception() is not None:
                return
            made = placed.result()
            if isinstance(made, Done) and not made.is_replay:
                late = tab(made)
                self.arrears.take(lambda: late.close("failed"))

        placing.add_done_callback(give_back)
        if left is not None:
            raise again(left)
        raise StorageUnavailable("the database is too slow now; nothing was charged, try again", retry_after_seconds=5)

    async def _hold(self, call: Call, quote: Quote, key: Idempotency | None) -> tuple[Source, Done]:
        """Hold by the first source that covers the call. Raises the fault of the first one that does not."""
        first: tuple[Refusal, str] | None = None
        for source in sources(
            quote.caller, quote.tier, quote.charge, now_us=quote.at_us, overdraft_tokens=self.overdraft_tokens
        ):
            hold = Hold(
                account=source.account,
                amount=source.amount,
                expires_us=self.expiry_us(),
                claims=source.claims,
                overdraft=source.overdraft or None,
                ref=call.request_id,
                idempotency=key,
            )
            outcome, left = await self._in_time(hold, partial(HeldTab, self, call, quote, source))
            if left is not None:
                if isinstance(outcome, Done) and not outcome.is_replay:
                    await _abandon(HeldTab(self, call, quote, source, outcome), left)
                raise again(left)
            if isinstance(outcome, Done):
                return source, outcome
            first = first or (outcome, source.account.asset)
            if outcome.reason not in ("quota_exceeded", "insufficient"):
                raise fault_of(outcome, source.account.asset, self.links)
        assert first is not None, "there is always a source to try"
        raise fault_of(*first, self.links)


class _Opening:
    """The block around one paid call. A class of its own, because every call would pay a generator's price three times."""

    __slots__ = ("_call", "_quote", "_tab", "_tabs")

    def __init__(self, tabs: HoldingTabs, call: Call, quote: Quote) -> None:
        self._tabs = tabs
        self._call = call
        self._quote = quote

    async def __aenter__(self) -> Tab:
        self._tab = tab = await self._tabs.place(self._call, self._quote)
        if not tab.is_replay:
            tab.keep_alive()
        return tab

    async def __aexit__(
        self, kind: type[BaseException] | None, ended: BaseException | None, trace: TracebackType | None
    ) -> None:
        tab = self._tab
        if tab.is_replay:
            return
        try:
            left = await (tab.close_done() if ended is None else _abandon(tab, ended))
        finally:
            if (receipt := receipt_of(tab, self._quote.most)) is not None:
                self._call.receipts.append(receipt)
            # Nothing is left to count. A meter and the answer that it counts hold each other, and would wait for the collector.
            tab.meter.count_input = tab.meter.count_output = None
        if left is not None:
            raise again(left) from ended


def ending_of(ended: BaseException, *, is_own_key: bool) -> Ending:
    """How a call ended that this ended. What a provider says of an own key's account, or has under it, is its owner's matter."""
    if isinstance(ended, asyncio.CancelledError):
        return "cancelled"
    if isinstance(ended, Fault) and (ended.is_of_caller or (is_own_key and ended.slug in _OF_ACCOUNT)):
        return "refused"
    return "failed"


async def _abandon(tab: HeldTab, ended: BaseException) -> asyncio.CancelledError | None:
    """Close the tab of a call that did not end well. Returns the cancellation that came meanwhile.

    The caller hears of what ended the call, so a store that fails is not told of: the hold then ends by itself.
    """
    if not tab.is_replay:
        with suppress(StorageUnavailable):
            ending = ending_of(ended, is_own_key=tab.is_own_key)
            return (await to_the_end(tab.close(ending)))[1]
    return None
