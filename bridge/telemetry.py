"""What the service says of itself: structured logs and the catalogue of metrics."""

import json
import logging
import re
import sys
from collections.abc import Iterable
from io import TextIOBase
from typing import TextIO, cast

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from structlog.typing import EventDict, Processor, WrappedLogger

log: structlog.stdlib.BoundLogger = structlog.get_logger("bridge")

# Wide on purpose: better a word too many hidden than one address shown. %40 is @ in a URL.
_EMAIL = re.compile(r"""[^\s"<>@,;]+(?:@|%40)[^\s"'<>@,;:=/?\\()\[\]{}]+""")


class Redactor:
    """The last step of every log line: no secret ever, no email address above debug."""

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
    """A secret as a rendered line may show it: plain, as JSON, as Python writes text, or both."""
    quoted = repr(secret)[1:-1]
    return {secret, quoted, json.dumps(secret)[1:-1], json.dumps(quoted)[1:-1]} | {
        repr(f"'{secret}")[2:-1]
    }


class _Stderr(TextIOBase):
    """Standard error as it is at the time: while a progress bar is shown, that stands in for it."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


def configure_logging(
    *, level: str, style: str, secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Structured log lines on standard error: JSON, or for the eye where that is a terminal."""
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


class Metrics:
    """Every metric, once. All names start with `bridge_`; sizes in bytes, times in seconds."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        # Events by what became of them. At any time
        # fetched = delivered + known + filtered + dead_lettered + in flight.
        self.events = self._counter("events", "Events by what became of them", "outcome")
        self.in_flight = self._gauge("events_in_flight", "Events read and not yet settled")
        self.delivered = self._counter("events_delivered", "Events Segment accepted", "event")

        # Listrak
        self.listrak_calls = self._counter(
            "listrak_calls", "Calls to Listrak", "resource", "status"
        )
        self.pace = self._gauge(
            "listrak_pace", "Calls to Listrak a second that are made at most for now; 0 = no limit"
        )
        self.listrak_rows = self._counter("listrak_rows", "Rows read from Listrak", "resource")
        self.tracked = self._gauge("messages_tracked", "Messages whose activity is read", "list")
        self.counted = self._gauge(
            "listrak_counted",
            "What the Summaries of tracked messages count, since the start",
            "list",
            "event",
        )
        self.seen = self._gauge("seen", "The same as seen in their rows", "list", "event")
        self.sent = self._gauge("sent", "What of that was for Segment and sent", "list", "event")
        self.looks = self._counter("looks", "Completed looks", "resource", "found")

        # Segment
        self.batches = self._counter("segment_batches", "Answers of Segment to batches", "answer")
        self.wire_bytes = self._counter("segment_sent_bytes", "Bytes sent to Segment, compressed")
        self.posts = self._gauge("segment_posts_open", "Batches on their way to Segment")

        # The pipeline
        self.retries = self._counter("retries", "Waits before another try", "api")
        self.queue = self._gauge("queue_pages", "Pages waiting in or for a queue", "queue")
        self.commits = self._counter("commits", "Transactions of the state file")
        self.restarts = self._counter("pipeline_restarts", "Restarts of the pipeline after a fault")
        self.dead_letters = self._gauge("dead_letters", "Dead letters kept in the state file")
        self.blocked = self._gauge("blocked", "1 while something keeps the bridge waiting", "by")
        self.last_commit = self._gauge(
            "last_commit_timestamp_seconds", "When progress was last saved"
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"bridge_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"bridge_{name}", text, labels, registry=self.registry)
