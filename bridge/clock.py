"""The only module that reads this machine's clock, and the estimate of Listrak's clock.

The linter keeps other modules from reading the time, so that the service can run on another clock.
"""

import time
from collections import deque
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from statistics import median_low
from typing import Final

MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
"""MINUTE, HOUR and DAY in seconds."""

CLOSE_ENOUGH: Final = 2.0
"""Seconds of difference that count as none, as a Date header is cut to the second."""

WITNESSES: Final = 5
"""Answers of which the middle offset counts, so that one wrong Date (a proxy's, perhaps) can't end
the tracking of messages."""


def wall_time() -> float:
    """Seconds since 1970 by this machine's clock, which may be set at any time."""
    return time.time()


def wall_time_ns() -> int:
    """Nanoseconds since 1970 by this machine's clock, for file names that have to differ."""
    return time.time_ns()


def monotonic() -> float:
    """Seconds of a clock that never goes back, for spans; its zero means nothing."""
    return time.monotonic()


def utc_now() -> datetime:
    """The present instant by this machine's clock, aware."""
    return datetime.fromtimestamp(wall_time(), UTC)


class SourceClock:
    """Listrak's clock: this machine's, corrected by the Date headers of Listrak's answers.

    Everything that is compared with Listrak's own dates is timed by it.
    """

    def __init__(self) -> None:
        self.offset: float | None = None
        """Seconds by which Listrak's clock is ahead; None before the first answer with a Date."""
        self._offsets: deque[float] = deque(maxlen=WITNESSES)

    def observe(self, date: str) -> None:
        """Takes note of an answer's Date header; ignores one that is no date."""
        try:
            ahead = parsedate_to_datetime(date).timestamp() - wall_time()
        except (ValueError, OverflowError):
            return
        # A Date is cut to the second, and the lower middle counts: this clock is rather behind than
        # ahead, as its instants serve as lower bounds.
        self._offsets.append(ahead)
        middle = median_low(self._offsets)
        self.offset = 0.0 if abs(middle) <= CLOSE_ENOUGH else middle

    def now(self) -> float:
        """Seconds since 1970 by Listrak's clock."""
        return wall_time() + (self.offset or 0.0)
