"""The delays of events, many counted at once."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bridge.delays import BOUNDS, Delays, moments, without
from bridge.listrak import times

NOW = 1_780_000_000.0
BEGAN = NOW - 1000


@pytest.fixture
def delays() -> Delays:
    """Those of a run that has begun a thousand seconds ago."""
    delays = Delays()
    now = iter([BEGAN])
    delays.begin(lambda: next(now, NOW))
    return delays


def samples(delays: Delays) -> dict[tuple[str, str, str], float]:
    """What /metrics shows, by the last part of the name, when it happened, and the bucket."""
    registry = CollectorRegistry()
    registry.register(delays)
    text = generate_latest(registry).decode()
    return {
        (
            sample.name.removeprefix("bridge_event_delay_seconds_"),
            sample.labels["happened"],
            sample.labels.get("le", ""),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.items() >= {"list": "5", "event": "Email Opened"}.items()
    }


def add(delays: Delays, *ages: float) -> None:
    """Events of these ages are delivered."""
    happened = moments([times.from_seconds(NOW - age) for age in ages])
    delays.add(5, "Email Opened", delays.measured(happened))


@given(st.lists(st.datetimes(timezones=st.just(UTC))))
def test_many_instants_are_read_as_each_is(dates: list[datetime]) -> None:
    """To the millisecond."""
    instants = [times.instant(date) for date in dates]
    assert list(moments(instants)) == [times.seconds(instant) for instant in instants]


def test_each_falls_into_its_bucket(delays: Delays) -> None:
    """A bound belongs to its bucket; each bucket counts those before it as well."""
    add(delays, 15, 15.001, 30)
    add(delays, 16)
    shown = samples(delays)
    when = "since_start"
    assert shown["bucket", when, "15.0"] == 1
    assert all(shown["bucket", when, str(float(bound))] == 4 for bound in BOUNDS[1:])
    assert shown["bucket", when, "+Inf"] == shown["count", when, ""] == 4
    assert shown["sum", when, ""] == pytest.approx(76.001)
    assert len(shown) == len(BOUNDS) + 3


def test_what_happened_before_the_start_is_apart(delays: Delays) -> None:
    """A first start, or an absence, doesn't hide how long events take now."""
    add(delays, 10, 1000, 1001, 400_000)
    shown = samples(delays)
    assert shown["count", "since_start", ""] == shown["count", "before_start", ""] == 2
    assert shown["bucket", "before_start", "259200.0"] == 1


def test_dates_that_are_still_to_come(delays: Delays) -> None:
    """As in a wrong zone: they aren't counted as fast. Within the second of a Date, they are."""
    add(delays, -3600)
    assert samples(delays) == {}
    add(delays, -1.5)
    shown = samples(delays)
    assert shown["bucket", "since_start", "15.0"] == 1
    assert shown["sum", "since_start", ""] == 0


def test_one_of_them_is_left_out() -> None:
    """One of several at the same instant, and none for another."""
    instants = ["2026-06-03T15:00:00.250Z", "2026-06-03T15:00:00.250Z", "2026-06-03T15:00:01.000Z"]
    happened = moments(instants)
    assert list(without(happened, instants[0])) == list(moments(instants[1:]))
    assert list(without(happened, "2026-06-03T15:00:02.000Z")) == list(happened)
