"""What is still heard of an answer whose caller has left: the vendor's count of it, where nothing else is missing. No money."""

import asyncio
from contextlib import suppress
from typing import Final

from methods.ai_collect import Answer
from methods.providers.base import Batches
from storage.errors import Fault

USAGE_SECONDS: Final = 2.0
"""The longest wait for a count. It comes at once behind the end of an answer, or the vendor does not send it."""


async def hear_usage(batches: Batches, answer: Answer) -> None:
    """Read a finished answer on until the vendor has counted it, for a short time, and only where it has not yet.

    What the model thought is in no other place than in this count: who leaves between the two would have it for nothing. An
    answer that is not finished is not read on, because the vendor stops working on it when its connection is closed.
    """
    if not answer.lacks_usage:
        return
    with suppress(Fault, TimeoutError):  # then it was not counted, and is estimated
        async with asyncio.timeout(USAGE_SECONDS):
            async for events in batches:
                answer.take(events)
                if not answer.lacks_usage:
                    return
