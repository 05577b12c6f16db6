"""Many blocks under one timer: each ends at its own time, and nobody else's cancellation is taken for that."""

import asyncio

import pytest

from methods.deadlines import Deadlines


async def test_each_block_ends_at_its_own_time() -> None:
    deadlines, ended = Deadlines(0.05), []
    loop = asyncio.get_running_loop()

    async def block(name: str, start: float) -> None:
        await asyncio.sleep(start)
        began = loop.time()
        with pytest.raises(TimeoutError), deadlines.bound():
            await asyncio.Event().wait()
        ended.append((name, loop.time() - began))

    async with asyncio.timeout(30):
        await asyncio.gather(block("second", 0.03), block("first", 0))
    assert [name for name, _ in ended] == ["first", "second"]
    assert all(lasted >= 0.049 for _, lasted in ended)
    assert not deadlines.running


async def test_a_block_that_is_left_in_time_is_forgotten_and_the_next_one_still_ends() -> None:
    deadlines = Deadlines(0.05)
    with deadlines.bound():
        await asyncio.sleep(0)
    assert not deadlines.running
    async with asyncio.timeout(30):
        for _ in range(2):
            with pytest.raises(TimeoutError), deadlines.bound():
                await asyncio.Event().wait()


async def test_another_cancellation_stays_one_even_when_both_come() -> None:
    deadlines = Deadlines(0.02)
    waiting = asyncio.Event()

    async def block() -> None:
        with deadlines.bound():
            waiting.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)

    for seconds in (0.0, 0.02):
        waiting.clear()
        task = asyncio.create_task(block())
        async with asyncio.timeout(30):
            await waiting.wait()
            if seconds:
                deadlines.look()
                next(iter(deadlines.running)).end()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert not deadlines.running
