"""Findings of a contact of a list: identifies and unsubscribes, and what became of each."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from bridge.event_types import IDENTIFY, UNSUBSCRIBED
from bridge.flow.findings.finding import Finding, Outcome, made
from bridge.flow.in_flight import InFlight
from bridge.flow.mapping.contact_row import is_subscribed
from bridge.flow.mapping.contacts import ContactRules
from bridge.flow.mapping.mapped_page import EventSet, MappedPage
from bridge.flow.page import ContactPage, ContactPoll, UnsubscribePage
from bridge.listrak import wire
from bridge.listrak.times import canonical
from bridge.state.cursors import ContactCursor
from bridge.state.records import Contact, PendingUnsubscribe

_NOWHERE = ContactCursor("lost", "")


@dataclass(frozen=True)
class KnownContact:
    """A contact as the state file knows it.

    contact: None for one that was never told.
    pending: its unsubscribes that wait to be sent.
    withheld: those that were not in BRIDGE_EVENTS.
    """

    contact: Contact | None
    pending: list[PendingUnsubscribe]
    withheld: list[PendingUnsubscribe]


@dataclass(frozen=True)
class ContactFindings:
    """Finds what follows from contacts.

    rules: of a service that wants all events.
    """

    rules: ContactRules

    def of(
        self, poll: ContactPoll, row: wire.Contact | None, known: KnownContact, now: float
    ) -> list[Finding]:
        """The events of a contact of a list.

        row: the contact as Listrak shows it, None where the list doesn't have it.
        now: seconds since 1970 by Listrak's clock.
        """
        findings = self._told(poll, known.contact, now)
        following = self._following(poll, row, known.contact, now)
        list_id = poll.source.list_id
        for event in made(following.journaled.events):
            reason = "the next reading of the list tells it" if row else "deleted from the list"
            findings.append(
                Finding(list_id, "", IDENTIFY, event.message_id, "", "not seen yet", reason)
            )
        new = following.changes.unsubscribes
        findings += self._unsubscribes(poll, new, Outcome("not seen yet"))
        waits = Outcome("in flight", "waits until it is known which email it came through")
        findings += self._unsubscribes(poll, known.pending, waits)
        unwanted = Outcome("withheld", "not in BRIDGE_EVENTS; backfill --events brings it")
        findings += self._unsubscribes(poll, known.withheld, unwanted)
        if row is not None and not new:
            findings += self._taken_over(poll, row, known, bool(following.filtered))
        return findings

    def _told(self, poll: ContactPoll, known: Contact | None, now: float) -> list[Finding]:
        """The latest identify of a contact: the one that its revision stands for."""
        if known is None or not known.revision:
            return []
        before = replace(known, revision=known.revision - 1)
        then = dataclasses.replace(poll, revision_floor=0)
        page = ContactPage(then, _NOWHERE, [], now, as_known=[known.email], told_before=frozenset())
        mapped = self.rules.map_contacts(page, {known.email.lower(): before})
        state = "subscribed" if known.subscribed else "not subscribed"
        if known.deleted_at is not None:
            state = "not subscribed, as the list doesn't have it any more"
        told = Outcome("sent", f"the latest one, as {state}")
        return [
            Finding(poll.source.list_id, "", IDENTIFY, one, "", *told)
            for one in _ids(mapped.journaled)
        ]

    def _following(
        self, poll: ContactPoll, row: wire.Contact | None, known: Contact | None, now: float
    ) -> MappedPage:
        """The result of the next reading of the contact."""
        contacts = {} if known is None else {known.email.lower(): known}
        if row is not None:
            page = ContactPage(poll, _NOWHERE, [row], now, is_subscribed(row, True))
            return self.rules.map_contacts(page, contacts)
        if known is None or known.deleted_at is not None:
            return MappedPage()
        page = ContactPage(poll, _NOWHERE, [], now, deleted=[known.email])
        return self.rules.map_contacts(page, contacts)

    def _taken_over(
        self, poll: ContactPoll, row: wire.Contact, known: KnownContact, is_filtered: bool
    ) -> list[Finding]:
        """The unsubscribe that a row shows, and that isn't new."""
        if is_subscribed(row, True):
            return []
        contact, list_id = known.contact, poll.source.list_id
        if contact is None or is_filtered:
            reason = f"before the start horizon of the list ({poll.source.horizon[:10]})"
            names = [UNSUBSCRIBED] if contact else [IDENTIFY, UNSUBSCRIBED]
            return [Finding(list_id, "", name, "", "", "withheld", reason) for name in names]
        date = canonical(row.unsubscribe_date) or f"change {contact.revision}"
        if date in [one.date for one in known.pending + known.withheld]:
            return []
        instant = self.rules.zone.lenient(row.unsubscribe_date)
        taken = PendingUnsubscribe(row.email_address or "", date, instant, "")
        return self._unsubscribes(poll, [taken], Outcome("sent"))

    def _unsubscribes(
        self, poll: ContactPoll, rows: Iterable[PendingUnsubscribe], otherwise: Outcome
    ) -> list[Finding]:
        """Findings of unsubscribes, by the ids that they get."""
        findings: list[Finding] = []
        for row in rows:
            page = UnsubscribePage(poll.source, InFlight(), [row])
            findings += [
                Finding(poll.source.list_id, "", UNSUBSCRIBED, one, row.instant, *otherwise)
                for one in _ids(self.rules.map_unsubscribes(page).journaled)
            ]
        return findings


def _ids(events: EventSet) -> list[str]:
    """The messageIds of events, of those that can't be sent as well."""
    ids = [event.message_id for event in made(events.events)]
    return ids + [letter.message_id for letter in events.dead]
