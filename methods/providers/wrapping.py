"""What every wrapper passes through unchanged. No behaviour of its own."""

from methods.providers.base import Provider
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
