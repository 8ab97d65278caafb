"""The progress of the work: what is outstanding, when it last moved, what explains a standstill.

It is read off the metrics, so that nobody who works has to tell it. Readiness and the watchdog
follow from it (bridge/supervision/lifecycle.py).
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from prometheus_client.metrics import MetricWrapperBase

from bridge import clock
from bridge.metrics import Metrics

STANDSTILL_AFTER: Final = 180.0
"""Seconds without any movement of outstanding work that nothing explains: longer than any request,
and any wait between two of them, may take."""

ALL_WAIT_FOR: Final = "erasure"
"""Name of what keeps all from the state file: while it is written anew, nothing can be read."""

LONGEST_STEP: Final = 30.0
"""Seconds between two looks that count at most: meanwhile the process may have been paused."""

SLOW_AFTER: Final = 10.0
"""Seconds of one transaction after which the disk counts as slow."""


class Stage(NamedTuple):
    """A stage of the work.

    name: as in the metric bridge_outstanding.
    words: sentence about so many that wait there.
    explained_by: name in the metrics bridge_blocked and bridge_throttled, "" for none.
    """

    name: str
    words: str
    explained_by: str


STAGES: Final = (
    Stage("saving", "{} changes wait for the state file", "state"),
    Stage("sending", "{} batches are on their way to Segment", "segment"),
    Stage("mapping", "{} pages wait to be turned into events", ""),
    Stage("reading", "{} readings are under way or due", "listrak"),
)
"""The stages, the last one of the way first: whoever comes before it may have to wait for it."""


class Look(NamedTuple):
    """The findings of one look at the work.

    standstill: sentence about what stands still; None where all moves, rests, or waits for others.
    slow: seconds that the disk has taken for a transaction so far, None for less than SLOW_AFTER.
    """

    standstill: str | None
    slow: float | None


class Progress:
    """The progress of one run, as `look` finds it now and then.

    patience: seconds; see STANDSTILL_AFTER.
    now: tells the time, in seconds.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        patience: float = STANDSTILL_AFTER,
        now: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._metrics = metrics
        self._patience = patience
        self._now = now
        self._looked = now()
        self._quiet = {stage.name: 0.0 for stage in STAGES}
        self._moved = self._movements()
        metrics.last_progress.set(clock.wall_time())

    def look(self) -> Look:
        """Looks at the work; what is found holds for this moment."""
        now, moved, before = self._now(), self._movements(), self._moved
        step = min(now - self._looked, LONGEST_STEP)
        self._moved, self._looked = moved, now
        if any(moved[name] != before[name] for name in moved):
            self._metrics.last_progress.set(clock.wall_time())
        outstanding = _by_label(self._metrics.outstanding)
        waiting_for = {
            name
            for metric in (self._metrics.blocked, self._metrics.throttled)
            for name, value in _by_label(metric).items()
            if value
        }
        standstill: str | None = None
        is_judged = False
        for stage in STAGES:
            number = outstanding.get(stage.name, 0)
            rests = is_judged or not number or waiting_for & {stage.explained_by, ALL_WAIT_FOR}
            if rests or moved[stage.name] != before[stage.name]:
                self._quiet[stage.name] = 0.0
            else:
                self._quiet[stage.name] += step
            quiet = self._quiet[stage.name]
            if quiet >= self._patience:
                words = stage.words.format(f"{number:g}")
                standstill = f"nothing has moved for {_span(quiet)}: {words}"
            is_judged = is_judged or bool(number)
        slow = _total(self._metrics.transaction)
        return Look(standstill, slow if slow >= SLOW_AFTER else None)

    def accomplished(self) -> float:
        """The number of events that were delivered, or put aside for good, since the start."""
        by_outcome = _by_label(self._metrics.events)
        return by_outcome.get("delivered", 0) + by_outcome.get("dead_lettered", 0)

    def _movements(self) -> dict[str, float]:
        """By stage, a number that changes with each movement there."""
        metrics = self._metrics
        saved, sent = _total(metrics.commits), _total(metrics.batches)
        read = _total(metrics.listrak_calls) + _total(metrics.tasks)
        # What is mapped is sent, or saved, or both; and readings wait for it.
        return {
            "saving": saved,
            "sending": sent,
            "mapping": saved + sent,
            "reading": saved + sent + read,
        }


def _samples(metric: MetricWrapperBase) -> Iterable[tuple[dict[str, str], float]]:
    for family in metric.collect():
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                yield sample.labels, sample.value


def _total(metric: MetricWrapperBase) -> float:
    return sum(value for _, value in _samples(metric))


def _by_label(metric: MetricWrapperBase) -> dict[str, float]:
    """The values of a metric with one label."""
    return {next(iter(labels.values())): value for labels, value in _samples(metric)}


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
