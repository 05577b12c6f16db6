"""Documents are made when they are first asked for: once, and for everyone who asks."""

import asyncio
import threading

import pytest

from server.documents import WhenAsked


class Maker:
    """Makes one number after the other; waits until it may."""

    def __init__(self, *, fails_first: bool = False) -> None:
        self.begun = 0
        self.gate = threading.Event()
        self._fails_first = fails_first

    def __call__(self) -> int:
        self.begun += 1
        assert self.gate.wait(30)
        if self._fails_first and self.begun == 1:
            raise ValueError("not yet")
        return self.begun


async def test_nothing_is_made_before_it_is_asked_for_and_then_one_for_all() -> None:
    make = Maker()
    asked = WhenAsked(make)
    assert make.begun == 0
    first, second = asyncio.create_task(asked()), asyncio.create_task(asked())
    await asyncio.sleep(0)
    make.gate.set()
    assert tuple(await asyncio.wait_for(asyncio.gather(first, second, asked()), 30)) == (1, 1, 1)
    assert make.begun == 1


async def test_who_leaves_takes_it_from_nobody_else() -> None:
    make = Maker()
    asked = WhenAsked(make)
    leaves, stays = asyncio.create_task(asked()), asyncio.create_task(asked())
    await asyncio.sleep(0)
    leaves.cancel()
    await asyncio.wait([leaves], timeout=30)
    assert leaves.cancelled()
    make.gate.set()
    assert await asyncio.wait_for(stays, 30) == 1


async def test_what_could_not_be_made_is_tried_again_by_the_next_one() -> None:
    make = Maker(fails_first=True)
    make.gate.set()
    asked = WhenAsked(make)
    with pytest.raises(ValueError, match="not yet"):
        await asyncio.wait_for(asked(), 30)
    assert await asyncio.wait_for(asked(), 30) == 2
