"""The composition root: the only file that names concrete backends. Everything is built here once and handed on."""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import version
from typing import TYPE_CHECKING

from pydantic import SecretStr

from methods.context import Services
from methods.prompts import PromptRegistry
from methods.providers.building import ProviderConfig, build_providers
from methods.providers.routing import RoutingConfig
from methods.providers.session import open_session
from monetization.admission import Admission
from monetization.callers import Secret
from monetization.charging.policies import Fee, Rules
from monetization.charging.rounding import ppm_from_percent
from monetization.entitlements import Entitlements
from monetization.holding import HoldingTabs
from monetization.prices.book import PriceBook
from monetization.prices.catalogue import Catalogue
from monetization.prices.overrides import from_configuration
from monetization.prices.rates import NANO_PER_DOLLAR
from monetization.quoting import Quotes
from monetization.refusals import Links
from monetization.replays import Replays
from monetization.terms import Target
from monetization.tiers import Tiers, merged
from server.auth.callers import Callers
from server.config import ConfigError, Settings
from server.describe import catalog_of, openrpc_document
from server.drain import Drain
from server.gateway import Gateway
from server.health import Check
from server.journal import Journal
from server.logs import Logs
from server.metrics import Metrics
from server.running import RunningCalls
from storage.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    openrpc: Callable[[], "Mapping[str, object]"]
    checks: "Mapping[str, Check]"
    """What must work for this process to be ready."""


@dataclass(frozen=True, slots=True)
class PricedModels:
    """The price book as the router sees it: which models have a price now."""

    book: PriceBook
    now_us: Callable[[], int]

    def knows(self, target: Target) -> bool:
        """Whether this model has a price now."""
        return self.book.knows(target, self.now_us())

    def models(self, provider: str, kind: str) -> Iterable[str]:
        """The models with a price."""
        return self.book.models(provider, kind)


def now_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


@asynccontextmanager
async def compose(settings: Settings, instruments: Instruments) -> AsyncIterator[Parts]:
    """Build everything, in the order of the floors; leaving closes it in reverse. Raises: ConfigError, StoreRefused."""
    logs, metrics = instruments.logs, instruments.metrics
    tiers = tiers_of(settings)
    book = price_book_of(settings)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings.storage.url.get_secret_value(), clock_us=now_us))
        session = await stack.enter_async_context(open_session())
        router = build_providers(
            {name: _provider_config(name, settings) for name in settings.providers},
            routing=RoutingConfig(
                settings.routing.default_provider, settings.routing.default_model, settings.routing.fallbacks
            ),
            session=session,
            clock=time.monotonic,
            sleep=asyncio.sleep,
            random=random.random,
            observer=metrics.provider_request,
            catalogue=PricedModels(book, now_us),
        )
        callers = Callers.of(
            settings.auth,
            session=lambda: session,
            default_tier=tiers.default.key,
            tier_of=tiers.key_of,
            on_unknown_tier=metrics.unknown_tier,
            on_failure=metrics.auth_failed,
        )
        stack.push_async_callback(callers.aclose)
        running = RunningCalls()
        quotes = Quotes(
            lambda: tiers, lambda: book, rules_of(settings), lambda _model, _at_us: None, now_us, settings.urls.upgrade
        )
        document = openrpc_document(settings)
        catalog = catalog_of(settings)
        started = time.monotonic()
        services = Services(
            router=router,
            prompts=PromptRegistry(settings.prompts.directory, clock=time.monotonic, on_problem=_prompt_problem(logs)),
            catalog=catalog,
            running=running,
            clock=time.time,
            health=lambda: {
                "status": "draining" if instruments.drain.is_draining else "healthy",
                "version": version("tollgate"),
                "uptimeSeconds": int(time.monotonic() - started),
            },
            openrpc=lambda: document,
            tiers=lambda: tiers,
            quotes=quotes,
        )
        gateway = Gateway(
            callers=callers,
            catalog=catalog,
            running=running,
            admission=Admission(calls_max=settings.server.calls_max),
            entitlements=Entitlements(lambda: tiers, settings.auth.anonymous, settings.urls.upgrade),
            quotes=quotes,
            tabs=_tabs(store, settings),
            services=services,
            journal=Journal(logs, metrics, instruments.drain, now=time.time, monotonic=time.monotonic),
        )
        yield Parts(gateway, lambda: document, {"storage": store.ping})


def _tabs(store: Store, settings: Settings) -> HoldingTabs:
    return HoldingTabs(
        ledger=store,
        replays=Replays(store, now_us),
        links=Links(upgrade=settings.urls.upgrade, billing=settings.urls.billing),
        clock_us=now_us,
        monotonic=time.monotonic,
        new_id=lambda: secrets.token_hex(16),
        hold_seconds=settings.charging.hold_seconds,
        overdraft_tokens=settings.charging.overdraft_tokens,
    )


def rules_of(settings: Settings) -> Rules:
    """How the operator charges."""
    said = settings.charging
    return Rules(
        platform_fee=Fee(_ppm(said.platform_fee_percent)),
        purchase_fee_ppm=_ppm(said.purchase_fee_percent),
        usage_fee_ppm=_ppm(said.usage_fee_percent),
        credit_value_nano=int(said.credit_value_usd * NANO_PER_DOLLAR),
    )


def _ppm(percent: Decimal) -> int:
    return ppm_from_percent(_plain(percent))


def tiers_of(settings: Settings) -> Tiers:
    """The tiers that a configuration comes to. Raises: ConfigError."""
    said = {name: tier.said() for name, tier in settings.tiers.items()}
    try:
        return Tiers(merged(said, policy=settings.charging.policy), default=settings.charging.default_tier)
    except ValueError as wrong:
        key, _, problem = str(wrong).partition(": ")
        raise ConfigError("settings", key, problem) from None


def price_book_of(settings: Settings) -> PriceBook:
    """The operator's prices over the built-in ones. Raises: ConfigError."""
    written = {
        name: {bucket: _plain(value) for bucket, value in price.model_dump(exclude_none=True).items()}
        for name, price in settings.prices.items()
    }
    try:
        overrides = from_configuration(written)
    except ValueError as wrong:
        raise ConfigError("settings", "prices", str(wrong)) from None
    return PriceBook([overrides, Catalogue({name: p.base_url for name, p in settings.providers.items()})])


def secrets_of(settings: Settings) -> list[str]:
    """Every secret of a configuration, for the net under the logs."""

    def found(value: object) -> list[str]:
        if isinstance(value, SecretStr):
            return [value.get_secret_value()]
        if isinstance(value, dict):
            return [secret for member in value.values() for secret in found(member)]
        return []

    return found(settings.model_dump())


def _provider_config(name: str, settings: Settings) -> ProviderConfig:
    said = settings.providers[name]
    return ProviderConfig(
        name,
        said.kind,
        api_key=None if said.api_key is None else Secret(said.api_key.get_secret_value()),
        base_url=said.base_url,
        models=said.models,
        timeout_seconds=said.timeout_seconds,
        connect_timeout_seconds=said.connect_timeout_seconds,
        first_byte_timeout_seconds=said.first_byte_timeout_seconds,
        retries=said.retries,
        max_concurrency=said.max_concurrency,
        headers={header: Secret(value.get_secret_value()) for header, value in said.headers.items()},
        breaker_failures=said.breaker_failures,
        breaker_seconds=said.breaker_seconds,
    )


def _prompt_problem(logs: Logs) -> Callable[[str], None]:
    problems = logs.logger("prompts")
    return lambda what: problems.warning("prompt_problem", problem=what)


def _plain(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)
