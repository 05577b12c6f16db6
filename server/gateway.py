"""The product on one screen: every door turns its wire format into a Call, and every call takes these steps in this order."""

from dataclasses import dataclass

from methods.catalog import Catalog
from methods.context import Context, Services
from methods.method import Answer
from methods.progress import ProgressSink
from monetization.abuse import Watch
from monetization.admission import Admission
from monetization.calls import Call
from monetization.entitlements import Entitlements
from monetization.keys.provider_keys import ProviderKeys
from monetization.people import People
from monetization.quoting import Quotes
from monetization.tab import Meter, Tabs
from server.auth.callers import Callers
from server.journal import Entry, Journal
from server.running import RunningCalls


@dataclass(frozen=True, slots=True)
class Gateway:
    """Serves calls. It names the steps; each step has one owner elsewhere."""

    callers: Callers
    people: People
    watch: Watch
    catalog: Catalog
    running: RunningCalls
    kept_keys: ProviderKeys
    admission: Admission
    entitlements: Entitlements
    quotes: Quotes
    tabs: Tabs
    services: Services
    journal: Journal

    async def serve(self, call: Call, sink: ProgressSink | None = None) -> Answer:
        """Serve one call. Raises only Faults (and CancelledError when the caller has left); it is logged and counted once."""
        with self.journal.entry(call) as entry:
            return await self._climb(call, sink, entry)

    async def _climb(self, call: Call, sink: ProgressSink | None, entry: Entry) -> Answer:
        """The ladder: the order of these lines is the product."""
        caller = await self.callers.identify(call.credential)  # Unauthenticated
        caller = entry.caller = await self.people.complete(caller)  # with what is kept of its user and organization
        self.watch.check(caller)  # RateLimited, for those who are blocked
        method = self.catalog.find(call.method, call.door)  # MethodNotFound
        entry.method = method
        method.authorize(caller, self.catalog.access[method.name])  # Unauthenticated, Forbidden
        self.entitlements.gate(caller, method.gate)  # NotEntitled
        params = method.parse(call.params)  # InvalidParams
        caller = entry.caller = caller.bringing(params.own_key)  # an own provider key makes the caller byok

        with self.running.track(caller, call):
            if method.most is None:  # a free method touches no money and no limit
                return await method.handler(Context(caller, call, self.services, Meter(), sink), params)

            most = method.most(self.services, params)  # what the parameters can cause: UnknownModel, UnknownProvider
            caller = entry.caller = await self.kept_keys.bring(caller, most)  # and so does one that was left here
            async with self.admission.admit(call, caller, most) as place:  # Overloaded, RateLimited
                most = self.entitlements.check(caller, method.terms, most)  # Unauthenticated, NotEntitled
                quote = self.quotes.quote(caller, most)  # PriceUnknown, PaymentRequired

                async with self.tabs.open(call, quote) as tab:  # QuotaExceeded, PaymentRequired, IdempotencyConflict
                    place.tab, entry.meter = tab, tab.meter
                    if tab.answer is None:  # else the key was used before, and this is its first answer
                        context = Context(caller, call, self.services, tab.meter, tab.watch(sink), most)
                        tab.answer = await method.handler(context, params)
                # Leaving the block has closed the tab, exactly once, whatever happened inside.
                return method.shown(tab.answer, tab.receipt)
