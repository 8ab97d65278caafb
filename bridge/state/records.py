"""Rows of the state file as the rest of the bridge sees them."""

from dataclasses import dataclass
from typing import Literal

import msgspec

Kind = Literal["broadcast", "conversation", "transactional"]
Position = list[str | int | None]


@dataclass(frozen=True, slots=True)
class Message:
    """A tracked email. Instants are text, other times seconds since 1970; see schema/1.sql."""

    id: int
    list_id: int
    kind: Kind
    message_id: int
    conversation_id: int
    campaign_id: int
    sent_at: str
    properties: str | None
    found_at: float
    looked_at: float | None
    moved_at: float | None
    summary: str
    retired: int
    asked: int = 0
    watch: str = ""

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


@dataclass(frozen=True, slots=True)
class Backfill:
    """A backfill of a list's history from `since` up to `before` (instants).

    `left_out`: messages whose history can't be told apart from what was sent; `messages`: how many
    were read, `waiting`: how many are to be; `sent`: events.
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


@dataclass(frozen=True, slots=True)
class Past:
    """A message that a backfill reads: what was `withheld` of a tracked one, or its `old` rows.

    `tracked`: its row among the tracked messages, 0 where it isn't.
    """

    id: int
    list_id: int
    part: Literal["withheld", "old"]
    tracked: int
    kind: Kind
    message_id: int
    conversation_id: int
    campaign_id: int
    sent_at: str
    properties: str | None
    position: Position

    @property
    def message(self) -> Message:
        """The same as a message that was never looked at."""
        return Message(
            id=self.tracked,
            list_id=self.list_id,
            kind=self.kind,
            message_id=self.message_id,
            conversation_id=self.conversation_id,
            campaign_id=self.campaign_id,
            sent_at=self.sent_at,
            properties=self.properties,
            found_at=0.0,
            looked_at=None,
            moved_at=None,
            summary="",
            retired=0,
        )


@dataclass(frozen=True, slots=True)
class ListState:
    """How far a list was read; times in seconds since 1970, None for never."""

    list_id: int
    list_name: str
    discovered_at: float | None
    contacts_at: float | None
    swept_at: float | None


class Contact(msgspec.Struct, frozen=True, gc=False):
    """What Segment was last told of a contact of a list. A struct: there are millions of them."""

    email: str
    subscribed: bool
    user_id: str | None
    revision: int
    unsubscribed_at: str


@dataclass(frozen=True, slots=True)
class Total:
    """The last cumulative values of a row: order total, how often it rose, clicks.

    `withheld`, `withheld_clicks`: what of them was from before the start horizon, and not sent.
    """

    order_total: float = 0.0
    rises: int = 0
    clicks: int = 0
    withheld: float = 0.0
    withheld_clicks: int = 0


@dataclass(slots=True)
class EventCount:
    """Of one message and one event: how many were seen, and why some of them were not sent.

    `amount`: what the order totals come to.
    """

    seen: int = 0
    unsent: int = 0
    dead: int = 0
    amount: float = 0.0


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """An unsubscribe seen and not yet sent; `properties` are those of the message behind it."""

    email: str
    date: str
    instant: str
    method: str
    properties: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that can't be sent, with the reason."""

    event: str
    message_id: str
    reason: str
    body: bytes
