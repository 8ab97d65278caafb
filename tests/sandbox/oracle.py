"""A perfect bridge: it sees all of the world at each step, and remembers everything by name.

It shares no rule with the judge: it lives through the steps, the judge looks back on them.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bridge.sandbox.account import Contact, Link, MailingList, Message, Row
from bridge.sandbox.history import Backfill, Configuration, History, Look, Step
from bridge.sandbox.judge import judge
from bridge.sandbox.verdict import Verdict
from bridge.sandbox.world import World

Event = dict[str, Any]

JUNK = ("", "0", "-1", "null", "none", "n/a", "na", "nan", "undefined", "anonymous", "unknown")


@dataclass
class Sight:
    """One event that an activity row, a click or a contact shows.

    at: its own date, None for none.
    cents: of an order total.
    """

    identity: tuple[object, ...]
    event: str
    row: Row
    at: datetime | None
    sent: datetime
    more: dict[str, object] = field(default_factory=dict)
    link: Link | None = None
    cents: int = 0


@dataclass
class Listing:
    """What the bridge remembers of a list."""

    horizon: datetime
    track: timedelta
    previous: datetime | None = None
    covered: dict[str, datetime] = field(default_factory=dict)


class Oracle:
    """A perfect bridge; `events` is what Segment received, `steps` the history."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.events: list[Event] = []
        self.steps: list[Step] = []
        self._lists: dict[int, Listing] = {}
        self._status: dict[tuple[object, ...], str] = {}
        self._forgotten: set[object] = set()
        self._cents: dict[int, int] = {}
        self._withheld_cents: dict[tuple[int, str], int] = {}
        self._told: dict[tuple[int, str], tuple[bool | None, str | None]] = {}
        self._spelled: dict[tuple[int, str], str] = {}
        self._ids = itertools.count()

    def verdict(self, events: list[Event] | None = None, **options: Any) -> Verdict:
        """The judge's word on all of it, or on other events."""
        history = History(self.steps, **options)
        return judge(self.world, self.events if events is None else events, history)

    # A catch-up

    def look(self, configuration: Configuration) -> None:
        """Catches up with everything."""
        now = self.world.now
        self.steps.append(Look(now, configuration))
        for list_id in configuration.lists:
            owner = self._readable(list_id, configuration)
            if owner is None:
                continue
            listing = self._lists.get(list_id)
            if listing is None:
                horizon = configuration.since or now
                listing = Listing(horizon, configuration.track)
                self._lists[list_id] = listing
            for message in findable(owner):
                self._read(owner, message, configuration, listing)
            for contact in owner.register:
                self._read_contact(owner, contact, configuration, listing)
            listing.previous = now
            self._forget(owner, configuration.track)

    def _readable(self, list_id: int, configuration: Configuration) -> MailingList | None:
        owner = self.world.lists.get(list_id)
        if owner is None or owner.removed:
            return None
        wanted = configuration.lists[list_id]
        names = [field.name for field in owner.fields.values()]
        return owner if wanted is None or wanted in names or wanted in owner.fields else None

    def _read(
        self,
        owner: MailingList,
        message: Message,
        configuration: Configuration,
        listing: Listing,
    ) -> None:
        for row in message.rows:
            if sent_at(message, row) < listing.horizon - listing.track:
                continue
            for sight in sights(message, row):
                self._see(owner, message, sight, configuration, listing)

    def _see(
        self,
        owner: MailingList,
        message: Message,
        sight: Sight,
        configuration: Configuration,
        listing: Listing,
    ) -> None:
        key = sight.identity
        if sight.event == "Email Converted":
            rise = sight.cents - self._cents.get(id(sight.row), 0)
            if rise <= 0:
                return
            key = (*key, sight.cents)
            sight.cents = rise
        if key in self._status or self._is_forgotten(sight):
            return
        at = self._dated(sight, listing)
        if sight.event == "Email Converted":
            self._cents[id(sight.row)] = self._cents.get(id(sight.row), 0) + sight.cents
        early = at < listing.horizon
        if not has_date(sight) and listing.previous is not None:
            early = False
        status = "early" if early else "unwanted"
        if not early and sight.event in configuration.events:
            status = "sent"
            self._send(owner, message, sight, at, configuration)
        self._status[key] = status
        if sight.event == "Email Converted" and status != "sent":
            pot = (id(sight.row), status)
            self._withheld_cents[pot] = self._withheld_cents.get(pot, 0) + sight.cents

    def _is_forgotten(self, sight: Sight) -> bool:
        if sight.link is not None and sight.sent == sight.at:
            return sight.identity in self._forgotten
        return id(sight.row) in self._forgotten

    def _dated(self, sight: Sight, listing: Listing) -> datetime:
        """The date of its own, else the best known one."""
        if sight.at is not None:
            return sight.at
        best = sight.row.first_activity or sight.row.sent_at
        return max(best, listing.previous) if listing.previous is not None else best

    def _forget(self, owner: MailingList, track: timedelta) -> None:
        now = self.world.now
        for message in owner.emails():
            for row in message.rows:
                if sent_at(message, row) + track <= now:
                    self._forgotten.add(id(row))
                for sight in sights(message, row):
                    if sight.sent == sight.at and sight.at + track <= now:
                        self._forgotten.add(sight.identity)

    # Contacts

    def _read_contact(
        self,
        owner: MailingList,
        contact: Contact,
        configuration: Configuration,
        listing: Listing,
    ) -> None:
        person = (owner.list_id, contact.email.casefold())
        told = self._told.get(person, (None, None))
        if contact.deleted:
            if told[0] and owner.contact(contact.email) is None:
                self._identify(person, self._spelled[person], (None, None))
            return
        field_id = configuration.lists[owner.list_id]
        names = {field.name: key for key, field in owner.fields.items()}
        if isinstance(field_id, str):
            field_id = names[field_id]
        user = None if field_id is None else contact.values.get(field_id)
        if user is None or user.strip().casefold() in JUNK:
            user = None
        left = contact.unsubscribe_date
        if not contact.subscribed:
            assert left is not None
            if person not in self._told and left < listing.horizon:
                return
            self._unsubscribe(owner, contact, left, configuration, listing)
        state = (contact.subscribed or None, user)
        if person not in self._told or told != state:
            self._identify(person, contact.email, state)
        self._spelled[person] = contact.email

    def _identify(
        self, person: tuple[int, str], email: str, state: tuple[bool | None, str | None]
    ) -> None:
        self._told[person] = state
        traits = {"email": email, f"listrak_list_{person[0]}": state[0]}
        event: Event = {"type": "identify", "anonymousId": email, "traits": traits}
        if state[1]:
            event["userId"] = state[1]
        self._receive(event | {"timestamp": text_of(self.world.now)})

    def _unsubscribe(
        self,
        owner: MailingList,
        contact: Contact,
        left: datetime,
        configuration: Configuration,
        listing: Listing,
    ) -> None:
        key = ("Unsubscribed", owner.list_id, contact.email.casefold(), left)
        if key in self._status or left < listing.horizon:
            return
        wanted = "Unsubscribed" in configuration.events
        self._status[key] = "sent" if wanted else "unwanted"
        if wanted:
            self._send_unsubscribe(owner, contact, configuration)

    def _send_unsubscribe(
        self, owner: MailingList, contact: Contact, configuration: Configuration
    ) -> Event:
        told: dict[str, object] = {"list_id": str(owner.list_id), "list_name": owner.name}
        fact = [
            f
            for f in self.world.log
            if f.what == "unsubscribe" and f.email.casefold() == contact.email.casefold()
            if f.list_id == owner.list_id and f.at == contact.unsubscribe_date
        ][-1]
        cause = fact.message
        if cause is not None and fact.row is not None and id(fact.row) not in self._forgotten:
            started = self._lists[owner.list_id].horizon - self._lists[owner.list_id].track
            if cause in findable(owner) and sent_at(cause, fact.row) >= started:
                told = about(owner, cause, configuration)
        told["unsubscribe_type"] = contact.unsubscribe_method
        assert contact.unsubscribe_date is not None
        return self._track("Unsubscribed", contact.email, contact.unsubscribe_date, told)

    # Backfills

    def backfill(
        self,
        configuration: Configuration,
        *,
        since: datetime | None = None,
        withheld: bool = False,
        warehouse_only: bool = False,
        list_id: int | None = None,
    ) -> None:
        """Runs a backfill."""
        step = Backfill(
            self.world.now,
            configuration,
            since=since,
            withheld=withheld,
            warehouse_only=warehouse_only,
            list_id=list_id,
        )
        self.steps.append(step)
        before = len(self.events)
        for number in configuration.lists if list_id is None else [list_id]:
            owner, listing = self._readable(number, configuration), self._lists.get(number)
            if owner is None or listing is None:
                continue
            for message in findable(owner):
                for row in message.rows:
                    for sight in sights(message, row):
                        self._fill(owner, message, sight, step)
            if withheld:
                self._fill_unsubscribes(owner, step)
            elif since is not None:
                for name in configuration.events:
                    covered = listing.covered.get(name, listing.horizon)
                    listing.covered[name] = min(covered, since)
        if warehouse_only:
            for event in self.events[before:]:
                event["integrations"] = {"All": False}

    def _fill(self, owner: MailingList, message: Message, sight: Sight, step: Backfill) -> None:
        listing = self._lists[owner.list_id]
        if sight.event not in step.configuration.events:
            return
        status = self._status.get(sight.identity)
        if sight.event == "Email Converted":
            self._fill_order(owner, message, sight, step)
            return
        at = sight.at or sight.row.first_activity or sight.row.sent_at
        if step.withheld:
            due = status == "unwanted" and not self._is_forgotten(sight)
            due = due and (step.since is None or at >= step.since)
        else:
            assert step.since is not None
            untracked = sight.sent < listing.horizon - listing.track
            due = status == "early" and not self._is_forgotten(sight)
            due = due or (untracked and status is None)
            covered = listing.covered.get(sight.event, listing.horizon)
            due = due and step.since <= at < covered
        if due:
            self._status[sight.identity] = "sent"
            self._send(owner, message, sight, at, step.configuration)

    def _fill_order(
        self, owner: MailingList, message: Message, sight: Sight, step: Backfill
    ) -> None:
        listing = self._lists[owner.list_id]
        at = sight.row.first_activity or sight.row.sent_at
        pot = (id(sight.row), "unwanted" if step.withheld else "early")
        cents = self._withheld_cents.get(pot, 0)
        untracked = sight.sent < listing.horizon - listing.track
        if untracked and not step.withheld and sight.identity not in self._status:
            cents = sight.cents
        elif self._is_forgotten(sight):
            return
        covered = listing.covered.get(sight.event, listing.horizon)
        if not step.withheld and (step.since is None or not step.since <= at < covered):
            return
        if step.withheld and step.since is not None and at < step.since:
            return
        if cents:
            self._withheld_cents[pot] = 0
            self._status[sight.identity] = "sent"
            sight.cents = cents
            self._send(owner, message, sight, at, step.configuration)

    def _fill_unsubscribes(self, owner: MailingList, step: Backfill) -> None:
        for contact in owner.contacts.values():
            left = contact.unsubscribe_date
            key = ("Unsubscribed", owner.list_id, contact.email.casefold(), left)
            due = self._status.get(key) == "unwanted" and left is not None
            in_span = step.since is None or (left is not None and left >= step.since)
            if due and in_span and "Unsubscribed" in step.configuration.events:
                self._status[key] = "sent"
                self._send_unsubscribe(owner, contact, step.configuration)

    # Events

    def _send(
        self,
        owner: MailingList,
        message: Message,
        sight: Sight,
        at: datetime,
        configuration: Configuration,
    ) -> None:
        told = about(owner, message, configuration)
        extra = configuration.extra_properties
        if sight.event == "Email Converted":
            told["order_total"] = sight.cents / 100
        if sight.event == "Email Bounced" and "bounce_reason" in extra and sight.row.bounce_reason:
            told["bounce_reason"] = sight.row.bounce_reason
        if sight.link is not None:
            told |= {"link_id": str(sight.link.link_id), "link_url": sight.link.url}
            if "link_description" in extra and sight.link.description:
                told["link_description"] = sight.link.description
        self._track(sight.event, sight.row.email, at, told)

    def _track(self, name: str, email: str, at: datetime, told: dict[str, object]) -> Event:
        return self._receive(
            {
                "type": "track",
                "event": name,
                "anonymousId": email,
                "timestamp": text_of(at),
                "properties": told,
                "context": {
                    "traits": {"email": email},
                    "library": {"name": "listrak-segment-bridge", "version": "1"},
                },
            }
        )

    def _receive(self, event: Event) -> Event:
        event |= {"messageId": f"m{next(self._ids)}", "receivedAt": self.world.now.isoformat()}
        self.events.append(event)
        return event


