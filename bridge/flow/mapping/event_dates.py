"""The own dates of a page's events, by which it is measured how long these take."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import combinations
from typing import Final

from bridge.delays import Moments, moments
from bridge.event_types import EVENT_TYPES, DateRule
from bridge.listrak.times import Instant

FIRST_ACTIVITIES: Final = frozenset(
    event.name for event in EVENT_TYPES if event.date_rule is DateRule.FIRST_ACTIVITY
)
"""Names of events that are dated by the first activity of their row."""


class EventDates:
    """The instants of a page's events, by name, of those that have a date of their own.

    ambiguous: numbers of rows of which it can't be told which event the first activity was.
    """

    def __init__(self) -> None:
        self.ambiguous: Collection[int] = ()
        self._instants: defaultdict[str, list[Instant]] = defaultdict(list)

    def add(self, name: str, numbers: Sequence[int], instants: Sequence[Instant]) -> None:
        """Adds events of a name, which rows of these numbers show, with an instant each."""
        if self.ambiguous and name in FIRST_ACTIVITIES:
            pairs = zip(numbers, instants, strict=True)
            instants = [instant for number, instant in pairs if number not in self.ambiguous]
        self._instants[name] += instants

    def clear(self) -> None:
        """Leaves them all out: what a backfill brings is late because it was asked for late."""
        self._instants.clear()

    def moments(self) -> dict[str, Moments]:
        """Their times in seconds since 1970, by name."""
        return {name: moments(instants) for name, instants in self._instants.items() if instants}


def in_several(choices: Sequence[Sequence[int]]) -> set[int]:
    """The numbers that stand in more than one of some choices."""
    several: set[int] = set()
    for few, many in combinations(sorted(choices, key=len), 2):
        if few:
            several |= set(few).intersection(many)
    return several
