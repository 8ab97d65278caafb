"""The events that must, may or must not have been sent, as the world's log proves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

from .account import Click, Fact, MailingList, Message, Row, State
from .clock import WallClock
from .expectations import Expectations
from .world import World

# Activity less than this before the end of a message's tracking may be read or not.
GRACE = timedelta(days=1)

ROW_EVENTS = {
    "send": "Email Sent",
    "open": "Email Opened",
    "bounce": "Email Bounced",
    "abuse": "Email Marked As Spam",
}
CLICKED, CONVERTED = "Email Link Clicked", "Email Converted"


class Duty(IntEnum):
    """The obligation to send an event."""

    FORBIDDEN = 0
    OPTIONAL = 1
    REQUIRED = 2


@dataclass(slots=True, eq=False)
class Slot:
    """A place for one event.

    points: instants that its timestamp may be.
    span: otherwise, the first and last instant that it may be.
    source: the row or click that carries the client's address.
    addressed: that address came with this event.
    """

    duty: Duty
    points: frozenset[datetime] = frozenset()
    span: tuple[datetime, datetime] | None = None
    source: Row | Click | None = None
    addressed: bool = False
    filled: bool = False

    def accepts(self, at: datetime) -> bool:
        """Tells whether an event with that timestamp may fill the slot."""
        return at in self.points or (self.span is not None and self.span[0] <= at <= self.span[1])

    @property
    def latest(self) -> datetime:
        """The latest timestamp that is accepted."""
        return self.span[1] if self.span is not None else max(self.points)

    def __str__(self) -> str:
        if self.span is not None:
            return f"{self.span[0].isoformat()} to {self.span[1].isoformat()}"
        return " or ".join(sorted(point.isoformat() for point in self.points))


class Key(NamedTuple):
    """The common properties of events that slots don't tell apart.

    link_id: None where no link is named.
    """

    event: str
    message: Message
    email: str
    link_id: int | None = None


@dataclass(slots=True, eq=False)
class Order:
    """An order.

    duty: that of reporting its amount.
    """

    duty: Duty
    at: datetime
    cents: int
    row: Row


@dataclass(slots=True, eq=False)
class Departure:
    """An unsubscribe.

    points: instants that its timestamp may be.
    cause: the message that caused it, if one did.
    told: the message must be named.
    row: that message's row of the contact.
    """

    duty: Duty
    points: frozenset[datetime]
    method: str
    cause: Message | None
    told: bool
    row: Row | None
    filled: bool = False


@dataclass(slots=True, eq=False)
class Life:
    """The life of a contact of a list: its states in order, and its departures."""

    states: list[tuple[datetime, State]] = field(default_factory=list)
    departures: list[Departure] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)

    @property
    def now(self) -> State:
        """The present state."""
        return self.states[-1][1]


class Evidence:
    """The evidence of a world's log, for the configured lists.

    slots: by key.
    orders: by message and email.
    lives: by list and email.
    """

    def __init__(self, world: World, expectations: Expectations) -> None:
        self._since = expectations.since
        self._track = timedelta(days=expectations.track_days)
        self._first_poll = expectations.first_poll
        self._slack = expectations.slack
        self.wall = WallClock(expectations.timezone)
        self.slots: defaultdict[Key, list[Slot]] = defaultdict(list)
        self.orders: defaultdict[tuple[Message, str], list[Order]] = defaultdict(list)
        self.lives: defaultdict[tuple[int, str], Life] = defaultdict(Life)
        owners = {list_id: world.lists[list_id] for list_id in expectations.lists}
        self.messages = {id(m): m for owner in owners.values() for m in findable(owner)}
        for fact in world.log:
            if fact.list_id not in owners:
                continue
            if fact.what in ("contact", "unsubscribe"):
                self.lives[fact.list_id, fact.email].facts.append(fact)
            elif id(fact.message) in self.messages:
                self._read(fact)
        for life in self.lives.values():
            self._follow(life)

    def _read(self, fact: Fact) -> None:
        """Reads a fact of a message."""
        message, row = fact.message, fact.row
        assert message is not None
        assert row is not None
        duty = self._duty(fact.at, row)
        if fact.what == "order":
            order = Order(duty, fact.at, fact.cents, row)
            self.orders[message, fact.email].append(order)
            return
        if fact.what == "click" and fact.link is not None:
            # Only the click itself counts here, as its row is not in the report.
            link_id = fact.link.link_id
            duty = self._tracked(self._plain_duty({fact.at}), fact.at, row)
            key = Key(CLICKED, message, fact.email, link_id)
            slot = Slot(duty, self._points(fact.at), source=fact.click)
            slot.addressed = fact.click is not None and fact.click.ip is not None
        elif fact.what == "click":
            key = Key(CLICKED, message, fact.email)
            slot = Slot(duty, span=self.span(fact.at, row), source=row)
        else:
            key = Key(ROW_EVENTS[fact.what], message, fact.email)
            slot = Slot(duty, source=row)
            if fact.what == "abuse":
                slot.span = self.span(fact.at, row)
            elif fact.what == "send":
                slot.points = self._points(row.sent_at)
                slot.duty = self._tracked(self._plain_duty({row.sent_at}), fact.at, row)
            else:
                assert row.first_activity is not None
                slot.points = self._points(row.first_activity)
                slot.addressed = fact.ip is not None
        if slot.duty is not Duty.FORBIDDEN:
            self.slots[key].append(slot)

    def _follow(self, life: Life) -> None:
        """Sorts a contact's states and departures."""
        life.facts.sort(key=lambda fact: fact.at)
        life.states = [(f.at, f.state) for f in life.facts if f.state is not None]
        departures = [fact for fact in life.facts if fact.what == "unsubscribe"]
        for fact in departures:
            duty = self._plain_duty({fact.at})
            last = fact is departures[-1]
            if duty is Duty.REQUIRED and not (last and life.now.subscribed is False):
                duty = Duty.OPTIONAL  # undone since: a late reader can't know
            cause = fact.message if id(fact.message) in self.messages else None
            told = fact.row is not None and (
                self._tracked(Duty.REQUIRED, fact.at, fact.row) is Duty.REQUIRED
            )
            points = self._points(fact.at)
            life.departures.append(Departure(duty, points, fact.method, cause, told, fact.row))

    def before(self, at: datetime) -> bool:
        """Tells whether an instant is before the horizon in every reading."""
        return self._plain_duty({at}) is Duty.FORBIDDEN

    def span(self, at: datetime, row: Row) -> tuple[datetime, datetime]:
        """The best known timestamps: from the row's first activity to the true instant."""
        shown = row.first_activity
        first = shown if shown is not None and shown <= at else row.sent_at
        last = max(at, shown or at)
        return min(self._points(first)), max(self._points(last)) + self._slack

    def _duty(self, at: datetime, row: Row) -> Duty:
        """The duty of what happened at `at`, where the API shows the row's first activity only."""
        duty = self._plain_duty({at, row.first_activity or row.sent_at})
        if duty is Duty.OPTIONAL and self._first_poll is not None and at > self._first_poll:
            duty = Duty.REQUIRED
        return self._tracked(duty, at, row)

    def _plain_duty(self, instants: set[datetime]) -> Duty:
        after = {point >= self._since for instant in instants for point in self._points(instant)}
        if len(after) == 2:
            return Duty.OPTIONAL
        return Duty.REQUIRED if after == {True} else Duty.FORBIDDEN

    def _tracked(self, duty: Duty, at: datetime, row: Row) -> Duty:
        """The duty, made optional where the row need not be read (any longer)."""
        begun = row.sent_at >= self._since - self._track + GRACE
        if duty is Duty.REQUIRED and not (begun and at <= row.sent_at + self._track - GRACE):
            return Duty.OPTIONAL
        return duty

    def _points(self, at: datetime) -> frozenset[datetime]:
        return frozenset(self.wall.instants(at))


def properties(owner: MailingList, message: Message) -> dict[str, str]:
    """The properties of every event of a message, without empty ones."""
    campaign_id = message.campaign_id
    if not campaign_id and message.conversation is not None:
        campaign_id = message.conversation.campaign_id
    told: Mapping[str, str | None] = {
        "email_id": str(message.message_id),
        "email_subject": message.subject,
        "campaign_name": owner.campaigns.get(campaign_id),
        "google_analytics_campaign_name": message.google_analytics,
        "list_id": str(owner.list_id),
        "list_name": owner.name,
    }
    return {name: value for name, value in told.items() if value}


def findable(owner: MailingList) -> Iterable[Message]:
    """The messages that the API leads to, without test messages."""
    tested = {id(m) for test in owner.split_tests.values() for _, m in test.messages}
    return [m for m in owner.emails() if not m.test and (m.listed or id(m) in tested)]
