"""A queue by priority without starvation."""

from collections import OrderedDict
from enum import IntEnum
from itertools import count
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")

FAIRNESS_INTERVAL: Final = 4
"""Items taken of which one is the longest waiting, whatever its priority."""


class Priority(IntEnum):
    """The priorities of calls to Listrak, the first the highest."""

    FRESH = 0
    FULL = 1
    BACKFILL = 2


class PriorityQueue(Generic[Item]):
    """Items by priority, first in, first out within each; now and then the oldest of all."""

    def __init__(self) -> None:
        self._queues: dict[Priority, OrderedDict[int, Item]] = {
            priority: OrderedDict() for priority in Priority
        }
        self._numbers = count()
        self._taken = 0

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def put(self, priority: Priority, item: Item) -> int:
        """Queues an item; returns its number."""
        number = next(self._numbers)
        self._queues[priority][number] = item
        return number

    def remove(self, number: int) -> None:
        """Removes an item that waits no longer, if it is still queued."""
        for queue in self._queues.values():
            queue.pop(number, None)

    def first(self) -> Item | None:
        """The first item of the highest priority, None if the queue is empty."""
        return next((item for queue in self._queues.values() for item in queue.values()), None)

    def take(self) -> Item:
        """Removes and returns the next item. Raises IndexError if the queue is empty."""
        self._taken += 1
        queues = [queue for queue in self._queues.values() if queue]
        is_for_the_oldest = self._taken % FAIRNESS_INTERVAL == 0
        queue = min(queues, key=_first_number) if queues and is_for_the_oldest else queues[0]
        return queue.popitem(last=False)[1]


def _first_number(queue: OrderedDict[int, Item]) -> int:
    return next(iter(queue))
