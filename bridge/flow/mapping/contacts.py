"""The mapping of contacts to identifies and unsubscribes: pure decisions, a page at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from bridge.event_types import IDENTIFY, UNSUBSCRIBED
from bridge.flow.mapping.mapped_page import MappedPage
from bridge.flow.mapping.user_ids import UserIds, is_shared
from bridge.flow.page import ContactPage, UnsubscribePage
from bridge.listrak import wire
from bridge.listrak.times import Instant, Zone, canonical, from_seconds
from bridge.segment import events
from bridge.segment.events import Fingerprint
from bridge.state.records import Contact, DeadLetter, PendingUnsubscribe


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
        """Maps contacts that differ from those `known` (by lower-case address)."""
        mapped = MappedPage()
        contacts = dict(known)
        for row in page.rows:
            email = row.email_address or ""
            before = contacts.get(email.lower())
            user_id = self._user_id(page, row, mapped)
            subscribed = _is_subscribed(row, page.subscribed)
            if subscribed:
                after = Contact(
                    email,
                    True,
                    user_id,
                    before.revision if before else page.poll.first_revision,
                    before.unsubscribed_at if before else "",
                )
                if before is None or not before.subscribed:
                    mapped.changes.resubscribed.append(email)
            else:
                unsubscribed = self._unsubscribed(page, row, before, mapped)
                if unsubscribed is None:
                    continue
                after = replace(unsubscribed, user_id=user_id)
            contacts[email.lower()] = self._identify(page, before, after, mapped)
        for email in page.deleted:
            before = contacts.get(email.lower())
            if before is not None:
                user_id = None if before.subscribed else before.user_id
                after = replace(before, subscribed=False, user_id=user_id, deleted_at=page.read_at)
                contacts[email.lower()] = self._identify(page, before, after, mapped)
        mapped.user_ids_shared = is_shared(each.user_id for each in contacts.values())
        return mapped

    def map_unsubscribes(self, page: UnsubscribePage) -> MappedPage:
        """Maps unsubscribes, with the message behind each where an activity row told it."""
        mapped, list_id = MappedPage(), page.source.list_id
        for row in page.rows:
            what = events.identity(self.namespace + UNSUBSCRIBED, list_id, row.date, row.email)
            fingerprint = events.digest(what.encode())
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
        return mapped

    def _unsubscribed(
        self,
        page: ContactPage,
        row: wire.Contact,
        before: Contact | None,
        mapped: MappedPage,
    ) -> Contact | None:
        """The contact of an Unsubscribed row as Segment is told it; None if that isn't needed."""
        try:
            instant = self._unsubscribe_instant(row)
        except ValueError:
            instant = ""
        if before is None and instant < page.poll.source.horizon:
            # Unsubscribed before the start horizon, or at an unknown time.
            mapped.filtered += 1
            return None
        email = row.email_address or ""
        date = canonical(row.unsubscribe_date)
        horizon = page.poll.source.horizon
        revision = before.revision if before else page.poll.first_revision
        taken = before.unsubscribed_at if before else ""
        kept = date
        if not instant and before is not None and before.subscribed:
            # Undated: it happened since the contacts were last polled.
            instant, date = page.poll.previous or horizon, f"change {revision + 1}"
            kept = instant
        # Listrak's own texts are compared, both read in the present zone: another one changes
        # nothing.
        taken_at = self.zone.lenient(taken)
        if instant > taken_at and kept != taken:
            taken = kept
            if instant >= horizon:
                method = row.unsubscribe_method or ""
                mapped.changes.unsubscribes.append(PendingUnsubscribe(email, date, instant, method))
            else:
                mapped.filtered += 1
        else:
            # An older version kept the instant.
            taken = kept if instant and instant == taken_at else taken
            mapped.known += 1
        return Contact(email, False, None, revision, taken)

    def _user_id(self, page: ContactPage, row: wire.Contact, mapped: MappedPage) -> str | None:
        """The contact's userId, None for none; a value that stands for nobody is none."""
        value = _value(row, page.poll.source.field_id)
        if value is None or not self.user_ids.is_nobody(value):
            return value
        mapped.user_ids_withheld += 1
        return None

    def _unsubscribe_instant(self, row: wire.Contact) -> Instant:
        subscribed = max(
            self.zone.lenient(row.subscribe_date), self.zone.lenient(row.resubscribe_date)
        )
        return self.zone.instant(row.unsubscribe_date, not_before=subscribed)

    def _identify(
        self, page: ContactPage, before: Contact | None, after: Contact, mapped: MappedPage
    ) -> Contact:
        if before is not None and (before.subscribed, before.user_id) == (
            after.subscribed,
            after.user_id,
        ):
            mapped.known += 1
            # What it was told as stays: another spelling alone is no change.
            after = replace(after, email=before.email)
            if before != after:
                mapped.changes.contacts[after.email.lower()] = after
            return after
        # The revision gives a contact that changes back an id of its own.
        list_id = page.poll.source.list_id
        after = replace(after, revision=after.revision + 1)
        mapped.changes.contacts[after.email.lower()] = after
        state = "subscribed" if after.subscribed else "not subscribed"
        user = events.literal(after.user_id)
        kind = self.namespace + IDENTIFY
        what = events.identity(kind, list_id, after.revision, state, user, after.email)
        fingerprint = events.digest(what.encode())
        event = events.Identify(
            fingerprint,
            events.literal(after.email),
            from_seconds(page.read_at),
            list_id,
            after.subscribed,
            after.user_id,
        )
        _put(mapped, IDENTIFY, fingerprint, after.email, event.encode())
        return after


def _put(mapped: MappedPage, name: str, fingerprint: Fingerprint, email: str, event: bytes) -> None:
    if reason := events.problem(email, event):
        letter = DeadLetter(name, events.message_id(fingerprint), reason, event)
        mapped.journaled.dead.append(letter)
        return
    mapped.journaled.events.append(event)
    mapped.names[name] += 1


def _is_subscribed(row: wire.Contact, asked: bool) -> bool:
    """Tells whether a contact is subscribed: by its row, else by the state that was requested."""
    state = (row.subscription_state or "").lower()
    return state == "subscribed" if state in ("subscribed", "unsubscribed") else asked


def _value(row: wire.Contact, field_id: int | None) -> str | None:
    """The contact's value of the profile field, as text; None for no value or an empty one."""
    for value in row.segmentation_field_values or ():
        if value.segmentation_field_id == field_id and value.value is not None:
            text = value.value if isinstance(value.value, str) else events.literal(value.value)
            return text if text.strip() else None
    return None
