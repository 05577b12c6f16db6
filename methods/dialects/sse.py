"""Reads server-sent events from bytes as they arrive. Framing only: what an event means is the dialects' matter.

The rules are those of the HTML standard (part "Server-sent events"): lines end with LF, CR or CR LF; a line that begins with a
colon is a comment; several `data` lines are joined by LF; an event is complete at its blank line and never before, so one that
the end of the connection cut off is no event.
"""

from typing import Final

EVENT_BYTES_MAX: Final = 16 * 1024 * 1024
"""The greatest size of one event unless its reader is told otherwise: an image in base64 fits."""

_BOM: Final = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """One event is larger than its reader may keep; the stream cannot be read any further."""


class EventReader:
    """Turns the bytes of one stream into events, at any split. Make a new one for every stream."""

    __slots__ = ("_data", "_head", "_is_after_cr", "_max_bytes", "_name", "_pieces", "_pieces_size", "_size")

    def __init__(self, max_bytes: int = EVENT_BYTES_MAX) -> None:
        self._max_bytes = max_bytes
        self._head: bytes | None = b""
        self._is_after_cr = False
        self._pieces: list[bytes] = []
        self._pieces_size = 0
        self._name: bytes | None = None
        self._data: list[bytes] = []
        self._size = 0

    @property
    def is_between(self) -> bool:
        """Whether nothing of an event that is not complete is held, so that the next bytes may begin one."""
        return self._head is None and not (self._pieces or self._data or self._name or self._is_after_cr)

    def feed(self, data: bytes) -> list[tuple[bytes | None, bytes]]:
        """The events that these bytes complete: the name (None when the stream gave none) and the data of each.

        Raises: EventTooLarge.
        """
        if self._head is not None:
            data = self._without_bom(data)
        if self._is_after_cr or b"\r" in data:
            data = self._with_plain_line_ends(data)
        if b"\n" not in data:
            self._keep(data)
            return []
        if self._pieces:
            self._pieces.append(data)
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._pieces_size = 0
        lines = data.split(b"\n")
        rest = lines.pop()
        events = self._events(lines)
        if rest:
            self._keep(rest)
        return events

    def _events(self, lines: list[bytes]) -> list[tuple[bytes | None, bytes]]:
        """Read complete lines; what belongs to an event that is not complete yet stays behind."""
        events: list[tuple[bytes | None, bytes]] = []
        pending = self._data
        for line in lines:
            if not line:
                if pending:
                    events.append((self._name, pending[0] if len(pending) == 1 else b"\n".join(pending)))
                    pending.clear()
                self._name = None
                self._size = 0
                continue
            self._size += len(line)
            if self._size > self._max_bytes and not line.startswith(b":"):
                raise self._too_large()
            if line.startswith(b"data: "):
                pending.append(line[6:])
            else:
                self._read_field(line)
        return events

    def _read_field(self, line: bytes) -> None:
        """Any line but the usual `data: ...`. Unknown fields, `id` and `retry` mean nothing here."""
        name, _, value = line.partition(b":")
        if not name:
            self._size -= len(line)  # Comments are not kept, so any number of them is fine.
            return
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._name = value or None

    def _keep(self, piece: bytes) -> None:
        """Hold the beginning of a line until the rest of it arrives."""
        if not piece:
            return
        self._pieces.append(piece)
        self._pieces_size += len(piece)
        if self._pieces_size + self._size > self._max_bytes:
            raise self._too_large()

    def _without_bom(self, data: bytes) -> bytes:
        """The first bytes of a stream may be a byte order mark, which may itself arrive in pieces."""
        head = (self._head or b"") + data
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._head = head
            return b""
        self._head = None
        return head.removeprefix(_BOM)

    def _with_plain_line_ends(self, data: bytes) -> bytes:
        """CR and CR LF as LF. A CR ends its line at once; a LF that follows it in the next bytes belongs to it."""
        if not data:
            return data
        if self._is_after_cr:
            data = data.removeprefix(b"\n")
            self._is_after_cr = False
        if data.endswith(b"\r"):
            self._is_after_cr = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _too_large(self) -> EventTooLarge:
        return EventTooLarge(f"one event of the stream is larger than {self._max_bytes} bytes")
