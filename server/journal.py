"""One line and one count for every call, whatever becomes of it. Nothing that a call carries is written: no text, no key."""

from asyncio import CancelledError
from collections.abc import Callable
from datetime import UTC, datetime
from re import compile as pattern
from types import TracebackType
from typing import Final, Literal, Self

from methods.errors import INTERNAL_ERROR, Cancelled, Internal, code_of
from methods.method import Method
from monetization.callers import Caller
from monetization.calls import Call
from monetization.tab import Meter
from monetization.terms import Target
from server.drain import Drain
from server.logs import Logs
from server.metrics import Metrics
from storage.errors import Fault

Outcome = Literal["ok", "fault", "cancelled", "error"]

# W3C Trace Context: version 00, 32 hex digits of trace id that are not all zero, parent id, flags.
_TRACEPARENT: Final = pattern(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")
# An id that this server made: nobody else put a word into it.
_OWN_ID: Final = pattern(r"req_[0-9a-f]{32}(?:[.:-]\d{1,6})?")
_CODE_CANCELLED: Final = code_of(Cancelled())


class Journal:
    """Opens an entry around every call."""

    def __init__(
        self,
        logs: Logs,
        metrics: Metrics,
        drain: Drain,
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        """`now`: Unix seconds. `monotonic`: the seconds of `Call.started` and `Meter.first_byte`."""
        self.logs = logs
        self.metrics = metrics
        self.drain = drain
        self.now = now
        self.monotonic = monotonic
        self._problems = logs.logger("journal")

    def entry(self, call: Call) -> "Entry":
        """The entry of one call: `with journal.entry(call) as entry`."""
        return Entry(self, call)

    def mishap(self, call: Call, problem: BaseException) -> None:
        """Log an exception that no caller may see, with its traceback."""
        self._problems.error("internal_error", request_id=call.request_id, door=call.door, exc_info=problem)


class Entry:
    """One call as the gateway learns about it. Leaving the block writes the line; only Faults and cancellation get out."""

    __slots__ = ("_call", "_journal", "_started", "caller", "meter", "method")

    def __init__(self, journal: Journal, call: Call) -> None:
        self._journal = journal
        self._call = call
        self.caller: Caller | None = None
        self.method: Method | None = None
        self.meter: Meter | None = None

    def __enter__(self) -> Self:
        journal = self._journal
        self._started = self._call.started or journal.monotonic()
        journal.metrics.call_began()
        journal.drain.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        journal = self._journal
        journal.drain.leave()
        if problem is None:
            self._write("ok", None, 0)
        elif isinstance(problem, Fault):
            self._write("cancelled" if isinstance(problem, Cancelled) else "fault", problem.slug, code_of(problem))
        elif isinstance(problem, CancelledError):
            self._write("cancelled", Cancelled.reason, _CODE_CANCELLED)
        else:
            journal.mishap(self._call, problem)
            self._write("error", Internal.reason, INTERNAL_ERROR)
            if isinstance(
                problem, Exception
            ):  # the end of the process (SystemExit, KeyboardInterrupt) is nobody's fault
                raise Internal from None

    def _write(self, outcome: Outcome, reason: str | None, code: int) -> None:
        journal, call, caller, meter = self._journal, self._call, self.caller, self.meter
        seconds = journal.monotonic() - self._started
        name = "unknown" if self.method is None else self.method.name
        journal.metrics.call_done(name, call.door, outcome, reason or "", seconds)
        level: Literal["info", "error"] = "error" if outcome == "error" else "info"
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(journal.now(), UTC),
            "level": level,
            "event": "call",
            "request_id": call.request_id,
            "method": name,
            "door": call.door,
            "outcome": outcome,
            "reason": reason,
            "code": code or None,
            "latency_ms": round(seconds * 1000, 3),
            "stream": call.is_stream,
            "notification": call.is_notification,
        }
        foreign = [] if _OWN_ID.fullmatch(call.request_id) else [call.request_id]
        if caller is not None:
            line["caller"] = caller.kind
            line["user"] = caller.user_id
            line["organization"] = caller.organization_id
            line["tier"] = caller.tier
            foreign.append(f"{caller.user_id} {caller.organization_id} {caller.tier}")
        if meter is not None and meter.target is not None:
            self._add_provider(line, meter, meter.target, name)
            foreign.append(f"{meter.target.provider} {meter.target.model}")
        if call.traceparent is not None and (trace := _TRACEPARENT.fullmatch(call.traceparent)):
            line["trace_id"] = trace[1]
        journal.logs.facts(line, level, foreign=foreign)

    def _add_provider(self, line: dict[str, object], meter: Meter, target: Target, name: str) -> None:
        line["provider"] = target.provider
        line["model"] = target.model
        metrics, usage = self._journal.metrics, meter.usage
        if usage is not None:
            tokens_input, tokens_output = usage.tokens_input, usage.tokens_output
            line["tokens_input"] = tokens_input
            line["tokens_output"] = tokens_output
            metrics.tokens(target.provider, target.model, tokens_input, tokens_output)
        receipt = self._call.receipts[-1] if self._call.receipts else None
        if receipt is not None and receipt.charge is not None and receipt.charge.policy != "byok":
            metrics.charged(target.provider, receipt.charge.cost_nano, receipt.asset, receipt.amount)
        if meter.first_byte is not None:
            seconds = meter.first_byte - self._started
            line["first_byte_ms"] = round(seconds * 1000, 3)
            metrics.first_byte(name, seconds)
