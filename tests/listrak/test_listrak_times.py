"""Naive Eastern times as instants, and back."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from bridge.listrak import times
from bridge.listrak.times import Zone, canonical, canonicals

EASTERN = Zone(ZoneInfo("America/New_York"))

MOMENTS = st.datetimes(datetime(2015, 1, 1), datetime(2035, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
# Offsets that are no whole hours, half an hour of summer time, two hours of it, both hemispheres.
ZONES = [
    "America/New_York",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Sao_Paulo",
    "UTC",
    "Europe/London",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Adelaide",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Antarctica/Troll",
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-15T16:02:41", "2026-01-15T21:02:41.000Z"),
        ("2026-07-15T16:02:41", "2026-07-15T20:02:41.000Z"),
        ("2026-07-15 16:02:41", "2026-07-15T20:02:41.000Z"),
        ("2026-07-15T23:59:59", "2026-07-16T03:59:59.000Z"),
        ("2026-12-31T23:00:00", "2027-01-01T04:00:00.000Z"),
        ("2015-08-31T16:02:41.6", "2015-08-31T20:02:41.600Z"),
        ("2015-08-31T16:02:41.65", "2015-08-31T20:02:41.650Z"),
        ("2015-08-31T16:02:41.657", "2015-08-31T20:02:41.657Z"),
        ("2015-08-31T16:02:41.6579", "2015-08-31T20:02:41.657Z"),
        ("2015-08-31T16:02:41.999999999", "2015-08-31T20:02:41.999Z"),
        ("2015-08-31T16:02:41Z", "2015-08-31T16:02:41.000Z"),
        ("2015-08-31T16:02:41.65Z", "2015-08-31T16:02:41.650Z"),
        ("2015-08-31T16:02:41+02:00", "2015-08-31T14:02:41.000Z"),
        ("2015-08-31T16:02:41.5-04:00", "2015-08-31T20:02:41.500Z"),
        ("2015-08-31T16:02:41.5-0430", "2015-08-31T20:32:41.500Z"),
        ("2015-08-31", "2015-08-31T04:00:00.000Z"),
        ("2015-08-31T16:02", "2015-08-31T20:02:00.000Z"),
    ],
)
def test_reads(text: str, expected: str) -> None:
    """Naive times are Eastern, with any fraction (cut to milliseconds); an offset is honoured."""
    assert EASTERN.instant(text) == expected
    assert EASTERN.instant(text) == expected, "the hour is remembered"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "0001-01-01T00:00:00",
        "0001-01-01T00:00:00.000",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:00",
    ],
)
def test_none(text: str | None) -> None:
    """Null, nothing and the first moment of time mean that there is no time."""
    assert EASTERN.instant(text) == ""
    assert EASTERN.instant(text, not_before="2026-01-01T00:00:00.000Z") == ""
    assert canonical(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "2026-13-01T00:00:00",
        "2026-02-30T00:00:00",
        "2026-02-28T24:00:00",
        "2026-02-28T23:60:00",
        "2026-02-28T23:00:60",
        "2026-02-28T23:00:00.",
        "02/28/2026 23:00",
        "20260228T230000 EST",
        "/Date(1440000000000)/",
        "0000-00-00T00:00:00",
        "10000-01-01T00:00:00",
        "9999-12-31T23:59:59.9999999",
        "9999-12-31T23:59:59",
    ],
)
def test_no_date(text: str) -> None:
    """What is no date-time, or none that fits into UTC, is a ValueError and nothing else."""
    with pytest.raises(ValueError, match=r"."):
        EASTERN.instant(text)


@given(st.text(max_size=30))
@example("0002-01-01T00:00:00")
@example("0999-12-31T12:00:00")
@example("0001-01-01 00:00:00")
@example("2026-01-01T00:0\N{ARABIC-INDIC DIGIT THREE}:00")
def test_any_text(text: str) -> None:
    """Whatever a row holds: a ValueError, nothing, or an instant of the one width."""
    try:
        found = EASTERN.instant(text)
    except ValueError:
        return
    assert found == "" or (len(found) == len("2026-01-01T00:00:00.000Z") and found.isascii())
    if found:
        assert times.instant(times.moment(found)) == found


# Summer time


def test_the_hour_that_spring_leaves_out() -> None:
    """An hour that doesn't exist is read as if the clocks had not been changed yet."""
    assert EASTERN.instant("2026-03-08T01:59:59") == "2026-03-08T06:59:59.000Z"
    assert EASTERN.instant("2026-03-08T02:30:00") == "2026-03-08T07:30:00.000Z"
    assert EASTERN.instant("2026-03-08T03:30:00") == "2026-03-08T07:30:00.000Z"


