"""What to look at next: pure functions of what is known and of the time."""

import heapq
import math
from collections.abc import Hashable
from itertools import count
from typing import Final, Generic, NamedTuple, TypeVar

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


class _Entry(NamedTuple, Generic[Task]):
    """A task that waits: when it is due, and how long it may be late without much harm."""

    due: float
    number: int
    task: Task
    slack: float

    def pressure(self, now: float) -> tuple[float, float, int]:
        """What grows with each second that it is late, the faster the less slack it has."""
        late = now - self.due
        return (late / self.slack if self.slack else math.inf, late, -self.number)


class Agenda(Generic[Task]):
    """Tasks by the time they are due (seconds of any one clock); one being done is not on it.

    Where more is due than can be done, all are late by the same share of their slack: what is asked
    often goes before what is asked rarely, and nothing starves.
    """

    def __init__(self) -> None:
        self._waiting: list[_Entry[Task]] = []
        self._ready: dict[Task, _Entry[Task]] = {}
        self._numbers = count()
        # None for a task being done; what waits besides is out of date.
        self._entries: dict[Task, _Entry[Task] | None] = {}

    def __contains__(self, task: Task) -> bool:
        return task in self._entries

    def put(self, task: Task, due: float, slack: float = 0.0) -> None:
        """Notes a task, new or done, for `due`; `slack` in seconds, 0 if it goes before others."""
        entry = self._entries[task] = _Entry(due, next(self._numbers), task, slack)
        self._ready.pop(task, None)
        heapq.heappush(self._waiting, entry)

    def hasten(self, task: Task, due: float) -> None:
        """Has a task that waits done by `due`; one being done, or unknown, stays as it is."""
        entry = self._entries.get(task)
        if entry is not None and entry.due > due:
            self.put(task, due)

    def drop(self, task: Task) -> None:
        """A task that is done for good."""
        self._entries.pop(task, None)
        self._ready.pop(task, None)

    def take(self, now: float) -> Task | None:
        """The most pressing of the tasks that are due, None if none is."""
        self._sort_out(now)
        if not self._ready:
            return None
        task = max(self._ready.values(), key=lambda entry: entry.pressure(now)).task
        del self._ready[task]
        self._entries[task] = None
        return task

    def wait(self, now: float) -> float:
        """Seconds until a task is due, at most a minute."""
        self._sort_out(now)
        if self._ready:
            return 0.0
        return min(self._waiting[0].due - now, 60.0) if self._waiting else 60.0

    def _sort_out(self, now: float) -> None:
        """What is due by now is ready; what is out of date doesn't wait any more."""
        while self._waiting:
            first = self._waiting[0]
            if self._entries.get(first.task) is first:
                if first.due > now:
                    return
                self._ready[first.task] = first
            heapq.heappop(self._waiting)


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
