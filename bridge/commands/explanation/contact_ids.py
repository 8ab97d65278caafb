"""Searches what is known of contacts for the identify or unsubscribe that has a messageId."""

from collections.abc import Iterator
from itertools import product
from typing import Final

from msgspec.structs import replace

from bridge.event_types import IDENTIFY, UNSUBSCRIBED
from bridge.flow.findings.finding import Outcome
from bridge.flow.mapping.contacts import ContactRules
from bridge.listrak.times import Zone
from bridge.segment.events import Fingerprint
from bridge.state.records import Contact, ListState
from bridge.state.store import Store

CHUNK: Final = 1000
"""Contacts that are read at once."""

REVISIONS: Final = 20
"""Latest revisions of a contact of which the ids are made."""


async def event_of_contact(store: Store, zone: Zone, fingerprint: Fingerprint) -> Outcome | None:
    """The outcome of the contact's event that has a fingerprint; None where there is none.

    Ids are hashes, so they are made anew for each contact: some seconds a million.
    """
    namespace = await store.meta.get("namespace") or ""
    search = _Search(ContactRules(zone, frozenset(), namespace), fingerprint)
    for state in await store.lists.all():
        outcome = await search.waiting(store, state.list_id)
        after = ""
        while outcome is None and (
            contacts := await store.contacts.following(state.list_id, after, CHUNK)
        ):
            after = max(contacts)
            found = (search.told(state, one) for one in contacts.values())
            outcome = next((one for one in found if one is not None), None)
        if outcome is not None:
            return outcome
    return None


class _Search:
    """The search for one fingerprint."""

    def __init__(self, rules: ContactRules, fingerprint: Fingerprint) -> None:
        self._rules = rules
        self._fingerprint = fingerprint

    async def waiting(self, store: Store, list_id: int) -> Outcome | None:
        """The outcome if it is an unsubscribe of a list that waits, or is withheld."""
        pending, withheld = await store.unsubscribes.kept(list_id)
        for row in pending:
            if self._is_unsubscribe(list_id, row.date, row.email):
                return Outcome("in flight", f"{UNSUBSCRIBED}: waits to be sent")
        for row in withheld:
            if self._is_unsubscribe(list_id, row.date, row.email):
                reason = f"{UNSUBSCRIBED}: not in BRIDGE_EVENTS; backfill --events brings it"
                return Outcome("withheld", reason)
        return None

    def told(self, state: ListState, contact: Contact) -> Outcome | None:
        """The outcome if it is an identify of a contact, or its latest unsubscribe."""
        where = f"of {contact.email}, list {state.list_id}"
        if any(self._is_identify(state.list_id, one) for one in _told_as(contact)):
            return Outcome("sent", f"an {IDENTIFY} {where}")
        date = contact.unsubscribed_at
        if not date or not self._is_unsubscribe(state.list_id, date, contact.email):
            return None
        zone = self._rules.zone
        instant = zone.lenient(date)
        if instant < zone.moved(state.horizon, state.zone):
            return Outcome("withheld", f"{UNSUBSCRIBED} {where}: before the start horizon")
        if instant <= state.unsubscribes_forgotten:
            reason = "it was sent, or it was withheld and is forgotten"
            return Outcome("untracked", f"{UNSUBSCRIBED} {where}: {reason}")
        return Outcome("sent", f"{UNSUBSCRIBED} {where}")

    def _is_unsubscribe(self, list_id: int, date: str, email: str) -> bool:
        return self._rules.unsubscribe_fingerprint(list_id, date, email) == self._fingerprint

    def _is_identify(self, list_id: int, contact: Contact) -> bool:
        return self._rules.identify_fingerprint(list_id, contact) == self._fingerprint


def _told_as(contact: Contact) -> Iterator[Contact]:
    """The states that a contact may have been told as: as it is, and as far as known before."""
    if contact.revision:
        yield contact
    for revision in range(contact.revision - 1, max(0, contact.revision - REVISIONS), -1):
        for subscribed, user_id in product((True, False), {contact.user_id, None}):
            yield replace(contact, revision=revision, subscribed=subscribed, user_id=user_id)
