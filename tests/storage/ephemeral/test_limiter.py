"""The promises of every limiter, whatever keeps its counters."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from storage.ephemeral.limiter import STEP_US, STEPS, Bound, Pass, Refused
from storage.ephemeral.redis import Taken
from tests.storage.ephemeral.conftest import World

ADA = Bound("user", "{org:acme}user:ada", requests=3, tokens=1_000, concurrent=None)
ACME = Bound("organization", "{org:acme}organization:acme", requests=4)
SLOTS = Bound("key", "{org:acme}key:k1", concurrent=2)
MINUTE = STEPS + 1
SLACK = 100
"""Steps, ten seconds: a real store's clock goes on by itself while a busy machine takes its time."""


async def admitted(world: World, bounds: Sequence[Bound], tokens: int = 1) -> Pass:
    taken = await world.limiter.take(bounds, tokens)
    assert taken is not None
    assert not isinstance(taken, Refused), taken
    return taken


async def refused(world: World, bounds: Sequence[Bound], tokens: int = 1) -> Refused:
    found = await world.limiter.take(bounds, tokens)
    assert isinstance(found, Refused)
    return found


async def test_requests_past_the_limit_are_refused_until_the_first_have_left_the_window(world: World) -> None:
    for _ in range(3):
        await admitted(world, [ADA])
    told = await refused(world, [ADA])
    assert (told.bound, told.resource) == (ADA, "requests")
    world.advance(STEPS - SLACK)
    assert (await refused(world, [ADA])).resource == "requests"
    world.advance(SLACK + 1)
    for _ in range(3):
        await admitted(world, [ADA])


async def test_tokens_past_the_limit_are_refused(world: World) -> None:
    await admitted(world, [ADA], 400)
    await admitted(world, [ADA], 600)
    assert (await refused(world, [ADA], 1)).resource == "tokens"
    assert (await world.standing(ADA)).tokens == 1_000


async def test_all_limits_are_taken_or_none(world: World) -> None:
    both = (ADA, ACME)
    for _ in range(3):
        await admitted(world, both, 100)
    assert (await refused(world, both, 100)).bound == ADA
    assert ((await world.standing(ADA)).requests, (await world.standing(ACME)).requests) == (3, 3)
    await admitted(world, [ACME])
    assert (await refused(world, (ACME, ADA))).bound in (ACME, ADA)
    assert ((await world.standing(ADA)).requests, (await world.standing(ACME)).requests) == (3, 4)


async def test_refused_calls_use_up_nothing(world: World) -> None:
    await admitted(world, [ADA], 900)
    for _ in range(20):
        await refused(world, [ADA], 200)
    standing = await world.standing(ADA)
    assert (standing.requests, standing.tokens, standing.running) == (1, 900, 1)
    await admitted(world, [ADA], 100)


