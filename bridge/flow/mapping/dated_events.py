"""Events of one kind that rows of a page show with a date each: many at once."""

from itertools import compress
from typing import NamedTuple

from bridge.delays import Moments, moments
from bridge.listrak.times import Instant
from bridge.segment.events import Fingerprint


class DatedEvents(NamedTuple):
    """Events of one name, in the same order in each field.

    numbers: of their rows.
    instants: of their dates.
    """

    numbers: list[int]
    fingerprints: list[Fingerprint]
    emails: list[str]
    instants: list[Instant]

    def those(self, chosen: list[bool]) -> "DatedEvents":
        """The chosen ones of them."""
        return DatedEvents(
            list(compress(self.numbers, chosen)),
            list(compress(self.fingerprints, chosen)),
            list(compress(self.emails, chosen)),
            list(compress(self.instants, chosen)),
        )

    def moments(self) -> Moments:
        """Their times in seconds since 1970."""
        return moments(self.instants)

    def are_between(self, happened: Moments, first: Instant, end: Instant) -> bool:
        """Tells whether none is before the first instant, nor at the end or after it.

        happened: their times, among which the extremes are found faster than among texts.
        """
        if not self.instants:
            return True
        earliest, latest = (self.instants[at] for at in (happened.argmin(), happened.argmax()))
        return first <= earliest and latest < end
