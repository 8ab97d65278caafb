"""What to look at next: pure functions of what is known and of the time."""

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Final, Generic, TypeVar

from bridge.listrak import times
from bridge.state.records import ListState, Message

DAY: Final = 86400.0

SWEEP_EVERY: Final = DAY
"""Seconds between two readings of all contacts: only they show changed profile values."""

DISCOVER_ALL_EVERY: Final = 10
"""Poll intervals between two discoveries of split tests, conversations and transactional messages;
broadcast messages are asked for at every one."""

LONGEST_HOLD: Final = 3600.0
"""Seconds an unsubscribe waits at most for the message behind it."""

OVERLAP: Final = 2 * 3600.0
"""Seconds by which a query for recent contacts reaches back further than needed: clocks differ, and
an hour of naive times repeats every autumn."""

RHYTHM: Final = ((DAY, 1, 5), (3 * DAY, 5, 20), (7 * DAY, 15, 60), (float("inf"), 30, 60))
"""By age in seconds: poll intervals between two checks of a message, and of one that is quiet."""

QUIET: Final = 6
"""A message is asked so many times as often as, going by its silence, something happens."""

SETTLED: Final = 5
"""Poll intervals after which a counter is taken to show what happened: it may lag behind."""

Task = TypeVar("Task", bound=Hashable)


class Agenda(Generic[Task]):
    """Tasks by the time they are due (seconds of any one clock); one being done is not on it."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Task]] = []
        self._order = count()
        # When each is due, None for one being done; what the heap has besides is out of date.
        self._due: dict[Task, float | None] = {}

    def __contains__(self, task: Task) -> bool:
        return task in self._due

    def put(self, task: Task, due: float) -> None:
        """Notes a task, new or done, for `due`."""
        self._due[task] = due
        heapq.heappush(self._heap, (due, next(self._order), task))

    def hasten(self, task: Task, due: float) -> None:
        """Has a task that waits done by `due`; one being done, or unknown, stays as it is."""
        waits_until = self._due.get(task)
        if waits_until is not None and waits_until > due:
            self.put(task, due)

    def drop(self, task: Task) -> None:
        """A task that is done for good."""
        self._due.pop(task, None)

    def take(self, now: float) -> Task | None:
        """The task that is due for longest, None if none is."""
        due = self._next()
        if due is None or due > now:
            return None
        task = heapq.heappop(self._heap)[2]
        self._due[task] = None
        return task

    def wait(self, now: float) -> float:
        """Seconds until a task is due, at most a minute."""
        due = self._next()
        return 60.0 if due is None else max(0.0, min(due - now, 60.0))

    def _next(self) -> float | None:
        """When the first task is due."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None


def sent_at(message: Message) -> float:
    """When a message was sent, as far as known, else when it was found."""
    return times.seconds(message.sent_at) if message.sent_at else message.found_at


def age(message: Message, now: float) -> float:
    """Seconds since a message was sent; of one that goes on sending, since anything moved."""
    if message.kind == "broadcast":
        return max(0.0, now - sent_at(message))
    return max(0.0, now - (message.moved_at or message.found_at))


def check_delay(message: Message, now: float, poll_interval: float) -> float:
    """Seconds until a message is asked again: what is fresh every interval, older ones less.

    Where nothing has moved for long, little is missed by asking a little later.
    """
    old = age(message, now)
    factor, most = next(found for reach, *found in RHYTHM if old < reach)
    # Without a Summary each check reads rows.
    usual = poll_interval * factor * (5 if message.kind == "transactional" else 1)
    quiet = now - (message.moved_at or message.found_at)
    return max(usual, min(quiet / QUIET, usual * most / factor))


def is_over(message: Message, track: float, now: float) -> bool:
    """Whether nothing of a message counts any more, `track` seconds after it was sent.

    Messages of the other kinds go on sending; of them, old sends are forgotten instead. A draft
    that nobody sent yet may still be sent.
    """
    if not message.sent_at and message.properties is None:
        return False
    return message.kind == "broadcast" and now >= sent_at(message) + track


def sweep_due(state: ListState, now: float) -> bool:
    """Whether all contacts of a list are to be read, not only the recent ones."""
    return state.swept_at is None or now - state.swept_at >= SWEEP_EVERY