@pytest.mark.parametrize(
    ("not_before", "expected"),
    [
        ("", "2026-11-01T05:30:00.250Z"),
        ("2026-10-01T00:00:00.000Z", "2026-11-01T05:30:00.250Z"),
        ("2026-11-01T05:30:00.250Z", "2026-11-01T05:30:00.250Z"),
        ("2026-11-01T05:30:00.251Z", "2026-11-01T06:30:00.250Z"),
        ("2026-11-01T06:30:00.250Z", "2026-11-01T06:30:00.250Z"),
        ("2026-11-02T00:00:00.000Z", "2026-11-01T06:30:00.250Z"),
    ],
)
@pytest.mark.parametrize("text", ["2026-11-01T01:30:00.25", "2026-11-01T01:30:00.250000"])
def test_the_hour_that_autumn_repeats(text: str, not_before: str, expected: str) -> None:
    """Of its two readings the earliest that isn't before what must have come before it."""
    assert EASTERN.instant(text, not_before) == expected


EASTERN_AUTUMN = datetime(2026, 11, 1, 6, tzinfo=UTC)
"""The beginning of the hour that New York repeats."""


@given(
    st.sampled_from(ZONES),
    st.sampled_from(ZONES),
    MOMENTS | st.timedeltas(timedelta(hours=-3), timedelta(hours=3)).map(EASTERN_AUTUMN.__add__),
    st.timedeltas(timedelta(hours=-3), timedelta(hours=3)),
)
@example("America/New_York", "UTC", EASTERN_AUTUMN + timedelta(minutes=30), timedelta(minutes=-20))
@example("America/New_York", "UTC", EASTERN_AUTUMN + timedelta(minutes=30), timedelta(minutes=20))
@example("UTC", "Asia/Kolkata", datetime(2026, 5, 1, tzinfo=UTC), timedelta(0))
def test_what_divides_times_moves_along_with_the_zone(
    before: str, after: str, divide: datetime, off: timedelta
) -> None:
    """A time as Listrak writes it stays on its side of a horizon, whatever zone is configured."""
    there, here = Zone(ZoneInfo(before)), Zone(ZoneInfo(after))
    horizon = times.instant(divide)
    naive = divide.astimezone(ZoneInfo(before)).replace(tzinfo=None) + off
    for zone in (before, after):
        # An hour that spring leaves out is written by nobody in whose zone that is.
        local = naive.replace(tzinfo=ZoneInfo(zone))
        assume(local.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == naive)
    edge = divide.astimezone(ZoneInfo(before)).replace(tzinfo=None)
    edge_here = edge.replace(tzinfo=ZoneInfo(after))
    assume(edge_here.astimezone(UTC).astimezone(ZoneInfo(after)).replace(tzinfo=None) == edge)
    text = naive.isoformat(timespec="milliseconds")
    assert (there.instant(text) >= horizon) == (here.instant(text) >= here.moved(horizon, before))
    assert here.moved(horizon, after) == horizon


def test_other_hours_are_not_moved() -> None:
    """A time that has one reading has that one, also where it contradicts what came before it."""
    late = "2027-01-01T00:00:00.000Z"
    assert EASTERN.instant("2026-11-01T00:30:00", late) == "2026-11-01T04:30:00.000Z"
    assert EASTERN.instant("2026-11-01T02:30:00", late) == "2026-11-01T07:30:00.000Z"
    assert EASTERN.instant("2026-03-08T02:30:00", late) == "2026-03-08T07:30:00.000Z"


