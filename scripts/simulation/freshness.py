"""How long it took until what happened was seen, by kind of event and age of the email."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bridge.clock import DAY
from simulation.population import CONTACT_KINDS, KINDS, Times

ALL_KINDS: Final = (*KINDS, *CONTACT_KINDS)

ALWAYS: Final = 1e12
"""An age in seconds that no email reaches."""

AGES: Final = (("first day", 0.0, DAY), ("to a week", DAY, 7 * DAY), ("later", 7 * DAY, ALWAYS))


@dataclass
class Freshness:
    """Seconds from happening to being seen; ages are seconds since the send.

    hidden: the slowest of what only scans show that read most of it again, by kind.
    open: the slowest of all else.
    """

    seconds: dict[str, list[float]] = field(
        default_factory=lambda: {kind: [] for kind in ALL_KINDS}
    )
    ages: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in ALL_KINDS})
    hidden: dict[str, float] = field(default_factory=dict)
    open: dict[str, float] = field(default_factory=dict)

    def add(
        self, kind: str, happened: float, sent: float, seen: float, *, hidden: bool = False
    ) -> None:
        """One event."""
        slowest = self.hidden if hidden else self.open
        slowest[kind] = max(seen - happened, slowest.get(kind, 0.0))
        self.seconds[kind].append(seen - happened)
        self.ages[kind].append(happened - sent)

    def add_all(self, kind: str, happened: Times, sent: Times, seen: Times) -> None:
        """Many events."""
        self.seconds[kind] += (seen - happened).tolist()
        self.ages[kind] += (happened - sent).tolist()

    @property
    def seen(self) -> int:
        """How many events of emails were seen; identifies are none."""
        return sum(len(self.seconds[kind]) for kind in KINDS)

    def of(self, kind: str, least: float, most: float) -> tuple[float, float, float] | None:
        """p50, p95 and the most of events at those ages; None where there were none."""
        ages = np.array(self.ages[kind])
        seconds = np.array(self.seconds[kind])[(ages >= least) & (ages < most)]
        if not len(seconds):
            return None
        half, most_of = np.percentile(seconds, (50, 95))
        return float(half), float(most_of), float(seconds.max())
