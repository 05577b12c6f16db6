"""One process of several over one store, told by lines.

`take KEY LIMIT CALLS` prints how many were admitted, `hold KEY LIMIT COUNT` holds slots until it dies,
`press KEY LIMIT SECONDS PER_SECOND` asks at an even pace and prints the step of each admitted call.
"""

import asyncio
import os
import sys
from contextlib import suppress

from storage.ephemeral.limiter import Bound, Pass, Refused
from storage.ephemeral.redis import RedisLimiter, Taken


async def take(limiter: RedisLimiter, key: str, limit: int, calls: int) -> int:
    """Ask for so many calls, 50 at a time; those that are admitted end at once."""
    bound = Bound("user", key, requests=limit, tokens=limit * 100)
    admitted = 0
    asked = iter(range(calls))

    async def work() -> None:
        nonlocal admitted
        for _ in asked:
            taken = await limiter.take([bound], 100)
            assert taken is not None
            if not isinstance(taken, Refused):
                admitted += 1
                taken.settle(100)

    await asyncio.gather(*(work() for _ in range(50)))
    return admitted


async def press(limiter: RedisLimiter, key: str, limit: int, seconds: float, per_second: float) -> list[int]:
    """Ask at an even pace for so long; the server's own number of the step in which each admitted call was counted."""
    bound = Bound("user", key, requests=limit)
    loop = asyncio.get_running_loop()
    began, turn, admitted = loop.time(), 0, list[int]()
    while (now := loop.time()) < began + seconds:
        if now < began + turn / per_second:
            await asyncio.sleep(began + turn / per_second - now)
        turn += 1
        taken = await limiter.take([bound], 1)
        assert taken is not None
        if isinstance(taken, Taken):
            admitted.append(taken._answer[1])
            taken.settle(1)
    return admitted


async def main(url: str, lease_seconds: int) -> None:
    """Do what the lines say."""
    limiter = RedisLimiter(
        url, prefix="test", lease_seconds=lease_seconds, answer_seconds=5.0, new_id=lambda: f"p{os.getpid()}",
        on_change=lambda problem: print(problem, file=sys.stderr),  # noqa: T201  # the test reads it
    )  # fmt: skip
    held: list[Pass] = []
    async with limiter.open():
        print("ready", flush=True)  # noqa: T201  # same
        while line := await asyncio.to_thread(sys.stdin.readline):
            match line.split():
                case ["take", key, limit, calls]:
                    print(await take(limiter, key, int(limit), int(calls)), flush=True)  # noqa: T201  # same
                case ["press", key, limit, seconds, per_second]:
                    admitted_in = await press(limiter, key, int(limit), float(seconds), float(per_second))
                    print(*admitted_in, flush=True)  # noqa: T201  # same
                case ["hold", key, limit, count]:
                    for _ in range(int(count)):
                        taken = await limiter.take([Bound("user", key, concurrent=int(limit))], 1)
                        assert taken is not None
                        if not isinstance(taken, Refused):
                            held.append(taken)
                    print(len(held), flush=True)  # noqa: T201  # same


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1], int(sys.argv[2])))
