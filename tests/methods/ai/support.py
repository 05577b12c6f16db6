"""A provider that says what a test wrote down, behind the real router, and runs of the method as the gateway makes them."""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from methods.all_methods import METHODS
from methods.catalog import Catalog
from methods.context import Context, Keys, Money, Services
from methods.dialects.canonical import ChatReply, StreamEvent, Text
from methods.openrpc import describe
from methods.progress import Progress
from methods.prompts import PromptRegistry
from methods.providers.base import Ask, Batches, Provider
from methods.providers.names import RoutingConfig
from methods.providers.routing import Router
from monetization.admission import Admission
from monetization.callers import Caller, Secret
from monetization.calls import Call, Credential
from monetization.charging.policies import DEFAULT, Rules
from monetization.desk import Desk
from monetization.directory import Directory
from monetization.eligibility import Eligibility
from monetization.entitlements import Entitlements
from monetization.ingestion.booking import Booking
from monetization.ingestion.intake import Intake
from monetization.ingestion.payers import Payers
from monetization.ingestion.rating import Rating
from monetization.keys.desk import KeyDesk
from monetization.keys.provider_keys import ProviderKeys
from monetization.limits.bounds import Limits, Speeds
from monetization.notices.desk import Notices
from monetization.once import Once
from monetization.people import People
from monetization.price_setting import PriceSetting
from monetization.prices.book import PriceBook, Source
from monetization.prices.catalogue import Catalogue
from monetization.quota_desk import QuotaDesk
from monetization.quoting import Quotes
from monetization.refusals import Links
from monetization.registers import Registers
from monetization.reports.asking import Reports
from monetization.statements import Statements
from monetization.tab import Meter
from monetization.terms import Most
from monetization.tiers import BUILT_IN, Tiers
from monetization.tiers_in_force import Read, TiersInForce, Unreadable
from storage.ephemeral.memory import MemoryLimiter
from storage.errors import Fault
from storage.records.usage import Usage
from storage.store import Store


@dataclass
class Scripted:
    """Answers with what it was given; a Fault in the script is raised where it stands."""

    name: str
    kind: str = "openai"
    reply: ChatReply | Fault | None = None
    batches: Sequence[Sequence[StreamEvent] | Exception] = ()
    good_key: str = "good"
    asked: list[Ask] = field(default_factory=list)
    is_closed: bool = False
    before_batch: Callable[[int], object] = int

    async def complete(self, ask: Ask) -> ChatReply:
        self.asked.append(ask)
        if isinstance(self.reply, Fault):
            raise self.reply
        assert self.reply is not None
        return self.reply

    @asynccontextmanager
    async def stream(self, ask: Ask) -> AsyncIterator[Batches]:
        self.asked.append(ask)
        if isinstance(self.reply, Fault):
            raise self.reply
        try:
            yield self._batches()
        finally:
            self.is_closed = True

    async def _batches(self) -> Batches:
        for number, batch in enumerate(self.batches):
            self.before_batch(number)
            if isinstance(batch, Exception):
                raise batch
            yield batch

    def has_operator_key(self) -> bool:
        return True

    async def check_key(self, key: Secret) -> bool:
        return key.reveal() == self.good_key


class Nobody:
    """No call runs."""

    def cancel(self, caller: Caller, rpc_id: str | float) -> bool:
        del caller, rpc_id
        return False


def said(text: str, **more: Any) -> ChatReply:
    return replace(ChatReply("m-2024", (Text(text),), "stop", Usage(input=3, output=4)), **more)


class Nowhere:
    """A store of tests that need none: whoever asks it learns so."""

    def __getattr__(self, name: str) -> Any:  # stands for any method of a store
        raise AssertionError(f"this test has no store, and something asked it for {name}")


def money_of(
    store: Any, sources: Sequence[Source], *, rules: Rules = DEFAULT, clock_us: Callable[[], int] = lambda: 1
) -> Money:
    """What methods about money work with, over a store (or none)."""
    registers = Registers(store, sources, on_problem=print)
    ids = (f"id{number}" for number in count(1))
    return Money(
        statements=Statements(store),
        desk=Desk(store, rules, Links(), lambda: next(ids)),
        registers=registers,
        setting=PriceSetting(store, registers, clock_us, lambda: next(ids)),
        clock_us=clock_us,
    )


class NoFile:
    """No configuration file stands behind these tiers."""

    def read(self) -> Read:
        raise Unreadable("there is no file")

    def stamp(self) -> object:
        return None


async def described(catalog: Catalog) -> Mapping[str, object]:
    return describe(catalog, title="Tollgate", version="1", url="http://127.0.0.1")


