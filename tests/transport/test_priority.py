"""Which call goes first."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.transport.priority import FAIRNESS_INTERVAL, Priority, PriorityQueue


@given(st.lists(st.sampled_from(Priority), max_size=60), st.integers(0, 5))
def test_order(priorities: list[Priority], taken: int) -> None:
    """The most urgent first, in order within a class; who waits longest every few queue."""
    queue: PriorityQueue[tuple[Priority, int]] = PriorityQueue()
    for _ in range(taken):
        queue.put(Priority.FRESH, (Priority.FRESH, -1))
        queue.take()
    waiting = [(priority, number) for number, priority in enumerate(priorities)]
    for item in waiting:
        queue.put(item[0], item)
    while waiting:
        taken += 1
        due = (
            min(waiting, key=lambda one: one[1]) if taken % FAIRNESS_INTERVAL == 0 else min(waiting)
        )
        assert queue.take() == due
        waiting.remove(due)
    assert len(queue) == 0


def test_nobody_starves() -> None:
    """However many of a higher priority keep coming, the lowest has its turn."""
    queue: PriorityQueue[str] = PriorityQueue()
    queue.put(Priority.BACKFILL, "old")
    for _ in range(FAIRNESS_INTERVAL - 1):
        queue.put(Priority.FRESH, "new")
        assert queue.take() == "new"
    queue.put(Priority.FRESH, "new")
    assert queue.take() == "old"
