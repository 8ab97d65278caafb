"""UserIds that are none: texts that stand for nobody, and values that many contacts share.

Segment merges everybody with the same userId into one profile, which nobody can part again
(bridge/segment/FACTS.md: Events).
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

NOBODY: Final = frozenset(
    ["0", "-1", "null", "none", "nil", "undefined", "nan", "n/a", "na", "-", "anonymous", "unknown"]
)
"""Values that are nobody's id, in lower case: what forms, exports and programs write for none."""

MOST_SHARED: Final = 20
"""Contacts of a list that may share a value: more than a household has, less than a default that
was written into everybody's field."""


class UserIds:
    """The choice of the values of a profile field that are userIds.

    more: further values that are nobody's, in lower case.
    """

    def __init__(self, more: Iterable[str] = ()) -> None:
        self._nobody = NOBODY | frozenset(more)

    def is_nobody(self, value: str) -> bool:
        """Tells whether a value stands for nobody."""
        return value.strip().lower() in self._nobody


def is_shared(values: Iterable[str | None]) -> bool:
    """Tells whether too many of some contacts have the same value."""
    numbers = Counter(value for value in values if value)
    return any(number > MOST_SHARED for number in numbers.values())
