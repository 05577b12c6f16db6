"""The log of a process: one object that renders, cleans and writes lines. What a call's line says is the journal's subject."""

import logging
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
import structlog

from server.log_writer import LineWriter
from server.redaction import Redactor

Level = Literal["debug", "info", "warning", "error"]
Style = Literal["json", "console"]
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

# structlog's own word for a line before it is rendered.
Fields = MutableMapping[str, Any]  # Any: a log line holds whatever its author gives


class Logs:
    """Writes the lines of one process. Build one per process, `close` it last."""

    def __init__(
        self,
        writer: LineWriter,
        *,
        now: Callable[[], float],
        level: Level = "info",
        style: Style = "json",
        redactor: Redactor | None = None,
    ) -> None:
        self._writer = writer
        self._now = now
        self._style = style
        self.level = LEVELS[level]
        self.redactor = redactor or Redactor()
        self._console = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
        self._logger = structlog.wrap_logger(
            _Sink(self),
            processors=[
                structlog.processors.add_log_level,
                self._stamp,
                *((structlog.processors.format_exc_info,) if style == "json" else ()),
                self._render,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(self.level),
            context_class=dict,
            cache_logger_on_first_use=True,
        )

    def logger(self, name: str) -> structlog.typing.FilteringBoundLogger:
        """A logger whose lines carry `logger: name`; fields are given as keyword arguments."""
        bound: structlog.typing.FilteringBoundLogger = self._logger.bind(logger=name)
        return bound

    def facts(self, fields: dict[str, object], level: Level = "info", *, foreign: Iterable[str]) -> None:
        """Write one line of fields that are JSON already and in the order given: the short way for the line of every call.

        `foreign` are all the words of the line that are not our own; the net is cast only if one of them looks like a secret.
        """
        if LEVELS[level] < self.level:
            return
        if self._style == "console":
            self.put(self._render(None, level, fields), is_urgent=level == "error")
            return
        line = orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)
        if any(map(self.redactor.is_suspicious, foreign)):
            line = self.redactor.line(line)
        self._writer.write(line, is_urgent=level == "error")

    def put(self, line: bytes, *, is_urgent: bool = False) -> None:
        """Clean and write one rendered line."""
        self._writer.write(self.redactor.line(line), is_urgent=is_urgent)

    def close(self) -> None:
        """Write what waits."""
        self._writer.close()

    @contextmanager
    def capturing(self) -> Iterator[None]:
        """Take in the lines of the standard library's loggers (uvicorn, asyncio, aiohttp) until the block ends."""
        root = logging.getLogger()
        before, level = root.handlers[:], root.level
        root.handlers[:] = [_Capture(self)]
        root.setLevel(max(self.level, logging.INFO))
        try:
            yield
        finally:
            root.handlers[:] = before
            root.setLevel(level)

    def _stamp(self, logger: object, name: str, fields: Fields) -> Fields:
        del logger, name
        fields["ts"] = (
            datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        )
        return fields

    def _render(self, logger: object, name: str, fields: Fields) -> bytes:
        if self._style == "console":
            plain = {key: value for key, value in fields.items() if value is not None}
            if "ts" in plain:
                plain["timestamp"] = str(plain.pop("ts"))
            return f"{self._console(logger, name, plain)}\n".encode("utf-8", "replace")
        ordered = {"ts": fields.pop("ts"), "level": fields.pop("level"), "event": fields.pop("event"), **fields}
        return orjson.dumps(ordered, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)


class _Sink:
    """What structlog calls at the end of its chain: one method per level."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs

    def info(self, line: bytes) -> None:
        self._logs.put(line)

    debug = msg = warning = info

    def error(self, line: bytes) -> None:
        self._logs.put(line, is_urgent=True)

    critical = exception = failure = error


class _Capture(logging.Handler):
    """Hands a line of the standard library's logging over to ours."""

    def __init__(self, logs: Logs) -> None:
        super().__init__()
        self._logger = logs.logger("stdlib")

    def emit(self, record: logging.LogRecord) -> None:
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.ERROR)
        self._logger.log(level, record.getMessage(), logger=record.name, exc_info=record.exc_info or None)
