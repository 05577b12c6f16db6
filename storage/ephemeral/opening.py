"""Which limiter a configuration comes to. The Redis library is loaded only where an address is given."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from storage.ephemeral.limiter import Limiter
from storage.ephemeral.memory import MemoryLimiter
from storage.errors import StoreRefused

_NO_EXTRA: Final = "needs the extra 'redis'; in this project's folder: pip install -e '.[redis]'"


@asynccontextmanager
async def open_limiter(
    url: str,
    *,
    prefix: str,
    lease_seconds: int,
    answer_seconds: float,
    clock_us: Callable[[], int],
    new_id: Callable[[], str],
    on_change: Callable[[str | None], None],
) -> AsyncIterator[Limiter]:
    """The counters at an address, or those of this process for an empty one; a store that is away is no reason not to start.

    `clock_us`: microseconds that never run backwards, for the counters of this process. For the rest see `RedisLimiter`.
    Raises: StoreRefused when the library for Redis is not installed.
    """
    if not url:
        yield MemoryLimiter(clock_us)
        return
    try:
        from storage.ephemeral.redis import RedisLimiter  # noqa: PLC0415  # an extra, and heavy
    except ModuleNotFoundError as missing:
        raise StoreRefused(f"storage.redis_url: {_NO_EXTRA}") from missing
    limiter = RedisLimiter(
        url,
        prefix=prefix,
        lease_seconds=lease_seconds,
        answer_seconds=answer_seconds,
        new_id=new_id,
        on_change=on_change,
    )
    async with limiter.open():
        yield limiter


async def probe(url: str) -> str | None:
    """What keeps an address from serving as the store of limits, in words without the address; None: it answers as it should.

    The caller bounds the time. Raises: OSError, TimeoutError when it is not reached at all.
    """
    try:
        from storage.ephemeral.wire import RedisError, connect  # noqa: PLC0415  # an extra, and heavy
    except ModuleNotFoundError:
        return _NO_EXTRA
    try:
        wire = await connect(url)
    except RedisError as refused:
        return f"it does not serve ({type(refused).__name__}); check user, password and what listens there"
    await wire.close()
    return None
