"""Structured logs: the rendering of lines, without secrets and email addresses."""

import json
import logging
import sys
from collections.abc import Iterable
from io import TextIOBase
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from bridge import texts

log: structlog.stdlib.BoundLogger = structlog.get_logger("bridge")


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
        shown = {
            name: texts.escaped(value) if isinstance(value, str) and name != "exception" else value
            for name, value in event.items()
        }
        line = self.without_secrets(str(self._render(logger, method, shown)))
        return line if self._emails and method == "debug" else texts.without_addresses(line)

    def without_secrets(self, text: str) -> str:
        """The text with `[secret]` for each of them."""
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text


def last_line(text: str) -> str:
    """The last line of a command, without secrets, addresses and control characters."""
    return texts.escaped(texts.without_addresses(_redactor.without_secrets(text)))


def _forms(secret: str) -> set[str]:
    """A secret in the forms that a line may show: plain, as JSON, as Python's repr, or both."""
    quoted = repr(secret)[1:-1]
    return {secret, quoted, json.dumps(secret)[1:-1], json.dumps(quoted)[1:-1]} | {
        repr(f"'{secret}")[2:-1]
    }


_redactor = Redactor((), structlog.processors.JSONRenderer(), emails=False)


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
    global _redactor  # noqa: PLW0603  (as structlog's configuration is the process's)
    _redactor = Redactor(secrets, render, emails=level == "debug")
    structlog.configure(
        processors=[*processors, _redactor],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
