"""What time it is at Listrak: this machine's clock, set right by the Date of Listrak's answers."""

import time
from collections import deque
from email.utils import parsedate_to_datetime
from statistics import median_low
from typing import Final

CLOSE_ENOUGH: Final = 2.0
"""Seconds; a Date header says no more than the second, so that much is no difference."""


WITNESSES: Final = 5
"""Answers of which the middle one counts: one wrong Date, a proxy's perhaps, must not have
messages taken for over that are not."""


class SourceClock:
    """Times that are compared with Listrak's own dates come from here, not from this machine."""

    def __init__(self) -> None:
        self.offset: float | None = None
        """Seconds by which Listrak's clock is ahead; None as long as no answer told."""
        self._told: deque[float] = deque(maxlen=WITNESSES)

    def observe(self, date: str) -> None:
        """Takes note of an answer's Date header; one that is no date says nothing."""
        try:
            ahead = parsedate_to_datetime(date).timestamp() - time.time()
        except (ValueError, OverflowError):
            return
        # It is cut to the second: rather too early than too late, as these are lower bounds.
        self._told.append(ahead)
        middle = median_low(self._told)
        self.offset = 0.0 if abs(middle) <= CLOSE_ENOUGH else middle

    def now(self) -> float:
        """Seconds since 1970, as Listrak counts them."""
        return time.time() + (self.offset or 0.0)
