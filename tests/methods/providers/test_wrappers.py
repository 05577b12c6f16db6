"""Retrying, the breaker, the cap and the observer around a provider made of a list."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from methods.dialects.canonical import ChatReply, TextDelta
from methods.errors import InvalidParams, ProviderFailed, ProviderTimedOut, Unauthenticated
from methods.providers import falling_back
from methods.providers.base import Ask, Batches, Provider
from methods.providers.breaker import Breaker
from methods.providers.capping import Capping
from methods.providers.observing import Observing
from methods.providers.retrying import Patience, Retrying
from methods.providers.wrapping import Stream, Wrapping
from monetization.callers import Secret
from monetization.errors import Overloaded
from monetization.terms import Target
from storage.errors import Fault
from tests.methods.providers.conftest import ask_for
from tests.methods.providers.fakes import Clock, ListProvider

ASK = ask_for()


class _Gated(ListProvider):
    """Answers when its gate opens, and counts who is inside."""

    def __init__(self) -> None:
        super().__init__("fine")
        self.gate = asyncio.Event()
        self.inside = 0
        self.most = 0

    async def complete(self, ask: Ask) -> ChatReply:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.gate.wait()
        self.inside -= 1
        return await super().complete(ask)


class _HangsSecond(ListProvider):
    """Fails once, then never answers."""

    async def complete(self, ask: Ask) -> ChatReply:
        if self.asked:
            await asyncio.Event().wait()
        return await super().complete(ask)

    @asynccontextmanager
    async def stream(self, ask: Ask) -> AsyncIterator[Batches]:
        if self.asked:
            await asyncio.Event().wait()
        async with super().stream(ask) as batches:
            yield batches


def failed(reason: str, retry_after: float | None = None) -> ProviderFailed:
    return ProviderFailed("no", reason=reason, retry_after_seconds=retry_after)


async def whole(provider: Provider) -> str:
    return (await provider.complete(ASK)).text


async def streamed(provider: Provider) -> str:
    texts: list[str] = []
    async with provider.stream(ASK) as batches:
        async for events in batches:
            texts.extend([event.text for event in events if isinstance(event, TextDelta)])
    return "".join(texts)


class Chained(Wrapping):
    """Several providers, each asked when those before it failed."""

    def __init__(self, chain: Sequence[tuple[Target, Provider]]) -> None:
        super().__init__(chain[0][1])
        self._chain = chain

    async def complete(self, ask: Ask) -> ChatReply:
        return await falling_back.complete(self._chain, ask, lambda _: None)

    def stream(self, ask: Ask) -> Stream:
        return falling_back.stream(self._chain, ask, lambda _: None)


Way = Callable[[Provider], Awaitable[str]]
WAYS: list[Way] = [whole, streamed]


def state_of(breaker: Breaker) -> str:
    return breaker.state


def retrying(inner: Provider, clock: Clock, *, jitter: float = 1.0, **patience: float) -> Retrying:
    made = Patience(**patience)  # type: ignore[arg-type]  # numbers of either kind
    return Retrying(inner, made, clock=clock, sleep=clock.sleep, random=lambda: jitter)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "fault",
    [
        failed("provider_unreachable"),
        failed("provider_rate_limited"),
        failed("provider_unavailable"),
        ProviderTimedOut(reason="provider_connect_timeout"),
    ],
)
async def test_what_was_surely_not_worked_on_is_asked_again_with_growing_waits(way: Way, fault: Fault) -> None:
    clock = Clock()
    inner = ListProvider(fault, fault, "fine")

    assert await way(retrying(inner, clock)) == "fine"
    assert clock.sleeps == [0.5, 1.0]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "fault",
    [
        failed("provider_disconnected"),
        failed("provider_cut"),
        failed("provider_auth"),
        failed("provider_billing"),
        failed("provider_malformed"),
        failed("provider_circuit_open"),
        ProviderTimedOut(reason="provider_timeout"),
        ProviderTimedOut(reason="provider_first_byte_timeout"),
        InvalidParams("no"),
        Unauthenticated("no"),
    ],
)
async def test_what_may_have_been_billed_or_cannot_get_better_is_asked_once(way: Way, fault: Fault) -> None:
    inner = ListProvider(fault, "fine")
    with pytest.raises(type(fault)):
        await way(retrying(inner, Clock()))

    assert len(inner.asked) == 1


async def test_a_first_byte_timeout_is_repeated_only_where_configured() -> None:
    inner = ListProvider(ProviderTimedOut(reason="provider_first_byte_timeout"), "fine")

    assert await streamed(retrying(inner, Clock(), retries_first_byte=True)) == "fine"


async def test_nothing_is_repeated_after_the_first_event() -> None:
    inner = ListProvider(["some", failed("provider_unavailable")], "fine")
    with pytest.raises(ProviderFailed):
        await streamed(retrying(inner, Clock()))

    assert len(inner.asked) == 1


async def test_attempts_end() -> None:
    inner = ListProvider(failed("provider_unavailable"))
    with pytest.raises(ProviderFailed):
        await whole(retrying(inner, Clock(), retries=3))

    assert len(inner.asked) == 4


@pytest.mark.parametrize(("seconds", "sleeps"), [(1.0, [1.0]), (1.1, [])])
async def test_nobody_waits_long_for_a_provider_while_another_one_can_be_asked(
    seconds: float, sleeps: list[float]
) -> None:
    clock, target = Clock(), Target("one", ASK.request.model, "openai")
    for way in WAYS:
        first = retrying(ListProvider(failed("provider_rate_limited", seconds), "fine"), clock, jitter=0)
        both: list[tuple[Target, Provider]] = [
            (target, first),
            (Target("two", "other", "openai"), ListProvider("other")),
        ]
        assert await way(Chained(both)) == ("fine" if sleeps else "other")
        alone = retrying(ListProvider(failed("provider_rate_limited", seconds), "fine"), Clock(), jitter=0)
        assert await way(Chained([(target, alone)])) == "fine"
    assert clock.sleeps == sleeps * len(WAYS)


async def test_retry_after_is_honoured_up_to_its_bound() -> None:
    clock = Clock()
    assert await whole(retrying(ListProvider(failed("provider_rate_limited", 3), "fine"), clock, jitter=0)) == "fine"
    assert clock.sleeps == [3]

    inner = ListProvider(failed("provider_rate_limited", 60), "fine")
    with pytest.raises(ProviderFailed) as caught:
        await whole(retrying(inner, clock))
    assert (caught.value.retry_after_seconds, len(inner.asked)) == (60, 1)


async def test_no_attempt_starts_after_the_whole_time_is_up() -> None:
    inner = ListProvider(failed("provider_rate_limited", 4), "fine")
    with pytest.raises(ProviderFailed):
        await whole(retrying(inner, Clock(), total=3))

    assert len(inner.asked) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_a_later_attempt_is_bounded_by_what_is_left(way: Way) -> None:
    with pytest.raises(ProviderTimedOut) as caught:
        await way(retrying(_HangsSecond(failed("provider_unavailable")), Clock(), total=0.55))
    assert caught.value.slug == "provider_timeout"


@pytest.mark.parametrize("way", WAYS)
async def test_the_breaker_opens_refuses_tries_one_and_closes(way: Way) -> None:
    clock = Clock()
    bad = failed("provider_unavailable")
    inner = ListProvider(bad, bad, bad, bad, "fine")
    breaker = Breaker(inner, clock=clock, failures=3, seconds=30)
    for _ in range(3):
        with pytest.raises(ProviderFailed, match="no"):
            await way(breaker)
    assert state_of(breaker) == "open"

    with pytest.raises(ProviderFailed) as caught:
        await way(breaker)
    assert (caught.value.slug, caught.value.retry_after_seconds) == ("provider_circuit_open", 30)
    assert len(inner.asked) == 3

    clock.now += 30
    assert state_of(breaker) == "half_open"
    with pytest.raises(ProviderFailed, match="no"):  # the trial fails, so it opens again
        await way(breaker)
    assert state_of(breaker) == "open"

    clock.now += 30
    assert await way(breaker) == "fine"
    assert state_of(breaker) == "closed"


@pytest.mark.parametrize(
    "fault",
    [
        Unauthenticated("no", reason="own_key_refused"),
        InvalidParams("no"),
        failed("provider_rate_limited"),
        failed("provider_forbidden"),
    ],
)
async def test_the_callers_own_mistakes_do_not_open_the_breaker(fault: Fault) -> None:
    breaker = Breaker(ListProvider(fault), clock=Clock(), failures=1)
    for way in WAYS:
        with pytest.raises(Fault):
            await way(breaker)

    assert state_of(breaker) == "closed"


async def test_an_own_account_without_money_closes_the_provider_for_nobody_else() -> None:
    unpaid = failed("provider_billing")
    for own_key, state in ((Secret("mine"), "closed"), (None, "open")):
        breaker = Breaker(ListProvider(unpaid), clock=Clock(), failures=2)
        with pytest.raises(ProviderFailed):
            await breaker.complete(ask_for(own_key=own_key))
        with pytest.raises(ProviderFailed):
            async with breaker.stream(ask_for(own_key=own_key)):
                pass
        assert state_of(breaker) == state


async def test_a_success_between_failures_starts_the_count_again() -> None:
    bad = failed("provider_unavailable")
    breaker = Breaker(ListProvider(bad, "fine", bad, "fine"), clock=Clock(), failures=2)
    for way in (whole, streamed):
        with pytest.raises(ProviderFailed):
            await way(breaker)
        await way(breaker)

    assert state_of(breaker) == "closed"


async def test_a_cancelled_trial_does_not_lock_the_breaker() -> None:
    clock = Clock()
    breaker = Breaker(_HangsSecond(failed("provider_unavailable")), clock=clock, failures=1, seconds=5)
    with pytest.raises(ProviderFailed):
        await whole(breaker)
    clock.now += 5
    trial = asyncio.create_task(whole(breaker))
    await asyncio.sleep(0)
    assert state_of(breaker) == "open"
    trial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trial

    assert state_of(breaker) == "half_open"


async def test_the_cap_lets_so_many_run_so_many_wait_and_refuses_the_rest() -> None:
    gated = _Gated()
    capping = Capping(gated, 2, waiting_max=1)
    running = [asyncio.create_task(capping.complete(ASK)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as caught:
        await capping.complete(ASK)
    assert (gated.inside, capping.running, caught.value.slug) == (2, 2, "provider_busy")

    gated.gate.set()
    await asyncio.gather(*running)
    assert (gated.most, capping.running) == (2, 0)


async def test_a_waiter_that_leaves_or_waits_too_long_keeps_no_slot() -> None:
    gated = _Gated()
    capping = Capping(gated, 1, wait_seconds=0.02)
    first = asyncio.create_task(capping.complete(ASK))
    await asyncio.sleep(0)
    leaving = asyncio.create_task(capping.complete(ASK))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    with pytest.raises(Overloaded):
        await capping.complete(ASK)

    gated.gate.set()
    await first
    assert capping.running == 0
    assert await streamed(capping) == "fine"
    assert capping.running == 0


async def test_a_slot_that_is_handed_over_while_its_waiter_is_cancelled_is_not_lost() -> None:
    gated = _Gated()
    capping = Capping(gated, 1)

    async def finish_and_cancel() -> None:
        await capping.complete(ASK)
        second.cancel()  # in the same step of the loop that handed the slot over

    first = asyncio.create_task(finish_and_cancel())
    await asyncio.sleep(0)
    second = asyncio.create_task(capping.complete(ASK))
    await asyncio.sleep(0)
    gated.gate.set()
    await first
    with pytest.raises(asyncio.CancelledError):
        await second

    assert capping.running == 0


async def test_the_observer_hears_how_every_attempt_ended() -> None:
    heard: list[tuple[str, str]] = []
    inner = ListProvider("fine", "fine", failed("provider_auth"), ["some", failed("provider_cut")])
    provider = Observing(inner, lambda name, outcome, _: heard.append((name, outcome)), Clock())
    await whole(provider)
    await streamed(provider)
    for way in WAYS:
        with pytest.raises(ProviderFailed):
            await way(provider)

    assert heard == [("one", "done"), ("one", "done"), ("one", "provider_auth"), ("one", "provider_cut")]


async def test_wrappers_say_what_the_inner_provider_says() -> None:
    provider = retrying(ListProvider("fine", name="n", kind="google"), Clock())

    assert (provider.name, provider.kind, provider.has_operator_key()) == ("n", "google", True)
