"""A vendor's event stream on its way to that vendor's client: bytes that are finished elsewhere. It renders nothing."""

from collections.abc import Sequence

from methods.dialects.canonical import Passed
from methods.progress import Progress


class PassedWire:
    """Gives the bytes on; `seq` counts what was sent."""

    def __init__(self) -> None:
        self.seq = 0

    def render(self, items: Sequence[Progress]) -> list[bytes]:
        """The bytes of these items."""
        rendered = [item.data for item in items if isinstance(item, Passed)]
        self.seq += len(rendered)
        return rendered