def services_of(
    providers: Mapping[str, Provider],
    routing: RoutingConfig,
    prompts: Path | None = None,
    models: Mapping[str, tuple[str, ...]] | None = None,
    store: Store | None = None,
) -> Services:
    """Without a store, methods that ask for one fail."""
    catalog = Catalog(METHODS)
    tiers = Tiers(BUILT_IN, default="free")
    book = PriceBook([Catalogue({})])
    directory = Directory(store or Nowhere(), seq=0, clock_us=lambda: 1, monotonic=lambda: 1.0)
    quotes = Quotes(lambda: tiers, lambda: book, DEFAULT, lambda _model, _at: None, lambda: 1_700_000_000_000_000)
    return Services(
        router=Router(
            providers, models=models or dict.fromkeys(providers, ("m", "n")), routing=routing, clock=time.monotonic
        ),
        prompts=PromptRegistry(prompts, clock=lambda: 1.0, on_problem=print),
        catalog=catalog,
        running=Nobody(),
        admission=Admission(
            calls_max=1,
            limits=Limits(lambda: tiers, anonymous=Speeds(rpm=5)),
            limiter=MemoryLimiter(lambda: 1_000_000),
            when_store_is_down="open",
            on_skipped=lambda: None,
            clock_us=lambda: 1,
        ),
        clock=lambda: 1_700_000_000.0,
        health=lambda: {"status": "healthy", "version": "1.2.3", "uptimeSeconds": 5},
        openrpc=partial(described, catalog),
        tiers=lambda: tiers,
        reload_tiers=TiersInForce(tiers, NoFile()).reload_noted,
        money=money_of(store or Nowhere(), [Catalogue({})]),
        directory=directory,
        quotes=quotes,
        eligibility=Eligibility(
            People(directory, tiers.key_of),
            Entitlements(lambda: tiers, "byok"),
            quotes,
            store or Nowhere(),
            Links(),
        ),
        keys=Keys(
            KeyDesk(directory, None, lambda: 1, Once(store or Nowhere(), str)),
            ProviderKeys(directory, None, clock_us=lambda: 1, new_id=lambda: "k", is_byok=lambda _: False),
        ),
        quotas=QuotaDesk(store or Nowhere(), directory, lambda: tiers, Links(), lambda: 1),
        reports=Reports(store or Nowhere(), lambda: 1),
        notices=Notices(store or Nowhere()),
        ingestion=Intake(
            rating=Rating(lambda: book, DEFAULT, lambda _model, _at: None, lambda _names, _at: None, {}, {}),
            payers=Payers(
                store or Nowhere(), directory, People(directory, tiers.key_of), lambda: "free", "dead_letter"
            ),
            booking=Booking(store or Nowhere(), dedupe_us=1),
            directory=directory,
            tiers=lambda: tiers,
            clock_us=lambda: 1,
            future_us=0,
            late_us=0,
            in_flight_max=1,
        ),
    )


@dataclass
class Run:
    """What one call came to."""

    answer: Any = None
    fault: Exception | None = None
    meter: Meter = field(default_factory=Meter)
    progress: list[Progress] = field(default_factory=list)
    most: Most | None = None


@dataclass
class Bench:
    """Runs methods over two scripted providers; `n` of provider `b` is the fallback of `m`."""

    a: Scripted
    b: Scripted
    prompts: Path

    @property
    def services(self) -> Services:
        routing = RoutingConfig(default_provider="a", default_model="m", fallbacks={"m": ["b/n"]})
        return services_of({"a": self.a, "b": self.b}, routing, self.prompts)

    async def run(
        self,
        name: str,
        params: object,
        *,
        is_stream: bool = False,
        caller: Caller | None = None,
        lower_to: int | None = None,
        meter: Meter | None = None,
    ) -> Run:
        """One call as the gateway makes it; a fault is kept in the run, so that the meter can be looked at."""
        services = self.services
        method = services.catalog.find(name)
        run = Run(meter=meter or Meter())
        parsed = method.parse(params)
        caller = (caller or Caller("subscription", user_id="u1")).bringing(parsed.own_key)
        if method.most is not None:
            run.most = method.most(services, parsed)
            if lower_to is not None:
                run.most = replace(run.most, tokens_output=lower_to)

        async def sink(batch: Sequence[Progress]) -> None:
            run.progress.extend(batch)

        call = Call(name, params, Credential("none"), "req_1", traceparent="00-1-2-01")
        context = Context(caller, call, services, run.meter, sink if is_stream else None, run.most)
        try:
            run.answer = await method.handler(context, parsed)
        except Fault as fault:
            run.fault = fault
        return run


def bench_over(prompts: Path) -> Bench:
    """Two providers that answer, and a folder for prompts."""
    return Bench(Scripted("a", reply=said("Hello.")), Scripted("b", "anthropic", reply=said("From b.")), prompts)
