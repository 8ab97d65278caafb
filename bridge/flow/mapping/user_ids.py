"""UserIds that are none: texts that stand for nobody, and values that many contacts share.

Segment merges everybody with the same userId into one profile, which nobody can part again
(bridge/segment/FACTS.md: Events).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

NOBODY: Final = frozenset(
    [
        "0",
        "-1",
        "null",
        "none",
        "nil",
        "undefined",
        "nan",
        "n/a",
        "na",
        "-",
        "anonymous",
        "unknown",
        "test",
    ]
)
"""Values that are nobody's id, in lower case: what forms, exports and programs write for none."""

PLACEHOLDER: Final = "zeros and dashes"
"""Kind of the values that are made of zeros and dashes alone, such as `000` or a UUID of zeros."""

CONFIGURED: Final = "BRIDGE_IGNORED_USER_IDS"
"""Kind of the values that a setting names: they may be personal, so logs don't repeat them."""

MOST_SHARED: Final = 20
"""Contacts of a list that may share a value: more than a household has, less than a default that
was written into everybody's field."""

MOST_COUNTED: Final = 10_000
"""Values that are counted side by side, which bounds the memory; a page has half as many."""


class UserIds:
    """The choice of the values of a profile field that are userIds.

    more: further values that are nobody's, in lower case.
    """

    def __init__(self, more: Iterable[str] = ()) -> None:
        self._kinds = dict.fromkeys(more, CONFIGURED) | {value: value for value in NOBODY}

    def kind_of_nobody(self, value: str) -> str | None:
        """The kind of a value that stands for nobody, as it may be logged; None for a userId."""
        text = value.strip().lower()
        return self._kinds.get(text) or (None if text.strip("0-") else PLACEHOLDER)


class SharedUserIds:
    """The userIds that most contacts share, of any number of contacts, in bounded memory.

    Where there are too many values at once, all numbers are lowered until the rare ones are gone:
    a value that is found to be shared is shared by so many contacts at least.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, values: Iterable[str]) -> None:
        """Counts the userIds of contacts that were not counted before."""
        self._counts.update(values)
        if len(self._counts) > MOST_COUNTED:
            self._counts = _without_rare(self._counts)

    def most(self) -> tuple[str, int]:
        """The userId that most contacts share, and how many do at least; 0 for none."""
        return max(self._counts.items(), key=lambda item: item[1], default=("", 0))


def _without_rare(counts: Mapping[str, int]) -> Counter[str]:
    """The commoner half of some numbers at most, each lowered by the largest of the others."""
    rare = sorted(counts.values(), reverse=True)[MOST_COUNTED // 2]
    return Counter({value: number - rare for value, number in counts.items() if number > rare})
