"""What every wrapper passes through unchanged. No behaviour of its own."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from methods.providers.base import Batches, Provider
from monetization.callers import Secret


class Wrapping:
    """A provider around another one; subclasses say how it answers."""

    def __init__(self, inner: Provider) -> None:
        self.inner = inner
        self.name = inner.name
        self.kind = inner.kind

    def has_operator_key(self) -> bool:
        """Whether the operator gave a key."""
        return self.inner.has_operator_key()

    async def check_key(self, key: Secret) -> bool:
        """Whether the vendor takes this key; asked once, with no retries."""
        return await self.inner.check_key(key)


Stream = AbstractAsyncContextManager[Batches]


class WrappedStream(AbstractAsyncContextManager[Batches]):
    """One stream of a wrapper around the inner one; subclasses add to entering and leaving.

    A class, since generators as context managers cost a stream 5 us each, and it goes through all wrappers.
    """

    __slots__ = ("_inner",)

    def __init__(self, inner: Stream) -> None:
        self._inner = inner

    async def __aenter__(self) -> Batches:
        return await self._inner.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._inner.__aexit__(kind, error, trace)


class FirstStream(AbstractAsyncContextManager[Batches]):
    """The first stream that begins, of those that `begin` tries; it gives back the stream and what entering it gave."""

    __slots__ = ("_begin", "_stream")

    def __init__(self, begin: Callable[[], Awaitable[tuple[Stream, Batches]]]) -> None:
        self._begin = begin
        self._stream: Stream | None = None

    async def __aenter__(self) -> Batches:
        self._stream, batches = await self._begin()
        return batches

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._stream is not None, "it is left only after it was entered"
        return await self._stream.__aexit__(kind, error, trace)
