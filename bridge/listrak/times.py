"""Listrak's naive Eastern times, as UTC instants and back.

An instant is text of one width, `2026-03-08T06:30:00.250Z`, so that instants compare as text;
the empty text is no time at all and comes before every other.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypeVar

Instant = str
Read = TypeVar("Read")

_NAIVE = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d)(:[0-5]\d:[0-5]\d)(?:\.(\d{1,9}))?", re.ASCII)
_NONES = ("0001-01-01T00:00:00", "0001-01-01 00:00:00")
_HOUR = timedelta(hours=1)


def instant(moment: datetime) -> Instant:
    """An aware datetime as an instant; microseconds are cut to milliseconds."""
    utc = moment.astimezone(UTC)
    return f"{utc.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def moment(text: Instant) -> datetime:
    """An instant as an aware datetime in UTC."""
    return datetime.fromisoformat(text)


def seconds(text: Instant) -> float:
    """An instant as seconds since 1970."""
    return moment(text).timestamp()


def from_seconds(stamp: float) -> Instant:
    """Seconds since 1970 as an instant."""
    return instant(datetime.fromtimestamp(stamp, UTC))


def canonical(text: str | None) -> str:
    """A date as the API gave it, without what may vary (zeros at the end of a fraction).

    For identities: naive as it came, so that no reading of a repeated hour can change it.
    """
    if not text or text.startswith(_NONES):
        return ""
    return text.rstrip("0").rstrip(".") if "." in text and text[-1].isdigit() else text


class Zone:
    """Reads naive times of one zone. Remembers each hour's readings: most reads are cheap."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._hours: dict[str, tuple[str, str] | None] = {}

    def instant(self, text: str | None, not_before: Instant = "") -> Instant:
        """The instant of a time as Listrak writes it; "" for null, "" and 0001-01-01.

        Of the two readings of the hour that repeats in autumn, the earliest that is not before
        `not_before`. An offset or Z in the text is honoured. Raises ValueError for what is no
        ISO 8601 date-time.
        """
        if not text or text.startswith(_NONES):
            return ""
        match = _NAIVE.fullmatch(text)
        if match is None:
            return self._within_calendar(self._unusual, text, not_before)
        day, hour, rest, fraction = match.groups()
        prefix = f"{day}T{hour}"
        try:
            readings = self._hours[prefix]
        except KeyError:
            readings = self._hours[prefix] = self._within_calendar(self._readings, prefix)
        if readings is None:
            return self._within_calendar(self._unusual, text, not_before)
        tail = f"{rest}.{(fraction or '').ljust(3, '0')[:3]}Z"
        earlier, later = readings
        found = earlier + tail
        return later + tail if earlier != later and found < not_before else found

    def lenient(self, text: str | None) -> Instant:
        """As `instant`, but what is no date is no time: where a date only helps."""
        try:
            return self.instant(text)
        except ValueError:
            return ""

    def naive(self, text: Instant) -> str:
        """An instant as a naive time for a query, to the second."""
        return f"{moment(text).astimezone(self._zone):%Y-%m-%dT%H:%M:%S}"

    def _readings(self, prefix: str) -> tuple[str, str] | None:
        """Both readings of an hour, as UTC hours; None where the zone isn't whole hours off UTC."""
        start = datetime.fromisoformat(f"{prefix}:00:00").replace(tzinfo=self._zone)
        both = [start.replace(fold=fold) for fold in (0, 1)]
        # The hour that spring leaves out has two "readings" as well; the first is the one to take.
        exists = both[0].astimezone(UTC).astimezone(self._zone).hour == start.hour
        for reading in both:
            offset = reading.utcoffset() or timedelta(0)
            if offset % _HOUR or reading.replace(minute=59).utcoffset() != offset:
                return None
        first, second = (reading.astimezone(UTC).isoformat()[:13] for reading in both)
        return (first, second if exists else first)

    def _within_calendar(self, read: Callable[..., Read], *arguments: str) -> Read:
        """What `read` makes of them; the end of time (9999-12-31T23:59:59) is no date either."""
        try:
            return read(*arguments)
        except OverflowError:
            raise ValueError(f"{arguments[0]!r} is out of the calendar") from None

    def _unusual(self, text: str, not_before: Instant) -> Instant:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return instant(moment)
        earlier, later = (instant(moment.replace(tzinfo=self._zone, fold=fold)) for fold in (0, 1))
        return max(earlier, later) if earlier < not_before else earlier
