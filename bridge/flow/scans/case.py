"""A message at a time, as far as scans are concerned, and what may be read of it."""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from bridge.flow import scheduler
from bridge.flow.scans.step import (
    ABUSE,
    BOUNCE,
    CLICK,
    CONVERSION,
    LADDERS,
    OPEN,
    TRACKED,
    UNSUBSCRIBE,
    WHOLE,
    Step,
)
from bridge.flow.scans.trust import Trust
from bridge.flow.scans.watch import Numbers, Watching
from bridge.listrak import wire
from bridge.state.records import Message
from bridge.vocabulary import BOUNCED, CLICKED, CONVERTED, OPENED, SENT, SPAM, UNSUBSCRIBED

SMALL: Final = 1 / 50
"""Of a page: rows that count for nothing, as a call for fewer is a call all the same."""

_EVENTS: Final = {
    OPEN: OPENED,
    BOUNCE: BOUNCED,
    ABUSE: SPAM,
    UNSUBSCRIBE: UNSUBSCRIBED,
    CONVERSION: CONVERTED,
    CLICK: CLICKED,
}


class Scan(NamedTuple):
    """A step that is due: `since` in seconds since 1970, None for from the beginning."""

    step: Step
    since: float | None = None
    only: str | None = None


@dataclass(frozen=True)
class Plan:
    """What is to be read: everything, or some scans; `rows` of it, as far as one can tell."""

    whole: bool = False
    scans: tuple[Scan, ...] = ()
    rows: float = 0.0

    def __bool__(self) -> bool:
        return self.whole or bool(self.scans)


@dataclass(frozen=True)
class Case:
    """A message at a time: what Listrak counts (nothing where it has no Summary), what was seen.

    `now` in seconds since 1970; `track`: seconds that a send is tracked; `page`: rows of a page;
    `ignore`: events that nobody wants to be looked for; `last`: it is about to be given up.
    """

    message: Message
    counted: Numbers
    seen: Numbers
    watching: Watching
    trust: Trust
    now: float
    track: float
    page: int = wire.MOST_ROWS
    ignore: frozenset[str] = frozenset()
    last: bool = False

    @property
    def age(self) -> float:
        """Seconds; see the scheduler."""
        return scheduler.age(self.message, self.now)

    @property
    def size(self) -> float:
        """Rows of the whole message."""
        return max(self.counted.get(SENT, 0), self.seen.get(SENT, 0))

    @property
    def small(self) -> float:
        """Rows that count for nothing."""
        return self.page * SMALL

    def ladder(self, event: str) -> list[tuple[int, Step]]:
        """The steps that may be of use, with their numbers.

        Where all that is tracked can't be asked for, the whole message takes its place.
        """
        kind = self.message.kind
        steps: list[tuple[int, Step]] = []
        hurry = math.inf
        for number, step in enumerate(LADDERS[kind][event]):
            if self.trust.useful(kind, step, self.now):
                hurried = step if step.patience <= hurry else step._replace(patience=hurry)
                steps.append((number, hurried))
            elif step.name == TRACKED:
                hurry = step.patience
        return steps

    def cost(self, event: str, number: int, step: Step) -> float:
        """Rows that a step will read, as far as one can tell."""
        watch = self.watching.watch(event)
        if step.recent:
            # What it will read is what moved, and little more.
            return 0 if watch.proven_at else self.size
        if step.name in (WHOLE, TRACKED):
            return self.size
        attempt = watch.attempt(number)
        if attempt.rows:
            return attempt.rows
        shown = _EVENTS[step.only] if step.only else event
        return max(self.counted.get(shown, 0), self.seen.get(shown, 0))
