"""What a cancelled call leaves behind: nothing that only the garbage collector could take away."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from monetization.finishing import again, to_the_end


class Kept:
    """Something that a frame of the call holds."""


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("is_lost", [False, True])
async def test_who_leaves_while_something_is_finished_leaves_no_circle(*, is_lost: bool) -> None:
    """`is_lost`: what was to be finished fails as well."""
    begun, gate = asyncio.Event(), asyncio.Event()
    seen: list[weakref.ref[Kept]] = []

    async def work() -> None:
        begun.set()
        await gate.wait()
        if is_lost:
            raise ValueError("lost")

    async def call() -> None:
        kept = Kept()
        seen.append(weakref.ref(kept))
        _, left = await to_the_end(work())
        assert left is not None
        assert left.__traceback__ is None  # it would hold a frame that holds it
        raise again(left)

    running = asyncio.create_task(call())
    await asyncio.wait_for(begun.wait(), 30)
    running.cancel()
    gate.set()
    done, _ = await asyncio.wait([running], timeout=30)
    assert done
    assert running.cancelled()
    del running, done, _
    assert seen[0]() is None
