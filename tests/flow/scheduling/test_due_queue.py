"""Tasks by the time they are due."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.flow.scheduling.due_queue import DueQueue


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=40))
def test_queue(puts: list[tuple[int, int]]) -> None:
    """Tasks are taken once each, when they are due, the one due for longest first."""
    queue: DueQueue[tuple[int, int]] = DueQueue()
    tasks = {(number, due): due for number, (due, _) in enumerate(puts)}
    for task, due in tasks.items():
        queue.put(task, due)
    taken: list[tuple[int, int]] = []
    for now in range(51):
        while (due_task := queue.take(now)) is not None:
            assert tasks[due_task] <= now
            taken.append(due_task)
    assert taken == sorted(tasks, key=lambda task: (tasks[task], task[0]))
    assert queue.take(1e9) is None


def test_queue_knows_its_tasks() -> None:
    """A task that is being done is still known, until it is dropped."""
    queue: DueQueue[str] = DueQueue()
    assert "a" not in queue
    queue.put("a", 5)
    assert queue.take(4.9) is None
    assert queue.take(5) == "a"
    assert "a" in queue
    assert queue.take(100) is None
    queue.drop("a")
    assert "a" not in queue
    queue.put("a", 0)
    assert queue.take(0) == "a"


def test_queue_hastens_what_waits() -> None:
    """A task can be brought forward while it waits; it is still done only once."""
    queue: DueQueue[str] = DueQueue()
    queue.put("a", 500)
    queue.put("b", 10)
    queue.hasten("a", 5)
    queue.hasten("b", 20)
    queue.hasten("stranger", 0)
    assert "stranger" not in queue
    assert queue.wait(0) == 5
    assert queue.take(5) == "a"
    queue.hasten("a", 0)
    assert queue.take(9) is None
    assert queue.take(10) == "b"
    queue.put("a", 600)
    assert queue.take(599) is None
    assert queue.take(600) == "a"
    assert queue.take(1e9) is None


def test_what_is_due_goes_by_pressure() -> None:
    """Of all that is due, that comes first which is late by the most of its slack."""
    queue: DueQueue[str] = DueQueue()
    queue.put("old", 0, slack=1800)
    queue.put("fresh", 50, slack=60)
    queue.put("new", 55)
    assert queue.take(40) == "old"
    queue.put("old", 30, slack=1800)
    assert queue.take(60) == "new"
    assert queue.take(60) == "fresh"
    assert queue.take(60) == "old"


@given(
    st.lists(st.sampled_from((1, 5, 15, 30)), min_size=1, max_size=40),
    st.sampled_from((0.1, 0.5, 0.9, 1.5)),
)
def test_what_is_fresh_stays_so_and_nothing_starves(intervals: list[int], load: float) -> None:
    """With a budget too small for all, each is late by the same share of its own interval.

    `load`: what can be done, of what should be.
    """
    queue: DueQueue[tuple[int, int]] = DueQueue()
    for task in enumerate(intervals):
        queue.put(task, 0, slack=task[1])
    step = 1 / (load * sum(1 / interval for interval in intervals))
    now, done, worst = 0.0, [0.0] * len(intervals), [0.0] * len(intervals)
    # In the beginning all are due at once, and wait for each other.
    steady = 1000 / load
    while now < 2 * steady:
        if (taken := queue.take(now)) is not None:
            number, interval = taken
            if now > steady:
                worst[number] = max(worst[number], now - done[number])
            done[number] = now
            queue.put(taken, now + interval, slack=interval)
        now += step
    for number, interval in enumerate(intervals):
        assert worst[number] <= 1.2 * interval / min(load, 1) + 4 * step


@pytest.mark.parametrize(
    ("due", "now", "expected"), [(100, 90, 10), (100, 100, 0), (100, 150, 0), (1000, 0, 60)]
)
def test_queue_waits(due: float, now: float, expected: float) -> None:
    """The wait is until the next task is due, at most a minute."""
    queue: DueQueue[str] = DueQueue()
    assert queue.wait(now) == 60
    queue.put("later", 1e6)
    queue.put("next", due)
    assert queue.wait(now) == expected