@pytest.mark.parametrize("name", ZONES)
@given(moment=MOMENTS, earlier=st.timedeltas(timedelta(0), timedelta(days=60)))
@example(moment=datetime(2026, 11, 1, 5, 30, tzinfo=UTC), earlier=timedelta(0))
@example(moment=datetime(2026, 11, 1, 6, 30, tzinfo=UTC), earlier=timedelta(minutes=30))
@example(moment=datetime(2026, 4, 4, 15, 15, tzinfo=UTC), earlier=timedelta(minutes=15))
@example(moment=datetime(2026, 4, 4, 14, 45, tzinfo=UTC), earlier=timedelta(0))
@example(moment=datetime(2026, 10, 25, 1, 30, tzinfo=UTC), earlier=timedelta(0))
def test_round_trip(name: str, moment: datetime, earlier: timedelta) -> None:
    """An instant made naive and read again, not before an earlier one, is itself.

    Only where its naive time repeats, and both readings would fit, may it be the earlier reading.
    """
    zone = Zone(ZoneInfo(name))
    instant = times.instant(moment.replace(microsecond=0))
    naive = zone.naive(instant)
    not_before = times.instant(moment.replace(microsecond=0) - earlier)
    found = zone.instant(naive, not_before)
    assert zone.instant(naive, instant) == instant
    assert zone.naive(found) == naive
    assert not_before <= found <= instant


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("Asia/Kolkata", "2026-07-15T16:02:41.5", "2026-07-15T10:32:41.500Z"),
        ("Asia/Kathmandu", "2026-07-15T16:02:41", "2026-07-15T10:17:41.000Z"),
        ("America/St_Johns", "2026-01-15T16:02:41", "2026-01-15T19:32:41.000Z"),
        ("Australia/Lord_Howe", "2026-07-15T16:02:41", "2026-07-15T05:32:41.000Z"),
        ("Africa/Monrovia", "1971-01-15T16:02:41", "1971-01-15T16:47:11.000Z"),
    ],
)
def test_zones_not_whole_hours_off(name: str, text: str, expected: str) -> None:
    """Zones that are half and quarter hours off UTC, and odder ones, are read right as well."""
    assert Zone(ZoneInfo(name)).instant(text) == expected


# Instants


@given(MOMENTS, MOMENTS)
def test_instants_compare_as_text(one: datetime, other: datetime) -> None:
    """Instants are text of one width that sorts like time; no time at all comes first."""
    a, b = times.instant(one), times.instant(other)
    cut_a, cut_b = (m.replace(microsecond=m.microsecond // 1000 * 1000) for m in (one, other))
    assert (a < b, a == b) == (cut_a < cut_b, cut_a == cut_b)
    assert times.moment(a) == cut_a
    assert a > ""


@given(st.floats(-62_000_000_000, 4_000_000_000))
def test_seconds(stamp: float) -> None:
    """Seconds since 1970 become instants and come back, to the millisecond, in any year."""
    found = times.from_seconds(stamp)
    assert len(found) == len("2026-01-01T00:00:00.000Z")
    assert abs(times.seconds(found) - stamp) <= 0.0011


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2015-08-31T16:02:41", "2015-08-31T16:02:41"),
        ("2015-08-31T16:02:40", "2015-08-31T16:02:40"),
        ("2015-08-31T16:02:41.65", "2015-08-31T16:02:41.65"),
        ("2015-08-31T16:02:41.650", "2015-08-31T16:02:41.65"),
        ("2015-08-31T16:02:41.6500000", "2015-08-31T16:02:41.65"),
        ("2015-08-31T16:02:40.000", "2015-08-31T16:02:40"),
        ("2015-08-31T16:02:40.000Z", "2015-08-31T16:02:40.000Z"),
    ],
)
def test_canonical(text: str, expected: str) -> None:
    """For identities a date is taken as written, but for zeros at the end of its fraction."""
    assert canonical(text) == expected
    assert canonical(canonical(text)) == canonical(text)
    assert canonicals([text, None, text]) == [expected, "", expected]


