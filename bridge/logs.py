"""Structured logs: the rendering of lines, without secrets and email addresses."""

import json
import logging
import re
import sys
from collections.abc import Iterable
from io import TextIOBase
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

log: structlog.stdlib.BoundLogger = structlog.get_logger("bridge")

# Wide on purpose: better a word too many hidden than one address shown. %40 is @ in a URL.
_EMAIL = re.compile(r"""[^\s"<>@,;]+(?:@|%40)[^\s"'<>@,;:=/?\\()\[\]{}]+""")


class Redactor:
    """The last processor of log lines: hides all secrets, and email addresses above level debug."""

    def __init__(self, secrets: Iterable[str], render: Processor, *, emails: bool) -> None:
        # Longest first, so that a secret that holds another is hidden whole.
        forms = {form for text in secrets if text for form in _forms(text)}
        self._secrets = sorted(forms, key=len, reverse=True)
        self._render = render
        self._emails = emails

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        """Renders the line and hides what must not be seen in it."""
        line = str(self._render(logger, method, event))
        for secret in self._secrets:
            line = line.replace(secret, "[secret]")
        return line if self._emails and method == "debug" else _EMAIL.sub("[email]", line)


def _forms(secret: str) -> set[str]:
    """A secret in the forms that a line may show: plain, as JSON, as Python's repr, or both."""
    quoted = repr(secret)[1:-1]
    return {secret, quoted, json.dumps(secret)[1:-1], json.dumps(quoted)[1:-1]} | {
        repr(f"'{secret}")[2:-1]
    }


class _Stderr(TextIOBase):
    """Writes to sys.stderr as it is at the time, since a progress bar replaces it for a while."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


def configure_logging(
    *, level: str, style: str, secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Sets up structured logs.

    level: debug, info, warning or error.
    style: console, json, or auto (console on a terminal, else JSON).
    secrets: texts to be hidden.
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
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not console:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, Redactor(secrets, render, emails=level == "debug")],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
