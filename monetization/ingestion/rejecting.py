"""Why one event of many is not taken: the only way in which ingestion speaks of an element that is wrong."""


class Rejected(Exception):  # not a Fault: it is one element's answer, and its neighbours go on
    """The event cannot be taken as it is. `reason` is stable; `detail` is a sentence that says what to correct."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Unrated(Rejected):
    """The event is sound and cannot be rated or ascribed now: it is kept as a dead letter until the cause is mended."""
