"""The log of a process: one object that renders, cleans and writes lines. What a call's line says is the journal's subject."""

import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from server.log_writer import LineWriter
from server.redaction import Redactor

Level = Literal["debug", "info", "warning", "error"]
Style = Literal["json", "console"]
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

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
        self._console = _console() if style == "console" else None

    def logger(self, name: str) -> "Logger":
        """A logger whose lines carry `logger: name`; fields are given as keyword arguments."""
        return Logger(self, name)

    def event(self, level: Level, event: str, exc_info: object, fields: Mapping[str, object]) -> None:
        """Write one line of an event; `exc_info`: an exception, or what `sys.exc_info` gives, or nothing."""
        if LEVELS[level] < self.level:
            return
        line: Fields = {"ts": self._stamp(), "level": level, "event": event, **fields}
        if exc_info:
            line["exception"] = _trace(exc_info)
        self.put(self._render(level, line), is_urgent=level == "error")

    def facts(self, fields: dict[str, object], level: Level = "info", *, foreign: Iterable[str]) -> None:
        """Write one line of fields that are JSON already and in the order given: the short way for the line of every call.

        `foreign` are all the words of the line that are not our own; the net is cast only if one of them looks like a secret.
        """
        if LEVELS[level] < self.level:
            return
        if self._style == "console":
            self.put(self._render(level, fields), is_urgent=level == "error")
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

    def _stamp(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _render(self, level: Level, fields: Fields) -> bytes:
        if self._console is not None:
            plain = {key: value for key, value in fields.items() if value is not None}
            if "ts" in plain:
                plain["timestamp"] = str(plain.pop("ts"))
            return f"{self._console(None, level, plain)}\n".encode("utf-8", "replace")
        return orjson.dumps(fields, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)


class Logger:
    """Writes events of one subject. A handful of lines in an hour come this way; the line of every call takes `Logs.facts`."""

    __slots__ = ("_logs", "_name")

    def __init__(self, logs: Logs, name: str) -> None:
        self._logs = logs
        self._name = name

    def debug(self, event: str, *, exc_info: object = None, **fields: object) -> None:
        """Of use to whoever looks for a fault."""
        self._logs.event("debug", event, exc_info, {"logger": self._name, **fields})

    def info(self, event: str, *, exc_info: object = None, **fields: object) -> None:
        """What is as it should be."""
        self._logs.event("info", event, exc_info, {"logger": self._name, **fields})

    def warning(self, event: str, *, exc_info: object = None, **fields: object) -> None:
        """What somebody should look at some time."""
        self._logs.event("warning", event, exc_info, {"logger": self._name, **fields})

    def error(self, event: str, *, exc_info: object = None, **fields: object) -> None:
        """What somebody should look at now."""
        self._logs.event("error", event, exc_info, {"logger": self._name, **fields})


def _console() -> Callable[[Any, str, Fields], str]:
    """The library's renderer for people; it brings rich and pygments along (3 MB), so only a console loads it."""
    from structlog.dev import ConsoleRenderer, plain_traceback  # noqa: PLC0415  # see above

    return ConsoleRenderer(colors=False, exception_formatter=plain_traceback)


def _trace(exc_info: object) -> str:
    if isinstance(exc_info, BaseException):
        return "".join(traceback.format_exception(exc_info)).rstrip()
    return "".join(traceback.format_exception(*(exc_info if isinstance(exc_info, tuple) else sys.exc_info()))).rstrip()


class _Capture(logging.Handler):
    """Hands a line of the standard library's logging over to ours."""

    def __init__(self, logs: Logs) -> None:
        super().__init__()
        self._logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        level: Level = (
            "error" if record.levelno >= logging.ERROR else "warning" if record.levelno >= logging.WARNING else "info"
        )
        self._logs.event(level, record.getMessage(), record.exc_info, {"logger": record.name})
