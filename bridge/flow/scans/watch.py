"""What is remembered of a message between its scans."""

from collections.abc import Mapping

import msgspec

from bridge.flow.scans.step import DAY

EXACT = 0.005
"""Numbers (amounts among them) that differ by less are the same."""


LATE = 600.0
"""Seconds by which rows, or counters, may be behind what they tell of."""


class Try(msgspec.Struct, array_like=True):
    """The latest scan of a step: when it began, how much it left missing, how many rows it read.

    `misses`: how many in a row found nothing although something was missing.
    """

    at: float = 0.0
    left: float = 0.0
    rows: int = 0
    misses: int = 0


class Watch(msgspec.Struct, array_like=True):
    """One kind of event of one message. Times are seconds since 1970, as Listrak counts them.

    `agreed_at`: when last all that Listrak counts was seen. `proven_at`: what it counted by then is
    seen, but for what no recent scan shows, which is `left`; there recent scans begin. `marked_at`
    and `marked`: a later count that isn't reached yet. `base`: what it counts and doesn't show at
    all, as whole looks found. `counted`: at the latest scan. `tries`: of the steps of the ladder.
    """

    agreed_at: float = 0.0
    proven_at: float = 0.0
    marked_at: float = 0.0
    marked: float = 0.0
    left: float = 0.0
    base: float = 0.0
    counted: float = -1.0
    tries: list[Try] = msgspec.field(default_factory=list)

    def attempt(self, step: int) -> Try:
        """The latest scan of a step; one never done is of no time."""
        while len(self.tries) <= step:
            self.tries.append(Try())
        return self.tries[step]

    def lacking(self, counted: float, seen: float) -> float:
        """What Listrak counts and wasn't seen; below 0 where more was seen."""
        lack = counted - self.base - seen
        return 0.0 if abs(lack) < EXACT else lack

    def agree(self, at: float) -> None:
        """Everything counted at that time was seen."""
        self.agreed_at = self.proven_at = max(self.agreed_at, at)
        self.marked_at = self.left = 0.0
        for attempt in self.tries:
            attempt.left, attempt.misses = 0.0, 0

    def mark(self, at: float, counted: float, seen: float, *, whole: bool = False) -> None:
        """Not everything counted at that time was seen; perhaps all of what was counted before.

        What doesn't turn up for long is `left` for wider scans to find; after a `whole` look, it
        can only be late.
        """
        lack = self.lacking(counted, seen)
        if whole:
            self.proven_at, self.marked_at = max(self.proven_at, at - LATE), 0.0
            self.left = lack
            return
        if lack <= self.left:
            self.proven_at, self.marked_at, self.left = at, 0.0, lack
            return
        if self.marked_at:
            lack = self.lacking(self.marked, seen)
            if lack > self.left and at - self.marked_at < LATE:
                return
            self.proven_at, self.left = self.marked_at, max(lack, 0.0)
        self.marked_at, self.marked = at, counted

    def patience(self, step: int, seconds: float, age: float) -> float:
        """Seconds until a step that may find nothing is worth its while: longer with each miss."""
        longest = max(seconds, DAY, age / 4)
        return min(seconds * 2.0 ** min(self.attempt(step).misses, 30), longest)


class Watching(msgspec.Struct, array_like=True):
    """A message: a watch for each event, and how many clicks each link had when last read."""

    watches: dict[str, Watch] = msgspec.field(default_factory=dict)
    links: dict[int, int] = msgspec.field(default_factory=dict)

    def watch(self, event: str) -> Watch:
        """The watch for an event, new where there is none."""
        return self.watches.setdefault(event, Watch())

    def text(self) -> str:
        """As it is kept in the state file."""
        return msgspec.json.encode(self).decode()


def watching_of(text: str) -> Watching:
    """What was kept in the state file; "" for nothing yet."""
    return msgspec.json.decode(text, type=Watching) if text else Watching()


def copy_of(watching: Watching) -> Watching:
    """The same, to be changed without the other."""
    return watching_of(watching.text())


Numbers = Mapping[str, float]
"""Numbers by event; of orders it is the revenue, which can be compared to the cent."""
