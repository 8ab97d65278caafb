"""The spread of events over time: how long after an email was sent each of them comes."""

from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bridge.clock import DAY, HOUR, MINUTE

Times = NDArray[np.float64]

QUANTILES: Final = 500
"""Points that an assumed spread is made of."""

ENOUGH: Final = 30
"""Measured delays from which on a spread is measured; with fewer it is assumed."""


class Spread:
    """A spread of delays, in seconds.

    delays: of events that were seen, in any order; at least one.
    is_measured: tells whether they are the account's own.
    """

    def __init__(self, delays: Sequence[float] | Times, *, is_measured: bool) -> None:
        self._delays = np.sort(np.maximum(np.asarray(delays, dtype=np.float64), 0.0))
        self._shares = (np.arange(len(self._delays)) + 0.5) / len(self._delays)
        self.is_measured = is_measured

    def share(self, seconds: float) -> float:
        """Fraction of the events that come within so many seconds."""
        share = np.interp(seconds, self._delays, self._shares, left=0.0, right=1.0)
        return float(share)

    def draw(self, rng: np.random.Generator, number: int) -> Times:
        """Delays of so many events, in no order."""
        drawn: Times = np.interp(rng.random(number), self._shares, self._delays)
        return drawn

    def after(self, other: "Spread", rng: np.random.Generator) -> "Spread":
        """The spread of what comes with these delays after events of another."""
        number = QUANTILES * 4
        return Spread(other.draw(rng, number) + self.draw(rng, number), is_measured=False)


def measured(delays: Sequence[float] | Times, otherwise: Spread) -> Spread:
    """The spread of delays that were seen; `otherwise` where they are too few."""
    return Spread(delays, is_measured=True) if len(delays) >= ENOUGH else otherwise


def _log_normal(median: float, sigma: float) -> Spread:
    normal = NormalDist(float(np.log(median)), sigma)
    shares = [(number + 0.5) / QUANTILES for number in range(QUANTILES)]
    return Spread(np.exp([normal.inv_cdf(share) for share in shares]), is_measured=False)


# Assumed where an account shows too little: what is usual for newsletters.

SENDING: Final = Spread([0.0, 20 * MINUTE], is_measured=False)
"""Mail servers take minutes for a list."""

OPENING: Final = _log_normal(3 * HOUR, 1.9)
"""Half within hours, a tenth after a day and more."""

BOUNCING: Final = _log_normal(2 * MINUTE, 1.5)
"""Mostly at once."""

ORDERING: Final = _log_normal(0.75 * DAY, 1.2)
"""After the click; no date of an order is shown."""
