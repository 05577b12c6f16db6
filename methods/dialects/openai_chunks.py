"""Reads runs of stream chunks that differ in nothing but their text, all at once. What any other chunk means is unknown here."""

import sys
from typing import Final

import orjson

_NAME: Final = b'"content":'
_BEGIN: Final = b"data: "
_END: Final = b"\n\n"
_EXAMPLES_MAX: Final = 8


class SameChunks:
    """Knows the bytes around the text of one chunk, and finds the run of events in which only the text is another.

    That is exact: a JSON text keeps its meaning when one of its strings is replaced by another string, and no string holds the
    bare line feeds that end an event.
    """

    __slots__ = ("_after", "_before", "_between", "_left", "size_min", "wants_example")

    def __init__(self) -> None:
        self._before = b""
        self._after = b""
        self._between = b""
        self._left = _EXAMPLES_MAX
        self.wants_example = True
        """Whether nothing was learned yet and something may be."""
        self.size_min = 1
        """Bytes below which nothing is gained here: one event alone is read as fast in the usual way."""

    def learn(self, payload: bytes, text: str) -> None:
        """Take a chunk as the example; this text is all that it says."""
        self._lose()
        before, _, after = payload.partition(_NAME)
        blank = b" " if after.startswith(b" ") else b""
        token = blank + orjson.dumps(text)
        # A text that is escaped in another way waits for a plainer one; a backslash could hide a second member of that name.
        if (
            not after.startswith(token)
            or b"\\" in before
            or b"\\" in after[len(token) :]
            or _NAME in after[len(token) :]
        ):
            return
        self._before = _BEGIN + before + _NAME + blank
        self._after = after[len(token) :] + _END
        self._between = self._after + self._before
        self._left = _EXAMPLES_MAX
        self.wants_example = False
        self.size_min = 2 * len(self._between)

    def split(self, data: bytes) -> tuple[bytes, list[str], bytes] | None:
        """What comes before a run of such events, their texts, and what follows. None where there is none.

        `data` begins where an event may begin.
        """
        found = self._found(data)
        if found is None:
            self._lose()
        else:
            self._left = _EXAMPLES_MAX
        return found

    def _lose(self) -> None:
        """A vendor that changes more than the text from chunk to chunk is given up after a few attempts."""
        self._left -= 1
        if self._left == 0:
            self.wants_example = False
            self.size_min = sys.maxsize

    def _found(self, data: bytes) -> tuple[bytes, list[str], bytes] | None:
        start = data.find(self._before)
        end = data.rfind(self._after)
        if start < 0 or end < start or (start > 0 and data[start - 2 : start] != _END):
            return None
        tokens = data[start + len(self._before) : end].split(self._between)
        for token in tokens:
            if len(token) < 2 or token[0] != 34 or token[-1] != 34:  # noqa: PLR2004  # a string with its two quotes
                return None
        try:
            texts = orjson.loads(b"[%b]" % b",".join(tokens))
        except orjson.JSONDecodeError:
            return None
        if len(texts) != len(tokens) or set(map(type, texts)) != {str}:
            return None
        return data[:start], texts, data[end + len(self._after) :]
