"""Tokens that a month left unused and the next one may use, up to the tier's cap (R24): the ledger decides, this asks.

Only a month in which something was claimed leaves anything: of one without any call nothing shows that it was paid for.
"""

from monetization.periods import start_of
from monetization.tiers import Tier
from storage.ledger.windows import left_over
from storage.records.commands import Carry
from storage.records.ledger import WindowKey, WindowView
from storage.store import Counters


def carry_of(tier: Tier, window: WindowKey) -> Carry | None:
    """What a month's window of tokens takes over from the month before; None where nothing rolls over."""
    if not tier.rollover_max_tokens:
        return None
    tenant, subject, resource, period, start_us = window
    before = WindowKey(tenant, subject, resource, period, start_of("monthly", start_us - 1))
    return Carry(before, tier.rollover_max_tokens)


async def carried_into(store: Counters, window: WindowView, carry: Carry | None) -> int:
    """What a window has taken over, or would with its first claim. Raises: StorageUnavailable."""
    if window.carried is not None or carry is None:
        return window.carried or 0
    return left_over(await store.window(carry.window), carry.most)
