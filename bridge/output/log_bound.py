"""The bound of the log: no fault, and no number of them at once, fills a journal."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LAST: Final = "critical"
"""The level of a process's last words, which are always written."""

AT_ONCE: Final = {"error": 50}
AT_ONCE_OTHERWISE: Final = 20
"""Lines of one event that are written at once, by level: that many lists, say, have their line."""

A_SECOND: Final = 1.0
"""Lines of one event that are written a second after that."""

AT_ONCE_OF_ALL: Final = 400
OF_ALL_A_SECOND: Final = 10.0
"""Lines of all events together that are written at once, and a second after that."""

KEPT: Final = {"error": 0, "warning": 100}
KEPT_OTHERWISE: Final = 200
"""Lines of those at once that are kept for what is graver, by level: no flood of what is worth less
takes the place of an error."""

TOLD_EVERY: Final = 10.0
"""Seconds after which it is told how many lines were left out."""


class _Bucket:
    """Lines that may be written: so many at once, and so many a second after that."""

    def __init__(self, most: float, a_second: float, now: float) -> None:
        self._most = most
        self._a_second = a_second
        self._left = most
        self._at = now

    def left(self, now: float) -> float:
        """The lines that may be written by now."""
        self._left = min(self._most, self._left + (now - self._at) * self._a_second)
        self._at = now
        return self._left

    def take(self) -> None:
        """Takes a line, which is owed if there is none."""
        self._left -= 1


@dataclass
class _Kind:
    """The lines of an event and level.

    bucket: those that may be written.
    left_out: those that were not written and not told of yet.
    """

    bucket: _Bucket
    left_out: int = 0


class LogBound:
    """Decides which lines are written, by event and level, and by how many there are of all.

    Times are seconds of a monotonic clock.
    """

    def __init__(self, now: float) -> None:
        self._all = _Bucket(AT_ONCE_OF_ALL, OF_ALL_A_SECOND, now)
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._untold_since: float | None = None
        self.left_out = 0
        """Lines left out so far."""

    def admits(self, event: str, level: str, now: float) -> bool:
        """Tells whether a line is to be written; counts it if it isn't."""
        most = AT_ONCE.get(level, AT_ONCE_OTHERWISE)
        kind = self._kinds.setdefault((event, level), _Kind(_Bucket(most, A_SECOND, now)))
        kept = KEPT.get(level, KEPT_OTHERWISE)
        if level == LAST or (kind.bucket.left(now) >= 1 and self._all.left(now) >= kept + 1):
            kind.bucket.take()
            self._all.take()
            return True
        self.left_out += 1
        kind.left_out += 1
        self._untold_since = now if self._untold_since is None else self._untold_since
        return False

    def sums(self, now: float) -> Mapping[str, int]:
        """Event -> lines of it that were left out, most first; each is told once, in a line of all.

        Empty where nothing is to be told by now.
        """
        if self._untold_since is None or now - self._untold_since < TOLD_EVERY:
            return {}
        self._untold_since = None
        untold: Counter[str] = Counter()
        # Other threads may log an event for the first time meanwhile.
        for (event, _), kind in list(self._kinds.items()):
            untold[event] += kind.left_out
            kind.left_out = 0
        self._all.take()
        return {event: lines for event, lines in untold.most_common() if lines}
