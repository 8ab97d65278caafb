"""Rows of the state file as the rest of the bridge sees them."""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import msgspec

from bridge.state.cursors import ContactCursor, PollCursor

Kind = Literal["broadcast", "conversation", "transactional"]
BackfillKind = Literal["history", "events"]
BACKFILL_KINDS: Final[tuple[BackfillKind, ...]] = ("history", "events")


class MessageRef(NamedTuple):
    """A message as Listrak lists it.

    conversation_id: 0 for messages that belong to none.
    campaign_id: 0 for none, None where the listing doesn't tell.
    sent_at: instant of its own sendDate; "" where it has none (yet).
    subject: "" where it has none, None where the listing doesn't tell.
    """

    list_id: int
    kind: Kind
    message_id: int
    conversation_id: int = 0
    campaign_id: int | None = 0
    sent_at: str = ""
    subject: str | None = None

    @property
    def path(self) -> str:
        """Its place in Listrak's API."""
        match self.kind:
            case "broadcast":
                return f"List/{self.list_id}/Message/{self.message_id}"
            case "conversation":
                conversation = f"List/{self.list_id}/Conversation/{self.conversation_id}"
                return f"{conversation}/Message/{self.message_id}"
            case "transactional":
                return f"List/{self.list_id}/TransactionalMessage/{self.message_id}"

    def never_polled(
        self, row: int, *, properties: str | None = None, discovered_at: float = 0.0
    ) -> "Message":
        """The message as one that was never polled; its parameters are fields of Message.

        row: the `id`.
        """
        return Message(
            id=row,
            list_id=self.list_id,
            kind=self.kind,
            message_id=self.message_id,
            conversation_id=self.conversation_id,
            campaign_id=self.campaign_id or 0,
            sent_at=self.sent_at,
            properties=properties,
            discovered_at=discovered_at,
            polled_at=None,
            changed_at=None,
            summary="",
            untracked=0,
            subject=self.subject,
        )


@dataclass(frozen=True, slots=True)
class Message:
    """A tracked message. Instants are text, other times seconds since 1970.

    id: its row in the state file.
    sent_at: instant of its own sendDate; "" where it has none.
    properties: JSON object of the properties of its latest events; None until rows of it were seen.
    discovered_at: when it was discovered.
    polled_at: start of the latest complete full poll, None for never.
    changed_at: start of the latest poll but the first that found anything new, None for none.
    summary: counters (JSON) that the latest complete poll began with.
    untracked: 1 once it is no longer tracked; 2 while all that was remembered of it is kept.
    rescan_requested: 1 from the request for a full poll until one begins.
    watermarks: JSON; see flow/planner/watermarks.py.
    floor: lowest bucket that is looked at (flow/buckets.py); None until it is first polled, and
        once it is untracked if nothing of it was sent.
    first_floor: the floor of its first poll; None also where an older version made it.
    subject: as it is now; "" where it has none, None where no listing told it.
    described_at: when it was last asked for by itself, None for never.
    properties_used: 1 while events with its properties may be on their way.
    """

    id: int
    list_id: int
    kind: Kind
    message_id: int
    conversation_id: int
    campaign_id: int
    sent_at: str
    properties: str | None
    discovered_at: float
    polled_at: float | None
    changed_at: float | None
    summary: str
    untracked: int
    rescan_requested: int = 0
    watermarks: str = ""
    floor: int | None = None
    first_floor: int | None = None
    subject: str | None = None
    described_at: float | None = None
    properties_used: int = 0

    @property
    def ref(self) -> MessageRef:
        """The message as Listrak lists it."""
        return MessageRef(
            self.list_id,
            self.kind,
            self.message_id,
            self.conversation_id,
            self.campaign_id,
            self.sent_at,
            self.subject,
        )

    @property
    def path(self) -> str:
        """Its place in Listrak's API."""
        return self.ref.path


@dataclass(frozen=True, slots=True)
class Backfill:
    """A backfill of a list, from `since` up to `before` (instants).

    listed: 1 once its messages are queued.
    finished: 1 once all of them were read.
    left_out: messages of which it can't be told what was sent.
    messages: how many were read.
    sent: events.
    waiting: messages still queued.
    kind: "history" of what happened before the start horizon, "events" of what was withheld by
        BRIDGE_EVENTS, whenever it happened.
    warehouse_only: 1 where its events are for warehouses alone.
    missing: messages that Listrak doesn't have any more.
    events: names of the events that one of the history brings, a comma between; "" otherwise.
    dropped: likewise, of those that were taken out of BRIDGE_EVENTS while it was under way.
    """

    list_id: int
    since: str
    before: str
    listed: int
    finished: int
    left_out: int
    messages: int
    sent: int
    waiting: int
    kind: BackfillKind = "history"
    warehouse_only: int = 0
    missing: int = 0
    events: str = ""
    dropped: str = ""

    @property
    def names(self) -> frozenset[str]:
        """The names of the events that it brings."""
        return frozenset(filter(None, self.events.split(",")))

    @property
    def dropped_names(self) -> frozenset[str]:
        """The names of the events that it brings no longer."""
        return frozenset(filter(None, self.dropped.split(",")))


