"""How long each report takes over a long history, for users and for admins, through the gateway that serves."""

import gc
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from monetization.periods import iso
from server.app import GARBAGE_THRESHOLDS
from server.compose import Instruments, compose
from server.config import Settings
from server.demo import demo_settings
from server.drain import Drain
from server.log_writer import LineWriter
from server.logs import Logs
from server.metrics import Metrics
from tests.bench.metering.history import DAY_US, History, name_of, tier_of
from tests.methods.money.conftest import Product

USER_MS_MAX = 50
ADMIN_MS_MAX = 300
DOCUMENTED_MS_MAX = {"getUsageStats, 30 days": 100, "getAdminAnalytics, 30 days": 500}
"""The documents' own aims (S3-54): thirty days of statistics, and an admin's page."""
HEAVY_USERS = 5
LIGHT_USERS = 35
USER_CALLS = 3
ADMIN_CALLS = 12
USER_REPORTS: dict[str, tuple[str, dict[str, object]]] = {
    "getUsageStats, this month": ("getUsageStats", {"period": "current_month"}),
    "getUsageStats, 30 days": ("getUsageStats", {"period": "last_30_days"}),
    "getUserUsage": ("getUserUsage", {"period": "last_30_days"}),
    "getUsageAnalytics": ("getUsageAnalytics", {"days": 30, "includeHistory": True}),
    "getUsageTimeSeries by hour": ("getUsageTimeSeries", {"period": "last_7_days", "interval": "hour"}),
    "getUsageTimeSeries by day": (
        "getUsageTimeSeries",
        {"period": "last_30_days", "interval": "day", "timezone": "America/New_York", "groupBy": "model"},
    ),
    "getUsageTimeSeries by week": ("getUsageTimeSeries", {"period": "last_30_days", "interval": "week"}),
    "getUsageTimeSeries by month": ("getUsageTimeSeries", {"period": "last_30_days", "interval": "month"}),
    "getUsageTrends": ("getUsageTrends", {}),
    "listUsageEvents": ("listUsageEvents", {"limit": 50}),
    "getCreditUsage": ("getCreditUsage", {}),
    "getCostBreakdown": ("getCostBreakdown", {"by": "model", "period": "last_30_days"}),
    "getBurnForecast": ("getBurnForecast", {}),
    "getRecommendations": ("getRecommendations", {}),
    "getOverageCharges": ("getOverageCharges", {}),
}
ADMIN_REPORTS: dict[str, tuple[str, dict[str, object]]] = {
    "getAdminAnalytics, this month": ("getAdminAnalytics", {"period": "current_month"}),
    "getAdminAnalytics, 30 days": ("getAdminAnalytics", {"period": "last_30_days"}),
    "getUserUsage of somebody": ("getUserUsage", {"userId": name_of(0), "period": "last_30_days"}),
    "getCostBreakdown of an organization": (
        "getCostBreakdown",
        {"by": "user", "period": "last_30_days", "organizationId": "org-0"},
    ),
    "getUsageTimeSeries of an organization": (
        "getUsageTimeSeries",
        {"period": "last_30_days", "interval": "day", "organizationId": "org-0"},
    ),
}
YEAR = "getAdminAnalytics, a year"
MINUTES = "getUsageTimeSeries by minute"
MINUTES_OF_ORGANIZATION = "getUsageTimeSeries by minute, org."
_YEAR_US = 365 * DAY_US


@asynccontextmanager
async def serving(url: str, folder: Path) -> AsyncIterator[Product]:
    """The composed server in this process, over the store at `url`."""
    demo = demo_settings(folder)
    assert demo.auth.private_key is not None, "the demo has one"
    settings = Settings.of(
        {
            "auth": {
                "issuer": "bench",
                "audience": "tollgate",
                "algorithms": ["ES256"],
                "private_key": (folder / "demo-key.pem").read_text(encoding="ascii"),
            },
            "storage": {"url": url, "usage_retention_days": 800},
            "signals": {"enabled": False},
            "providers": {"simulator": {"kind": "simulator", "models": ["simulator"]}},
            "routing": {"default_provider": "simulator", "default_model": "simulator"},
        }
    )
    with _logs() as logs, _settled_memory():
        async with compose(settings, Instruments(logs, Metrics(), Drain())) as parts:
            yield Product(settings, parts.gateway)


@contextmanager
def _settled_memory() -> Iterator[None]:
    """As a server starts: what is there already no collection walks again."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def _logs() -> Iterator[Logs]:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    logs = Logs(LineWriter(descriptor), now=time.time)
    try:
        yield logs
    finally:
        logs.close()
        os.close(descriptor)


async def measure(
    product: Product,
    history: History,
    show: Callable[[str], object],
    cpu_seconds: Callable[[], float] = time.process_time,
    calls: int = USER_CALLS,
) -> None:
    """Print a line for each report: the median and the 99th percentile, beside its aim, and the processor's time of one call."""
    light = (history.users // 2 + number * history.users // 100 for number in range(LIGHT_USERS))
    users = [*range(HEAVY_USERS), *light]
    show(f"{'report':40}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>9}   aim")
    minutes = {"interval": "minute", **_until(history.until_us, DAY_US)}  # as many as one series shows
    for title, (method, params) in {**USER_REPORTS, MINUTES: ("getUsageTimeSeries", minutes)}.items():
        tokens = [product.token(name_of(user), tier_of(user)) for user in users for _ in range(calls)]
        _tell(show, title, await _timed(product, tokens, method, params, cpu_seconds), USER_MS_MAX)
    boss = product.token("boss", "enterprise", role="admin")
    more = {
        MINUTES_OF_ORGANIZATION: ("getUsageTimeSeries", minutes | {"organizationId": "org-0"}),
        YEAR: ("getAdminAnalytics", _until(history.until_us, _YEAR_US)),
    }
    for title, (method, params) in {**ADMIN_REPORTS, **more}.items():
        _tell(show, title, await _timed(product, [boss] * ADMIN_CALLS, method, params, cpu_seconds), ADMIN_MS_MAX)


def _until(until_us: int, length_us: int) -> dict[str, object]:
    return {"startDate": iso(until_us - length_us), "endDate": iso(until_us)}


@dataclass(frozen=True, slots=True)
class _Times:
    """What calls took."""

    seconds: list[float]
    cpu_seconds: float
    """Of one call, on average."""


async def _timed(
    product: Product, tokens: list[str], method: str, params: dict[str, object], cpu_seconds: Callable[[], float]
) -> _Times:
    """One call for each token."""
    seconds, begun = [], cpu_seconds()
    for token in tokens:
        began = time.perf_counter()
        await product.call(token, method, params)
        seconds.append(time.perf_counter() - began)
    return _Times(seconds, (cpu_seconds() - begun) / len(tokens))


def _tell(show: Callable[[str], object], title: str, times: _Times, aim_ms: int) -> None:
    ordered = sorted(second * 1_000 for second in times.seconds)
    middle, last = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    aims = [(f"< {aim_ms}", aim_ms)]
    if title in DOCUMENTED_MS_MAX:
        aims.append((f"S3-54 < {DOCUMENTED_MS_MAX[title]}", DOCUMENTED_MS_MAX[title]))
    said = "; ".join(f"{aim}: {'met' if last < most else 'NOT MET'}" for aim, most in aims)
    show(f"{title:40}{middle:9.1f}{last:9.1f}{times.cpu_seconds * 1_000:9.1f}   {said}")
