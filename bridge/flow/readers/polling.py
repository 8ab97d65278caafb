"""Parts of every reading of a poll: its client, its next page, where its scan begins."""

from bridge.flow.message_poll import MessagePoll
from bridge.flow.planner.scan_types import Scan
from bridge.listrak import times
from bridge.listrak.client import Listrak
from bridge.listrak.times import Zone
from bridge.transport.priority import Priority


class PollClients:
    """The clients of polls: long ones let others go first."""

    def __init__(self, listrak: Listrak, unhurried: Priority = Priority.FULL) -> None:
        self._listrak = listrak
        self._unhurried = listrak.with_priority(unhurried)

    def with_priority(self, priority: Priority) -> "PollClients":
        """The clients with another priority of long polls."""
        return PollClients(self._listrak, priority)

    def of(self, poll: MessagePoll) -> Listrak:
        """The client of a poll."""
        return self._unhurried if poll.planned.is_long else self._listrak


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
