"""Many alarms under one timer: each rings once, at its own time, unless it was cleared."""

import asyncio

from monetization.alarms import Alarms


class Sleeper:
    def __init__(self, rung: list[str], name: str) -> None:
        self.rung = rung
        self.name = name
        self.rung_at = 0.0
        self.awake = asyncio.Event()

    def ring(self) -> None:
        self.rung.append(self.name)
        self.rung_at = asyncio.get_running_loop().time()
        self.awake.set()


async def test_they_ring_in_their_order_and_not_before_their_time() -> None:
    alarms, rung = Alarms(0.03), list[str]()
    loop = asyncio.get_running_loop()
    first, second = Sleeper(rung, "first"), Sleeper(rung, "second")
    set_at = [loop.time()]
    alarms.set(first.ring)
    await asyncio.sleep(0.01)
    set_at.append(loop.time())
    alarms.set(second.ring)
    async with asyncio.timeout(30):
        await first.awake.wait()
        await second.awake.wait()
    assert all(each.rung_at - at >= 0.0295 for each, at in zip((first, second), set_at, strict=True))
    assert rung == ["first", "second"]
    assert len(alarms) == 0


async def test_what_was_cleared_does_not_ring_and_what_was_set_again_rings_later() -> None:
    alarms, rung = Alarms(0.03), list[str]()
    cleared, again, last = (Sleeper(rung, name) for name in ("cleared", "again", "last"))
    for each in (cleared, again, last):
        alarms.set(each.ring)
    alarms.clear(cleared.ring)
    alarms.clear(cleared.ring)
    alarms.set(again.ring)
    async with asyncio.timeout(30):
        await again.awake.wait()
    assert rung == ["last", "again"]


async def test_an_alarm_that_is_set_when_all_have_rung_rings_too() -> None:
    alarms, rung = Alarms(0.01), list[str]()
    for name in ("one", "two"):
        each = Sleeper(rung, name)
        alarms.set(each.ring)
        async with asyncio.timeout(30):
            await each.awake.wait()
    assert rung == ["one", "two"]


async def test_one_may_set_itself_again_while_it_rings() -> None:
    alarms = Alarms(0.005)
    times = 0
    enough = asyncio.Event()

    def ring() -> None:
        nonlocal times
        times += 1
        if times == 3:
            enough.set()
        else:
            alarms.set(ring)

    alarms.set(ring)
    async with asyncio.timeout(30):
        await enough.wait()
    assert times == 3
    assert len(alarms) == 0


async def test_one_that_raises_is_told_of_and_keeps_no_other_waiting() -> None:
    alarms, rung, told = Alarms(0.01), list[str](), list[str]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(repr(context["exception"])))
    last = Sleeper(rung, "last")

    def broken() -> None:
        raise ValueError("broken")

    alarms.set(broken)
    alarms.set(last.ring)
    async with asyncio.timeout(30):
        await last.awake.wait()
    assert told == ["ValueError('broken')"]


async def test_one_that_rings_can_still_clear_another_whose_time_has_come() -> None:
    alarms, rung = Alarms(0.01), list[str]()
    second, third = Sleeper(rung, "second"), Sleeper(rung, "third")
    alarms.set(lambda: alarms.clear(second.ring))
    alarms.set(second.ring)
    alarms.set(third.ring)
    async with asyncio.timeout(30):
        await third.awake.wait()
    assert rung == ["third"]
