"""The own dates of a page's events, by which it is measured how long these take."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import combinations
from typing import Final

from bridge.delays import Moments, joined
from bridge.event_types import EVENT_TYPES, DateRule

FIRST_ACTIVITIES: Final = frozenset(
    event.name for event in EVENT_TYPES if event.date_rule is DateRule.FIRST_ACTIVITY
)
"""Names of events that are dated by the first activity of their row."""


class EventDates:
    """The times of a page's events, by name, of those that have a date of their own.

    ambiguous: numbers of rows of which it can't be told which event the first activity was.
    """

    def __init__(self) -> None:
        self.ambiguous: Collection[int] = ()
        self._times: defaultdict[str, list[Moments]] = defaultdict(list)

    def add(self, name: str, numbers: Sequence[int], happened: Moments) -> None:
        """Adds events of a name, which rows of these numbers show, with the time of each."""
        if self.ambiguous and name in FIRST_ACTIVITIES:
            happened = happened[[number not in self.ambiguous for number in numbers]]
        self._times[name].append(happened)

    def clear(self) -> None:
        """Leaves them all out: what a backfill brings is late because it was asked for late."""
        self._times.clear()

    def moments(self) -> dict[str, Moments]:
        """The times in seconds since 1970, by name."""
        return {name: joined(times) for name, times in self._times.items()}


def in_several(choices: Sequence[Sequence[int]]) -> set[int]:
    """The numbers that stand in more than one of some choices."""
    several: set[int] = set()
    for few, many in combinations(sorted(choices, key=len), 2):
        if few:
            several |= set(few).intersection(many)
    return several
