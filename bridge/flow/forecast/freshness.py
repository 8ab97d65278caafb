"""The freshness of events: delays of many lives, by kind of event and age of the email."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.clock import DAY
from bridge.event_types import SENT, TRACKS, UNSUBSCRIBED
from bridge.flow.forecast.life import Delays

AGES: Final = (("first day", DAY), ("to a week", 7 * DAY), ("later", float("inf")))
"""Ages of the email, each with its end in seconds."""


class Freshness(NamedTuple):
    """The seconds from happening to being read, within which half and 95 % of the events are.

    age: of the email; one of AGES.
    """

    event: str
    age: str
    half: float
    most: float


class FreshnessTally:
    """A tally of delays; those of a life count as often as there are messages like it."""

    def __init__(self) -> None:
        self._delays: defaultdict[str, list[tuple[Delays, float]]] = defaultdict(list)

    def add(self, delays: dict[str, Delays], weight: float) -> None:
        """Adds the delays of a life, by event."""
        for event, one in delays.items():
            self._delays[event].append((one, weight))

    def of(self, events: Iterable[str]) -> Iterator[Freshness]:
        """The freshness of these events but for unsubscribes, which contacts tell."""
        wanted = set(events) - {UNSUBSCRIBED}
        for event in (one for one in TRACKS if one in wanted and self._delays[one]):
            waited, ages, weights = _joined(self._delays[event])
            begin = 0.0
            for name, end in AGES:
                those = (ages >= begin) & (ages < end)
                if those.any() and (event != SENT or begin == 0.0):
                    half, most = _quantiles(waited[those], weights[those], (0.5, 0.95))
                    yield Freshness(event, name, half, most)
                begin = end


def _joined(
    delays: list[tuple[Delays, float]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Waits, ages, and the weight of each."""
    waited = [np.concatenate(one.waited) for one, _ in delays]
    ages = [np.concatenate(one.ages) for one, _ in delays]
    weights = [np.full(len(each), weight) for each, (_, weight) in zip(waited, delays, strict=True)]
    return np.concatenate(waited), np.concatenate(ages), np.concatenate(weights)


def _quantiles(
    values: NDArray[np.float64], weights: NDArray[np.float64], shares: tuple[float, ...]
) -> list[float]:
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    places = np.minimum(np.searchsorted(reached, shares), len(values) - 1)
    return [float(value) for value in values[order][places]]
