"""Delays of events, from when they happened to when Segment accepted them, as a metric.

Many events are counted at once: one after the other they would cost a share of the throughput.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from bridge import clock
from bridge.source_time import CLOSE_ENOUGH

Moments = NDArray[np.float64]
"""Times of events, in seconds since 1970."""

BOUNDS: Final = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400, 259200)
"""Upper bounds of the buckets in seconds, up to three days; the last bucket has none."""

_BOUNDS: Final = np.array(BOUNDS, dtype=np.float64)

SINCE_START: Final = "since_start"
BEFORE_START: Final = "before_start"
"""Values of the label that tells whether this run of the service had begun when it happened."""


def moments(instants: Sequence[str]) -> Moments:
    """The times of instants, all of one width: `2026-03-08T06:30:00.250Z`."""
    texts = np.frombuffer("".join(instants).encode(), "S24")
    # Times of numpy have no zone: they are read without the Z.
    milliseconds = texts.astype("S23").astype("datetime64[ms]").astype(np.int64)
    return milliseconds / 1000


def joined(times: Sequence[Moments]) -> Moments:
    """Times in one, of one sequence at least."""
    return times[0] if len(times) == 1 else np.concatenate(times)


def without(happened: Moments, instant: str) -> Moments:
    """Times without one that is an instant's, if there is any."""
    places = np.flatnonzero(happened == moments([instant])[0])
    return np.delete(happened, places[:1])


class _Series(NamedTuple):
    """The labels of one histogram."""

    list_id: str
    event: str
    happened: str


@dataclass
class Measured:
    """The delays of some events.

    numbers: by bucket.
    total: seconds.
    """

    numbers: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(len(BOUNDS) + 1, dtype=np.int64)
    )
    total: float = 0.0


class Delays(Collector):
    """The delays of delivered events that have a date of their own, by list and kind of event."""

    def __init__(self) -> None:
        self._now: Callable[[], float] = clock.wall_time
        self._began = 0.0
        self._series: defaultdict[_Series, Measured] = defaultdict(Measured)

    def begin(self, now: Callable[[], float]) -> None:
        """Goes by another clock; what happens from now on happens since the start."""
        self._now, self._began = now, now()

    def measured(self, happened: Moments) -> dict[str, Measured]:
        """The delays of events that are delivered now, by whether this run had begun.

        A date that is still to come can't be right, and is left out.
        """
        now = self._now()
        happened = happened[happened <= now + CLOSE_ENOUGH]
        is_since = happened >= self._began
        parts = {SINCE_START: happened[is_since], BEFORE_START: happened[~is_since]}
        return {when: _measured(now - part) for when, part in parts.items() if part.size}

    def add(self, list_id: int, event: str, measured: Mapping[str, Measured]) -> None:
        """Counts events of a list and a name."""
        for when, delays in measured.items():
            series = self._series[_Series(str(list_id), event, when)]
            series.numbers += delays.numbers
            series.total += delays.total

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The numbers at present."""
        family = HistogramMetricFamily(
            "bridge_event_delay_seconds",
            "Time from when an event happened, by its own date, to when Segment accepted it."
            " Events that Listrak has no date of, backfills, and what was set aside or saved before"
            " a restart are left out; happened=before_start: this run had not begun yet, as of what"
            " a first start or an absence has left to be read",
            labels=["list", "event", "happened"],
        )
        bounds = [*map(str, map(float, BOUNDS)), "+Inf"]
        for labels, delays in sorted(self._series.items(), key=itemgetter(0)):
            sums = np.cumsum(delays.numbers).tolist()
            family.add_metric(labels, list(zip(bounds, sums, strict=True)), delays.total)
        yield family


def _measured(delays: NDArray[np.float64]) -> Measured:
    """The sums of some delays; a Date that is cut to the second may make them less than none."""
    measured = Measured(total=float(np.maximum(delays, 0, out=delays).sum()))
    first, last = np.searchsorted(_BOUNDS, (delays.min(), delays.max()))
    if first == last:
        # Most pages are of one time: to look up each is what costs.
        measured.numbers[first] = delays.size
    else:
        places = np.searchsorted(_BOUNDS, delays)
        measured.numbers = np.bincount(places, minlength=len(BOUNDS) + 1)
    return measured
