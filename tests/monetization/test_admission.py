"""Who is admitted: the process bound, the limits of a caller, and what becomes of them when a call ends in any way."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from methods.errors import ProviderFailed
from monetization.admission import Admission
from monetization.callers import Caller, Secret
from monetization.calls import Call, Credential, Siblings
from monetization.errors import NotEntitled, Overloaded, RateLimited
from monetization.limits.bounds import Limits, Speeds
from monetization.tab import Meter, Receipt
from monetization.terms import Most, Target
from monetization.tiers import Tier, Tiers
from storage.ephemeral.limiter import Limiter
from storage.ephemeral.memory import MemoryLimiter
from storage.records.usage import Usage

ADA = Caller("subscription", user_id="ada", tier="slow")
NOON = 1_795_000_000_000_000
TIERS = Tiers([Tier("slow", "Slow", rpm=3, tpm=1_000, concurrent=2), Tier("open", "Open")], default="slow")
MOST = Most((Target("openai", "plain", "openai"),), tokens_input=100, tokens_output=200)


@dataclass
class Tabbed:
    """A tab whose call has used something."""

    receipt: Receipt | None
    meter: Meter = field(default_factory=lambda: Meter(target=MOST.targets[0]))
    answer: object = None

    def watch(self, *_: object) -> None:
        return None


@dataclass
class Store:
    """A limiter that is away."""

    async def take(self, *_: object) -> None:
        return None

    async def look(self, *_: object) -> None:
        return None


@dataclass
class World:
    now: int = NOON
    skipped: int = 0
    limiter: Limiter | None = None
    when_store_is_down: str = "open"
    calls_max: int = 100

    def __post_init__(self) -> None:
        self.admission = Admission(
            calls_max=self.calls_max,
            limits=Limits(lambda: TIERS, byok=Speeds(rpm=2), anonymous=Speeds(rpm=1)),
            limiter=self.limiter or MemoryLimiter(lambda: self.now),
            when_store_is_down=self.when_store_is_down,  # type: ignore[arg-type]  # the tests name both
            on_skipped=self._skip,
            clock_us=lambda: self.now,
        )

    def _skip(self) -> None:
        self.skipped += 1

    async def call(
        self, caller: Caller = ADA, *, most: Most = MOST, used: int | None = None, ended: Exception | None = None
    ) -> None:
        """One call from beginning to end."""
        async with self.admission.admit(a_call(), caller, most) as place:
            if used is not None:
                place.tab = Tabbed(Receipt(Usage(output=used)))
            if ended is not None:
                raise ended

    async def tokens(self, caller: Caller = ADA) -> int:
        standings = await self.admission.limiter.look(self.admission.limits.bounds(caller))
        assert standings is not None
        return standings[0].tokens

    async def requests(self, caller: Caller = ADA) -> int:
        standings = await self.admission.limiter.look(self.admission.limits.bounds(caller))
        assert standings is not None
        return standings[0].requests


def a_call() -> Call:
    return Call("executeAIRequest", {}, Credential("none"), "req_1")


async def test_the_call_past_the_bound_of_the_process_is_refused_and_the_place_comes_back() -> None:
    world = World(calls_max=1)
    async with world.admission.admit(a_call(), ADA, MOST):
        with pytest.raises(Overloaded) as refused:
            await world.call()
        assert refused.value.retry_after_seconds == 1
        assert world.admission.running == 1
    assert world.admission.running == 0


async def test_a_place_comes_back_when_the_call_fails() -> None:
    world = World()
    with pytest.raises(KeyError):
        await world.call(ended=KeyError())
    assert world.admission.running == 0
    assert (await world.admission.limiter.look(world.admission.limits.bounds(ADA)) or ())[0].running == 0


async def test_a_caller_who_is_too_fast_hears_which_limit_and_when_to_come_back() -> None:
    world = World()
    for _ in range(3):
        await world.call(used=10)
    with pytest.raises(RateLimited) as refused:
        await world.call()
    assert refused.value.data == {
        "limit": 3,
        "resource": "requests",
        "subject": "user",
        "resetTime": "2026-11-18T11:07:41Z",
        "retryAfter": 61,
    }
    world.now += int(refused.value.retry_after_seconds or 0) * 1_000_000
    await world.call()


async def test_tokens_are_estimated_at_admission_and_corrected_by_what_was_used() -> None:
    world = World()
    async with world.admission.admit(a_call(), ADA, MOST) as place:
        assert await world.tokens() == 300
        place.tab = Tabbed(Receipt(Usage(input=30, output=40)))
    assert await world.tokens() == 70


async def test_more_than_was_estimated_is_counted_too() -> None:
    world = World()
    await world.call(used=1_500)
    assert await world.tokens() == 1_500


async def test_a_call_that_is_refused_further_on_takes_nothing_of_any_limit() -> None:
    world = World()
    for _ in range(5):
        with pytest.raises(NotEntitled):
            await world.call(ended=NotEntitled())
    assert (await world.tokens(), await world.requests()) == (0, 0)


async def test_a_call_whose_provider_failed_counts_as_a_request_without_tokens() -> None:
    world = World()

    async def failing() -> None:
        async with world.admission.admit(a_call(), ADA, MOST) as place:
            place.tab = Tabbed(None)
            raise ProviderFailed

    with pytest.raises(ProviderFailed):
        await failing()
    assert (await world.tokens(), await world.requests()) == (0, 1)


async def test_an_answer_that_is_given_again_uses_no_tokens() -> None:
    world = World()
    async with world.admission.admit(a_call(), ADA, MOST) as place:
        place.tab = Tabbed(Receipt(Usage(output=999)), meter=Meter())
    assert (await world.tokens(), await world.requests()) == (0, 1)


async def test_what_was_seen_is_counted_where_the_books_could_not_be_written() -> None:
    world = World()
    async with world.admission.admit(a_call(), ADA, MOST) as place:
        place.tab = tab = Tabbed(None)
        tab.meter.usage, tab.meter.is_complete = Usage(input=5, output=6), True
    assert await world.tokens() == 11


async def test_a_store_that_is_away_lets_calls_through_and_is_told_of_each() -> None:
    world = World(limiter=Store())
    for _ in range(5):
        await world.call()
    assert world.skipped == 5


async def test_a_store_that_is_away_stops_calls_where_the_operator_wants_it() -> None:
    world = World(limiter=Store(), when_store_is_down="closed")
    with pytest.raises(Overloaded) as refused:
        await world.call()
    assert (refused.value.slug, refused.value.retry_after_seconds) == ("limits_unavailable", 1)
    assert (world.skipped, world.admission.running) == (0, 0)


async def test_own_keys_and_strangers_have_sets_of_their_own() -> None:
    world = World()
    mine = ADA.bringing(Secret("sk"))
    for _ in range(2):
        await world.call(mine, used=1)
    with pytest.raises(RateLimited):
        await world.call(mine)
    await world.call(ADA, used=1)  # the plan's own limits are untouched
    stranger = Caller("anonymous", address="192.0.2.1").bringing(Secret("sk"))
    await world.call(stranger, used=1)
    with pytest.raises(RateLimited) as refused:
        await world.call(stranger)
    assert refused.value.data["subject"] == "address"
    await world.call(Caller("anonymous", address="192.0.2.2"), used=1)


async def test_an_operator_is_not_limited() -> None:
    world = World()
    for _ in range(10):
        await world.call(Caller("operator", user_id="root"))


@pytest.mark.parametrize("shown", [True, False])
async def test_the_doors_are_told_where_a_caller_stands(shown: bool) -> None:  # noqa: FBT001  # a parameter
    world = World()
    call = a_call()
    if shown:
        async with world.admission.admit(call, ADA, MOST):
            pass
    else:
        for _ in range(3):
            await world.call(used=1)
        with pytest.raises(RateLimited):
            async with world.admission.admit(call, ADA, MOST):
                pass
    tell: Callable[[], tuple[object, ...]] = call.standings[0]
    assert len(tell()) == 1


async def test_calls_of_a_batch_wait_for_a_slot_that_one_of_them_has_and_never_hold_more_than_there_are() -> None:
    world, siblings, most_at_once, running = World(), Siblings(), 0, 0
    caller = Caller("subscription", user_id="ada", tier="slow", own_limits={"user": {"rpm": 100, "tpm": 10**6}})

    async def one(number: int) -> None:
        nonlocal most_at_once, running
        async with world.admission.admit(replace(a_call(), siblings=siblings), caller, MOST):
            running += 1
            most_at_once = max(most_at_once, running)
            await asyncio.sleep(0)
            running -= 1
            if number % 3 == 0:
                raise ProviderFailed

    async with asyncio.timeout(30):
        outcomes = await asyncio.gather(*(one(number) for number in range(20)), return_exceptions=True)
    assert [number for number, outcome in enumerate(outcomes) if outcome is not None] == list(range(0, 20, 3))
    assert most_at_once == 2
    assert world.admission.running == 0


async def test_a_call_of_a_batch_does_not_wait_for_slots_that_others_have_nor_for_a_window() -> None:
    world = World()
    async with asyncio.timeout(30), world.admission.admit(a_call(), ADA, MOST):
        batch = Siblings()
        one, other, third = (replace(a_call(), siblings=siblings) for siblings in (batch, batch, Siblings()))
        async with world.admission.admit(one, ADA, MOST):  # the last slot
            with pytest.raises(RateLimited) as refused:
                await world.admission.take(third, ADA, MOST)  # of another batch, whose slots nobody has
            assert refused.value.data["resource"] == "concurrent"
        async with world.admission.admit(one, ADA, MOST):
            with pytest.raises(RateLimited) as fast:  # though a call of its batch runs
                await world.admission.take(other, ADA, MOST)
        assert fast.value.data["resource"] == "requests"


async def test_a_call_of_a_batch_that_is_cancelled_while_it_waits_leaves_nothing_behind() -> None:
    world, siblings = World(), Siblings()

    def sibling() -> Call:
        return replace(a_call(), siblings=siblings)

    async with world.admission.admit(sibling(), ADA, MOST), world.admission.admit(sibling(), ADA, MOST):
        waiting = asyncio.ensure_future(world.admission.admit(sibling(), ADA, MOST).__aenter__())
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert world.admission.running == 2
    assert world.admission.running == 0
    async with world.admission.admit(sibling(), ADA, MOST):
        assert world.admission.running == 1
