"""The composition root: the only file that names concrete backends. Everything is built here once and handed on."""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from os import urandom
from typing import TYPE_CHECKING

from methods.catalog import Catalog
from methods.context import Money, Services
from methods.prompts import PromptRegistry
from methods.providers.building import build_providers
from methods.providers.routing import Router
from methods.providers.session import open_session
from monetization.abuse import Watch
from monetization.admission import Admission
from monetization.charging.policies import Rules
from monetization.desk import Desk
from monetization.directory import Directory
from monetization.eligibility import Eligibility
from monetization.entitlements import Entitlements
from monetization.finishing import Arrears
from monetization.holding import HoldingTabs
from monetization.notices.desk import Notices
from monetization.notices.watching import LookOut
from monetization.people import People
from monetization.price_setting import PriceSetting
from monetization.prices.book import PriceBook
from monetization.quota_desk import QuotaDesk
from monetization.quoting import Quotes
from monetization.refusals import Links
from monetization.registers import Registers
from monetization.replays import Replays
from monetization.reports.asking import Reports
from monetization.statements import Statements
from monetization.terms import Most, Target
from monetization.tiers import Tiers
from monetization.tiers_in_force import TiersInForce
from server.auth.callers import Callers
from server.business_gauges import READ_SECONDS, BusinessGauges
from server.config import Settings
from server.describe import catalog_of, openrpc_document
from server.documents import WhenAsked
from server.drain import Drain
from server.from_settings import (
    ceiling_of,
    gates_of,
    model_costs_of,
    price_sources_of,
    provider_config_of,
    routing_of,
    rules_of,
)
from server.gateway import Gateway
from server.health import Check
from server.ids import row_ids
from server.ingesting import intake_of
from server.jobs import Job, running
from server.journal import Journal
from server.key_parts import KeyParts, key_parts
from server.limiting import open_admission
from server.listening import open_directory
from server.logs import Logs
from server.metrics import Metrics
from server.reloading import open_tiers
from server.running import RunningCalls
from server.watching import open_watch
from storage.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import ClientSession


@dataclass(frozen=True, slots=True)
class Instruments:
    """What watches the process; made before anything that can fail, so that a failure is seen."""

    logs: Logs
    metrics: Metrics
    drain: Drain


@dataclass(frozen=True, slots=True)
class Parts:
    """What the doors need."""

    gateway: Gateway
    openrpc: Callable[[], Awaitable["Mapping[str, object]"]]
    checks: "Mapping[str, Check]"
    """What must work for this process to be ready."""


@dataclass(frozen=True, slots=True)
class PricedModels:
    """The price book as the router sees it: which models have a price now."""

    book: Callable[[], PriceBook]
    now_us: Callable[[], int]

    def knows(self, target: Target) -> bool:
        """Whether this model has a price now."""
        return self.book().knows(target, self.now_us())

    def models(self, provider: str, kind: str) -> Iterable[str]:
        """The models with a price."""
        return self.book().models(provider, kind)

    def cost(self, target: Target, most: Most) -> int | None:
        """What a call most likely costs there, in nano dollars; None where no price is known."""
        return self.book().likely(target, most, self.now_us())


SWEEP_SECONDS = 1.0
"""Between two looks for holds whose time has come: how much longer than its life a hold may stay."""
PRUNE_SECONDS = 60.0
"""Between two looks for rows that have outlived their time."""
DAY_US = 24 * 3600 * 1_000_000
ARREARS_SECONDS = 5.0
"""For what was delivered while the store was away to be charged, before this process leaves."""
POLL_SECONDS = 1.0
"""Between two looks for prices and burn tables that another process has set, and for a tier file written anew."""


def now_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


def monotonic_us() -> int:
    """Microseconds that never run backwards."""
    return time.monotonic_ns() // 1_000


