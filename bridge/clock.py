"""The only module that reads this machine's clock, and the estimate of Listrak's clock.

The linter keeps other modules from reading the time, so that the service can run on another clock.
"""

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

from bridge.source_time import CLOSE_ENOUGH, Anchor, Moment, SourceTime

MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
"""MINUTE, HOUR and DAY in seconds."""


def wall_time() -> float:
    """Seconds since 1970 by this machine's clock, which may be set at any time."""
    return time.time()


def wall_time_ns() -> int:
    """Nanoseconds since 1970 by this machine's clock, for file names that have to differ."""
    return time.time_ns()


def monotonic() -> float:
    """Seconds of a clock that never goes back, for spans; its zero means nothing."""
    return time.monotonic()


def boot_time() -> float:
    """Seconds since this machine was started, also while it slept: they never jump."""
    # Linux alone tells them; elsewhere what a machine slept through is not counted.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def boot_id() -> str:
    """A text that differs after each start of this machine; "" where it can't be told."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def moment() -> Moment:
    """The present by both clocks."""
    return Moment(boot_time(), wall_time())


def utc_now() -> datetime:
    """The present instant by this machine's clock, aware."""
    return datetime.fromtimestamp(wall_time(), UTC)


class SourceClock:
    """Listrak's clock, by the Date headers of its answers, as far as they are to be believed.

    Everything that is compared with Listrak's own dates is timed by it.

    evidence: what is known of it.
    """

    def __init__(self) -> None:
        self.evidence = SourceTime()

    def observe(self, date: str) -> None:
        """Takes note of an answer's Date header; ignores one that is no date."""
        try:
            said = parsedate_to_datetime(date)
            # Dates of HTTP are in UTC, whether they say so or not.
            seconds = (said if said.tzinfo else said.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return
        self.evidence.testify(seconds, moment())

    @property
    def offset(self) -> float | None:
        """Seconds by which it is ahead of this machine's; None before the first answer."""
        if not self.evidence.answers:
            return None
        at = moment()
        ahead = self.evidence.now(at) - at.wall
        return 0.0 if abs(ahead) <= CLOSE_ENOUGH else ahead

    def now(self) -> float:
        """Seconds since 1970 by Listrak's clock."""
        return self.evidence.now(moment())

    def certain(self) -> float:
        """A time by Listrak's clock that it is at least: what is forgotten goes by it."""
        return self.now() - self.evidence.unconfirmed


class WaitingClock:
    """A clock for waits that outlast the process: only time that surely passed counts.

    It never jumps, whatever this machine's clock is set to, and doesn't go back at a restart. Its
    seconds are those since 1970 only by and large: at the first start they were.
    """

    def __init__(self) -> None:
        at = moment()
        self._base = at.wall - at.boot

    def go_on(self, anchor: Anchor | None, latest: float) -> None:
        """Goes on after a restart.

        anchor: `source` is this clock's time then; None for none.
        latest: the latest time that was noted by it.
        """
        boot = boot_time()
        if anchor is None:
            self._base = max(self._base, latest - boot)
        elif anchor.boot_id == boot_id() and boot >= anchor.boot:
            self._base = max(anchor.source - anchor.boot, latest - boot)
        else:
            # How long the machine was off can't be told for sure.
            self._base = max(anchor.source, latest)

    def anchor(self) -> Anchor:
        """The present, for a state file to keep."""
        at = moment()
        return Anchor(self.now(), at.boot, at.wall, boot_id())

    def now(self) -> float:
        """Seconds, of which only differences mean anything."""
        return self._base + boot_time()
