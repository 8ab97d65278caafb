from datetime import UTC, datetime, timedelta

import pytest

from bridge.sandbox.clock import Clock, WallClock

START = datetime(2026, 3, 1, tzinfo=UTC)


def test_runs_at_its_speed() -> None:
    """The clock shows start plus speed times what went by."""
    passed = [100.0]
    clock = Clock(START, 60, monotonic=lambda: passed[0])
    passed[0] += 2
    assert clock.now == START + timedelta(minutes=2)


def test_freeze_and_resume() -> None:
    """A frozen clock stands still and goes on from there; twice is once."""
    passed = [0.0]
    clock = Clock(START, monotonic=lambda: passed[0])
    passed[0] = 5
    clock.freeze()
    clock.freeze()
    passed[0] = 50
    assert clock.frozen
    assert clock.now == START + timedelta(seconds=5)
    clock.resume()
    clock.resume()
    passed[0] = 51
    assert clock.now == START + timedelta(seconds=6)


def test_manual() -> None:
    """A manual clock moves by hand, and never back."""
    clock = Clock.manual(START)
    assert clock.advance(timedelta(hours=1)) == clock.now == START + timedelta(hours=1)
    assert clock.advance(timedelta(days=90)) == START + timedelta(days=90, hours=1)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(timedelta(seconds=-1))
    with pytest.raises(ValueError, match="aware"):
        Clock(datetime(2026, 3, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (datetime(2026, 1, 15, 17, 2, 41, 650_000, UTC), "2026-01-15T12:02:41.65"),
        (datetime(2026, 7, 15, 17, 2, 41, 600_000, UTC), "2026-07-15T13:02:41.6"),
        (datetime(2026, 7, 15, 17, 2, 40, 0, UTC), "2026-07-15T13:02:40"),
        (datetime(2026, 3, 8, 6, 59, 59, 0, UTC), "2026-03-08T01:59:59"),
        (datetime(2026, 3, 8, 7, 0, 0, 0, UTC), "2026-03-08T03:00:00"),
        (datetime(2026, 11, 1, 5, 30, 0, 0, UTC), "2026-11-01T01:30:00"),
        (datetime(2026, 11, 1, 6, 30, 0, 0, UTC), "2026-11-01T01:30:00"),
    ],
)
def test_wall_clock_writes_eastern_time(instant: datetime, text: str) -> None:
    """Times are naive Eastern ones with the fraction trimmed; an hour is skipped, one repeats."""
    wall = WallClock("America/New_York")
    assert wall.write(instant) == text
    assert wall.read(text) == wall.at(instant)
    assert instant in wall.instants(instant)
    assert len(wall.instants(instant)) == (2 if text == "2026-11-01T01:30:00" else 1)


@pytest.mark.parametrize(
    "text",
    ["2026-07-04", "07-04-2026", "2026-07-04T00:00", "2026-07-04T04:00:00Z", "2026-07-04T06+02:00"],
)
def test_wall_clock_reads_what_clients_send(text: str) -> None:
    """Query dates come as ISO or American dates, or with an offset."""
    assert WallClock("America/New_York").read(text) == datetime(2026, 7, 4)  # noqa: DTZ001


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "13-01-2026", "1767225600"])
def test_wall_clock_refuses_the_rest(text: str) -> None:
    """What is no date is an error."""
    with pytest.raises(ValueError, match=r".+"):
        WallClock("America/New_York").read(text)
