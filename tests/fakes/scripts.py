"""How the fake provider answers: well, or badly in one of many ways. Data only."""

from asyncio import Event
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Script:
    """One way to answer one request."""

    status: int = 200
    message: str = "scripted failure"
    """The words of an error reply, or of `error_after`."""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str | None = None
    """None: the one that fits."""
    body: bytes | None = None
    """Sent in place of the reply, or of the whole stream."""
    delay: float = 0.0
    """Seconds before the first byte."""
    gap: float = 0.0
    """Seconds between two events."""
    never_answers: bool = False
    cut_after: int | None = None
    """Events after which the connection is cut in the middle of the next one (of a reply: half of the body is sent)."""
    cut_before_status: bool = False
    error_after: int | None = None
    """Events after which the stream says that it failed."""
    pieces: int | None = None
    """Every write holds only this many bytes, so that characters and events are split."""
    is_endless: bool = False
    """The stream repeats its text until the client leaves."""
    hangs_after: int | None = None
    """Events after which nothing more comes, with the connection open."""
    waits: Event | None = None
    """Set by the test when a stream may go on after its first events."""
    waits_after: int = 3
    """How many those are."""
    turns: tuple["Script", ...] = ()
    """Every request is answered by the next of these, over and over."""


GOOD = Script()
BUSY = Script(status=429, headers={"retry-after": "1"})

BY_MODEL: dict[str, Script] = {
    "fake-slow": Script(delay=0.2),
    "fake-slower": Script(delay=3.0),
    "fake-error-401": Script(status=401),
    "fake-error-400": Script(status=400, message="the scripted model wants nothing of this"),
    "fake-error-404": Script(status=404),
    "fake-error-429": BUSY,
    "fake-busy-then-good": Script(turns=(BUSY, GOOD)),
    "fake-error-500": Script(status=500),
    "fake-error-503": Script(status=503),
    "fake-cut": Script(cut_after=4),
    "fake-split": Script(pieces=3),
    "fake-error-midway": Script(error_after=7),
    "fake-garbage": Script(body=b"\x00\xff this is no reply {"),
    "fake-html": Script(body=b"<html><title>Bad gateway</title></html>", content_type="text/html"),
    "fake-silent": Script(never_answers=True),
    "fake-endless": Script(is_endless=True, gap=0.002),
    "fake-hanging": Script(hangs_after=4),
    "fake-redirect": Script(status=302, headers={"location": "/elsewhere"}),
    "fake-huge": Script(body=b'{"x":"' + b"x" * (17 * 1024 * 1024) + b'"}'),
}
"""Scripts chosen by the model that a request names, for clients that can choose nothing else."""
