"""Where finished log lines go: collected by the loop in no time, written by a thread, so that a slow pipe never stops a call."""

import os
import threading
from collections.abc import Callable

FLUSH_SECONDS = 0.05
FLUSH_BYTES = 64 * 1024
HELD_BYTES_MAX = 16 * 1024 * 1024


class LineWriter:
    """Writes lines to a file descriptor in the order they came.

    A line is written within 50 ms, sooner when 64 KiB wait, at once when it is urgent. While nobody reads the other end, at most
    16 MiB are held; then lines are dropped and counted. The descriptor stays the caller's.
    """

    def __init__(self, descriptor: int, *, on_dropped: Callable[[int], None] = lambda _: None) -> None:
        """`on_dropped` hears how many lines found no room, from whichever thread lost them."""
        self._descriptor = descriptor
        self._on_dropped = on_dropped
        self._lines: list[bytes] = []
        self._held_bytes = 0
        self.dropped = 0
        """Lines that found no room."""
        self._is_closed = False
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, line: bytes, *, is_urgent: bool = False) -> None:
        """Take a line that ends with a line feed. Never blocks."""
        if self._held_bytes > HELD_BYTES_MAX:
            self._drop(1)
            return
        self._lines.append(line)
        self._held_bytes += len(line)
        if is_urgent or self._held_bytes > FLUSH_BYTES or self._is_closed:
            self._hurry.set()
        if self._is_closed:
            self.flush()
        elif not self._wake.is_set():
            self._wake.set()

    def flush(self) -> None:
        """Write everything that waits, now and in this thread."""
        with self._writing:
            lines, self._lines = self._lines, []
            self._held_bytes = 0
            waiting = memoryview(b"".join(lines))
            try:
                while waiting:
                    waiting = waiting[os.write(self._descriptor, waiting) :]
            except OSError:
                self._drop(len(lines))  # the reader is gone; the service goes on without its log

    def close(self) -> None:
        """Write what waits and end the thread. A line that comes later is written at once."""
        self._is_closed = True
        self._hurry.set()
        self._wake.set()
        self._thread.join(timeout=5)
        self.flush()

    def _drop(self, lines: int) -> None:
        self.dropped += lines
        self._on_dropped(lines)

    def _run(self) -> None:
        while not self._is_closed:
            self._wake.wait()
            self._hurry.wait(FLUSH_SECONDS)
            self._wake.clear()
            self._hurry.clear()
            self.flush()
