"""One held call, from its hold to its close: what it has cost so far, what it came to, and the row that is kept of it."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from monetization.calls import Call
from monetization.charging.policies import Charge
from monetization.errors import ChargedLater
from monetization.finishing import again, insist, to_the_end, until_done, within_seconds
from monetization.funding import TENANT, Source, quota_of
from monetization.means import CHECKPOINT_SECONDS, Means
from monetization.prices.rates import Price
from monetization.quoting import Quote
from monetization.receipts import bounds_of, month_of, paid_of, quota_left
from monetization.refusals import fault_of
from monetization.replays import Kept
from monetization.settling import BYTES_PER_TOKEN, MARGIN, STEP_BYTES, Used, counted, told_to, used
from monetization.tab import Item, Meter, Receipt, Sink
from storage.errors import Fault, StorageUnavailable, StoreClosed
from storage.records.commands import (
    Checkpoint,
    Claim,
    Command,
    Done,
    Extend,
    RecordUsage,
    Refusal,
    Release,
    Settle,
)
from storage.records.fact import fact
from storage.records.usage import Outcome as Ending
from storage.records.usage import Usage, UsageRow

HEADROOM: Final = 8
"""A stream that has passed its margin holds an eighth more than it has sent, so that it ends before it passes its hold."""


@fact
class _Bill:
    """What a call that used something comes to, and how it is written."""

    found: Used
    charge: Charge
    price: Price | None
    amount: int
    commands: list[Command]


class HeldTab:
    """One call's hold, from open to close."""

    def __init__(
        self, means: Means, call: Call, quote: Quote, source: Source, held: Done, *, first: Kept | None = None
    ) -> None:
        self.meter = Meter()
        self.answer: object | None = None if first is None else first.answer
        self.receipt: Receipt | None = None if first is None else first.receipt
        self.is_replay = first is not None
        self._means = means
        self._call = call
        self._quote = quote
        self._source = source
        self._held = held
        self._amount = held.amount
        self._claimed: dict[str, int] = {}
        """What was added to the parts of its windows since it was made."""
        self._usage_id: str | None = None
        """One for all that is written of the call, so that it leaves one row whatever happens."""
        self._noted = means.monotonic()
        self._bytes_noted = 0
        self._bytes_next = MARGIN * quote.most.tokens_output
        self._noting: asyncio.Task[None] | None = None
        self._stopped: Fault | None = None
        self._has_sent = False
        """Something of the answer has gone to the caller, so that it is owed whatever happens."""

    @property
    def is_own_key(self) -> bool:
        """Whether the caller's own provider key pays."""
        return self._quote.caller.kind == "byok"

    def watch(self, sink: Sink[Item] | None) -> Sink[Item] | None:
        """The sink, with the running cost noted as the stream goes on."""
        if sink is None:
            return None

        async def watched(items: Sequence[Item]) -> None:
            await sink(items)
            if not self._has_sent:
                self._has_sent = True
                self._means.first_notes.set(self._jot)
            if self._stopped is not None:
                raise self._stopped
            if (
                self.meter.bytes_delivered >= self._bytes_next
                or self._means.monotonic() - self._noted >= CHECKPOINT_SECONDS
            ):
                await self._note_alone()

        return watched

    # While it runs ------------------------------------------------------------------------------------------------

    def keep_alive(self) -> None:
        """See to it that the hold lives as long as the call, also where nothing is streamed."""
        self._means.heartbeats.set(self._pulse)

    def _pulse(self) -> None:
        self._begin_note()
        self.keep_alive()

    def _jot(self) -> None:
        """Note what has been sent since the last note."""
        if self.meter.bytes_delivered > self._bytes_noted:
            self._begin_note()
        self._means.notes.set(self._jot)

    def _begin_note(self) -> None:
        if self._noting is None or self._noting.done():  # else the store is slow, and one note at a time is enough
            self._noting = asyncio.ensure_future(self._note_quietly())

    def _rest(self) -> None:
        """Nothing more is to be noted of a call that has ended."""
        self._means.heartbeats.clear(self._pulse)
        if self._has_sent:
            self._means.first_notes.clear(self._jot)
            self._means.notes.clear(self._jot)

    async def _note_alone(self) -> None:
        """Note once the note that is under way is written, or each would hold what the other holds. Raises: as `_note`."""
        if self._noting is not None and not self._noting.done():
            left = await until_done(self._noting)
            if left is not None:
                raise again(left)
        await self._note()

    async def _note_quietly(self) -> None:
        try:
            await self._note()
        except Fault as refused:
            self._stopped = refused

    async def _note(self) -> None:
        """Tell the ledger what the call has cost so far; raise the hold before the stream passes it.

        Raises: QuotaExceeded, PaymentRequired when it cannot be raised; StorageUnavailable when nobody can tell.
        """
        self._noted = self._means.monotonic()
        self._bytes_noted = self.meter.bytes_delivered
        so_far = used(self.meter, self._quote.most)
        usage = so_far.usage if so_far else Usage()
        charge, price = self._quote.charged(self.meter.target, usage)
        cost, quota = self._source.actual(self._quote.tier, charge), quota_of(charge)
        most, _ = self._quote.charged(self.meter.target, self._ahead(usage))
        more = max(0, self._source.actual(self._quote.tier, most) - self._amount)
        claims = self._unclaimed(quota_of(most))
        extend = Extend(
            tenant=TENANT, hold_id=self._held.id, amount=more, expires_us=self._means.expiry_us(), claims=claims
        )
        commands: list[Command] = [extend]
        if so_far is not None:
            lost = Used(usage, is_estimated=True, is_partial=True)  # what is known of the call if its process dies now
            row = self._row("expired", lost, charge, price, cost)
            commands.append(Checkpoint(tenant=TENANT, hold_id=self._held.id, used=cost, quota=quota, usage=row))
        try:
            outcome = await self._means.ledger.submit_together(commands)
        except StorageUnavailable:
            if more or claims:
                raise
            return  # what is held covers what was sent; the next note will tell
        if isinstance(outcome, Refusal):
            raise fault_of(outcome, self._source.account.asset, self._means.links)
        self._amount += more
        for resource, amount in {
            claim.window.resource: claim.amount for claim in claims
        }.items():  # each window its own
            self._claimed[resource] = self._claimed.get(resource, 0) + amount

    def _ahead(self, usage: Usage) -> Usage:
        """What the usage will be at the next note, for a stream that did not stop where it was told to."""
        delivered = self.meter.bytes_delivered
        if delivered < self._bytes_next:
            return usage
        step = max(STEP_BYTES, delivered // HEADROOM)
        self._bytes_next = delivered + step
        return replace(usage, output=usage.output + step // BYTES_PER_TOKEN)

    def _unclaimed(self, quota: dict[str, int]) -> tuple[Claim, ...]:
        """What a stream has used beyond the part of each window that it holds."""
        return tuple(
            replace(claim, amount=more)
            for claim in self._source.claims
            if (more := quota[claim.window.resource] - claim.amount - self._claimed.get(claim.window.resource, 0)) > 0
        )

    # At its end ---------------------------------------------------------------------------------------------------

    async def close(self, ending: Ending) -> None:
        """Settle what was used, or release the hold; with the usage row, in one commit. Raises: StorageUnavailable."""
        self._rest()
        if self._noting is not None:
            await self._noting
        found = used(self.meter, self._quote.most)
        if found is None and ending == "cancelled":
            found = told_to(self.meter)
        if found is None:
            await self._release(ending)
        else:
            bill = self._bill(ending, await counted(found, self.meter, self._quote.most))
            self._paid(bill, await self._insist(bill.commands))

    async def close_done(self) -> asyncio.CancelledError | None:
        """Close the tab of a call that ended well, to the end whoever leaves. Returns the cancellation that came meanwhile.

        Nearly every call ends here with one write that succeeds, so that one needs no task of its own. Raises: as `close`.
        """
        found = used(self.meter, self._quote.most) if self._noting is None else None
        if found is None or found.is_estimated:
            return (await to_the_end(self.close("done")))[1]
        self._rest()
        bill = self._bill("done", found)
        writing = asyncio.ensure_future(self._means.ledger.submit_together(bill.commands))
        left = await until_done(writing)
        if writing.exception() is None and isinstance(outcome := writing.result(), tuple):
            self._paid(bill, outcome)
            return left
        if left is None:
            return (await to_the_end(self._insist_on(bill, writing)))[1]
        with suppress(Fault):  # the caller has left and hears of nothing
            await to_the_end(self._insist_on(bill, writing))
        return left

    async def _insist_on(self, bill: "_Bill", first: Awaitable[tuple[Done, ...] | Refusal]) -> None:
        self._paid(bill, await self._insist(bill.commands, first))

    async def _release(self, ending: Ending) -> None:
        row = self._row(ending, Used(Usage()), None, None, 0)
        outcome = await self._insist([Release(tenant=TENANT, hold_id=self._held.id, usage=row)])
        if isinstance(outcome, Refusal):  # it has expired: nothing was charged for it, and the call is still told of
            await self._insist([RecordUsage(row)])

    def _bill(self, ending: Ending, found: Used) -> "_Bill":
        hold_id = self._held.id
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
        commands: list[Command] = [settle]
        if ending == "done" and self._call.idempotency_key is not None:
            expected = self._receipt(found, charge, price, self._settled(charge, amount))
            commands = self._means.replays.keep(settle, self.answer, expected, bounds_of(self._source.claims))
        return _Bill(found, charge, price, amount, commands)

    def _paid(self, bill: "_Bill", outcome: tuple[Done, ...] | Refusal) -> None:
        if isinstance(outcome, Refusal):
            raise fault_of(outcome, self._source.account.asset, self._means.links)
        found, charge, price, amount = bill.found, bill.charge, bill.price, bill.amount
        # A commit whose answer was lost shows what it must have come to; with a key, the ledger still knows what it came to.
        settled = outcome[0] if outcome else self._settled(charge, amount)
        self.receipt = self._receipt(found, charge, price, settled)

    async def _insist(
        self, commands: Sequence[Command], first: Awaitable[tuple[Done, ...] | Refusal] | None = None
    ) -> tuple[Done, ...] | Refusal:
        """Write what the call came to, again and again for a while. An empty tuple: an attempt whose answer was lost did it.

        `first`: the first attempt, made already.
        """

        async def attempt(is_again: bool) -> tuple[Done, ...] | Refusal:  # noqa: FBT001  # `insist` calls it
            made = None if is_again else first
            outcome = await (self._means.ledger.submit_together(commands) if made is None else made)
            if is_again and isinstance(outcome, Refusal) and outcome.data.get("state") in ("settled", "released"):
                return ()
            return outcome

        means = self._means
        try:
            waits = within_seconds(means.patience_seconds, means.monotonic)
            return await insist(attempt, waits_seconds=waits, sleep_seconds=means.sleep_seconds)
        except StorageUnavailable as away:
            if self._has_sent and not isinstance(away, StoreClosed):
                means.arrears.take(lambda: attempt(True))  # noqa: FBT003  # as `insist` calls it
                # No word of trying again: the answer was sent and is owed.
                raise ChargedLater("the answer was sent, and is charged once the database can write again") from away
            raise

    def _settled(self, charge: Charge, amount: int) -> Done:
        """What settling will answer if nothing else touches the account in between."""
        held, actual = self._held, quota_of(charge)
        first = {claim.window.resource: claim.amount for claim in self._source.claims}
        windows = tuple(
            view._replace(used=view.used + actual[resource], held=view.held - first[resource])
            for view in held.windows
            if (resource := view.key.resource) in actual
        )
        held_before = held.held - held.amount
        return replace(held, amount=amount, posted=held.posted - amount, held=held_before, windows=windows)

    def _receipt(self, found: Used, charge: Charge, price: Price | None, done: Done) -> Receipt:
        asked, saving = self._quote.compared(self.meter.target, found.usage, charge)
        return Receipt(
            usage=found.usage,
            is_estimated=found.is_estimated,
            is_partial=found.is_partial,
            charge=charge,
            asset=self._source.account.asset if self._source.amount else None,
            amount=paid_of(done, self._source.actual(self._quote.tier, charge)) if done.is_late else done.amount,
            balance=done.posted - done.held,
            posted=done.posted,
            is_shown_whole=self._quote.rules.rounding == "floor_carry",
            quota_remaining=quota_left(done.windows, bounds_of(self._source.claims)),
            month=month_of(done.windows) if charge.policy == "credits" else None,
            is_cost_known=price is not None,
            asked_model=asked,
            saving_nano=saving,
        )

    def _row(self, ending: Ending, found: Used, charge: Charge | None, price: Price | None, amount: int) -> UsageRow:
        call, caller, meter = self._call, self._quote.caller, self.meter
        target = meter.target
        asked, saving = self._quote.compared(target, found.usage, charge)
        if self._usage_id is None:
            self._usage_id = self._means.new_id()
        return UsageRow(
            id=self._usage_id,
            request_id=call.request_id,
            occurred_us=self._means.clock_us(),
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
            latency_us=int((self._means.monotonic() - call.started) * 1_000_000),
            first_byte_us=None if meter.first_byte is None else int((meter.first_byte - call.started) * 1_000_000),
            is_stream=call.is_stream,
            feature=meter.feature,
            metadata=meter.metadata,
            price_version=price.version if price else None,
            cost_nano=charge.cost_nano if charge and price else None,
            fee_nano=charge.fee_nano if charge else None,
            charge_amount=amount if charge else None,
            charge_asset=self._source.account.asset if amount else None,
            key_id=caller.key_id,
            asked_model=asked,
            saving_nano=saving,
        )
