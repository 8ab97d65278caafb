"""Pages, which go from the readers to the mapper."""

from dataclasses import dataclass, field

from bridge.flow.in_flight import InFlight
from bridge.flow.message_poll import MessagePoll
from bridge.flow.source import SourceList
from bridge.listrak import wire
from bridge.listrak.times import Instant
from bridge.state.cursors import ContactCursor, PollCursor
from bridge.state.records import Backfill, PendingUnsubscribe


@dataclass(eq=False)
class ActivityPage:
    """Activity rows of a message.

    number: its place in the poll's acknowledgements.
    next_cursor: where the poll goes on after this page.
    origins: where each row came from; None where no row tells.
    """

    poll: MessagePoll
    number: int
    next_cursor: PollCursor
    rows: list[wire.Activity]
    origins: list[wire.Origin] | None


@dataclass(eq=False)
class ClickPage:
    """Clicks on a link of a message; fields as of ActivityPage."""

    poll: MessagePoll
    number: int
    next_cursor: PollCursor
    link: wire.Link
    rows: list[wire.Clicker]
    origins: list[wire.Origin] | None


@dataclass(eq=False)
class LastPage:
    """The end of a poll."""

    poll: MessagePoll
    number: int


@dataclass(frozen=True)
class ContactPoll:
    """A poll of a list's contacts.

    sweep: it reads all contacts, not only those who came or left lately.
    previous: start of the poll before, "" if there was none.
    first_revision: that of contacts that aren't known yet.
    in_flight: its pages that are not acknowledged.
    told: names of what was logged of it already.
    """

    source: SourceList
    sweep: bool
    previous: Instant = ""
    first_revision: int = 0
    in_flight: InFlight = field(default_factory=InFlight)
    told: set[str] = field(default_factory=set)


@dataclass(eq=False)
class ContactPage:
    """Contacts of a list.

    next_cursor: where the poll goes on after this page.
    read_at: when it was read, in seconds since 1970 by Listrak's clock; later for a later page.
    subscribed: the requested state.
    deleted: addresses known as subscribed that the list doesn't have any more.
    """

    poll: ContactPoll
    next_cursor: ContactCursor
    rows: list[wire.Contact]
    read_at: float
    subscribed: bool = True
    deleted: list[str] = field(default_factory=list)

    @property
    def emails(self) -> list[str]:
        """The addresses of all contacts it is about."""
        return [row.email_address or "" for row in self.rows] + self.deleted


@dataclass(eq=False)
class UnsubscribePage:
    """Pending unsubscribes that are attributed as well as they can be.

    backfill: the backfill that sends them, where they were withheld; None for pending ones.
    """

    source: SourceList
    in_flight: InFlight
    rows: list[PendingUnsubscribe]
    backfill: Backfill | None = None


@dataclass(eq=False)
class OutboxPage:
    """Events that were journaled before a restart and not acknowledged.

    list_id: 0 where an older version journaled them.
    """

    outbox_id: int
    list_id: int
    in_flight: InFlight
    body: bytes


@dataclass(eq=False)
class Flush:
    """A mark after pages that somebody waits for: they must not wait for a full batch."""


Page = ActivityPage | ClickPage | LastPage | ContactPage | UnsubscribePage | OutboxPage | Flush
