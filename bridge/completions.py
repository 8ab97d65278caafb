"""Times of the latest complete readings, by list and kind of reading, as a metric."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal, get_args

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bridge import clock

Reading = Literal["messages", "discovery", "subscribed", "unsubscribed", "sweep"]
READINGS: Final[tuple[Reading, ...]] = get_args(Reading)
"""The kinds of reading that each list has."""

CompleteUntil = Callable[[], float | None]
"""A function that tells until when all that was due has been read, by the boot clock; None while
that isn't known. Called for each answer to /metrics."""


class Completions(Collector):
    """The start of the latest complete reading of each kind, by list: never was one later complete.

    A time is kept by the clock that never jumps, and told as one of this machine's clock as it is
    set when somebody asks: so its age is right, whatever the clock was set to meanwhile.
    """

    def __init__(self) -> None:
        # By the boot clock; None for a reading that isn't known to have been complete.
        self._began: dict[int, dict[Reading, float | None]] = {}
        self._measures: dict[tuple[int, Reading], CompleteUntil] = {}

    def show(self, lists: Iterable[int]) -> None:
        """Tells of these lists from now on, also while nothing of them is complete."""
        for list_id in lists:
            self._began.setdefault(list_id, dict.fromkeys(READINGS))

    def complete(self, list_id: int, reading: Reading, began: float) -> None:
        """Notes that a reading is complete that began at a time, by the boot clock."""
        self.show([list_id])
        known = self._began[list_id][reading]
        self._began[list_id][reading] = began if known is None else max(known, began)

    def restore(self, list_id: int, reading: Reading, began: float | None) -> None:
        """Takes over what is known from before of a reading, None for nothing."""
        self.show([list_id])
        self._began[list_id][reading] = began

    def measure(self, list_id: int, reading: Reading, complete_until: CompleteUntil) -> None:
        """Takes the times of a reading from a function, in place of any before."""
        self.began(list_id, reading)
        self._measures[list_id, reading] = complete_until

    def began(self, list_id: int, reading: Reading) -> float | None:
        """The start of the latest complete reading, by the boot clock; None for none known."""
        measured = self._measures.get((list_id, reading), lambda: None)()
        if measured is not None:
            self.complete(list_id, reading, measured)
        return self._began.get(list_id, {}).get(reading)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The times at present, in seconds since 1970; 0 for a reading that was not complete."""
        family = GaugeMetricFamily(
            "bridge_last_complete_timestamp_seconds",
            "Until when all is read: the start of the latest complete reading; of messages, the"
            " time by which each has been read that was due; 0 = not complete yet",
            labels=["list", "reading"],
        )
        for list_id in sorted(self._began):
            for reading in READINGS:
                began = self.began(list_id, reading)
                at = 0.0 if began is None else clock.wall_time() - (clock.boot_time() - began)
                family.add_metric([str(list_id), reading], at)
        yield family
