"""The clock of the emulated world, and Listrak's way of writing its time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


def utc_now() -> datetime:
    """The real time, in UTC."""
    return datetime.now(UTC)


class Clock:
    """A virtual clock.

    start: its first instant, aware; ValueError for a naive one.
    speed: its seconds in a real second.
    monotonic: counts real seconds.
    on_set: called whenever it is stopped, started or moved.
    """

    def __init__(
        self,
        start: datetime,
        speed: float = 1.0,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if start.tzinfo is None:
            raise ValueError("the clock needs an aware start")
        self.on_set: Callable[[], None] = lambda: None
        self._monotonic = monotonic
        self._base = start
        self._speed = speed
        self._since: float | None = monotonic()

    @classmethod
    def manual(cls, start: datetime, *, monotonic: Callable[[], float] = time.monotonic) -> Clock:
        """A clock that stands still; only `advance` moves it."""
        clock = cls(start, monotonic=monotonic)
        clock._base, clock._since = start, None
        return clock

    @property
    def now(self) -> datetime:
        """The virtual instant, in the zone of `start`."""
        if self._since is None:
            return self._base
        return self._base + timedelta(seconds=self._speed * (self._monotonic() - self._since))

    @property
    def rate(self) -> float:
        """Its seconds in a real second, 0 while it stands still."""
        return 0.0 if self._since is None else self._speed

    def real_seconds(self) -> float:
        """Seconds of the monotonic clock, which freezing doesn't stop."""
        return self._monotonic()

    @property
    def frozen(self) -> bool:
        """Tells whether the clock stands still."""
        return self._since is None

    def freeze(self) -> None:
        """Stops the clock, if it runs."""
        self._base = self.now
        self._since = None
        self.on_set()

    def resume(self) -> None:
        """Starts a stopped clock from where it is."""
        if self._since is None:
            self._since = self._monotonic()
            self.on_set()

    def advance(self, by: timedelta) -> datetime:
        """Moves the clock, running or not; returns its instant. ValueError for a step back."""
        if by < timedelta(0):
            raise ValueError("time does not run backwards")
        self._base += by
        self.on_set()
        return self.now


class WallClock:
    """Time as Listrak writes it: naive, of one zone, without trailing zeros.

    The hour that repeats in autumn reads the same twice.
    """

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)

    def at(self, instant: datetime) -> datetime:
        """The naive local time of an aware instant."""
        return instant.astimezone(self._zone).replace(tzinfo=None)

    def write(self, instant: datetime | None, none: str | None = None) -> str | None:
        """The text of an instant, such as `2015-08-31T16:02:41.65`; `none` for no instant."""
        if instant is None:
            return none
        text = self.at(instant).isoformat()
        return text.rstrip("0") if "." in text else text

    def read(self, text: str) -> datetime:
        """A naive local time from yyyy-mm-dd, mm-dd-yyyy or ISO 8601, with or without offset.

        ValueError for anything else.
        """
        if american := re.fullmatch(r"(\d\d)-(\d\d)-(\d{4})", text):
            month, day, year = map(int, american.groups())
            return datetime(year, month, day)  # noqa: DTZ001 - naive is the point
        if not re.match(r"\d{4}-\d\d-\d\d", text):
            raise ValueError("not a date")
        read = datetime.fromisoformat(text)
        return read if read.tzinfo is None else self.at(read)

    def instants(self, instant: datetime) -> set[datetime]:
        """The instants in UTC with the same local time: one, or two in the repeated hour."""
        return self.readings(self.at(instant))

    def readings(self, local: datetime) -> set[datetime]:
        """The instants in UTC that a naive local time may stand for here.

        Two in the repeated hour, and where spring leaves the hour out.
        """
        both = (local.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        return {reading.astimezone(UTC) for reading in both}
