"""Unsubscribes that lists have shown lately: signs that somebody may have complained."""

from collections.abc import Iterable, Set

from bridge.listrak import wire


def marks(rows: Iterable[wire.Contact]) -> set[int]:
    """The marks that tell unsubscribes apart, of the rows of a page."""
    return {hash((row.email_address, row.unsubscribe_date)) for row in rows}


class Departures:
    """The times at which contacts of a list last showed an unsubscribe that is new."""

    def __init__(self) -> None:
        self._shown: dict[int, Set[int]] = {}
        self._noted_at: dict[int, float] = {}

    def note(self, list_id: int, shown: Set[int], at: float) -> None:
        """Notes who has left lately, as a reading shows; after a start all count as new.

        shown: the marks of its rows.
        at: seconds since 1970, as Listrak counts them.
        """
        if shown - self._shown.get(list_id, set()):
            self._noted_at[list_id] = at
        self._shown[list_id] = shown

    def noted_at(self, list_id: int) -> float:
        """Time of the latest reading that showed a new one; 0 for never."""
        return self._noted_at.get(list_id, 0.0)
