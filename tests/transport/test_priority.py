"""Which call goes first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.transport.priority import FAIRNESS_INTERVAL, SLACKS, Priority, PriorityQueue


@given(
    st.lists(st.tuples(st.sampled_from(Priority), st.floats(0, 1000)), max_size=60),
    st.integers(0, 5),
)
def test_order(waits: list[tuple[Priority, float]], taken: int) -> None:
    """Whoever is latest for its slack, in order within a priority; every few who waits longest."""
    queue: PriorityQueue[tuple[Priority, int]] = PriorityQueue()
    for _ in range(taken):
        queue.put(Priority.FRESH, (Priority.FRESH, -1), 0.0)
        queue.take(0.0)
    since = sorted(at for _, at in waits)
    waiting = [(priority, number) for number, (priority, _) in enumerate(waits)]
    for priority, number in waiting:
        queue.put(priority, (priority, number), since[number])
    now = 1000.0
    while waiting:
        taken += 1
        now += 1.0
        first = min(waiting, key=lambda one: one[1])
        # The longest waiting of each priority is its latest one.
        due = max(
            waiting, key=lambda one: ((now - since[one[1]]) / SLACKS[one[0]], -one[0], -one[1])
        )
        expected = first if taken % FAIRNESS_INTERVAL == 0 else due
        assert queue.take(now) == expected
        waiting.remove(expected)
    assert len(queue) == 0
    with pytest.raises(IndexError):
        queue.take(now)


def test_shares() -> None:
    """Of more calls than can be made each priority has a part, a fresh one more than all others."""
    queue: PriorityQueue[Priority] = PriorityQueue()
    for priority in Priority:
        queue.put(priority, priority, 0.0)
    taken = dict.fromkeys(Priority, 0)
    for second in range(1, 4001):
        priority = queue.take(float(second))
        taken[priority] += 1
        queue.put(priority, priority, float(second))
    shares = {priority: number / 4000 for priority, number in taken.items()}
    assert shares.pop(Priority.FRESH) > 0.6
    assert min(shares.values()) > 0.05


def test_a_crowd_waits_in_proportion() -> None:
    """However many fresh ones there are, what is old waits so many times as long, not for ever."""
    queue: PriorityQueue[tuple[Priority, float]] = PriorityQueue()
    for _ in range(100):
        queue.put(Priority.FRESH, (Priority.FRESH, 0.0), 0.0)
    queue.put(Priority.RECENT, (Priority.RECENT, 0.0), 0.0)
    queue.put(Priority.OLD, (Priority.OLD, 0.0), 0.0)
    waited: dict[Priority, float] = dict.fromkeys(Priority, 0.0)
    for second in range(1, 20_001):
        priority, since = queue.take(float(second))
        waited[priority] = max(waited[priority], second - since)
        queue.put(priority, (priority, float(second)), float(second))
    assert waited[Priority.FRESH] <= 200
    assert waited[Priority.RECENT] <= SLACKS[Priority.RECENT] * waited[Priority.FRESH]
    assert 0 < waited[Priority.OLD] <= SLACKS[Priority.OLD] * waited[Priority.FRESH]


def test_nobody_starves() -> None:
    """However many of a higher priority keep coming, the lowest has its turn."""
    queue: PriorityQueue[str] = PriorityQueue()
    queue.put(Priority.BACKFILL, "old", 0.0)
    for _ in range(FAIRNESS_INTERVAL - 1):
        queue.put(Priority.FRESH, "new", 0.0)
        assert queue.take(0.0) == "new"
    queue.put(Priority.FRESH, "new", 0.0)
    assert queue.take(0.0) == "old"