@asynccontextmanager
async def compose(settings: Settings, instruments: Instruments) -> AsyncIterator[Parts]:
    """Build everything, in the order of the floors; leaving closes it in reverse. Raises: ConfigError, StoreRefused."""
    logs, metrics, rules = instruments.logs, instruments.metrics, rules_of(settings)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(_store(settings, metrics))
        registers = await _registers(store, settings, logs)
        costs = partial(model_costs_of, book=registers.book, clock_us=now_us)
        in_force = stack.enter_context(open_tiers(settings, costs, logs=logs, metrics=metrics))
        tiers = in_force.tiers
        directory = await stack.enter_async_context(_directory(store, instruments))
        session = await stack.enter_async_context(open_session())
        router = _router(settings, session, metrics, PricedModels(registers.book, now_us))
        keys = _keys(settings, directory, store, tiers, logs)
        watch = await stack.enter_async_context(_watch(settings, directory, instruments))
        callers = _callers(settings, session, tiers, metrics, keys, watch)
        stack.push_async_callback(callers.aclose)
        people = People(directory, lambda name: tiers().key_of(name))
        _tell_of_tiers(in_force, callers, people)
        admission = await stack.enter_async_context(_admission(settings, tiers, instruments, watch))
        calls, links = RunningCalls(), _links(settings)
        quotes = Quotes(tiers, registers.book, rules, registers.burn_rule, now_us, links.upgrade)
        openrpc, catalog = WhenAsked(partial(openrpc_document, settings)), catalog_of(settings)
        entitlements = _entitlements(settings, catalog, tiers, router)
        services = Services(
            router=router,
            prompts=PromptRegistry(settings.prompts.directory, clock=time.monotonic, on_problem=_prompt_problem(logs)),
            catalog=catalog,
            running=calls,
            admission=admission,
            clock=time.time,
            health=partial(_health, instruments.drain, time.monotonic(), version("tollgate")),
            openrpc=openrpc,
            tiers=tiers,
            reload_tiers=in_force.reload_noted,
            quotes=quotes,
            money=_money(store, settings, rules, registers),
            eligibility=_eligibility(settings, people, entitlements, quotes, store),
            directory=directory,
            keys=keys.used,
            quotas=QuotaDesk(store, directory, tiers, links, now_us),
            reports=Reports(store, now_us),
            notices=Notices(store),
            ingestion=intake_of(settings, store, directory, in_force, registers, rules, now_us, metrics.events_taken),
        )
        gateway = Gateway(
            callers=callers,
            people=people,
            watch=watch,
            catalog=catalog,
            running=calls,
            kept_keys=keys.used.kept,
            admission=admission,
            entitlements=entitlements,
            quotes=quotes,
            tabs=_tabs(store, settings, stack),
            services=services,
            journal=Journal(logs, metrics, instruments.drain, now=time.time, monotonic=time.monotonic),
        )
        await stack.enter_async_context(_working(settings, store, registers, in_force, instruments))
        yield Parts(gateway, openrpc, {"storage": store.ping})


def _store(settings: Settings, metrics: Metrics) -> AbstractAsyncContextManager[Store]:
    said = settings.storage
    age_us = int(said.check_age_seconds_max * 1_000_000)
    url = said.url.get_secret_value()
    return open_store(url, clock_us=now_us, committed=metrics.committed, remembered_us_max=age_us)


async def _registers(store: Store, settings: Settings, logs: Logs) -> Registers:
    """The prices and burn tables set at run time, over those of the configuration."""
    sources, ceiling = price_sources_of(settings), ceiling_of(settings)
    registers = Registers(store, sources, on_problem=_register_problem(logs), ceiling=ceiling)
    await registers.refresh()
    return registers


def _tell_of_tiers(in_force: TiersInForce, callers: Callers, people: People) -> None:
    """What tier names mean has changed, so whoever was resolved by them is resolved anew."""
    in_force.tell(lambda _: callers.forget())
    in_force.tell(lambda _: people.forget())


def _links(settings: Settings) -> Links:
    return Links(upgrade=settings.urls.upgrade, billing=settings.urls.billing)


def _entitlements(settings: Settings, catalog: Catalog, tiers: Callable[[], Tiers], router: Router) -> Entitlements:
    links, gates = settings.urls, gates_of(settings, catalog, tiers())
    return Entitlements(tiers, settings.auth.anonymous, links.upgrade, links.billing, gates, router.choose)


def _eligibility(
    settings: Settings, people: People, entitlements: Entitlements, quotes: Quotes, store: Store
) -> Eligibility:
    overdraft = settings.charging.overdraft_tokens
    return Eligibility(people, entitlements, quotes, store.remembered, _links(settings), overdraft)


def _keys(settings: Settings, directory: Directory, store: Store, tiers: Callable[[], Tiers], logs: Logs) -> KeyParts:
    problems = logs.logger("keys")
    return key_parts(
        settings.keys,
        directory,
        store,
        tiers,
        clock_us=now_us,
        random_bytes=urandom,
        on_broken=lambda what: problems.error("kept_key_broken", problem=what),
    )


def _callers(
    settings: Settings,
    session: "ClientSession",
    tiers: Callable[[], Tiers],
    metrics: Metrics,
    keys: KeyParts,
    watch: Watch,
) -> Callers:
    return Callers.of(
        settings.auth,
        session=lambda: session,
        default_tier=lambda: tiers().default.key,
        tier_of=lambda name: tiers().key_of(name),
        on_unknown_tier=metrics.unknown_tier,
        on_failure=metrics.auth_failed,
        watch=watch,
        gateway_keys=keys.gateway_keys,
        resources=settings.resources,
        clock=time.time,
        monotonic=time.monotonic,
    )