def findable(owner: MailingList) -> list[Message]:
    """The messages that the API leads to."""
    tested = [m for test in owner.split_tests.values() for _, m in test.messages]
    return [m for m in owner.emails() if not m.test and (m.listed or m in tested)]


def sent_at(message: Message, row: Row) -> datetime:
    """The date by which a send is forgotten."""
    return (message.sent_at or row.sent_at) if message.kind == "message" else row.sent_at


def has_date(sight: Sight) -> bool:
    """Tells whether its date is exact at any look."""
    return sight.event == "Email Sent" or sight.link is not None


def sights(message: Message, row: Row) -> Iterator[Sight]:
    """Everything that a row shows, with the clicks on the message's links."""
    sent, one = sent_at(message, row), id(row)
    yield Sight(("sent", one), "Email Sent", row, row.sent_at, sent)
    if row.opened:
        yield Sight(("open", one), "Email Opened", row, row.first_activity, sent)
    if row.bounced:
        yield Sight(("bounce", one), "Email Bounced", row, row.first_activity, sent)
    if row.abuse:
        yield Sight(("abuse", one), "Email Marked As Spam", row, None, sent)
    if row.order_cents:
        yield Sight(("order", one), "Email Converted", row, None, sent, cents=row.order_cents)
    if message.kind == "transactional":
        for number in range(row.clicks):
            yield Sight(("click", one, number), "Email Link Clicked", row, None, sent)
    elif message.latest.get(row.email) is row:
        # A click names the contact, not the send: told once, with the latest of the sends.
        for link in message.links:
            own = [click for click in link.clicks if click.email == row.email]
            for number, click in enumerate(own):
                at = click.at if message.kind == "conversation" else sent
                alike = sum(one.at == click.at for one in own[:number])
                key = ("link", link.link_id, row.email, click.at, alike)
                yield Sight(key, "Email Link Clicked", row, click.at, at, link=link)


def about(owner: MailingList, message: Message, configuration: Configuration) -> dict[str, object]:
    """The properties of a message, as they are now."""
    campaign = message.campaign_id or (message.conversation or message).campaign_id
    told: dict[str, object] = {
        "email_id": str(message.message_id),
        "email_subject": message.subject,
        "list_id": str(owner.list_id),
        "list_name": owner.name,
    }
    if campaign:
        told["campaign_name"] = owner.campaigns[campaign]
        if "campaign_id" in configuration.extra_properties:
            told["campaign_id"] = str(campaign)
    if message.google_analytics:
        told["google_analytics_campaign_name"] = message.google_analytics
    return told


def text_of(at: datetime) -> str:
    """An instant as events have it."""
    return at.isoformat().replace("+00:00", "Z")
