"""The budget of calls to Listrak: what of it a message may take for scans of many requests."""

from collections.abc import Callable, Sequence
from typing import Final

from bridge.clock import DAY
from bridge.state.records import Message

SCAN_SHARE: Final = 0.5
"""Fraction of the budget that scans of many requests may take together."""

AT_ONCE: Final = 120.0
FEWEST_AT_ONCE: Final = 10
"""Seconds of a list's part of the budget that a poll may take for new sends, and the pages that it
may take in any case."""

UNLIMITED: Final = 5.0
"""Calls a second that count as the budget where no limit is set."""


class CallBudget:
    """The budget of calls, divided among the messages that anything happens to.

    requests_per_second: tells the present limit of calls a second; 0 for none.
    """

    def __init__(self, requests_per_second: Callable[[], float]) -> None:
        self._requests_per_second = requests_per_second
        self._active: dict[int, int] = {}

    def note(self, list_id: int, messages: Sequence[Message], now: float) -> None:
        """Notes the tracked messages of a list; those count that have changed within a day."""
        self._active[list_id] = sum(
            message.changed_at is not None and now - message.changed_at < DAY
            for message in messages
        )

    def seconds_per_call(self) -> float:
        """Seconds in which a message may take one call, if all that are active do the same."""
        return seconds_per_call(sum(self._active.values()), self._requests_per_second())

    def pages_at_once(self) -> int:
        """Pages of new sends that a poll may read, while other things happen to its message."""
        of_a_list = _budget(self._requests_per_second()) / max(1, len(self._active))
        return max(FEWEST_AT_ONCE, round(AT_ONCE * of_a_list))


def seconds_per_call(active: int, requests_per_second: float) -> float:
    """Seconds in which each of so many active messages may take one call for its scans.

    requests_per_second: limit of calls a second; 0 for none.
    """
    return max(1, active) / (SCAN_SHARE * _budget(requests_per_second))


def _budget(requests_per_second: float) -> float:
    return requests_per_second or UNLIMITED
