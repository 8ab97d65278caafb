"""Listrak's naive Eastern times (FACTS.md: Times), as UTC instants and back.

An instant is text of one width, `2026-03-08T06:30:00.250Z`, so that instants compare as text;
the empty text is no time at all and comes before every other.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypeVar
from zoneinfo import ZoneInfo

Instant = str
Read = TypeVar("Read")

_HOUR_TEXT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d)", re.ASCII)
_CLOCK_TEXT = re.compile(r":[0-5]\d:[0-5]\d", re.ASCII)
_FRACTION_TEXT = re.compile(r"(?:\.(\d{1,9}))?", re.ASCII)
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
    """A date as Listrak wrote it, without trailing zeros of its fraction; "" for none.

    For identities: it stays naive, as a repeated hour has two readings.
    """
    if not text or text.startswith(_NONES):
        return ""
    return text.rstrip("0").rstrip(".") if "." in text and text[-1].isdigit() else text


def canonicals(texts: Iterable[str | None]) -> list[str]:
    """Dates as `canonical` has them; most have nothing to be left out."""
    return [
        text if text and text[-1] in "123456789" and text[0] != "0" else canonical(text)
        for text in texts
    ]


class _Remembered(dict[str, Read]):
    """A cache of readings by text, emptied when it is full.

    make: reads a text; raises KeyError for one that it can't read.
    most: number of entries.
    """

    def __init__(self, make: Callable[[str], Read], most: int = 10_000) -> None:
        super().__init__()
        self._make = make
        self._most = most

    def __missing__(self, text: str) -> Read:
        made = self._make(text)
        if len(self) >= self._most:
            self.clear()
        self[text] = made
        return made


class Zone:
    """A reader of naive times of one zone. It caches parts of times, so that most are cheap.

    The parts are an hour (`2026-03-08T01`), a clock (`:30:00`) and a fraction (`.25`).
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._hours = _Remembered(self._plain_hour)
        self._readings = _Remembered(self._both_readings)
        self._clocks = _Remembered(_clock)
        self._fractions = _Remembered(_fraction)

    def instants(self, texts: Sequence[str | None]) -> list[Instant]:
        """The instants of many times; "" also for a time that only `instant` can read."""
        hours, clocks, fractions = self._hours, self._clocks, self._fractions
        try:
            return [
                hours[text[:13]] + clocks[text[13:19]] + fractions[text[19:]]  # type: ignore[index]
                for text in texts
            ]
        except (KeyError, TypeError):
            return [self._plain(text) for text in texts]

    def _plain(self, text: str | None) -> Instant:
        if not text:
            return ""
        try:
            return self._hours[text[:13]] + self._clocks[text[13:19]] + self._fractions[text[19:]]
        except KeyError:
            return ""

    def instant(self, text: str | None, not_before: Instant = "") -> Instant:
        """The instant of a time as Listrak writes it; "" for null, "" and 0001-01-01.

        An hour repeats in autumn: its earliest reading that is not before `not_before` counts. An
        offset or Z in the text is honoured (FACTS.md: Times). Raises ValueError for what is no ISO
        8601 date-time.
        """
        if not text or text.startswith(_NONES):
            return ""
        try:
            earlier, later = self._readings[text[:13]]
            tail = self._clocks[text[13:19]] + self._fractions[text[19:]]
        except KeyError:
            return self._unusual(text, not_before)
        first = earlier + tail
        return later + tail if earlier != later and first < not_before else first

    def lenient(self, text: str | None, not_before: Instant = "") -> Instant:
        """The instant of a time, "" also for what is no date: for uses where a date only helps."""
        try:
            return self.instant(text, not_before)
        except ValueError:
            return ""

    def naive(self, text: Instant) -> str:
        """An instant as a naive time for a query, to the second."""
        return self._naive(moment(text))

    def moved(self, text: Instant, other: str) -> Instant:
        """The instant that divides naive times here as `text` does in another zone, by name.

        Times of an hour that repeats there are read as of its first run: where `text` lies in the
        second one, all of them are before it.
        """
        if not text or other in ("", str(self._zone)):
            return text
        there = moment(text).astimezone(ZoneInfo(other))
        if there.fold:
            there = _after_repetition(there)
        return instant(there.replace(tzinfo=self._zone))

    def naive_from(self, text: Instant) -> str:
        """A naive time for the beginning of a span: not after that of any later instant.

        In the hour before the clocks go back, later instants have earlier naive times.
        """
        start = moment(text)
        return self._naive(start, -self._back_within(start, start + _HOUR))

    def naive_until(self, text: Instant) -> str:
        """A naive time for the end of a span: not before that of any earlier instant.

        In the hour after the clocks went back, earlier instants have later naive times.
        """
        end = moment(text)
        return self._naive(end, self._back_within(end - _HOUR, end))

    def _naive(self, at: datetime, later: timedelta = timedelta(0)) -> str:
        """A moment as a naive time, by so much later."""
        return f"{at.astimezone(self._zone).replace(tzinfo=None) + later:%Y-%m-%dT%H:%M:%S}"

    def _back_within(self, start: datetime, end: datetime) -> timedelta:
        """The time by which the clocks go back from one moment to another, 0 if they don't."""
        none = timedelta(0)
        before, after = (one.astimezone(self._zone).utcoffset() or none for one in (start, end))
        return max(before - after, none)

    def _plain_hour(self, text: str) -> str:
        """An hour in UTC. Raises KeyError where it has two readings, or no simple one."""
        first, second = self._readings[text]
        if first != second or text.startswith("0001-01-01"):
            raise KeyError(text)
        return first

    def _both_readings(self, text: str) -> tuple[str, str]:
        """Both readings of an hour, in UTC. Raises KeyError where it isn't whole hours off UTC."""
        match = _HOUR_TEXT.fullmatch(text)
        if match is None:
            raise KeyError(text)
        try:
            start = datetime.fromisoformat(f"{match[1]}T{match[2]}:00:00").replace(
                tzinfo=self._zone
            )
            both = [start.replace(fold=fold) for fold in (0, 1)]
            # The hour that spring leaves out has two readings as well; the first counts.
            exists = both[0].astimezone(UTC).astimezone(self._zone).hour == start.hour
            for reading in both:
                offset = reading.utcoffset() or timedelta(0)
                if offset % _HOUR or reading.replace(minute=59).utcoffset() != offset:
                    raise KeyError(text)
            first, second = (reading.astimezone(UTC).isoformat()[:13] for reading in both)
        except (ValueError, OverflowError):
            raise KeyError(text) from None
        return (first, second if exists else first)

    def _unusual(self, text: str, not_before: Instant) -> Instant:
        moment = datetime.fromisoformat(text)
        try:
            if moment.tzinfo is not None:
                return instant(moment)
            both = (instant(moment.replace(tzinfo=self._zone, fold=fold)) for fold in (0, 1))
            earlier, later = both
        except OverflowError:
            # The end of time (9999-12-31T23:59:59) is no date either.
            raise ValueError(f"{text!r} is out of the calendar") from None
        return max(earlier, later) if earlier < not_before else earlier


def _after_repetition(there: datetime) -> datetime:
    """The end of the repeated hour that a moment lies in the second run of."""
    utc = there.astimezone(UTC).replace(second=0, microsecond=0)
    while there.fold:
        utc += timedelta(minutes=1)
        there = utc.astimezone(there.tzinfo)
    return there


def _clock(text: str) -> str:
    """Minute and second, unchanged. Raises KeyError for any other text."""
    if _CLOCK_TEXT.fullmatch(text) is None:
        raise KeyError(text)
    return text


def _fraction(text: str) -> str:
    """A second's fraction to the millisecond, and Z. Raises KeyError for any other text."""
    match = _FRACTION_TEXT.fullmatch(text)
    if match is None:
        raise KeyError(text)
    return f".{(match[1] or '').ljust(3, '0')[:3]}Z"
