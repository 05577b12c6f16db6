"""A vendor's event stream on its way to that vendor's client: bytes that are finished elsewhere. It renders nothing."""

from collections.abc import Sequence

from methods.dialects.canonical import Passed
from methods.progress import Progress


class PassedWire:
    """Gives the bytes on; `seq` counts what was sent. It keeps how the stream began and what came last, both whole events."""

    def __init__(self) -> None:
        self.seq = 0
        self.first = self.last = b""

    def render(self, items: Sequence[Progress]) -> list[bytes]:
        """The bytes of these items."""
        rendered = [item.data for item in items if isinstance(item, Passed)]
        if rendered:
            self.seq += len(rendered)
            self.first = self.first or rendered[0]
            self.last = rendered[-1]
        return rendered
