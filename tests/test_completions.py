"""The times of complete readings, as they are shown."""

import pytest

from bridge import clock
from bridge.completions import READINGS, Completions


class Shown:
    """Completions on a machine whose clocks are set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.completions = Completions()
        self.wall, self.boot = 1_780_000_000.0, 500.0
        monkeypatch.setattr(clock, "wall_time", lambda: self.wall)
        monkeypatch.setattr(clock, "boot_time", lambda: self.boot)

    def later(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds

    def all(self) -> dict[tuple[str, str], float]:
        (family,) = self.completions.collect()
        return {
            (sample.labels["list"], sample.labels["reading"]): sample.value
            for sample in family.samples
        }

    def age(self, reading: str) -> float:
        return self.wall - self.all()["5", reading]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    return Shown(monkeypatch)


def test_each_reading_of_each_list_is_shown(shown: Shown) -> None:
    """With 0 while it isn't known to be complete, so that an alert fires; no list without."""
    assert shown.all() == {}
    shown.completions.show([5, 7])
    assert shown.all() == {(each, one): 0 for each in ("5", "7") for one in READINGS}


def test_the_latest_complete_reading_counts(shown: Shown) -> None:
    """By its start: it may end after one that began later, as after a restart of the pipeline."""
    shown.later(100)
    shown.completions.complete(5, "sweep", 560.0)
    assert shown.age("sweep") == 40
    shown.completions.complete(5, "sweep", 520.0)
    assert shown.age("sweep") == 40
    shown.completions.show([5])
    shown.completions.restore(5, "discovery", None)
    assert (shown.age("sweep"), shown.all()["5", "discovery"]) == (40, 0)


def test_this_machines_clock_is_set(shown: Shown) -> None:
    """The age stays right, whatever the clock says."""
    shown.completions.complete(5, "sweep", shown.boot)
    shown.later(30)
    shown.wall -= 86_400
    assert shown.age("sweep") == 30
    shown.wall += 1_000_000
    assert shown.age("sweep") == 30


def test_a_reading_that_is_measured(shown: Shown) -> None:
    """Where its function doesn't know, or is replaced, what was told before still holds."""
    until: list[float | None] = [None]
    shown.completions.show([5])
    shown.completions.measure(5, "messages", lambda: until[0])
    assert shown.all()["5", "messages"] == 0
    until[0] = 510.0
    shown.later(20)
    assert shown.age("messages") == 10
    until[0] = 515.0
    # A pipeline that begins anew knows nothing yet.
    shown.completions.measure(5, "messages", lambda: None)
    assert shown.age("messages") == 5