@dataclass(frozen=True, slots=True)
class BackfillMessage:
    """A message that a backfill reads.

    part: "withheld" for events of a tracked message from before the horizon, "old" for rows never
        tracked, "unwanted" for events of a tracked message that were not in BRIDGE_EVENTS.
    tracked: its row among the tracked messages, 0 where it isn't one.
    properties: JSON object; None until rows of it were seen.
    cursor: its next page, None for the first.
    warehouse_only: 1 where its events are for warehouses alone.
    """

    id: int
    part: Literal["withheld", "old", "unwanted"]
    tracked: int
    ref: MessageRef
    properties: str | None
    cursor: PollCursor | None
    warehouse_only: int = 0

    @property
    def kind(self) -> BackfillKind:
        """The kind of backfill that reads it."""
        return "events" if self.part == "unwanted" else "history"

    @property
    def message(self) -> Message:
        """The message as one that was never polled."""
        return self.ref.never_polled(self.tracked, properties=self.properties)


@dataclass(frozen=True, slots=True)
class ListState:
    """The progress of a list; times in seconds since 1970, None for never.

    horizon: its start horizon, "" for a list that was never read.
    discovered_at: start of the latest complete discovery of its messages.
    contacts_at: start of the latest complete poll of its contacts.
    swept_at: start of the latest complete sweep.
    zone: the zone that the horizon was fixed in.
    identified_at: the latest timestamp that an identify of it carries.
    forgotten_revision: no contact that was forgotten had a later one.
    unsubscribes_forgotten: the latest instant of an unsubscribe that was withheld and is forgotten;
        "" for none.
    revision_floor: changes of its contacts get revisions above this.
    """

    list_id: int
    list_name: str
    horizon: str
    discovered_at: float | None
    contacts_at: float | None
    swept_at: float | None
    zone: str = ""
    identified_at: float = 0.0
    forgotten_revision: int = 0
    unsubscribes_forgotten: str = ""
    revision_floor: int = 0

    @property
    def last_read(self) -> float:
        """The latest time at which anything of it was read to its end; 0 for never."""
        return max(self.discovered_at or 0.0, self.contacts_at or 0.0, self.identified_at)


@dataclass(frozen=True, slots=True)
class IdentifyRun:
    """A run of `identify --all` over the contacts of a list.

    started_at: seconds since 1970.
    cursor: its next page, None for the first.
    told: number of contacts that it has told; others were told by polls meanwhile.
    finished: all were told.
    """

    list_id: int
    started_at: float
    cursor: ContactCursor | None
    told: int
    finished: bool


class Contact(msgspec.Struct, frozen=True, gc=False):
    """A contact of a list as Segment was last told it. A struct: there are millions of them.

    revision: number of the changes sent, so that each has an id of its own.
    unsubscribed_at: the latest unsubscribe that was noted, as Listrak wrote its date, or in its way
        where it wrote none; an instant in rows of older versions; "" for none.
    deleted_at: when its list was first seen without it (seconds since 1970), else None.
    """

    email: str
    subscribed: bool
    user_id: str | None
    revision: int
    unsubscribed_at: str
    deleted_at: float | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """The last cumulative values of an activity row.

    order_total: an amount.
    rises: how often the order total rose.
    clicks: clickCount of a message without a link report.
    withheld: what of the order total was from before the start horizon, and not sent.
    withheld_clicks: likewise of the clicks.
    unwanted: what of the order total was not in BRIDGE_EVENTS, and not sent then.
    unwanted_clicks: likewise of the clicks.
    unwanted_sent: what of `unwanted` a backfill has sent since.
    unwanted_clicks_sent: likewise of the clicks.
    """

    order_total: float = 0.0
    rises: int = 0
    clicks: int = 0
    withheld: float = 0.0
    withheld_clicks: int = 0
    unwanted: float = 0.0
    unwanted_clicks: int = 0
    unwanted_sent: float = 0.0
    unwanted_clicks_sent: int = 0


@dataclass(slots=True)
class EventCount:
    """Numbers of one kind of event of one message.

    seen: events told apart.
    unsent: those of them that are not to be sent.
    dead: those of them that became dead letters.
    amount: sum of what the order totals rose and fell by.
    unsent_amount: what of that was not sent; below 0 for falls, which are no events.
    """

    seen: int = 0
    unsent: int = 0
    dead: int = 0
    amount: float = 0.0
    unsent_amount: float = 0.0


@dataclass(frozen=True, slots=True)
class PendingUnsubscribe:
    """An unsubscribe that was seen and isn't sent yet.

    date: as Listrak wrote it.
    method: unsubscribeMethod.
    properties: JSON object of the message it came through, None where that isn't known.
    """

    email: str
    date: str
    instant: str
    method: str
    properties: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that can't be sent, with the reason.

    event: its name.
    message_id: its messageId.
    body: the encoded event, or the row that it couldn't be made of.
    """

    event: str
    message_id: str
    reason: str
    body: bytes