def _admission(
    settings: Settings, tiers: Callable[[], Tiers], instruments: Instruments, watch: Watch
) -> AbstractAsyncContextManager[Admission]:
    return open_admission(
        settings,
        tiers,
        logs=instruments.logs,
        metrics=instruments.metrics,
        clock_us=now_us,
        monotonic_us=monotonic_us,
        new_id=_new_id,
        watch=watch,
    )


def _watch(settings: Settings, directory: Directory, instruments: Instruments) -> AbstractAsyncContextManager[Watch]:
    logs, blocked = instruments.logs, instruments.metrics.blocked
    return open_watch(settings.abuse, directory, logs=logs, clock_us=now_us, blocked=blocked)


def _directory(store: Store, instruments: Instruments) -> AbstractAsyncContextManager[Directory]:
    logs, metrics = instruments.logs, instruments.metrics
    return open_directory(store, logs=logs, metrics=metrics, clock_us=now_us, monotonic=time.monotonic)


def _router(settings: Settings, session: "ClientSession", metrics: Metrics, models: PricedModels) -> Router:
    return build_providers(
        {name: provider_config_of(name, settings) for name in settings.providers},
        routing=routing_of(settings),
        session=session,
        clock=time.monotonic,
        sleep=asyncio.sleep,
        random=random.random,
        observer=metrics.provider_request,
        catalogue=models,
        costs=models,
    )


def _money(store: Store, settings: Settings, rules: Rules, registers: Registers) -> Money:
    """What methods about money work with."""
    return Money(
        statements=Statements(store),
        desk=Desk(store, rules, _links(settings), _new_id),
        registers=registers,
        setting=PriceSetting(store, registers, now_us, _new_id),
        clock_us=now_us,
    )


def _health(drain: Drain, started: float, release: str) -> dict[str, object]:
    return {
        "status": "draining" if drain.is_draining else "healthy",
        "version": release,
        "uptimeSeconds": int(time.monotonic() - started),
    }


def _new_id() -> str:
    return secrets.token_hex(16)


def _working(
    settings: Settings, store: Store, registers: Registers, in_force: TiersInForce, instruments: Instruments
) -> AbstractAsyncContextManager[None]:
    problems, jobs = instruments.logs.logger("jobs"), regular_work(settings, store, registers, in_force, instruments)
    return running(jobs, lambda name, problem: problems.warning("job_failed", job=name, problem=type(problem).__name__))


def regular_work(
    settings: Settings, store: Store, registers: Registers, in_force: TiersInForce, instruments: Instruments
) -> list[Job]:
    """What happens without being asked for."""
    usage_days, signals = settings.storage.usage_retention_days, settings.signals
    gauges = BusinessGauges(instruments.metrics.business, Reports(store, now_us), in_force.tiers, now_us)
    look_out = LookOut(store, Notices(store), signals.rules(), now_us)
    looks = [
        Job("tell of quotas", POLL_SECONDS, look_out.read_events),
        Job("look at balances and errors", signals.every_seconds, look_out.look),
    ]
    return [
        *(looks if signals.enabled else ()),
        Job("expire holds and lots", SWEEP_SECONDS, store.sweep),
        Job("prune old rows", PRUNE_SECONDS, partial(_prune, store, days=usage_days)),
        Job("read prices and burn tables", POLL_SECONDS, registers.poll),
        Job("read tiers", POLL_SECONDS, in_force.poll),
        Job("read the business", READ_SECONDS, gauges.read, is_first_at_once=True),
    ]


async def _prune(store: Store, *, days: int) -> None:
    await store.prune(usage_before_us=now_us() - days * DAY_US)


def _tabs(store: Store, settings: Settings, stack: AsyncExitStack) -> HoldingTabs:
    arrears = Arrears()
    stack.push_async_callback(arrears.close, ARREARS_SECONDS)
    return HoldingTabs(
        ledger=store,
        replays=Replays(store, now_us),
        links=_links(settings),
        clock_us=now_us,
        monotonic=time.monotonic,
        new_id=row_ids(time.time),
        hold_seconds=settings.charging.hold_seconds,
        overdraft_tokens=settings.charging.overdraft_tokens,
        arrears=arrears,
    )


def _register_problem(logs: Logs) -> Callable[[str], None]:
    problems = logs.logger("prices")
    return lambda what: problems.error("price_row_problem", problem=what)


def _prompt_problem(logs: Logs) -> Callable[[str], None]:
    problems = logs.logger("prompts")
    return lambda what: problems.warning("prompt_problem", problem=what)
