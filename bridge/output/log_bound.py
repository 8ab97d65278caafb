"""The bound of the log: no fault, however often it comes back, fills a journal."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

AT_ONCE: Final = {"error": 50, "critical": 50}
AT_ONCE_OTHERWISE: Final = 20
"""Lines of one event that are written at once, by level: that many lists, say, have their line."""

A_SECOND: Final = 1.0
"""Lines of one event that are written a second after that."""

TOLD_EVERY: Final = 10.0
"""Seconds after which it is told how many lines of an event were left out."""


@dataclass
class _Allowance:
    """The lines that may still be written of an event.

    left: lines, at `at`.
    left_out: lines that were not written and not told of yet.
    since: when the first of them came.
    """

    left: float
    at: float
    left_out: int = 0
    since: float = 0.0


class LogBound:
    """Decides which lines are written, by event and level; the first ones always are.

    Times are seconds of a monotonic clock.
    """

    def __init__(self) -> None:
        self._allowances: dict[tuple[str, str], _Allowance] = {}
        self.left_out = 0
        """Lines left out so far."""

    def admits(self, event: str, level: str, now: float) -> bool:
        """Tells whether a line is to be written; counts it if it isn't."""
        most = float(AT_ONCE.get(level, AT_ONCE_OTHERWISE))
        allowance = self._allowances.setdefault((event, level), _Allowance(most, now))
        allowance.left = min(most, allowance.left + (now - allowance.at) * A_SECOND)
        allowance.at = now
        if allowance.left >= 1:
            allowance.left -= 1
            return True
        self.left_out += 1
        allowance.since = allowance.since if allowance.left_out else now
        allowance.left_out += 1
        return False

    def sums(self, now: float) -> Iterator[tuple[str, int]]:
        """The events of which lines were left out, with their number, that are to be told by now;
        each is told once."""
        for (event, _), allowance in self._allowances.items():
            if allowance.left_out and now - allowance.since >= TOLD_EVERY:
                yield event, allowance.left_out
                allowance.left_out = 0
