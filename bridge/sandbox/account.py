"""The contents of a Listrak account: lists, contacts, messages, and the state of each send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

Kind = Literal["message", "conversation", "transactional"]


@dataclass(slots=True, eq=False)
class Field:
    """A profile field.

    group: id of its group.
    """

    field_id: int
    name: str
    group: int
    data_type: str = "Text"


class Profile(NamedTuple):
    """The profile of a new contact.

    values: by the id of their profile field.
    """

    values: Mapping[int, str] | None = None
    external_id: str | None = None


@dataclass(slots=True, eq=False)
class Contact:
    """One address on one list, as it is now.

    position: its place in the list's register.
    values: by the id of their profile field; replaced, never changed in place.
    """

    position: int
    list_id: int
    email: str
    email_key: str
    subscribe_date: datetime
    subscribe_method: str
    subscribed: bool = True
    resubscribe_date: datetime | None = None
    unsubscribe_date: datetime | None = None
    unsubscribe_method: str | None = None
    external_id: str | None = None
    values: Mapping[int, str] = field(default_factory=dict)
    deleted: bool = False


class Origin(NamedTuple):
    """The client of an open or a click; None is unknown."""

    ip: str | None = None
    user_agent: str | None = None


@dataclass(slots=True, eq=False)
class Click:
    """One click, with its client."""

    email: str
    at: datetime
    ip: str | None = None
    user_agent: str | None = None


@dataclass(slots=True, eq=False)
class Link:
    """One link of a message, with all its clicks so far.

    description: "" for none.
    """

    link_id: int
    url: str
    clicks: list[Click] = field(default_factory=list)
    description: str = ""


@dataclass(slots=True, eq=False)
class Row:
    """One send to one contact, and its state.

    position: its place among the message's rows.
    first_activity: shown by Listrak: the first open, click, bounce or unsubscribe.
    latest_activity: the latest of these, and of complaints and orders.
    order_cents: sum of all orders, None before any.
    """

    position: int
    email: str
    sent_at: datetime
    first_activity: datetime | None = None
    latest_activity: datetime | None = None
    opened: bool = False
    read: bool = False
    clicks: int = 0
    bounced: bool = False
    bounce_reason: str | None = None
    abuse: bool = False
    unsubscribed: bool = False
    order_cents: int | None = None
    external_id: str | None = None
    ip: str | None = None
    user_agent: str | None = None


@dataclass(slots=True)
class Totals:
    """The counters of a message, as its Summary has them."""

    opened: int = 0
    read: int = 0
    clicks: int = 0
    bounced: int = 0
    unsubscribed: int = 0
    orders: int = 0
    cents: int = 0


@dataclass(slots=True, eq=False)
class Message:
    """An email of any kind.

    campaign_id: 0 for none.
    listed: it is in the list's messages, else only in its split test.
    dated: its send date is shown.
    rows_dated: its rows show their send dates.
    test: it is a test message.
    previous: it is of an earlier version of its conversation.
    latest: the latest row of each address.
    """

    message_id: int
    kind: Kind
    list_id: int
    subject: str
    campaign_id: int = 0
    google_analytics: str | None = None
    name: str = ""
    conversation: Conversation | None = None
    links: list[Link] = field(default_factory=list)
    sent_at: datetime | None = None
    listed: bool = True
    dated: bool = True
    rows_dated: bool = True
    test: bool = False
    previous: bool = False
    rows: list[Row] = field(default_factory=list)
    latest: dict[str, Row] = field(default_factory=dict, repr=False)
    totals: Totals = field(default_factory=Totals)


@dataclass(slots=True, eq=False)
class Conversation:
    """A series of messages that each contact goes through at its own pace."""

    conversation_id: int
    name: str
    campaign_id: int = 0
    messages: list[Message] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class SplitTest:
    """A split test.

    messages: pairs of group name (None for the remainder) and message.
    """

    split_test_id: int
    name: str
    start: datetime
    messages: list[tuple[str | None, Message]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class MailingList:
    """A list with everything in it.

    contacts: by their present spelling.
    spellings: by an address without case, its contact's spelling where that is another.
    register: all contacts in order, deleted ones included.
    removed: the account has it no longer.
    """

    list_id: int
    name: str
    created: datetime
    groups: dict[int, str] = field(default_factory=dict)
    fields: dict[int, Field] = field(default_factory=dict)
    campaigns: dict[int, str] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    spellings: dict[str, str] = field(default_factory=dict)
    removed: bool = False
    register: list[Contact] = field(default_factory=list)
    messages: dict[int, Message] = field(default_factory=dict)
    split_tests: dict[int, SplitTest] = field(default_factory=dict)
    conversations: dict[int, Conversation] = field(default_factory=dict)
    transactional: dict[int, Message] = field(default_factory=dict)

    def contact(self, email: str) -> Contact | None:
        """The contact of an address, however it is spelled."""
        folded = email.casefold()
        return self.contacts.get(email) or self.contacts.get(self.spellings.get(folded, folded))

    def put_contact(self, contact: Contact) -> None:
        """Puts a contact under its spelling."""
        self.contacts[contact.email] = contact
        if (folded := contact.email.casefold()) != contact.email:
            self.spellings[folded] = contact.email

    def take_contact(self, email: str) -> Contact:
        """Takes a contact away, however its address is spelled. KeyError if there is none."""
        contact = self.contact(email)
        if contact is None:
            raise KeyError(email)
        self.spellings.pop(contact.email.casefold(), None)
        return self.contacts.pop(contact.email)

    def emails(self) -> list[Message]:
        """Every message of the three kinds."""
        talks = (m for c in self.conversations.values() for m in c.messages)
        return [*self.messages.values(), *talks, *self.transactional.values()]


class State(NamedTuple):
    """The state of a contact at an instant.

    subscribed: None if it isn't on the list.
    values: by the id of their profile field.
    """

    subscribed: bool | None
    values: Mapping[int, str]


class Fact(NamedTuple):
    """An event of the world. The fields after `email` are set where they apply.

    at: the true instant.
    what: send, open, bounce, abuse, order, click, unsubscribe, contact.
    shown_at: when it began to show, where that is later.
    """

    at: datetime
    what: str
    list_id: int
    email: str
    message: Message | None = None
    row: Row | None = None
    link: Link | None = None
    click: Click | None = None
    ip: str | None = None
    cents: int = 0
    method: str = ""
    state: State | None = None
    shown_at: datetime | None = None


class Account:
    """The lists, and operations to set them up.

    now: instant at which things happen.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.lists: dict[int, MailingList] = {}
        self._ids: dict[str, int] = {}

    def add_list(self, name: str, *, list_id: int | None = None) -> MailingList:
        """Adds a list, created now; with an id of its own if none is given."""
        added = MailingList(list_id or self._next("list", 12345, 1111), name, self.now)
        self.lists[added.list_id] = added
        return added

    def add_field(
        self, list_id: int, name: str, *, group: str = "Profile", data_type: str = "Text"
    ) -> Field:
        """Adds a profile field to the group of that name, made where missing."""
        owner = self.lists[list_id]
        known = {title: group_id for group_id, title in owner.groups.items()}
        group_id = known.get(group) or self._next("group", 501)
        owner.groups[group_id] = group
        added = Field(self._next("field", 777), name, group_id, data_type)
        owner.fields[added.field_id] = added
        return added

    def add_campaign(self, list_id: int, name: str) -> int:
        """Adds a campaign; returns its id."""
        campaign_id = self._next("campaign", 31)
        self.lists[list_id].campaigns[campaign_id] = name
        return campaign_id

    def add_conversation(self, list_id: int, name: str, *, campaign_id: int = 0) -> Conversation:
        """Adds a conversation without messages."""
        added = Conversation(self._next("conversation", 901), name, campaign_id)
        self.lists[list_id].conversations[added.conversation_id] = added
        return added

    def add_split_test(self, list_id: int, name: str) -> SplitTest:
        """Adds an empty split test; put (group name or None, message) pairs into its messages."""
        added = SplitTest(self._next("split", 61), name, self.now)
        self.lists[list_id].split_tests[added.split_test_id] = added
        return added

    def add_message(
        self,
        list_id: int,
        kind: Kind = "message",
        *,
        subject: str = "Hello",
        links: Sequence[str] = ("https://shop.example/",),
        conversation: Conversation | None = None,
        **details: Any,
    ) -> Message:
        """Adds a message not sent yet (scheduled); `details` are further fields of Message.

        A conversation message without a conversation gets one of its own.
        """
        owner = self.lists[list_id]
        # Transactional messages are counted apart, so their ids collide with those of others.
        ids = "transactional" if kind == "transactional" else "message"
        message = Message(self._next(ids, 4001), kind, list_id, subject, **details)
        if kind != "transactional":
            message.links = [Link(self._next("link", 70001), url) for url in links]
        if kind == "message":
            owner.messages[message.message_id] = message
        elif kind == "transactional":
            owner.transactional[message.message_id] = message
        else:
            conversation = conversation or self.add_conversation(list_id, f"{subject} series")
            conversation.messages.append(message)
            message.conversation = conversation
        return message

    def _next(self, kind: str, first: int, step: int = 1) -> int:
        self._ids[kind] = self._ids.get(kind, first - step) + step
        return self._ids[kind]
