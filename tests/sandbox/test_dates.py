"""Listrak's times, read in the zones that a history has configured."""

from datetime import UTC, datetime, timedelta

from bridge.sandbox.dates import Dates
from bridge.sandbox.history import Configuration, History, Look

START = datetime(2026, 6, 3, 12, tzinfo=UTC)


def look(days: int, timezone: str | None) -> Look:
    """A look after some days."""
    configuration = Configuration(lists={1: None}, timezone=timezone)
    return Look(START + timedelta(days=days), configuration)


def test_each_step_reads_times_in_its_zone() -> None:
    """What is 08:00 in New York is taken for 08:00 where the configuration says so."""
    looks = [look(1, None), look(2, "UTC"), look(3, "Asia/Tokyo")]
    dates = Dates(History(looks))
    hours = [0, -4, -13]
    for step, hour in zip(looks, hours, strict=True):
        assert dates.points(START, [step]) == {START + timedelta(hours=hour)}
    assert dates.points(START, looks[:2]) == {START, START - timedelta(hours=4)}
    assert dates.points_ever(START) == {START + timedelta(hours=hour) for hour in hours}
    assert dates.points(START, []) == {START}


def test_a_repeated_hour_is_read_either_way_where_it_repeats() -> None:
    """01:30 comes twice in New York on that day, and once elsewhere."""
    second = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    dates = Dates(History([look(1, None), look(2, "UTC")]))
    assert dates.points(second, [look(1, None)]) == {second, second - timedelta(hours=1)}
    assert dates.points(second, [look(2, "UTC")]) == {second - timedelta(hours=5)}
