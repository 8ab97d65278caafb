"""Parts of every reading of a poll: its client, its next page, where its scan begins."""

import copy

from bridge.flow.message_poll import MessagePoll
from bridge.flow.planner.scan_types import Scan
from bridge.flow.scheduling import schedule
from bridge.listrak import times
from bridge.listrak.client import Listrak, RowFilter
from bridge.listrak.times import Zone
from bridge.state.records import Message
from bridge.transport.priority import Priority


class PollClients:
    """The clients of polls: where calls are scarce, those of what is older wait longer.

    priority: that of all polls; None for one by their messages' age.
    """

    def __init__(self, listrak: Listrak, priority: Priority | None = None) -> None:
        self._clients = {each: listrak.with_priority(each) for each in Priority}
        self._priority = priority

    def with_priority(self, priority: Priority) -> "PollClients":
        """A copy of the clients, with that priority for all polls."""
        other = copy.copy(self)
        other._priority = priority
        return other

    def of(self, message: Message, now: float) -> Listrak:
        """The client of a poll of a message that began then."""
        if self._priority is not None:
            return self._clients[self._priority]
        return self._clients[schedule.priority(message, now)]

    def of_poll(self, poll: MessagePoll) -> Listrak:
        """The client of a poll."""
        return self.of(poll.message, poll.started_at)


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


def rows_of(scan: Scan | None, zone: Zone) -> RowFilter | None:
    """The rows that a scan asks for, None for all."""
    if scan is None:
        return None
    until = None if scan.until is None else zone.naive_until(times.from_seconds(scan.until))
    date_type = scan.scan_type.date_type
    return RowFilter(scan.activity_type, date_type, start_of(scan, zone), until)
