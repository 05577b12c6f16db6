"""What is made when it is first asked for: the documents about the server itself. What they say is not known here."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class WhenAsked(Generic[T]):
    """Makes its value once, in a thread, when somebody first asks; whoever asks meanwhile waits for the same one.

    A document takes some tenths of a second and 8 MB to make, which a server that nobody asks for it does without.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        """`make` is called in a thread, beside the loop."""
        self._make = make
        self._made: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """The value. Raises: what making it raised, and the next one who asks has it tried again."""
        if self._made is None:
            self._made = asyncio.create_task(asyncio.to_thread(self._make))
            self._made.add_done_callback(self._ended)
        return await asyncio.shield(self._made)  # who leaves takes it from nobody else

    def _ended(self, made: "asyncio.Task[T]") -> None:
        if made.cancelled() or made.exception() is not None:
            self._made = None
