"""The simulation with the whole service: nothing is missed, and a seed tells all of a history."""

from pathlib import Path

from simulation.population import DAY, MINUTE, people
from simulation.service import Course, lived
from simulation.strategies import Result

BEGIN = 1_780_272_000.0


def day_of(folder: Path) -> Result:
    """A day of a few people."""
    folder.mkdir()
    course = Course(BEGIN, 1, page=20, rate=2, reading="filters", interval=30 * MINUTE)
    sends = people(seed=3, begin=BEGIN, days=1, audience=50, talks=1)
    return lived("bridge", sends, folder, course)


def test_a_seed_tells_all_of_a_day(tmp_path: Path) -> None:
    """Each event is found once, and each contact; again, call by call at the same time."""
    first, again = (day_of(tmp_path / name) for name in ("first", "again"))
    assert not first.missing
    assert not first.warnings
    assert first.identifies >= 50
    assert first.freshness.seen > 50
    assert first.freshness.of("opened", 0, DAY) is not None
    assert first.calls > 100
    assert first.digest == again.digest
    assert first.freshness == again.freshness
