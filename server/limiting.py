"""How a configuration becomes admission: its limits, the store that counts, and who hears when that store is away."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from monetization.abuse import Watch
from monetization.admission import Admission
from monetization.limits.bounds import Limits, Speeds
from monetization.tiers import Tiers
from server.config import Settings
from server.config_limits import LimitSettings
from server.logs import Logs
from server.metrics import Metrics
from storage.ephemeral.opening import open_limiter


@asynccontextmanager
async def open_admission(
    settings: Settings,
    tiers: Callable[[], Tiers],
    *,
    logs: Logs,
    metrics: Metrics,
    clock_us: Callable[[], int],
    monotonic_us: Callable[[], int],
    new_id: Callable[[], str],
    watch: Watch,
) -> AsyncIterator[Admission]:
    """Admission over the configured store, while the block runs.

    `clock_us` gives Unix microseconds, which callers are shown; `monotonic_us` those that are counted by. Raises: StoreRefused.
    """
    said = settings.limits
    if settings.server.workers > 1 and not settings.storage.redis_url.get_secret_value():
        logs.logger("limits").warning("limits_are_counted_by_each_worker", workers=settings.server.workers)
    async with open_limiter(
        settings.storage.redis_url.get_secret_value(),
        prefix=said.key_prefix,
        lease_seconds=said.lease_seconds,
        answer_seconds=said.store_timeout_ms / 1000,
        clock_us=monotonic_us,
        new_id=new_id,
        on_change=_told(logs, said.when_store_is_down),
    ) as limiter:
        yield Admission(
            calls_max=settings.server.calls_max,
            limits=Limits(
                tiers,
                byok=_speeds(said.byok),
                anonymous=_speeds(said.anonymous),
                acts={"key_checks": said.key_checks_rpm, "key_changes": said.key_changes_rpm},
            ),
            limiter=limiter,
            when_store_is_down=said.when_store_is_down,
            on_skipped=metrics.limit_skipped,
            on_refused=watch.violated,
            clock_us=clock_us,
        )


def _speeds(said: LimitSettings) -> Speeds:
    return Speeds(rpm=said.rpm, tpm=said.tpm, concurrent=said.concurrent)


def _told(logs: Logs, policy: str) -> Callable[[str | None], None]:
    """One line when the store is lost and one when it is back, however many calls come in between."""
    problems = logs.logger("limits")

    def told(problem: str | None) -> None:
        if problem is None:
            problems.warning("limit_store_is_back")
        else:
            problems.error("limit_store_is_down", problem=problem, limits_fail=policy)

    return told
