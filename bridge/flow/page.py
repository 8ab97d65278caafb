"""Pages, which go from the readers to the mapper."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from bridge.flow.in_flight import InFlight
from bridge.flow.mapping.twins import Twins
from bridge.flow.mapping.user_ids import SharedUserIds
from bridge.flow.message_poll import MessagePoll
from bridge.flow.page_failure import PageFailure
from bridge.flow.source import SourceList
from bridge.listrak import wire
from bridge.listrak.origin import Origin
from bridge.listrak.pages import UnreadRow
from bridge.listrak.times import Instant
from bridge.segment import events
from bridge.state.cursors import ContactCursor, PollCursor
from bridge.state.keys import Keys, heads
from bridge.state.records import Backfill, PendingUnsubscribe


@dataclass(eq=False)
class ActivityPage:
    """Activity rows of a message.

    number: its place in the poll's acknowledgements.
    next_cursor: where the poll goes on after this page.
    origins: where each row came from; None where no row tells.
    unread: rows of which something can't be read.
    """

    poll: MessagePoll
    number: int
    next_cursor: PollCursor
    rows: list[wire.Activity]
    origins: list[Origin] | None
    unread: Sequence[UnreadRow] = ()


@dataclass(eq=False)
class ClickPage:
    """Clicks on a link of a message; fields as of ActivityPage.

    ordinals: of clicks that look the same, the number of each row among these; None where all
        count as the first of theirs.
    """

    poll: MessagePoll
    number: int
    next_cursor: PollCursor
    link: wire.Link
    rows: list[wire.Clicker]
    origins: list[Origin] | None
    unread: Sequence[UnreadRow] = ()
    ordinals: list[int] | None = None


@dataclass(eq=False)
class LastPage:
    """The end of a poll."""

    poll: MessagePoll
    number: int


@dataclass(eq=False)
class UserIdFindings:
    """Findings of a poll of contacts about their userIds.

    withheld: number of contacts whose value stands for nobody, by the kind of value.
    is_whole: they were counted from the poll's first page on, not from a restart.
    shared: the values that most have.
    is_told: the alarm that too many share one was given.
    """

    withheld: Counter[str] = field(default_factory=Counter)
    is_whole: bool = True
    shared: SharedUserIds = field(default_factory=SharedUserIds)
    is_told: bool = False

    def begin(self, *, is_whole: bool) -> None:
        """Counts anew, from the poll's first page on or from another."""
        self.withheld.clear()
        self.is_whole = is_whole


@dataclass(frozen=True)
class ContactPoll:
    """A poll of a list's contacts.

    sweep: it reads all contacts, not only those who came or left lately.
    previous: start of the poll before, "" if there was none.
    first_revision: that of contacts that aren't known yet.
    zone: the zone, by name, in which older versions read the unsubscribe dates that they kept.
    in_flight: pages of the list's contacts that are not acknowledged.
    user_ids: what is found of its contacts' userIds.
    revision_floor: changes get revisions above this.
    twins: the addresses that the list has more than once.
    failure: that of a page, after which none is mapped.
    beside: where the sweep goes on in the midst of which it is made, None for none.
    """

    source: SourceList
    sweep: bool
    previous: Instant = ""
    first_revision: int = 0
    zone: str = ""
    in_flight: InFlight = field(default_factory=InFlight)
    user_ids: UserIdFindings = field(default_factory=UserIdFindings)
    revision_floor: int = 0
    twins: Twins = field(default_factory=Twins)
    failure: PageFailure = field(default_factory=PageFailure)
    beside: ContactCursor | None = None

    def beside_it(self, cursor: ContactCursor) -> "ContactPoll":
        """A poll of recent contacts in the midst of this one, a sweep that goes on at `cursor`.

        It decides nothing of twins that the sweep does.
        """
        return replace(
            self,
            sweep=False,
            user_ids=UserIdFindings(),
            twins=Twins(set(self.twins.known)),
            failure=PageFailure(),
            beside=cursor,
        )

    def revision_after(self, revision: int) -> int:
        """The revision of a contact's next change."""
        return max(revision, self.revision_floor) + 1


def address_keys(addresses: Iterable[str]) -> Keys:
    """The keys of addresses in lower case, by which contacts are told apart; in the order given."""
    return heads([events.digest(address.encode()) for address in addresses])


@dataclass(eq=False)
class ContactPage:
    """Contacts of a list.

    next_cursor: where the poll goes on after this page.
    read_at: when it was read, in seconds since 1970 by Listrak's clock; later for a later page.
    subscribed: the requested state.
    deleted: known addresses that the list doesn't have any more.
    as_known: known addresses that are told again as they are known.
    told_before: of `identify --all`, which of its addresses (in lower case) were told since it
        began; all others are told, changed or not. None for a poll, which tells changes.
    unread: rows of which something can't be read.
    single: where its rows are what was decided of twins, those that are none any more; else None.
    """

    poll: ContactPoll
    next_cursor: ContactCursor
    rows: list[wire.Contact]
    read_at: float
    subscribed: bool = True
    deleted: list[str] = field(default_factory=list)
    as_known: list[str] = field(default_factory=list)
    told_before: frozenset[str] | None = None
    unread: Sequence[UnreadRow] = ()
    single: Sequence[str] | None = None

    @property
    def emails(self) -> list[str]:
        """The addresses of all contacts it is about."""
        return [row.email_address or "" for row in self.rows] + self.deleted + self.as_known


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
    """Events that were journaled before a restart and not acknowledged, or that are set aside.

    list_id: 0 where an older version journaled them.
    names: number of events of each name.
    set_aside: Segment failed on them by themselves: they go apart from all others.
    """

    outbox_id: int
    list_id: int
    in_flight: InFlight
    events: list[bytes]
    names: Counter[str]
    set_aside: bool = False


@dataclass(eq=False)
class Flush:
    """A mark after pages that somebody waits for: they must not wait for a full batch."""


Page = ActivityPage | ClickPage | LastPage | ContactPage | UnsubscribePage | OutboxPage | Flush
