"""A vendor's stream on its way through to a client of the same vendor: whole events, as they were. What they mean is not read.

An error inside the stream is held back, because the client hears of it as a fault of ours, free of keys and addresses. What the
vendor says after it is held back, too: an SDK would take the end of the stream for the end of a whole answer.
"""

from collections.abc import Callable
from typing import Final

from methods.dialects.sse import EventReader

_ERROR: Final = b'"error"'
_BLANK: Final = b"\n\n"

Change = Callable[[bytes], bytes]
"""Takes the data of one event; gives it as the client shall have it, empty for not at all."""


class EventPasser:
    """Implements `methods.dialects.base.Passer`. `change` looks at events that hold one of the `marks`; all others pass."""

    __slots__ = ("_change", "_ending", "_has_ended", "_has_failed", "_is_error", "_marks", "_reader")

    def __init__(
        self,
        *,
        change: Change | None = None,
        marks: tuple[bytes, ...] = (),
        is_error: Callable[[bytes | None, bytes], bool],
        ending: bytes = b"",
    ) -> None:
        """`is_error` takes name and data of an event that speaks of an error. `ending`: what the stream must end with."""
        self._reader = EventReader()
        self._change = change
        self._marks = (_ERROR, b"\r", b"\n:", *marks)
        self._is_error = is_error
        self._ending = ending
        self._has_ended = not ending
        self._has_failed = False

    def feed(self, data: bytes) -> bytes:
        """What the client may have now. Raises: ValueError for an event that is too large."""
        reader = self._reader
        is_whole = reader.is_between and data.endswith(_BLANK) and data.startswith((b"data: ", b"event: "))
        if is_whole and not self._has_failed and not any(mark in data for mark in self._marks):
            self._has_ended = self._has_ended or self._ending in data
            return data
        return b"".join([self._framed(name, payload) for name, payload in reader.feed(data)])

    def close(self) -> bytes:
        """The ending, if the vendor has not sent it."""
        return b"" if self._has_ended else self._ending

    def _framed(self, name: bytes | None, payload: bytes) -> bytes:
        if (_ERROR in payload or name == b"error") and self._is_error(name, payload):
            self._has_ended = self._has_failed = True
        if self._has_failed:
            return b""
        if self._change is not None:
            payload = self._change(payload)
            if not payload:
                return b""
        lines = b"".join([b"data: %b\n" % line for line in payload.split(b"\n")])
        framed = (b"" if name is None else b"event: %b\n" % name) + lines + b"\n"
        self._has_ended = self._has_ended or self._ending in framed
        return framed
