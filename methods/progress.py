"""What a running method says before its result. Doors render these; handlers only hand them on."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from methods.dialects.canonical import Passed, ReasoningDelta, TextDelta, ToolCallDelta, UsageSeen


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The provider has begun to answer."""

    model: str
    provider: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something worth telling a person, such as a fallback that was taken."""

    text: str


Progress: TypeAlias = RunStarted | TextDelta | ReasoningDelta | ToolCallDelta | UsageSeen | Notice | Passed
"""`Passed` comes on the vendors' own doors, and nothing else there."""
ProgressSink: TypeAlias = Callable[[Sequence[Progress]], Awaitable[None]]
"""Takes what has arrived since the last time. Awaiting it is the back-pressure of a slow client."""
