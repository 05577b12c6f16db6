"""A vendor's event stream on its way to that vendor's client: bytes that are finished elsewhere. It renders nothing."""

from collections.abc import Sequence
from typing import ClassVar

from methods.dialects.canonical import Passed
from methods.dialects.sse import EventReader
from methods.progress import Progress


class PassedWire:
    """Gives the bytes on; `seq` counts what was sent. It keeps how the stream began and what came last, both whole events."""

    media_type: ClassVar[bytes] = b"text/event-stream"

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

    def end(self, frame: bytes = b"") -> bytes:
        """What the stream ends with; `frame`: an error's event."""
        return frame


class ArrayWire(PassedWire):
    """The same events as one JSON array that grows, as Google streams to clients that ask for no events."""

    media_type = b"application/json"

    def __init__(self) -> None:
        super().__init__()
        self._reader = EventReader()
        self._before = b"["

    def render(self, items: Sequence[Progress]) -> list[bytes]:
        """The bytes of these items."""
        return [self._grown(data) for data in super().render(items)]

    def end(self, frame: bytes = b"") -> bytes:
        """The last item, if there is one, and the array's end."""
        return self._grown(frame) + (b"[]" if self._before == b"[" else b"]")

    def _grown(self, data: bytes) -> bytes:
        grown = b""
        for _, payload in self._reader.feed(data):
            grown += self._before + payload
            self._before = b",\r\n"
        return grown
