"""The periodic sweep: holds and lots whose time has come. The sweep at start is the store's own."""

import asyncio
import logging

from storage.errors import StorageUnavailable
from storage.store import Store

log = logging.getLogger(__name__)


async def keep_sweeping(store: Store, *, every_seconds: float) -> None:
    """Sweep for ever; the owner cancels it. A store that is down is tried again at the next turn."""
    while True:
        await asyncio.sleep(every_seconds)
        try:
            await store.sweep()
        except StorageUnavailable:
            log.warning("the sweep of expired holds was skipped: the store is unavailable")
