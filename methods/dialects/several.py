"""Which of several answers that arrive beside one another have begun, and whether all of them have ended. No vendor's words."""

from methods.dialects.canonical import Json


class Answers:
    """The answers of one stream. Where one was asked for, whatever arrives is the same one."""

    __slots__ = ("_begun", "_count", "_ended")

    def __init__(self, count: int) -> None:
        self._count = count
        self._begun: set[int] = set()
        self._ended: set[int] = set()

    def heard(self, index: Json, *, is_end: bool) -> bool:
        """Take note of an answer's piece. Whether it is an end, and all that have begun have ended."""
        if self._count == 1:
            return is_end
        place = index if isinstance(index, int) else 0
        self._begun.add(place)
        if is_end:
            self._ended.add(place)
        return is_end and self._begun == self._ended