@pytest.mark.parametrize("tokens", [1, 300, 301, 700, 1_000])
async def test_a_caller_who_waits_as_long_as_told_is_admitted(world: World, tokens: int) -> None:
    for used in (300, 300, 400):
        await admitted(world, [ADA], used)
        world.advance(20)
    told = await refused(world, [ADA, ACME], tokens)
    assert told.wait_us is not None
    world.advance(told.wait_us // STEP_US)
    world.advance(1)  # the rest of a step, which only an injected clock could cut
    await admitted(world, [ADA, ACME], tokens)


async def test_the_wait_is_that_of_the_limit_that_has_room_last(world: World) -> None:
    await admitted(world, [ADA], 900)
    world.advance(100)
    other = Bound("organization", ACME.key, requests=1)
    await admitted(world, [other])
    told = await refused(world, [ADA, other], 200)
    assert told.bound == other
    assert told.wait_us is not None
    assert told.wait_us > 500 * STEP_US


async def test_more_than_a_whole_window_is_admitted_once_into_an_empty_one(world: World) -> None:
    (await admitted(world, [ADA], 1)).settle(0)
    await admitted(world, [ADA], 5_000)
    told = await refused(world, [ADA], 5_000)
    assert told.resource == "tokens"
    assert (await refused(world, [ADA], 1)).resource == "tokens"
    assert told.wait_us is not None
    world.advance(-(-told.wait_us // STEP_US))
    await admitted(world, [ADA], 5_000)


async def test_what_was_really_used_takes_the_place_of_the_estimate(world: World) -> None:
    taken = await admitted(world, [ADA], 900)
    assert (await refused(world, [ADA], 200)).resource == "tokens"
    taken.settle(50)
    await admitted(world, [ADA], 900)
    assert (await world.standing(ADA)).tokens == 950


async def test_real_usage_above_the_estimate_counts_against_the_next_call(world: World) -> None:
    (await admitted(world, [ADA], 100)).settle(1_500)
    assert (await refused(world, [ADA], 1)).resource == "tokens"


async def test_a_call_that_is_taken_back_leaves_no_trace(world: World) -> None:
    (await admitted(world, [ADA, SLOTS], 900)).undo()
    for bound in (ADA, SLOTS):
        standing = await world.standing(bound)
        assert (standing.requests, standing.tokens, standing.running) == (0, 0, 0)


async def test_a_correction_after_the_window_has_gone_changes_nothing(world: World) -> None:
    taken = await admitted(world, [ADA], 900)
    world.advance(MINUTE + 1)
    if isinstance(
        taken, Taken
    ):  # what is counted has aged, and so has the number by which this call remembers its step
        taken._answer[1] -= MINUTE + 1
    later = await admitted(world, [ADA], 100)
    taken.settle(5_000)
    standing = await world.standing(ADA)
    assert (standing.requests, standing.tokens) == (1, 100)
    later.settle(1)
    assert (await world.standing(ADA)).tokens == 1


async def test_slots_are_taken_and_come_back(world: World) -> None:
    first = await admitted(world, [SLOTS])
    await admitted(world, [SLOTS])
    told = await refused(world, [SLOTS])
    assert (told.resource, told.wait_us) == ("concurrent", None)
    first.settle(1)
    await admitted(world, [SLOTS])


async def test_a_limit_of_zero_admits_nothing_and_promises_nothing(world: World) -> None:
    for bound in (
        Bound("user", "{u}1", requests=0),
        Bound("user", "{u}2", tokens=0),
        Bound("user", "{u}3", concurrent=0),
    ):
        assert (await refused(world, [bound], 5)).wait_us is None


async def test_a_zero_limit_is_named_before_one_that_only_needs_time(world: World) -> None:
    closed = Bound("key", "{org:acme}key:off", requests=0)
    for _ in range(3):
        await admitted(world, [ADA])
    told = await refused(world, [ADA, closed])
    assert (told.bound, told.wait_us) == (closed, None)


async def test_subjects_do_not_share_counters(world: World) -> None:
    for _ in range(3):
        await admitted(world, [ADA])
    await admitted(world, [Bound("user", "{org:acme}user:bob", requests=3)])


async def test_a_subject_without_limits_is_counted_and_never_refused(world: World) -> None:
    free = Bound("user", "{user:free}")
    for _ in range(50):
        await admitted(world, [free], 10**9)
    standing = await world.standing(free)
    assert (standing.requests, standing.tokens, standing.running) == (50, 50 * 10**9, 50)


async def test_standings_tell_what_is_left_and_when_it_resets(world: World) -> None:
    taken = await admitted(world, [ADA], 250)
    (standing,) = taken.standings()
    assert (standing.bound, standing.requests, standing.tokens, standing.running) == (ADA, 1, 250, 1)
    assert STEPS * STEP_US - 5 * STEP_US < standing.reset_us <= MINUTE * STEP_US
    assert (await world.standing(ACME)).reset_us == 0


async def test_a_thousand_calls_at_once_are_admitted_exactly_up_to_the_limit(world: World) -> None:
    bound = Bound("user", "{user:crowd}", requests=137, tokens=10**9)
    other = world.another()
    taken = await asyncio.gather(*((world.limiter, other)[n % 2].take([bound], 7) for n in range(1_000)))
    assert sum(not isinstance(one, Refused) for one in taken) == 137


@pytest.mark.parametrize("limit", [7, 30])
async def test_over_ten_windows_at_three_times_the_load_nearly_all_of_the_limit_is_admitted(
    world: World, limit: int
) -> None:
    bound = Bound("user", "{user:busy}", requests=limit, tokens=limit * 100)
    offered, count, passed, began = 3 * limit, 0, 0, time.monotonic()
    for attempt in range(10 * offered):
        taken = await world.limiter.take([bound], 100)
        if not isinstance(taken, Refused):
            count += 1
        due = (attempt + 1) * STEPS // offered
        if due > passed:
            world.advance(due - passed)
            passed = due
    # A real store's clock has gone on by itself while this ran, into the eleventh window.
    more = 3 * limit * (time.monotonic() - began) / 60 + 1 if world.is_shared else 0
    assert 0.99 * 10 * limit <= count <= 10 * limit + more
