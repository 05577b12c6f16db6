"""Jobs run again and again, survive their own failures and end with their block."""

import asyncio

from server.jobs import Job, running


async def test_a_job_runs_again_after_a_failure_and_ends_with_its_block() -> None:
    runs = 0
    failures: list[str] = []
    thrice = asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            thrice.set()
        if runs == 1:
            raise ValueError("once")

    async with asyncio.timeout(30):
        async with running([Job("work", 0.001, work)], on_failure=lambda name, _: failures.append(name)):
            await thrice.wait()
    ended = runs
    for _ in range(20):
        await asyncio.sleep(0)
    assert runs == ended
    assert failures == ["work"]


async def test_a_job_that_hangs_does_not_hold_up_the_end() -> None:
    begun = asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(30):
        async with running([Job("hang", 0.001, hang)], on_failure=lambda *_: None):
            await begun.wait()


async def test_a_job_that_answers_its_cancellation_with_another_exception_ends_all_the_same() -> None:
    begun, failures = asyncio.Event(), []

    async def stubborn() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise TimeoutError from None

    async with asyncio.timeout(30):
        async with running([Job("stubborn", 0, stubborn)], lambda name, _: failures.append(name)):
            await begun.wait()
    assert failures == ["stubborn"]
