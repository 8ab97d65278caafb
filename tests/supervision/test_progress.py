"""What counts as progress, as a standstill, and as a wait for others."""

import pytest
from prometheus_client import Counter

from bridge.metrics import Metrics
from bridge.supervision.progress import SLOW_AFTER, STAGES, Progress, Stage

PATIENCE = 60.0


class Work:
    """A run whose work is told, and whose clock is set."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.now = 0.0
        self.progress = Progress(self.metrics, patience=PATIENCE, now=lambda: self.now)

    def put(self, at: str, number: int = 3) -> None:
        """So much is at a stage from now on."""
        self.metrics.outstanding.labels(at).set(number)

    def after(self, seconds: float) -> str | None:
        """The standstill that is seen at that time, looked for every ten seconds."""
        end, found = self.now + seconds, self.progress.look().standstill
        while self.now < end:
            self.now += 10
            found = self.progress.look().standstill
        return found


MOVES = {
    "saving": lambda metrics: metrics.commits,
    "sending": lambda metrics: metrics.batches.labels("accepted"),
    "mapping": lambda metrics: metrics.commits,
    "reading": lambda metrics: metrics.listrak_calls.labels("contacts", "200"),
}


def move(work: Work, at: str) -> None:
    counter: Counter = MOVES[at](work.metrics)
    counter.inc()


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_standstill(stage: Stage) -> None:
    """Work that lies there, and nothing moves: told after the patience, and until it moves."""
    name = stage.name
    work = Work()
    assert work.after(10 * PATIENCE) is None, "nothing is outstanding"
    work.put(name)
    assert work.after(PATIENCE - 10) is None
    move(work, name)
    assert work.after(PATIENCE - 10) is None
    words = work.after(10)
    assert words is not None
    assert words.startswith("nothing has moved for 60 s: 3 ")
    assert (work.after(4 * PATIENCE) or "").startswith("nothing has moved for 5 min: 3 ")
    move(work, name)
    assert work.after(0) is None


@pytest.mark.parametrize(
    ("at", "by"), [("saving", "state"), ("sending", "segment"), ("reading", "listrak")]
)
@pytest.mark.parametrize("how", ["blocked", "throttled"])
def test_what_explains_it(at: str, by: str, how: str) -> None:
    """A wait for others, for room, or for a ceiling is none; it begins to count afterwards."""
    work = Work()
    reason = getattr(work.metrics, how).labels(by)
    work.put(at)
    reason.set(1)
    assert work.after(20 * PATIENCE) is None
    reason.set(0)
    assert work.after(PATIENCE - 10) is None
    assert work.after(20) is not None


def test_a_pause_of_the_process() -> None:
    """Time in which nobody could look, or work, doesn't count."""
    work = Work()
    work.put("reading")
    work.progress.look()
    work.now += 100 * PATIENCE
    assert work.progress.look().standstill is None


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_an_erasure_that_takes_long(stage: Stage) -> None:
    """While the state file is written anew, all wait for it."""
    work = Work()
    work.put(stage.name)
    work.metrics.blocked.labels("erasure").set(1)
    assert work.after(20 * PATIENCE) is None


def test_what_explains_something_else() -> None:
    """A hung disk isn't excused by an outage of Listrak."""
    work = Work()
    work.metrics.blocked.labels("listrak").set(1)
    work.put("reading")
    work.put("saving")
    assert "3 changes wait for the state file" in (work.after(2 * PATIENCE) or "")


def test_who_waits_for_what_comes_after() -> None:
    """What is full behind an outage of Segment is no standstill of its own."""
    work = Work()
    work.metrics.blocked.labels("segment").set(1)
    for stage in STAGES[1:]:
        work.put(stage.name)
    assert work.after(20 * PATIENCE) is None


def test_a_slow_disk() -> None:
    """A transaction that takes long is told while it lasts."""
    work = Work()
    work.metrics.transaction.set(SLOW_AFTER - 1)
    assert work.progress.look().slow is None
    work.metrics.transaction.set(SLOW_AFTER + 5)
    assert work.progress.look().slow == SLOW_AFTER + 5


def test_what_is_accomplished() -> None:
    """Only what left the way for good: what is read again and again moves nothing."""
    work = Work()
    for outcome, number in {"fetched": 9, "known": 5, "delivered": 3, "dead_lettered": 1}.items():
        work.metrics.events.labels(outcome).inc(number)
    assert work.progress.accomplished() == 4