TIMES = st.sampled_from(
    [
        "2026-03-08T02:30:00",
        "2026-11-01T01:30:00.25",
        "2026-05-10T08:00:00",
        "2026-05-10 08:00:00.5",
        "2026-05-10T08:00:00Z",
        "2026-05-10T08:00",
        "2026-05-10T25:00:00",
        "2026-05-10T08:61:00",
        "2026-05-10T08:00:00.",
        "0001-01-01T00:00:00",
        "0001-01-01T05:00:00",
        "9999-12-31T23:59:59",
        "",
        "soon",
    ]
)


@given(st.lists(st.none() | TIMES | st.datetimes().map(datetime.isoformat) | st.text(max_size=25)))
def test_many_at_once(written: list[str | None]) -> None:
    """Many times read together are what each is by itself, or are left for a closer look."""
    zone = Zone(ZoneInfo("America/New_York"))
    together = zone.instants(written)
    assert len(together) == len(written)
    for text, found in zip(written, together, strict=True):
        if found:
            assert found == zone.instant(text) == zone.instant(text, not_before="9")


@given(st.lists(st.datetimes(datetime(2026, 4, 1), datetime(2026, 10, 1)), min_size=1))  # noqa: DTZ001
def test_usual_times_are_read_together(moments: list[datetime]) -> None:
    """Nothing about the times of a usual day needs a closer look, except where one is no time."""
    zone = Zone(ZoneInfo("America/New_York"))
    texts = [moment.isoformat() for moment in moments]
    assert all(zone.instants(texts))
    *usual, odd = zone.instants([*texts, None])
    assert all(usual)
    assert odd == ""


def test_what_is_remembered_is_bounded() -> None:
    """However many different times are read, what is kept of them has a bound."""
    zone = Zone(ZoneInfo("America/New_York"))
    for number in range(30_000):
        text = f"2026-05-10T08:00:00.{number:06}"
        assert zone.instants([text]) == [zone.instant(text)]
    assert len(zone._fractions) <= 10_000


@given(
    st.integers(1_735_689_600, 1_830_297_600),
    st.timedeltas(timedelta(0), timedelta(hours=3)),
    st.sampled_from(["America/New_York", "UTC", "Australia/Lord_Howe"]),
)
def test_a_span_leaves_nothing_out(start: int, later: timedelta, name: str) -> None:
    """What follows its beginning is not before it in naive time either, and little else is; what
    goes before its end is not after it."""
    zone = Zone(ZoneInfo(name))
    begin, minutes = datetime.fromtimestamp(start, UTC), [timedelta(minutes=0)]
    minutes += [timedelta(minutes=30), timedelta(minutes=60)]
    here = times.instant(begin)
    plain, since, until = zone.naive(here), zone.naive_from(here), zone.naive_until(here)
    assert since <= zone.naive(times.instant(begin + later))
    assert until >= zone.naive(times.instant(begin - later))
    assert datetime.fromisoformat(plain) - datetime.fromisoformat(since) in minutes
    assert datetime.fromisoformat(until) - datetime.fromisoformat(plain) in minutes


def test_the_hours_in_which_the_clocks_go_back() -> None:
    """On 1 November 2026 half past one comes twice; the first time, a span begins earlier, the
    second time it ends later."""
    zone = Zone(ZoneInfo("America/New_York"))
    assert zone.naive_from("2026-11-01T05:30:00.000Z") == "2026-11-01T00:30:00"
    assert zone.naive_from("2026-11-01T06:30:00.000Z") == "2026-11-01T01:30:00"
    assert zone.naive_from("2026-11-01T04:30:00.000Z") == "2026-11-01T00:30:00"
    assert zone.naive_until("2026-11-01T05:30:00.000Z") == "2026-11-01T01:30:00"
    assert zone.naive_until("2026-11-01T06:30:00.000Z") == "2026-11-01T02:30:00"
    assert zone.naive_until("2026-11-01T07:30:00.000Z") == "2026-11-01T02:30:00"
