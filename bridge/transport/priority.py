"""A queue by priority without starvation."""

from collections import OrderedDict
from enum import IntEnum
from itertools import count
from typing import Final, Generic, NamedTuple, TypeVar

Item = TypeVar("Item")

FAIRNESS_INTERVAL: Final = 4
"""Items taken of which one is the longest waiting, whatever its priority."""


class Priority(IntEnum):
    """The priorities of calls to Listrak: by what they are for, the first the highest."""

    FRESH = 0
    RECENT = 1
    OLD = 2
    BACKFILL = 3


SLACKS: Final = {
    Priority.FRESH: 1.0,
    Priority.RECENT: 10.0,
    Priority.OLD: 30.0,
    Priority.BACKFILL: 100.0,
}
"""By priority: how many times as long an item may wait as a fresh one. Steeper than how often each
is polled, so that a fresh message of hundreds of pages has most of what is scarce."""


class _Waiting(NamedTuple, Generic[Item]):
    """An item, and since when it waits."""

    item: Item
    since: float


class PriorityQueue(Generic[Item]):
    """Items of which each waits in proportion to its slack; now and then the oldest of all goes.

    Times are seconds of any one clock. Within a priority the first in is the first out.
    """

    def __init__(self) -> None:
        self._queues: dict[Priority, OrderedDict[int, _Waiting[Item]]] = {
            priority: OrderedDict() for priority in Priority
        }
        self._numbers = count()
        self._taken = 0

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def put(self, priority: Priority, item: Item, now: float) -> int:
        """Queues an item; returns its number."""
        number = next(self._numbers)
        self._queues[priority][number] = _Waiting(item, now)
        return number

    def remove(self, number: int) -> None:
        """Removes an item that waits no longer, if it is still queued."""
        for queue in self._queues.values():
            queue.pop(number, None)

    def first(self) -> Item | None:
        """The longest waiting item of the highest priority, None if the queue is empty."""
        return next((one.item for queue in self._queues.values() for one in queue.values()), None)

    def take(self, now: float) -> Item:
        """Removes and returns the next item. Raises IndexError if the queue is empty."""
        self._taken += 1
        waiting = [priority for priority, queue in self._queues.items() if queue]
        if not waiting:
            raise IndexError("nothing waits")
        if self._taken % FAIRNESS_INTERVAL == 0:
            priority = min(waiting, key=self._first_number)
        else:
            # The higher one of two that are as late.
            priority = max(waiting, key=lambda priority: self._lateness(priority, now))
        return self._queues[priority].popitem(last=False)[1].item

    def _first_number(self, priority: Priority) -> int:
        return next(iter(self._queues[priority]))

    def _lateness(self, priority: Priority, now: float) -> float:
        """The time that the first of a queue has waited, as a share of its slack."""
        first = next(iter(self._queues[priority].values()))
        return (now - first.since) / SLACKS[priority]
