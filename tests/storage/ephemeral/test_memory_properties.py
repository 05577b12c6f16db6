"""For any history, with an injected clock: no window holds more than the limit, nobody is refused without a reason or misled."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from storage.ephemeral.limiter import STEP_US, WINDOW_US, Bound, Refused
from storage.ephemeral.memory import MemoryLimiter
from tests.storage.ephemeral.conftest import Clock

MOMENTS = st.one_of(
    st.integers(0, 50_000),
    st.integers(0, 5_000_000),
    st.sampled_from([STEP_US, WINDOW_US, WINDOW_US - 1, 2 * WINDOW_US]),
)
CALLS = st.lists(
    st.tuples(MOMENTS, st.integers(1, 120), st.none() | st.integers(0, 150), st.booleans()), min_size=1, max_size=60
)


@dataclass
class Admitted:
    at_us: int
    tokens: int
    is_refused_later: bool = False


def fullest(calls: list[Admitted], *, of_tokens: bool) -> int:
    """The most that any window of a minute holds; it is enough to look at those that end with a call."""
    kept = [call for call in calls if not call.is_refused_later]
    return max(
        (
            sum(c.tokens if of_tokens else 1 for c in kept if last.at_us - WINDOW_US < c.at_us <= last.at_us)
            for last in kept
        ),
        default=0,
    )


@settings(max_examples=150, deadline=None)
@given(CALLS, st.integers(1, 6), st.integers(40, 300))
async def test_no_window_ever_holds_more_than_the_limit(
    calls: list[tuple[int, int, int | None, bool]], requests: int, tokens: int
) -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock)
    bounds = [Bound("user", "{u}a", requests, tokens), Bound("organization", "{u}o", requests + 1, tokens * 2)]
    history: list[Admitted] = []
    for wait_us, estimate, used, is_refused_later in calls:
        clock.now_us += wait_us
        taken = await limiter.take(bounds, min(estimate, tokens))
        if isinstance(taken, Refused) or taken is None:
            continue
        call = Admitted(clock.now_us, min(estimate, tokens), is_refused_later)
        if is_refused_later:
            taken.undo()
        elif used is not None:
            call.tokens = min(used, call.tokens)
            taken.settle(call.tokens)
        history.append(call)
        assert fullest(history, of_tokens=False) <= requests
        assert fullest(history, of_tokens=True) <= tokens


@settings(max_examples=150, deadline=None)
@given(CALLS, st.integers(1, 6), st.integers(40, 300))
async def test_who_waits_exactly_as_long_as_told_is_admitted_and_one_step_earlier_is_not(
    calls: list[tuple[int, int, int | None, bool]], requests: int, tokens: int
) -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock)
    bounds = [Bound("user", "{u}a", requests, tokens), Bound("organization", "{u}o", requests + 1, tokens * 2)]
    for wait_us, estimate, used, _ in calls:
        clock.now_us += wait_us
        taken = await limiter.take(bounds, estimate)
        if isinstance(taken, Refused):
            assert taken.wait_us is not None
            assert 0 < taken.wait_us <= WINDOW_US + STEP_US
            clock.now_us += taken.wait_us - 1
            assert isinstance(await limiter.take(bounds, estimate), Refused)
            clock.now_us += 1
            taken = await limiter.take(bounds, estimate)
            assert not isinstance(taken, Refused)
        assert taken is not None
        if used is not None:
            taken.settle(used)


async def test_subjects_that_nobody_hears_of_any_more_are_forgotten() -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock)
    for number in range(1_000):
        taken = await limiter.take([Bound("address", f"{{ip:{number}}}", 5)], 1)
        assert taken is not None
        assert not isinstance(taken, Refused)
        taken.settle(1)
    assert limiter.subjects == 1_000
    clock.now_us += 2 * WINDOW_US
    for number in range(600):
        await limiter.take([Bound("address", f"{{ip:new-{number}}}", 5)], 1)
    assert limiter.subjects == 600


async def test_a_subject_whose_call_runs_is_not_forgotten() -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock)
    bound = Bound("user", "{u}long", concurrent=1)
    assert not isinstance(await limiter.take([bound], 1), Refused)
    clock.now_us += 5 * WINDOW_US
    for number in range(100):
        await limiter.take([Bound("address", f"{{ip:{number}}}", 5)], 1)
    assert isinstance(await limiter.take([bound], 1), Refused)
