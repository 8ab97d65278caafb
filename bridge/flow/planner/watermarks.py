"""The watermarks of a message: what is known to be complete, and until when."""

from typing import Final

import msgspec

from bridge.clock import DAY
from bridge.flow.figures import TOLERANCE

ROW_DELAY: Final = 600.0
"""Seconds by which rows, or counters, may be behind what they tell of."""


LATE: Final = -1.0
"""A pending count that stands for rows of a first poll that were not there yet."""


class ScanAttempt(msgspec.Struct, array_like=True):
    """The last attempt of one scan type for one event."""

    started_at: float = 0.0
    """Seconds since 1970; 0 for never."""
    missing: float = 0.0
    """Events counted and not seen when it was over; of orders the revenue."""
    rows: int = 0
    """Rows that it read."""
    misses: int = 0
    """Attempts in a row that found nothing although something was missing."""


class Watermark(msgspec.Struct, array_like=True):
    """The watermark of one kind of event. Times are in seconds since 1970."""

    reconciled_at: float = 0.0
    """Time at which all that Listrak counted was last seen."""
    complete_until: float = 0.0
    """Time by which every event counted was seen, but for `unexplained` ones; 0 for none."""
    pending_at: float = 0.0
    """Time of a count that is not yet seen in full; 0 for none."""
    pending_count: float = 0.0
    """The count read at `pending_at`; LATE for what a first poll may have come too early for."""
    unexplained: float = 0.0
    """Number counted and not seen, which only a wider scan can find."""
    never_shown: float = 0.0
    """Number counted that no full poll found, and that counts as never shown by rows."""
    last_counted: float = -1.0
    """The counter at the latest poll; -1 for none."""
    attempts: list[ScanAttempt] = msgspec.field(default_factory=list)
    """One for each scan type, in the order of escalation."""

    def attempt(self, number: int) -> ScanAttempt:
        """The last attempt of a scan type, to be changed; added if there was none."""
        while len(self.attempts) <= number:
            self.attempts.append(ScanAttempt())
        return self.attempts[number]

    def missing(self, counted: float, seen: float) -> float:
        """The number counted and not seen; below 0 where more was seen."""
        missing = counted - self.never_shown - seen
        return 0.0 if abs(missing) < TOLERANCE else missing

    def reconcile(self, at: float) -> None:
        """Notes that everything counted at that time was seen."""
        self.reconciled_at = self.complete_until = max(self.reconciled_at, at)
        self.pending_at = self.unexplained = 0.0
        for attempt in self.attempts:
            attempt.missing, attempt.misses = 0.0, 0

    def await_late(self, at: float) -> None:
        """Notes that rows which a first poll didn't find may be late: else they are never shown."""
        self.complete_until, self.pending_at, self.pending_count = at - ROW_DELAY, at, LATE

    @property
    def awaits_late(self) -> bool:
        """Tells whether rows of a first poll may still come."""
        return self.pending_at > 0 and self.pending_count == LATE

    def is_too_early(self, at: float) -> bool:
        """Tells whether a poll of that time may have come too early for them as well."""
        return self.awaits_late and at - self.pending_at < ROW_DELAY

    def advance(self, until: float) -> None:
        """Notes that everything of an earlier time than `until` was read, and nothing later."""
        self.complete_until, self.pending_at = max(self.complete_until, until), 0.0

    def note_pending(self, at: float, counted: float, seen: float, *, full: bool = False) -> None:
        """Notes that the counter is ahead of the rows, after a poll that was perhaps `full`.

        1. After a full poll rows can only be late: complete but for the last minutes, and pending.
        2. No more is missing than recent scans can't explain anyway: complete until now.
        3. An earlier count is pending and may yet be reached: all stays as it is.
        4. It is reached, or its rows are overdue and so unexplained: complete until then. What is
           LATE stays as it is until it is overdue.
        5. After 4, or where none was pending, this count is the pending one.
        """
        missing = self.missing(counted, seen)
        if full:  # 1
            self.complete_until = max(self.complete_until, at - ROW_DELAY)
            self.pending_at, self.pending_count, self.unexplained = at, counted, 0.0
            return
        if missing <= self.unexplained:  # 2
            self.complete_until, self.pending_at, self.unexplained = at, 0.0, missing
            return
        if self.is_too_early(at):
            return
        if self.pending_at:
            missing = self.missing(self.pending_count, seen)
            if missing > self.unexplained and at - self.pending_at < ROW_DELAY:  # 3
                return
            self.complete_until, self.unexplained = self.pending_at, max(missing, 0.0)  # 4
        self.pending_at, self.pending_count = at, counted  # 5

    def wait_after_misses(self, number: int, seconds: float, age: float) -> float:
        """Seconds until a scan that waits `seconds` is done, four times as many after each miss.

        At most a day, a quarter of the message's age, or what it waits anyway.
        """
        longest = max(seconds, DAY, age / 4)
        return min(seconds * 4.0 ** max(0, min(self.attempt(number).misses - 1, 30)), longest)


class Watermarks(msgspec.Struct, array_like=True):
    """The watermarks of a message."""

    by_event: dict[str, Watermark] = msgspec.field(default_factory=dict)
    """One for each kind of event."""
    link_clicks: dict[int, int] = msgspec.field(default_factory=dict)
    """Clicks of each link, by id, when its clicks were last read."""
    unread: int = 0
    """Rows of which the latest full poll could not read something."""
    read_until: float | None = None
    """Start of the latest full poll that could read all rows, where a later poll could not; 0 where
    none could. None where the latest full poll could."""

    def of(self, event: str) -> Watermark:
        """The watermark of an event, to be changed; added if there was none."""
        return self.by_event.setdefault(event, Watermark())

    def text(self) -> str:
        """The JSON text for the state file."""
        return msgspec.json.encode(self).decode()

    def copy(self) -> "Watermarks":
        """A copy that can be changed without changing this one."""
        return read_watermarks(self.text())


def read_watermarks(text: str) -> Watermarks:
    """The watermarks of a text from the state file; "" for none yet."""
    return msgspec.json.decode(text, type=Watermarks) if text else Watermarks()
