"""What a check of all limits of a call costs, in memory and with a real Valkey, beside the sliding window of `limits`.

That library checks one limit at a time: a call with two limits of one subject asks it twice, and takes the first even where the
second refuses.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import count

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from monetization.admission import Admission
from monetization.callers import Caller
from monetization.calls import Call, Credential
from monetization.charging.policies import DEFAULT, charge_for
from monetization.entitlements import Entitlements
from monetization.funding import sources
from monetization.limits.bounds import Limits
from monetization.terms import Most, Target, Terms
from monetization.tiers import Tier, Tiers
from storage.ephemeral.limiter import Bound, Limiter, Refused
from storage.ephemeral.memory import MemoryLimiter
from storage.ephemeral.redis import RedisLimiter
from storage.records.usage import Usage
from tests.fakes.valkey import running

MUCH = 10**9
TIER = Tier("bench", "Bench", rpm=MUCH, tpm=MUCH * 1_000, concurrent=MUCH, monthly_token_quota=MUCH * 1_000)
TIERS = Tiers([TIER], default="bench")
CALLER = Caller("subscription", user_id="ada", organization_id="acme", tier="bench")
MOST = Most((Target("openai", "plain", "openai"),), tokens_input=100, tokens_output=400)
METERED = Terms(is_metered=True)
SUBJECTS = tuple(
    Bound(kind, f"{{org:acme}}{kind}", MUCH, MUCH * 1_000, MUCH) for kind in ("user", "organization", "key")
)
CALL = Call("executeAIRequest", {}, Credential("none"), "req_bench")
AIM_US = 30


def monotonic_us() -> int:
    """The clock of counters."""
    return time.monotonic_ns() // 1000


async def cost_us(work: Callable[[], Awaitable[object]], seconds: float, callers: int = 1) -> tuple[float, float]:
    """Wall time and this process's CPU time of one turn, in microseconds."""
    turns, end = 0, time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal turns
        while time.perf_counter() < end:
            for _ in range(20):
                await work()
            turns += 20

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return (time.perf_counter() - wall) / turns * 1e6, (time.process_time() - cpu) / turns * 1e6


def taking(limiter: Limiter, subjects: int) -> Callable[[], Awaitable[None]]:
    """One call's check and end."""
    bounds = SUBJECTS[:subjects]

    async def turn() -> None:
        taken = await limiter.take(bounds, 500)
        assert taken is not None
        assert not isinstance(taken, Refused)
        taken.settle(120)

    return turn


def steps(limiter: Limiter, *, is_whole: bool) -> Callable[[], Awaitable[None]]:
    """Admission as the gateway asks for it; whole: with entitlement and the sources that pay, their quota claims among them."""
    admission = Admission(
        calls_max=MUCH,
        limits=Limits(lambda: TIERS),
        limiter=limiter,
        when_store_is_down="closed",
        on_skipped=lambda: None,
        clock_us=monotonic_us,
    )
    entitlements = Entitlements(lambda: TIERS, "off")
    charge = charge_for("allowance", DEFAULT, Usage(input=100, output=400), 1_000)

    async def turn() -> None:
        CALL.standings.clear()
        async with admission.admit(CALL, CALLER, MOST):
            if is_whole:
                entitlements.check(CALLER, METERED, MOST)
                next(iter(sources(CALLER, TIER, charge, now_us=1_795_000_000_000_000, overdraft_tokens=0)))

    return turn


def library(strategy: SlidingWindowCounterRateLimiter, limits: int) -> Callable[[], Awaitable[None]]:
    """The same number of limits, asked one after the other."""
    items = [RateLimitItemPerMinute(MUCH, namespace=f"n{number}") for number in range(limits)]

    async def turn() -> None:
        for item in items:
            assert strategy.hit(item, "acme", "ada")

    return turn


async def measure(seconds: float, show: Callable[[str], object]) -> None:
    """Every row of the table."""

    async def row(name: str, work: Callable[[], Awaitable[object]], callers: int = 1, note: str = "") -> None:
        wall, cpu = await cost_us(work, seconds, callers)
        show(f"{name:<64} {wall:8.1f} {cpu:8.1f}  {note}")

    show(f"{'microseconds a call':<64} {'wall':>8} {'CPU':>8}")
    memory = SlidingWindowCounterRateLimiter(MemoryStorage())
    await row("memory: library, 2 limits of one subject", library(memory, 2))
    await row("memory: ours, 3 limits of one subject, with settle", taking(MemoryLimiter(monotonic_us), 1))
    await row("memory: ours, 9 limits of three subjects, with settle", taking(MemoryLimiter(monotonic_us), 3))
    await row("memory: admit", steps(MemoryLimiter(monotonic_us), is_whole=False))
    whole = steps(MemoryLimiter(monotonic_us), is_whole=True)
    await row("memory: admit + entitle + quota", whole, note=f"aim: under {AIM_US}")
    with running() as valkey:
        theirs = SlidingWindowCounterRateLimiter(RedisStorage(valkey.url))
        await row("Valkey: library (blocking), 2 limits of one subject, 2 trips", library(theirs, 2))
        numbers, changes = count(1), list[str | None]()
        limiter = RedisLimiter(
            valkey.url,
            prefix="bench",
            lease_seconds=15,
            answer_seconds=5.0,
            new_id=lambda: f"p{next(numbers)}",
            on_change=changes.append,
        )
        async with limiter.open():
            await row("Valkey: ours, 9 limits of three subjects, 1 round trip", taking(limiter, 3))
            await row("Valkey: ours, the same, 32 callers", taking(limiter, 3), 32)
            await row("Valkey: admit + entitle + quota, 32 callers", steps(limiter, is_whole=True), 32)
        if changes:
            show(f"Valkey was away: {changes}")


def run(seconds: float = 2.0) -> None:
    """Print the table."""
    asyncio.run(measure(min(seconds, 1.0), lambda line: sys.stdout.write(line + "\n")))


if __name__ == "__main__":
    run()
