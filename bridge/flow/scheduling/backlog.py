"""Backlogs: tasks that are due and not done to their end, and how far all is done."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Task = TypeVar("Task", bound=Hashable)


class Backlog(Generic[Task]):
    """Tasks by the time when each is due: each stays due until it was done to its end.

    A queue is no help here, as it puts off what failed. Times are seconds of any one clock.
    """

    def __init__(self) -> None:
        # None for what was due before, nobody knows since when.
        self._due: dict[Task, float | None] = {}

    def add(self, task: Task, due: float | None) -> None:
        """Adds a task that isn't in it yet; None for one that was due before at an unknown time."""
        self._due.setdefault(task, due)

    def read(self, task: Task, due: float) -> None:
        """Notes that a task was done to its end, and when it is due again."""
        self._due[task] = due

    def drop(self, task: Task) -> None:
        """Removes a task for good."""
        self._due.pop(task, None)

    def complete_until(self, now: float) -> float | None:
        """The time until which each task was done when it was due; None where that isn't known."""
        until = now
        for due in self._due.values():
            if due is None:
                return None
            until = min(until, due)
        return until
