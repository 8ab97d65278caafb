"""Moments of a life, drawn: some time after its start, or after so many calls of one side."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

import anyio

from crash.stand import SOON, Stand

LONGEST: Final = 2.5
"""Seconds until a moment is there in any case."""


@dataclass(frozen=True)
class Moment:
    """A moment of a life.

    after: calls of that side that have to be there first.
    wait: seconds from then on.
    """

    side: str
    after: int
    wait: float

    @staticmethod
    def drawn(random: Random) -> "Moment":
        """Any moment: in a quarter of the cases by time alone, so that starts are hit as well."""
        side = random.choice(("", "listrak", "segment", "segment"))
        if not side:
            return Moment("", 0, random.uniform(0.0, 1.5))
        most = 40 if side == "listrak" else 12
        return Moment(side, random.randint(1, most), random.uniform(0.0, 0.03))

    async def come(self, stand: Stand) -> None:
        """Waits for it, from the start of a life on."""
        calls = calls_of(stand, self.side)
        goal = calls() + self.after
        with anyio.move_on_after(LONGEST):
            # Nobody announces a call of Listrak's.
            while calls() < goal:  # noqa: ASYNC110
                await anyio.sleep(SOON)
        await anyio.sleep(self.wait)


def calls_of(stand: Stand, side: str) -> Callable[[], int]:
    """Counts the calls of a side so far; of a batch as soon as it is there."""
    listrak, segment = stand.sandbox.listrak, stand.sandbox.segment
    if side == "listrak":
        return lambda: sum(listrak.requests.values())
    return lambda: sum(segment.requests.values()) + segment.in_flight
