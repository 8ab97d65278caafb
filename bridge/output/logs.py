"""Structured logs: the rendering of lines, without secrets and email addresses."""

import logging
import math
import sys
import threading
from collections.abc import Mapping
from io import TextIOBase
from typing import Any, Final, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from bridge import clock
from bridge.output import texts
from bridge.output.log_bound import LogBound
from bridge.output.standard_error import STANDARD_ERROR

log: structlog.stdlib.BoundLogger = structlog.get_logger("bridge")

_SUPPRESSED: Final = "log.suppressed"


class Redactor:
    """The last processor of log lines: hides all secrets, and email addresses above level debug."""

    def __init__(self, render: Processor, *, emails: bool) -> None:
        self._render = render
        self._emails = emails

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        """Renders the line and hides what must not be seen in it."""
        # In the values, before quoting changes them; and in the line, since they may be anything.
        shown = {
            name: texts.escaped(_without_secrets(value))
            if isinstance(value, str) and name != "exception"
            else _without_secrets(value)
            for name, value in event.items()
        }
        line = texts.without_secrets(str(self._render(logger, method, shown)))
        return line if self._emails and method == "debug" else texts.without_addresses(line)


def _without_secrets(value: Any) -> Any:
    """A value without secrets in its texts, however deep in lists and objects they stand."""
    if isinstance(value, str):
        return texts.without_secrets(value)
    if isinstance(value, Mapping):
        return {_without_secrets(name): _without_secrets(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_without_secrets(one) for one in value]
    return value


class Bounded:
    """The first processor: leaves out lines of what comes too often, and tells how many."""

    def __init__(self) -> None:
        self._bound = LogBound(clock.monotonic())

    def __call__(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """The line as it is, if it is to be written."""
        name, now = str(event["event"]), clock.monotonic()
        if name == _SUPPRESSED:
            return event
        admitted = self._bound.admits(name, method, now)
        self._tell(now)
        if not admitted:
            raise structlog.DropEvent
        return event

    def tell_all(self) -> None:
        """Tells of all that was left out and not told of yet."""
        self._tell(math.inf)

    @property
    def left_out(self) -> int:
        """Lines left out so far."""
        return self._bound.left_out

    def _tell(self, now: float) -> None:
        if events := self._bound.sums(now):
            log.warning(_SUPPRESSED, lines=sum(events.values()), events=events)


_bounded = Bounded()


def tell_the_rest() -> None:
    """Tells which lines were left out since it was told last; for the end of the process."""
    _bounded.tell_all()


def left_out() -> int:
    """Lines left out so far, as too many came at once."""
    return _bounded.left_out


class _Libraries(logging.Handler):
    """Brings what libraries log into this log: their words may quote addresses and answers."""

    def emit(self, record: logging.LogRecord) -> None:
        """Logs a line of a library."""
        say = log.error if record.levelno >= logging.ERROR else log.warning
        error = record.exc_info[1] if record.exc_info else None
        text = texts.line_of(record.getMessage())
        say("library.said", library=record.name, text=text, exc_info=error)


def adopt_others() -> None:
    """Brings into this log what would be written to standard error by others: by libraries, and by
    Python of errors in threads and of those that nobody can handle."""
    logging.basicConfig(handlers=[_Libraries()], level=logging.WARNING, force=True)
    threading.excepthook = lambda said: log.error("thread.fault", exc_info=said.exc_value)
    sys.unraisablehook = lambda said: log.error("fault.ignored", exc_info=said.exc_value)


class _Stderr(TextIOBase):
    """Writes to sys.stderr as it is at the time, since a progress bar replaces it for a while."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


def configure_logging(*, level: str, style: str, stream: TextIO | None = None) -> None:
    """Sets up structured logs.

    level: debug, info, warning or error; at debug there is no bound.
    style: console, json, or auto (console on a terminal, else JSON).
    stream: standard error if None.
    """
    stream = stream or cast(TextIO, _Stderr())
    console = style == "console" or (style == "auto" and stream.isatty())
    render: Processor = (
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if console
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    made: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not console:
        made.append(structlog.processors.format_exc_info)
    made.append(Redactor(render, emails=level == "debug"))
    global _bounded  # noqa: PLW0603  (as structlog's configuration is the process's)
    _bounded = Bounded()
    structlog.configure(
        processors=made if level == "debug" else [_bounded, *made],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )

    def notice(lines: int) -> str:
        """The line about lines that were dropped; made in the thread that writes."""
        line: Any = {"event": "log.dropped", "lines": lines}
        for processor in made:
            line = processor(None, "error", line)
        return f"{line}\n"

    STANDARD_ERROR.notice = notice
