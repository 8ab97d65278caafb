"""The mapping of contacts to identifies and unsubscribes: pure decisions, a page at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from bridge.delays import moments
from bridge.event_types import IDENTIFY, UNSUBSCRIBED
from bridge.flow.mapping.contact_row import ContactRow, letters_of_lost
from bridge.flow.mapping.mapped_page import MappedPage
from bridge.flow.mapping.twins import Meetings, date_of
from bridge.flow.mapping.unread import NO_ADDRESS, NO_DATE
from bridge.flow.mapping.user_ids import UserIds
from bridge.flow.page import ContactPage, ContactPoll, UnsubscribePage
from bridge.listrak import wire
from bridge.listrak.times import Instant, Zone, canonical, from_seconds
from bridge.segment import events
from bridge.segment.events import Fingerprint
from bridge.state.records import Contact, DeadLetter, PendingUnsubscribe

UNDATED: Final = "change"
"""The beginning of what stands for the date of an unsubscribe that Listrak has none of."""

# All contacts of a page have the same.
_instant_of = lru_cache(maxsize=4)(from_seconds)


@dataclass(frozen=True)
class ContactRules:
    """Maps contacts.

    zone: of Listrak's naive times.
    wanted: names of the track events to send; identifies always are.
    namespace: see Scope.
    user_ids: which values of a profile field are userIds.
    """

    zone: Zone
    wanted: frozenset[str]
    namespace: str = ""
    user_ids: UserIds = field(default_factory=UserIds)

    def map_contacts(self, page: ContactPage, known: Mapping[str, Contact]) -> MappedPage:
        """Maps contacts that differ from those `known` (by lower-case address).

        Of `identify --all` those that are as they were are told as well, with an id of their own.
        """
        mapped = MappedPage(unread=letters_of_lost(page))
        contacts = dict(known)
        unread = {row.number: row for row in page.unread}
        meetings = Meetings(page.poll.twins, page.rows)
        for number, row in enumerate(page.rows):
            key = (row.email_address or "").lower()
            one = ContactRow(page, number, row, key, contacts.get(key), unread.get(number))
            after = self._of_row(one, meetings, mapped)
            if after is not None:
                contacts[key] = self._identify(page, one.before, after, mapped)
            if one.faults:
                mapped.unread += one.letters()
        for email in page.deleted:
            before = contacts.get(email.lower())
            if before is not None:
                user_id = None if before.subscribed else before.user_id
                after = replace(before, subscribed=False, user_id=user_id, deleted_at=page.read_at)
                contacts[email.lower()] = self._identify(page, before, after, mapped)
        for email in page.as_known:
            before = contacts.get(email.lower())
            if before is not None:
                contacts[email.lower()] = self._identify(page, before, before, mapped)
        return mapped

    def map_unsubscribes(self, page: UnsubscribePage) -> MappedPage:
        """Maps unsubscribes, with the message behind each where an activity row told it."""
        mapped, list_id = MappedPage(), page.source.list_id
        for row in page.rows:
            fingerprint = self.unsubscribe_fingerprint(list_id, row.date, row.email)
            properties = events.merged(
                row.properties or "{}",
                {**page.source.properties, "unsubscribe_type": row.method},
            )
            email = events.literal(row.email)
            track = events.Track(UNSUBSCRIBED, fingerprint, email, row.instant, properties)
            if UNSUBSCRIBED not in self.wanted:
                mapped.filtered += 1
                mapped.unwanted_unsubscribes.append(row)
            else:
                _put(mapped, UNSUBSCRIBED, fingerprint, row.email, track.encode())
                if not row.date.startswith(UNDATED):
                    mapped.dates.add(UNSUBSCRIBED, (), moments([row.instant]))
        return mapped

    def unsubscribe_fingerprint(self, list_id: int, date: str, email: str) -> Fingerprint:
        """The fingerprint of an unsubscribe; date: Listrak's text, or the change that it was."""
        what = events.identity(self.namespace + UNSUBSCRIBED, list_id, date, email)
        return events.digest(what.encode())

    def identify_fingerprint(self, list_id: int, contact: Contact) -> Fingerprint:
        """The fingerprint of the identify that tells a contact as it is."""
        state = "subscribed" if contact.subscribed else "not subscribed"
        user = events.literal(contact.user_id)
        kind = self.namespace + IDENTIFY
        what = events.identity(kind, list_id, contact.revision, state, user, contact.email)
        return events.digest(what.encode())

    def _of_row(self, one: ContactRow, meetings: Meetings, mapped: MappedPage) -> Contact | None:
        """The contact of a row as Segment is told it; None if that isn't needed, or can't be."""
        if not one.key.strip() and not one.lacks("emailAddress"):
            one.note("emailAddress", NO_ADDRESS)
        if one.faults or one.lacks("subscriptionState"):
            return None
        before, page, row = one.before, one.page, one.row
        value, subscribed = one.value, one.is_subscribed
        kind = None if value is None else self.user_ids.kind_of_nobody(value)
        user_id = value if kind is None else None
        if value is None and one.unread is not None and one.lacks_value():
            # It stays as it is known.
            user_id = before.user_id if before else None
        told = None if before is None else (before.subscribed, before.user_id)
        is_changed = told != (subscribed, user_id)
        if self._is_twin(one, meetings, mapped, is_changed=is_changed):
            mapped.known += 1
            return before if page.told_before is not None else None
        if kind is not None:
            mapped.user_ids_withheld[kind] += 1
        if not subscribed:
            unsubscribed = self._unsubscribed(one, mapped)
            return None if unsubscribed is None else replace(unsubscribed, user_id=user_id)
        email = row.email_address or ""
        if before is None or not before.subscribed:
            mapped.changes.resubscribed.append(email)
        revision = before.revision if before else page.poll.first_revision
        return Contact(email, True, user_id, revision, before.unsubscribed_at if before else "")

    def _is_twin(
        self, one: ContactRow, meetings: Meetings, mapped: MappedPage, *, is_changed: bool
    ) -> bool:
        """Tells whether a row is left to the end of a sweep, as its contact has several."""
        poll = one.page.poll
        twins = poll.twins
        if one.key not in twins.known:
            if one.before is None or not is_changed:
                return False
            is_repeated = meetings.had(one.key, one.number)
            date = date_of(one.row, self.zone, subscribed=one.is_subscribed)
            contradicts = is_repeated and date <= (poll.previous or poll.source.horizon)
            # Between sweeps only rows come that are news.
            if not contradicts and not (poll.sweep and self._is_outdated(one, date)):
                return False
            twins.add(one.key, late=is_repeated)
            mapped.changes.twins.append(one.key)
        elif one.page.single is not None or not (is_changed or poll.sweep):
            return False
        if poll.sweep:
            twins.show(one.key, one.row, subscribed=one.is_subscribed)
        return True

    def _is_outdated(self, one: ContactRow, date: Instant) -> bool:
        """Tells whether a row is a subscription older than the unsubscribe that was taken over."""
        before = one.before
        if not one.is_subscribed or before is None or before.subscribed or before.deleted_at:
            return False
        return "" < date < self._taken_at(before.unsubscribed_at, one.page.poll)

    def _unsubscribed(self, one: ContactRow, mapped: MappedPage) -> Contact | None:
        """The contact of an Unsubscribed row, without a userId.

        Listrak's own texts are compared, both read in the present zone: another one changes
        nothing.
        """
        poll, before, row = one.page.poll, one.before, one.row
        taken = before.unsubscribed_at if before else ""
        taken_at = self._taken_at(taken, poll)
        instant = self._unsubscribe_instant(row, taken_at)
        horizon = poll.source.horizon
        subscribed_at = date_of(row, self.zone, subscribed=True)
        is_new = before is None and subscribed_at >= horizon
        if before is None and instant < horizon and (instant or not is_new):
            # Unsubscribed before the start horizon, or at an unknown time. The horizon divides
            # Listrak's texts: it moves along with the zone, and nobody changes sides.
            if not instant and self._is_unreadable(one):
                return None
            mapped.filtered += 1
            return None
        date = kept = canonical(row.unsubscribe_date)
        revision = before.revision if before else poll.first_revision
        if not instant and (is_new or (before is not None and before.subscribed)):
            # Undated: it happened since the contacts were last polled, so after the horizon.
            date = f"{UNDATED} {poll.revision_after(revision)}"
            instant = max(poll.previous, horizon, subscribed_at if is_new else "")
            kept = self.zone.naive(instant)
        if instant > taken_at and kept != taken and not one.lacks("unsubscribeMethod"):
            taken = kept
            if instant >= horizon:
                method = row.unsubscribe_method or ""
                mapped.changes.unsubscribes.append(
                    PendingUnsubscribe(one.email, date, instant, method)
                )
            else:
                mapped.filtered += 1
        elif not one.faults:
            # An older version kept the instant.
            taken = kept if instant and instant == taken_at else taken
            mapped.known += 1
        return Contact(one.email, False, None, revision, taken)

    def _is_unreadable(self, one: ContactRow) -> bool:
        """Tells whether the date of an unsubscribe is one that can't be read, and notes it then."""
        if one.lacks("unsubscribeDate"):
            return True
        if canonical(one.row.unsubscribe_date):
            one.note("unsubscribeDate", NO_DATE)
        return bool(one.faults)

    def _taken_at(self, taken: str, poll: ContactPoll) -> Instant:
        """The instant of the unsubscribe that was taken over last, as it is read today."""
        if taken.endswith("Z"):
            # An older version kept what it had read, in the zone of that time.
            return self.zone.moved(taken, poll.zone)
        return self.zone.lenient(taken)

    def _unsubscribe_instant(self, row: wire.Contact, taken_at: Instant) -> Instant:
        """The instant of a row's unsubscribe; "" for no date.

        In the hour that autumn repeats it is not before the subscription that it ends, nor before
        the one of `taken_at`, which is older if it is another one.
        """
        resubscribed = self.zone.lenient(row.resubscribe_date, taken_at)
        subscribed = max(self.zone.lenient(row.subscribe_date), resubscribed)
        return self.zone.lenient(row.unsubscribe_date, max(subscribed, taken_at))

    def _identify(
        self, page: ContactPage, before: Contact | None, after: Contact, mapped: MappedPage
    ) -> Contact:
        changes, key = mapped.changes, after.email.lower()
        is_same_id = before is not None and before.user_id == after.user_id
        if before is not None and is_same_id and before.subscribed == after.subscribed:
            told_before = page.told_before
            if told_before is None or key in told_before or key in changes.told:
                mapped.known += 1
                # What it was told as stays: another spelling alone is no change.
                after = replace(after, email=before.email)
                if before != after:
                    changes.contacts[key] = after
                return after
        if after.user_id is not None and not is_same_id:
            changes.user_ids.append(after.user_id)
        # The revision gives a contact that changes back an id of its own.
        after = replace(after, revision=page.poll.revision_after(after.revision))
        changes.contacts[key] = after
        changes.told.add(key)
        fingerprint, event = self._identify_event(page, after)
        _put(mapped, IDENTIFY, fingerprint, after.email, event)
        return after

    def _identify_event(self, page: ContactPage, contact: Contact) -> tuple[Fingerprint, bytes]:
        list_id = page.poll.source.list_id
        fingerprint = self.identify_fingerprint(list_id, contact)
        event = events.Identify(
            fingerprint,
            events.literal(contact.email),
            _instant_of(page.read_at),
            list_id,
            contact.subscribed,
            contact.user_id,
        )
        return fingerprint, event.encode()


def _put(mapped: MappedPage, name: str, fingerprint: Fingerprint, email: str, event: bytes) -> None:
    if reason := events.problem(email, event):
        letter = DeadLetter(name, events.message_id(fingerprint), reason, event)
        mapped.journaled.dead.append(letter)
        return
    mapped.journaled.events.append(event)
    mapped.names[name] += 1
