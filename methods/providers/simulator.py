"""The simulator: a provider that needs no key and no network. Its words come from the prompt, its usage from its words.

Counting rule: one token is one run of characters between blanks. Input counts the system prompt, every text, tool result and
tool call of the conversation and the tools' names; output counts the words of the answer, reasoning those of the thinking.

Text: English-looking sentences chosen by a hash of model and conversation, so the same request gives the same answer and another
one another. An answer has 24 to 87 words, or fewer: `max_tokens` cuts it (finish reason `length`), and so does a stop sequence.

What else happens is chosen by the model's name, `simulator` plus any of these words, or by `[simulate WORDS]` in the last
message:

- `fast` no delay (the default); `slow` 2 s before the first word; `slow-stream` 0.05 s before each piece
- `long` exactly `max_tokens` words
- `reasoning` thinks first; `tools` calls the first tool (also when the request demands one)
- `cut` breaks off in the middle; `overloaded` fails in the middle; `error-STATUS` fails at once with that HTTP status
- `no-usage` reports no usage
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NoReturn

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import (
    ChatReply,
    ChatRequest,
    Finished,
    Reasoning,
    ReasoningDelta,
    Started,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    UsageSeen,
    VendorError,
)
from methods.dialects.crossing import own_field
from methods.providers import faults
from methods.providers.base import Ask, Batches
from methods.providers.simulator_once import once_answer
from methods.providers.simulator_text import answer_to, last_text, pieces
from monetization.callers import Secret

MODELS: Final = (
    "simulator",
    "simulator-fast",
    "simulator-slow",
    "simulator-slow-stream",
    "simulator-long",
    "simulator-reasoning",
    "simulator-tools",
    "simulator-cut",
    "simulator-overloaded",
    "simulator-no-usage",
    "simulator-error-429",
    "simulator-error-500",
)
"""The names that are listed; any `simulator-WORDS` works where the configuration names no models."""

_DIRECTIVE: Final = re.compile(r"\[simulate ([a-z0-9 -]{1,80})\]")
_ERROR: Final = re.compile(r"error-([45]\d\d)")
_KINDS: Final = {400: "invalid_request", 401: "authentication", 404: "not_found", 429: "rate_limit", 529: "overloaded"}


@dataclass(frozen=True, slots=True)
class Script:
    """How one answer is given. Times are in seconds."""

    first_delay: float = 0.0
    piece_delay: float = 0.0
    status: int = 200
    fails_midway: str | None = None
    """`cut` or `overloaded`."""
    is_long: bool = False
    thinks: bool = False
    calls_tool: bool = False
    counts: bool = True


_PLAIN: Final = Script()


class Simulator:
    """Implements `methods.providers.base.Provider`. `sleep` waits seconds."""

    kind = "simulator"

    def __init__(self, name: str = "simulator", *, sleep: Callable[[float], Awaitable[object]]) -> None:
        self.name = name
        self._sleep = sleep

    def has_operator_key(self) -> bool:
        """It needs none."""
        return True

    async def check_key(self, key: Secret) -> bool:
        """Every key is good but those that begin with `bad`."""
        return not key.reveal().startswith("bad")

    async def complete(self, ask: Ask) -> ChatReply:
        """The whole answer. Raises: what the script says."""
        request = ask.request
        script = await self._begin(ask)
        if script.fails_midway is not None:
            self._fail(ask, script)
        if ask.once is not None:
            return once_answer(ask.once.asked(request.model))
        answer = answer_to(request, is_long=script.is_long, thinks=script.thinks, calls_tool=script.calls_tool)
        thoughts = (Reasoning(answer.thoughts),) if answer.thoughts else ()
        said = (ToolCall(*answer.call),) if answer.call else (Text(answer.text),)
        return ChatReply(
            model=request.model,
            parts=(*thoughts, *said),
            finish_reason=answer.finish_reason,
            usage=answer.usage if script.counts else None,
            id=f"sim-{answer.seed}",
            native_finish_reason=answer.finish_reason,
            stop_sequence=answer.stop_sequence,
        )

    @asynccontextmanager
    async def stream(self, ask: Ask) -> AsyncIterator[Batches]:
        """The same answer in pieces of a few words. Raises: what the script says, in the middle or before it."""
        script = await self._begin(ask)
        batches = self._batches(ask, script)
        try:
            yield batches
        finally:
            await batches.aclose()

    async def _begin(self, ask: Ask) -> Script:
        request = ask.request
        if request.answers > 1:
            why = Untranslatable(own_field("answers", request), "the simulator gives one answer; leave it out")
            raise faults.untranslatable(self.name, why)
        script = script_of(request)
        if script.first_delay:
            await self._sleep(script.first_delay)
        if script.status != 200:  # noqa: PLR2004  # HTTP: fine
            self._raise(ask, script.status)
        return script

    async def _batches(self, ask: Ask, script: Script) -> AsyncGenerator[Sequence[StreamEvent]]:
        request = ask.request
        answer = answer_to(request, is_long=script.is_long, thinks=script.thinks, calls_tool=script.calls_tool)
        yield (Started(f"sim-{answer.seed}", request.model),)
        parts: list[StreamEvent] = [ReasoningDelta(piece, 0) for piece in pieces(answer.thoughts)]
        at = 1 if parts else 0
        if answer.call is not None:
            called, name, arguments = answer.call
            parts.append(ToolCallDelta(0, called, name))
            parts += [ToolCallDelta(0, arguments=piece) for piece in pieces(arguments)]
        else:
            parts += [TextDelta(piece, at) for piece in pieces(answer.text)]
        end = len(parts) if script.fails_midway is None else (len(parts) + 1) // 2
        for part in parts[:end]:
            if script.piece_delay:
                await self._sleep(script.piece_delay)
            yield (part,)
        if script.fails_midway is not None:
            self._fail(ask, script)
        last: list[StreamEvent] = [Finished(answer.finish_reason, answer.finish_reason, answer.stop_sequence)]
        if script.counts:
            last.append(UsageSeen(answer.usage))
        yield last

    def _fail(self, ask: Ask, script: Script) -> NoReturn:
        if script.fails_midway == "overloaded":
            self._raise(ask, 529)
        raise faults.failed(self.name, faults.CUT, "broke off in the middle of its answer")

    def _raise(self, ask: Ask, status: int) -> NoReturn:
        error = VendorError(
            status,
            _KINDS.get(status, "api") + "_error",
            f"the script asked for status {status}",
            retry_after_seconds=1.0 if status == 429 else None,  # noqa: PLR2004  # HTTP: too many requests
        )
        raise faults.fault_of(error, provider=self.name, model=ask.request.model, is_own_key=ask.own_key is not None)


def script_of(request: ChatRequest) -> Script:
    """What a request's model and last message ask for."""
    directive = _DIRECTIVE.search(last_text(request))
    asked = request.model.partition("-")[2] if directive is None else directive.group(1)
    choice = request.tool_choice
    demands_tool = choice is not None and choice.mode in {"required", "named"}
    if not asked and not demands_tool:
        return _PLAIN
    error = _ERROR.search(asked)
    words = frozenset(asked.replace(" ", "-").split("-"))
    is_slow_stream = "slow-stream" in asked
    return Script(
        first_delay=2.0 if "slow" in words and not is_slow_stream else 0.0,
        piece_delay=0.05 if is_slow_stream else 0.0,
        status=int(error.group(1)) if error else 200,
        fails_midway=next((word for word in ("cut", "overloaded") if word in words), None),
        is_long="long" in words,
        thinks="reasoning" in words,
        calls_tool=bool(request.tools) and ("tools" in words or demands_tool),
        counts="usage" not in words,
    )
