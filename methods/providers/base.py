"""The protocol of a provider. Retrying, capping and falling back are other objects of the same protocol."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from methods.dialects.base import Original
from methods.dialects.canonical import ChatReply, ChatRequest, Passed, StreamEvent
from methods.dialects.once import Once
from monetization.callers import Secret
from storage.records.fact import fact


@fact
class Ask:
    """One request on its way to a provider, with what the wire needs besides its content."""

    request: ChatRequest
    request_id: str
    own_key: Secret | None = None
    """The caller's own key; None uses the operator's."""
    traceparent: str | None = None
    is_private: bool = False
    """It carries a prompt of the server's own, which the vendor's words about the request could repeat: they are not shown."""
    original: Original | None = None
    """The request as a vendor's client wrote it: a provider of the same language gets that, and its reply comes back as it is."""
    is_last: bool = True
    """False: somebody else is asked when this provider fails, so a long wait for it is not worth while."""
    once: Once | None = None
    """What is asked for, where it is no chat; `request` then only names the model."""


Batches = AsyncIterator[Sequence[StreamEvent | Passed]]
"""Each item holds the events of one read. Of a provider that speaks the client's own language, `Passed` comes last in each."""


class Provider(Protocol):
    """Something that answers an `Ask`.

    Raises, from both methods: ProviderFailed, ProviderTimedOut, InvalidParams (the request cannot be said in the vendor's
    dialect), Unauthenticated (the caller's own key was refused). Cancelling closes the connection upstream at once.
    """

    name: str
    kind: str

    async def complete(self, ask: Ask) -> ChatReply:
        """The whole answer at once."""
        ...

    def stream(self, ask: Ask) -> AbstractAsyncContextManager[Batches]:
        """The answer as it arrives; each item holds the events of one read.

        Entering waits for the upstream status and the first event, so that what fails before any output fails there.
        A `VendorError` inside the stream is raised as a fault, never yielded.
        """
        ...

    def has_operator_key(self) -> bool:
        """Whether the operator gave a key (the simulator needs none and says True)."""
        ...

    async def check_key(self, key: Secret) -> bool:
        """Whether the vendor takes this key, found out at no cost. Raises: ProviderFailed, ProviderTimedOut."""
        ...
