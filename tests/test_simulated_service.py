"""The simulation with the whole service: nothing is missed, and a seed tells all of a history."""

from pathlib import Path

from simulation.population import DAY, MINUTE, people
from simulation.service import Course, lived
from simulation.strategies import Result

BEGIN = 1_780_272_000.0


def some_days(folder: Path, days: int, audience: int) -> Result:
    """Days of a few people."""
    folder.mkdir()
    course = Course(BEGIN, days, page=20, rate=2, reading="filters", interval=30 * MINUTE)
    sends = people(seed=3, begin=BEGIN, days=days, audience=audience, talks=1)
    return lived("bridge", sends, folder, course)


def test_the_service_finds_everything(swift_folder: Path) -> None:
    """Each event once, and each contact."""
    result = some_days(swift_folder / "bridge", 3, 150)
    assert not result.missing
    assert not result.warnings
    assert result.identifies >= 150
    assert result.freshness.seen > 450
    assert result.freshness.of("opened", 0, DAY) is not None
    assert result.state[-1][1] > 450


def test_a_seed_gives_the_same_history_twice(swift_folder: Path) -> None:
    """Call by call, each at the same time."""
    first, again = (some_days(swift_folder / name, 1, 50) for name in ("first", "again"))
    assert first.calls > 100
    assert first.digest == again.digest
    assert first.freshness == again.freshness
