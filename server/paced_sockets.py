"""WebSockets as uvicorn speaks them, one piece of what has arrived in each turn of the loop. No message is looked at here."""

from typing import Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

PIECE_BYTES: Final = 32_768
"""A piece from which on more is likely to wait behind it."""


class PacedSockets(WebSocketsSansIOProtocol):
    """Reads no second large piece of a socket before everybody else had a turn.

    The loop reads a socket up to 32 times at once, 256 KiB each, and anybody may fill that with a million empty frames and pings:
    eight seconds in which nobody else was served.
    """

    def data_received(self, data: bytes) -> None:
        """Take a piece of what has arrived."""
        super().data_received(data)
        if len(data) >= PIECE_BYTES and not self.read_paused and not self.transport.is_closing():
            self.transport.pause_reading()
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if not self.read_paused and not self.transport.is_closing():  # else what is to be served comes first
            self.transport.resume_reading()
