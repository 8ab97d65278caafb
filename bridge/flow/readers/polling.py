"""Parts of every reading of a poll: its client, its next page, where its scan begins."""

from typing import Final

from bridge.flow.message_poll import MessagePoll
from bridge.flow.planner.scan_types import Scan
from bridge.flow.scheduling import schedule
from bridge.listrak import times
from bridge.listrak.client import Listrak
from bridge.listrak.times import Zone
from bridge.transport.priority import Priority

END_MARGIN: Final = 15.0
"""Seconds by which a scan reads on after its end, as clocks differ."""


class PollClients:
    """The clients of polls: those of older messages let fresh ones go first, long ones all."""

    def __init__(self, listrak: Listrak, unhurried: Priority = Priority.FULL) -> None:
        self._listrak = listrak
        self._older = listrak.with_priority(Priority.OLDER)
        self._unhurried = listrak.with_priority(unhurried)

    def with_priority(self, priority: Priority) -> "PollClients":
        """The clients with another priority of long polls."""
        return PollClients(self._listrak, priority)

    def of(self, poll: MessagePoll) -> Listrak:
        """The client of a poll."""
        if poll.planned.is_long:
            return self._unhurried
        return self.for_age(poll.planned.snapshot.age)

    def for_age(self, seconds: float) -> Listrak:
        """The client of short polls of a message of an age."""
        return self._listrak if seconds < schedule.FRESH_AGE else self._older


async def opened(poll: MessagePoll) -> int:
    """The number of the poll's next page, as soon as it may have one more."""
    await poll.acks.wait_for_room()
    poll.failure.check()
    return poll.acks.open()


def start_of(scan: Scan | None, zone: Zone) -> str | None:
    """The naive time from which a scan reads, None for the beginning."""
    if scan is None or scan.since is None:
        return None
    return zone.naive_from(times.from_seconds(scan.since))


def end_of(scan: Scan | None, zone: Zone) -> str | None:
    """The naive time up to which a scan reads, None for the present."""
    if scan is None or scan.until is None:
        return None
    return zone.naive(times.from_seconds(scan.until + END_MARGIN))
