"""The instants that the API's naive times may stand for, to who reads them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from .clock import WallClock
from .history import History, Step


class Dates:
    """A reader of the API's times, in the zone that each step of a history has configured."""

    def __init__(self, history: History) -> None:
        self._wall = WallClock(history.timezone)
        self._own = history.timezone
        self._steps = history.steps
        self._readers: dict[str, WallClock] = {}

    def points(self, at: datetime, steps: Iterable[Step]) -> frozenset[datetime]:
        """The instants that the text of an instant stands for at some steps, or by itself."""
        local, zones = self.local(at), {step.configuration.timezone for step in steps} or {None}
        return frozenset(
            point for zone in zones for point in self._reader(zone or self._own).readings(local)
        )

    def points_ever(self, at: datetime) -> frozenset[datetime]:
        """The instants that the text of an instant stands for at any step."""
        return self.points(at, self._steps)

    def local(self, at: datetime) -> datetime:
        """The naive time that the API shows of an instant."""
        return self._wall.at(at)

    def _reader(self, zone: str) -> WallClock:
        return self._readers.setdefault(zone, WallClock(zone))
