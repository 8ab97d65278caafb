"""How contacts become identifies and unsubscribes: pure decisions, a page at a time."""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from bridge.flow.page import ContactPage, HeldPage, Mapped
from bridge.listrak import wire
from bridge.listrak.times import Instant, Zone, canonical
from bridge.segment import events
from bridge.segment.events import Fingerprint
from bridge.state.records import Contact, DeadLetter, Unsubscribe
from bridge.vocabulary import IDENTIFY, UNSUBSCRIBED


@dataclass(frozen=True)
class ContactRules:
    """Maps contacts. `wanted`: names of the track events to send; identifies always are."""

    zone: Zone
    wanted: frozenset[str]

    def map_contacts(self, page: ContactPage, known: Mapping[str, Contact]) -> Mapped:
        """What differs from what Segment was told."""
        mapped = Mapped()
        contacts = dict(known)
        for row in page.rows:
            email = row.email_address or ""
            before = contacts.get(email)
            user_id = _value(row, page.field_id)
            subscribed = _is_subscribed(row, page.subscribed)
            if subscribed:
                after = Contact(
                    email,
                    True,
                    user_id,
                    before.revision if before else 0,
                    before.unsubscribed_at if before else "",
                )
                if before is None or not before.subscribed:
                    mapped.resubscribed.append(email)
            else:
                found = self._unsubscribed(page, row, before, user_id, mapped)
                if found is None:
                    continue
                after = found
            contacts[email] = self._identify(page, before, after, mapped)
        for email in page.lost:
            before = contacts.get(email)
            if before is not None and before.subscribed:
                after = replace(before, subscribed=False, user_id=None)
                contacts[email] = self._identify(page, before, after, mapped)
        return mapped

    def map_held(self, page: HeldPage) -> Mapped:
        """Unsubscribes, with the message behind each where an activity row told it."""
        mapped = Mapped()
        for row in page.rows:
            what = events.identity(UNSUBSCRIBED, page.list_id, row.date, row.email)
            fingerprint = events.digest(what.encode())
            properties = events.merged(
                row.properties or "{}",
                {
                    "list_id": str(page.list_id),
                    "list_name": page.list_name,
                    "unsubscribe_type": row.method,
                },
            )
            email = events.literal(row.email)
            event = events.track(UNSUBSCRIBED, fingerprint, email, row.instant, properties)
            if UNSUBSCRIBED not in self.wanted:
                mapped.filtered += 1
            else:
                _put(mapped, UNSUBSCRIBED, fingerprint, row.email, event)
        return mapped

    def _unsubscribed(
        self,
        page: ContactPage,
        row: wire.Contact,
        before: Contact | None,
        user_id: str | None,
        mapped: Mapped,
    ) -> Contact | None:
        """An Unsubscribed contact as Segment will know it; None if Segment needn't."""
        try:
            instant = self._unsubscribe_instant(row)
        except ValueError:
            instant = ""
        if before is None and instant < page.horizon:
            # Already unsubscribed when history began, or nobody knows when.
            mapped.filtered += 1
            return None
        email = row.email_address or ""
        date = canonical(row.unsubscribe_date)
        revision = before.revision if before else 0
        taken = before.unsubscribed_at if before else ""
        if not instant and before is not None and before.subscribed:
            # Undated: it happened since the contacts were last looked at.
            instant, date = page.previous or page.horizon, f"change {revision + 1}"
        if instant > taken:
            taken = instant
            if instant >= page.horizon:
                method = row.unsubscribe_method or ""
                mapped.unsubscribes.append(Unsubscribe(email, date, instant, method))
            else:
                mapped.filtered += 1
        else:
            mapped.known += 1
        return Contact(email, False, user_id, revision, taken)

    def _unsubscribe_instant(self, row: wire.Contact) -> Instant:
        subscribed = max(
            self.zone.lenient(row.subscribe_date), self.zone.lenient(row.resubscribe_date)
        )
        return self.zone.instant(row.unsubscribe_date, not_before=subscribed)

    def _identify(
        self, page: ContactPage, before: Contact | None, after: Contact, mapped: Mapped
    ) -> Contact:
        if before is not None and (before.subscribed, before.user_id) == (
            after.subscribed,
            after.user_id,
        ):
            mapped.known += 1
            if before != after:
                mapped.contacts[after.email] = after
            return after
        # Counted, so that a contact that changes back is a change with an id of its own.
        after = replace(after, revision=after.revision + 1)
        mapped.contacts[after.email] = after
        state = "subscribed" if after.subscribed else "not subscribed"
        user = events.literal(after.user_id)
        what = events.identity(IDENTIFY, page.list_id, after.revision, state, user, after.email)
        fingerprint = events.digest(what.encode())
        event = events.identify(
            fingerprint,
            events.literal(after.email),
            page.list_id,
            subscribed=after.subscribed,
            user_id=after.user_id,
        )
        _put(mapped, IDENTIFY, fingerprint, after.email, event)
        return after


def _put(mapped: Mapped, name: str, fingerprint: Fingerprint, email: str, event: bytes) -> None:
    if reason := events.problem(email, event):
        letter = DeadLetter(name, events.message_id(fingerprint), reason, event)
        mapped.planned.dead.append(letter)
        return
    mapped.planned.events.append(event)
    mapped.names[name] += 1


def _is_subscribed(row: wire.Contact, asked: bool) -> bool:
    """The row's own word, else the state that was asked for."""
    state = (row.subscription_state or "").lower()
    return state == "subscribed" if state in ("subscribed", "unsubscribed") else asked


def _value(row: wire.Contact, field_id: int | None) -> str | None:
    """The contact's value of the profile field, as text; None for no value or an empty one."""
    for value in row.segmentation_field_values or ():
        if value.segmentation_field_id == field_id and value.value is not None:
            text = value.value if isinstance(value.value, str) else events.literal(value.value)
            return text if text.strip() else None
    return None
