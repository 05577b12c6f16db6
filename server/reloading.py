"""Reading the tiers again while the server runs: from the file it started with, on SIGHUP and when the file was written.

Only `[tiers]` and the keys of `[charging]` that shape tiers follow the file; everything else waits for a restart and is named.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP
from threading import current_thread, main_thread

from monetization.tier_checks import ModelCosts, warnings
from monetization.tiers import Tiers
from monetization.tiers_in_force import Read, Reload, TiersInForce, Unreadable
from server.config import ConfigError, Settings
from server.describe import catalog_of
from server.from_settings import gates_of, tiers_of
from server.logs import Logs
from server.metrics import Metrics

FOLLOWED = frozenset({"tiers"})
"""Sections that a reload puts in force whole."""
FOLLOWED_CHARGING = frozenset({"default_tier", "tier_order", "policy"})
"""Keys of `[charging]` that a reload puts in force: they shape tiers."""


ModelCostsOf = Callable[[Settings], ModelCosts]
"""What the models of a tier cost, by the settings that name them."""


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """The configuration file as the source of tiers."""

    started: Settings
    """What the server started with: what a reload does not put in force is compared with it."""
    costs: ModelCostsOf

    def read(self) -> Read:
        """Read everything and take the tiers. Raises: Unreadable."""
        try:
            now = self.started.reread()
            tiers = tiers_of(now)
            for settings in (self.started, now):  # the gates that stand, and those that a restart would bring
                gates_of(settings, catalog_of(settings), tiers)
        except ConfigError as wrong:
            # The origin is left out: it is a path of this machine, and admins ask from elsewhere.
            raise Unreadable(": ".join(part for part in (wrong.key, wrong.problem) if part)) from None
        return Read(tiers, self.warnings(now, tiers), tuple(_waiting(self.started, now)))

    def warnings(self, settings: Settings, tiers: Tiers) -> tuple[str, ...]:
        """What is allowed but probably not meant."""
        return tuple(warnings(tiers, providers=tuple(settings.providers), costs=self.costs(settings)))

    def stamp(self) -> object:
        """When the file was written, and which file it is; None without one, or while it is being replaced."""
        return None if self.started.file is None else _stamp(self.started.file)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _waiting(before: Settings, now: Settings) -> Iterator[str]:
    for name in type(before).model_fields:
        old, new = getattr(before, name), getattr(now, name)
        if name in FOLLOWED or old == new:
            continue
        if name == "charging" and old.model_dump(exclude=set(FOLLOWED_CHARGING)) == new.model_dump(
            exclude=set(FOLLOWED_CHARGING)
        ):
            continue
        yield name


@contextmanager
def open_tiers(settings: Settings, costs: ModelCostsOf, *, logs: Logs, metrics: Metrics) -> Iterator[TiersInForce]:
    """The tiers of the file while the block runs; every reload is logged and counted. Raises: ConfigError."""
    problems = logs.logger("tiers")

    def warn(found: Sequence[str]) -> None:
        for warning in found:
            problems.warning("tier_warning", problem=warning)

    def told(reload: Reload) -> None:
        metrics.tiers_reloaded(is_done=reload.is_done)
        if reload.problem is not None:
            problems.error("tiers_reload_refused", problem=reload.problem)
            return
        problems.info("tiers_reloaded", changed=reload.changed, needs_restart=reload.waiting)
        warn(reload.warnings)

    file = SettingsFile(settings, costs)
    tiers = tiers_of(settings)
    warn(file.warnings(settings, tiers))
    in_force = TiersInForce(tiers, file)
    in_force.tell(told)
    with on_hangup(in_force.reload):
        yield in_force


@contextmanager
def on_hangup(reload: Callable[[], object]) -> Iterator[None]:
    """Call `reload` on SIGHUP while the block runs. Elsewhere than in the main thread signals are not ours to take."""
    if current_thread() is not main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(SIGHUP, reload)
    try:
        yield
    finally:
        loop.remove_signal_handler(SIGHUP)
