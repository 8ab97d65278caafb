"""The world behind the emulated Listrak: the actions of people and their mail servers."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from .account import (
    Click,
    Contact,
    Fact,
    Link,
    Message,
    Origin,
    Profile,
    Row,
    State,
)
from .edits import Edits

HARD_BOUNCES = ("General Hard Bounce", "Invalid Address")
UNKNOWN_ORIGIN, EMPTY_PROFILE = Origin(), Profile()


class World(Edits):
    """A world with its own time; pure, without I/O, a wall clock or chance.

    It begins at `start` (aware), empty, and only does what it is told; a Population makes it live.

    Actions happen at `now`. They raise KeyError for a list or contact that isn't there, ValueError
    for what can't happen (as an order of nothing). Instants have the resolution of the API, 10 ms.

    log: every fact in order (contacts older than the world come first).
    """

    def __init__(self, *, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("the world needs an aware start")
        super().__init__(_tick(start))
        self.log: list[Fact] = []
        self._agenda: list[tuple[datetime, int, Callable[..., object], tuple[object, ...]]] = []
        self._planned = 0

    def advance(self, until: datetime) -> None:
        """Lives up to `until`; does nothing if that is past. The size of steps doesn't matter."""
        until = _tick(until)
        while self._agenda and self._agenda[0][0] <= until:
            at, _, action, args = heapq.heappop(self._agenda)
            self.now = max(self.now, at)
            action(*args)
        self.now = max(self.now, until)

    def rest(self) -> None:
        """Cancels everything that was planned."""
        self._agenda.clear()

    def plan(self, seconds: float, action: Callable[..., object], *args: object) -> None:
        """Plans a call of `action(*args)` in so many seconds; one in five on a whole second."""
        self._planned += 1
        at = _tick(self.now + timedelta(seconds=seconds))
        if self._planned % 5 == 0:
            at = max(self.now, at.replace(microsecond=0))
        heapq.heappush(self._agenda, (at, self._planned, action, args))

    # Sends

    def send(self, message: Message, emails: Iterable[str]) -> None:
        """Sends to each address. ValueError if it got that message already (or at this instant)."""
        message.sent_at = message.sent_at or self.now
        owner = self.lists[message.list_id]
        for email in emails:
            last = message.latest.get(email)
            if last is not None and (message.kind == "message" or last.sent_at >= self.now):
                raise ValueError(f"message {message.message_id} was sent to this address already")
            at = self.now if message.rows_dated else message.sent_at
            contact = owner.contact(email)
            row = Row(len(message.rows), email, at)
            if contact is not None:
                row.external_id = contact.external_id
            message.rows.append(row)
            message.latest[email] = row
            fact = Fact(at, "send", message.list_id, email, message, row)
            self.log.append(fact if at == self.now else fact._replace(shown_at=self.now))

    def send_broadcast(self, list_id: int, emails: Iterable[str], **details: Any) -> Message:
        """Sends a new message, as in `add_message`, to all of them now."""
        message = self.add_message(list_id, "message", **details)
        self.send(message, emails)
        return message

    def send_conversation(
        self, list_id: int, emails: Iterable[str], *, message: Message | None = None, **details: Any
    ) -> Message:
        """Sends a new message of a conversation, or `message` once more."""
        message = message or self.add_message(list_id, "conversation", **details)
        self.send(message, emails)
        return message

    def send_transactional(
        self, list_id: int, emails: Iterable[str], *, message: Message | None = None, **details: Any
    ) -> Message:
        """Sends a new transactional message, or `message` once more."""
        message = message or self.add_message(list_id, "transactional", **details)
        self.send(message, emails)
        return message

    # Activity: of the latest send to the address, unless `row` is given

    def open(
        self,
        message: Message,
        email: str,
        *,
        row: Row | None = None,
        read: bool = False,
        origin: Origin = UNKNOWN_ORIGIN,
    ) -> None:
        """Opens a message, the first time or again."""
        row = row or message.latest[email]
        self._touch(row)
        if row.ip is None:
            row.ip, row.user_agent = origin
        if read and not row.read:
            row.read = True
            message.totals.read += 1
        if not row.opened:
            row.opened = True
            message.totals.opened += 1
            self._note("open", message, row, ip=row.ip)

    def click(
        self,
        message: Message,
        email: str,
        link: Link | None = None,
        *,
        row: Row | None = None,
        origin: Origin = UNKNOWN_ORIGIN,
    ) -> None:
        """Clicks on a link, by default the first; also opens the message if it wasn't."""
        row = row or message.latest[email]
        self.open(message, email, row=row, origin=origin)
        row.clicks += 1
        message.totals.clicks += 1
        click = Click(email, self.now, *origin)
        if message.links:
            link = link or message.links[0]
            link.clicks.append(click)
        self._note("click", message, row, link=link, click=click)

    def order(self, message: Message, email: str, cents: int, *, row: Row | None = None) -> None:
        """Adds an order credited to the message, in cents."""
        if cents <= 0:
            raise ValueError("an order has a positive total")
        row = row or message.latest[email]
        row.latest_activity = self.now
        row.order_cents = (row.order_cents or 0) + cents
        message.totals.orders += 1
        message.totals.cents += cents
        self._note("order", message, row, cents=cents)

    def bounce(
        self,
        message: Message,
        email: str,
        reason: str = "Mailbox Full",
        *,
        row: Row | None = None,
    ) -> None:
        """Bounces a send; a hard bounce unsubscribes too."""
        row = row or message.latest[email]
        if row.bounced:
            raise ValueError("this send has bounced already")
        self._touch(row)
        row.bounced, row.bounce_reason = True, reason
        message.totals.bounced += 1
        self._note("bounce", message, row)
        if reason in HARD_BOUNCES and self._subscribed(message.list_id, email):
            self.unsubscribe(message.list_id, email, "Bounce")

    def complain(self, message: Message, email: str, *, row: Row | None = None) -> None:
        """Marks a send as spam, which unsubscribes too (without the row saying so)."""
        row = row or message.latest[email]
        if row.abuse:
            raise ValueError("this send is marked as spam already")
        row.latest_activity = self.now
        row.abuse = True
        self._note("abuse", message, row)
        if self._subscribed(message.list_id, email):
            self.unsubscribe(message.list_id, email, "Abuse Complaint")

    def opt_out(self, message: Message, email: str, *, row: Row | None = None) -> None:
        """Unsubscribes a contact by the message's own link. ValueError if it wasn't subscribed.

        It is the contact that leaves: the fact has its spelling, whatever the row's is.
        """
        contact = self._leave(message.list_id, email, "Subscriber", self.now)
        row = row or message.latest[email]
        self._touch(row)
        if not row.unsubscribed:
            row.unsubscribed = True
            message.totals.unsubscribed += 1
        fact = Fact(self.now, "unsubscribe", message.list_id, contact.email, message, row)
        self.log.append(fact._replace(method="Subscriber"))
        self._note_state(contact, self.now)

    # Contacts

    def subscribe(
        self,
        list_id: int,
        email: str,
        *,
        method: str = "API",
        profile: Profile = EMPTY_PROFILE,
        at: datetime | None = None,
    ) -> Contact:
        """Adds a contact; `at` puts it into the past. ValueError if the list has the address."""
        owner = self.lists[list_id]
        if owner.contact(email) is not None:
            raise ValueError("this address is on the list already")
        key = hashlib.blake2b(f"{list_id}:{email}".encode(), digest_size=16).hexdigest()
        contact = Contact(
            position=len(owner.register),
            list_id=list_id,
            email=email,
            email_key=key,
            subscribe_date=_tick(at or self.now),
            subscribe_method=method,
            external_id=profile.external_id,
            values=dict(profile.values or {}),
        )
        owner.register.append(contact)
        owner.put_contact(contact)
        self._note_state(contact, contact.subscribe_date)
        return contact

    def unsubscribe(
        self,
        list_id: int,
        email: str,
        method: str = "Administrator",
        *,
        at: datetime | None = None,
    ) -> None:
        """Unsubscribes a contact; `at` puts it into the past. ValueError if it isn't subscribed."""
        when = _tick(at or self.now)
        contact = self._leave(list_id, email, method, when)
        self.log.append(Fact(when, "unsubscribe", list_id, contact.email, method=method))
        self._note_state(contact, when)

    def resubscribe(self, list_id: int, email: str) -> None:
        """Subscribes a contact once more. ValueError if it is subscribed."""
        contact = self._contact(list_id, email)
        if contact.subscribed:
            raise ValueError("this contact is subscribed already")
        contact.subscribed = True
        contact.resubscribe_date = self.now
        contact.unsubscribe_date = contact.unsubscribe_method = None
        self._note_state(contact, self.now)

    def set_profile(self, list_id: int, email: str, field_id: int, value: str | None) -> None:
        """Gives a profile field a value; None removes it."""
        contact = self._contact(list_id, email)
        values = {**contact.values, field_id: value}
        contact.values = {key: kept for key, kept in values.items() if kept is not None}
        self._note_state(contact, self.now)

    def delete_contact(self, list_id: int, email: str) -> None:
        """Deletes a contact from the list; what was sent stays."""
        contact = self.lists[list_id].take_contact(email)
        contact.deleted = True
        state = State(None, contact.values)
        self.log.append(Fact(self.now, "contact", list_id, contact.email, state=state))

    def respell(self, list_id: int, email: str, spelling: str) -> None:
        """Spells a contact's address with other capitals; rows that were sent keep theirs.

        ValueError for another address.
        """
        if spelling.casefold() != email.casefold():
            raise ValueError(f"{spelling} is another address than {email}")
        owner = self.lists[list_id]
        contact = owner.take_contact(email)
        contact.email = spelling
        owner.put_contact(contact)
        self._note_state(contact, self.now)

    # Inside

    def _contact(self, list_id: int, email: str) -> Contact:
        contact = self.lists[list_id].contact(email)
        if contact is None:
            raise KeyError(email)
        return contact

    def _subscribed(self, list_id: int, email: str) -> bool:
        contact = self.lists[list_id].contact(email)
        return contact is not None and contact.subscribed

    def _leave(self, list_id: int, email: str, method: str, at: datetime) -> Contact:
        contact = self._contact(list_id, email)
        if not contact.subscribed:
            raise ValueError("this contact is unsubscribed already")
        contact.subscribed = False
        contact.unsubscribe_date = at
        contact.unsubscribe_method = method
        return contact

    def _touch(self, row: Row) -> None:
        row.first_activity = row.first_activity or self.now
        row.latest_activity = self.now

    def _note(self, what: str, message: Message, row: Row, **details: Any) -> None:
        self.log.append(Fact(self.now, what, message.list_id, row.email, message, row, **details))

    def _note_state(self, contact: Contact, at: datetime) -> None:
        state = State(contact.subscribed, contact.values)
        self.log.append(Fact(at, "contact", contact.list_id, contact.email, state=state))


def _tick(at: datetime) -> datetime:
    """The instant in UTC, cut to 10 ms."""
    at = at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 10_000 * 10_000)
