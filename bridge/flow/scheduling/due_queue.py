"""Tasks by the time they are due, and which goes first where several are."""

import heapq
import math
from collections.abc import Hashable
from itertools import count
from typing import Generic, NamedTuple, TypeVar

Task = TypeVar("Task", bound=Hashable)


class _Entry(NamedTuple, Generic[Task]):
    """A task that waits.

    due: seconds, by the queue's clock.
    slack: seconds that it may be late without much harm.
    """

    due: float
    number: int
    task: Task
    slack: float

    def pressure(self, now: float) -> tuple[float, float, int]:
        """A sort key that grows with each second it is late, the faster the less slack it has."""
        late = now - self.due
        return (late / self.slack if self.slack else math.inf, late, -self.number)


class DueQueue(Generic[Task]):
    """Tasks by the time they are due (seconds of any one clock); one being done is not in it.

    Where more is due than can be done, all are late by the same fraction of their slack: what is
    due often goes before what is due rarely, and nothing starves.
    """

    def __init__(self) -> None:
        self._waiting: list[_Entry[Task]] = []
        self._ready: dict[Task, _Entry[Task]] = {}
        self._numbers = count()
        # None for a task being done; other entries of `_waiting` are outdated.
        self._entries: dict[Task, _Entry[Task] | None] = {}

    def __contains__(self, task: Task) -> bool:
        return task in self._entries

    def put(self, task: Task, due: float, slack: float = 0.0) -> None:
        """Queues a task, new or done.

        due: when it is to be done.
        slack: seconds that it may be late without much harm, 0 if it goes before others.
        """
        entry = self._entries[task] = _Entry(due, next(self._numbers), task, slack)
        self._ready.pop(task, None)
        heapq.heappush(self._waiting, entry)

    def hasten(self, task: Task, due: float) -> None:
        """Makes a waiting task due by `due`; one being done, or unknown, stays as it is."""
        entry = self._entries.get(task)
        if entry is not None and entry.due > due:
            self.put(task, due)

    def drop(self, task: Task) -> None:
        """Removes a task for good."""
        self._entries.pop(task, None)
        self._ready.pop(task, None)

    def take(self, now: float) -> Task | None:
        """The most pressing of the tasks that are due, None if none is."""
        self._sort(now)
        if not self._ready:
            return None
        task = max(self._ready.values(), key=lambda entry: entry.pressure(now)).task
        del self._ready[task]
        self._entries[task] = None
        return task

    def wait(self, now: float) -> float:
        """Seconds until a task is due, at most a minute."""
        self._sort(now)
        if self._ready:
            return 0.0
        return min(self._waiting[0].due - now, 60.0) if self._waiting else 60.0

    def _sort(self, now: float) -> None:
        """Moves tasks that are due by now to the ready ones, and drops outdated entries."""
        while self._waiting:
            first = self._waiting[0]
            if self._entries.get(first.task) is first:
                if first.due > now:
                    return
                self._ready[first.task] = first
            heapq.heappop(self._waiting)
