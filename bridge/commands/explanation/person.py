"""Explanations of a person: what Listrak shows, what the state file keeps, what follows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from bridge.commands.progress import side_by_side
from bridge.environment.settings import Settings
from bridge.errors import BridgeError, MissingError, RefusedError, TemporaryError, is_isolated
from bridge.event_types import TRACKS
from bridge.flow.acks.journal import journaled_events
from bridge.flow.findings.contact_findings import ContactFindings, KnownContact
from bridge.flow.findings.finding import Finding, Kept, made
from bridge.flow.findings.row_findings import RowFindings, SeenMessage
from bridge.flow.mapping.contact_row import profile_value
from bridge.flow.mapping.contacts import ContactRules
from bridge.flow.mapping.user_ids import UserIds
from bridge.flow.page import ContactPoll
from bridge.flow.readers.person import PersonReader
from bridge.flow.source import SourceList
from bridge.listrak import times, wire
from bridge.listrak.client import Listrak
from bridge.listrak.times import Zone
from bridge.state.keys import SeenKeys
from bridge.state.records import Contact, Message
from bridge.state.seen_events import EARLY, SENT, UNWANTED
from bridge.state.store import Store


@dataclass
class Person:
    """A person, with all that is known of them, as it is printed.

    contacts: one a list.
    rows: one a send of a message.
    events: what follows from both.
    notes: sentences of what couldn't be read.
    problem: why some of it can't be read now, None where nothing fails.
    """

    contacts: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    events: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problem: BridgeError | None = None


class PersonExplainer:
    """Reads what Listrak shows of an address, and says what became of it."""

    def __init__(self, settings: Settings, store: Store, listrak: Listrak, address: str) -> None:
        self._settings = settings
        self._store = store
        self._listrak = listrak
        self._address = address
        self._key = address.lower()
        self._zone = Zone(settings.listrak_timezone)
        self._reader = PersonReader(listrak, self._zone, self._key)
        self._person = Person()

    async def explain(self, sources: Sequence[SourceList]) -> Person:
        """Reads contacts and rows of the configured lists, then what is kept of them."""
        person = self._person
        namespace = await self._store.meta.get("namespace") or ""
        rules = ContactRules(
            self._zone,
            frozenset(TRACKS),
            namespace,
            UserIds(self._settings.ignored_user_ids),
        )
        rows = RowFindings(self._zone, namespace, self._settings.events)
        for source in sources:
            spellings = await self._contact(source, ContactFindings(rules))
            await self._messages(source, rows, spellings)
        # Read last: what is acknowledged meanwhile is sent, and not in flight.
        kept = await kept_events(self._store)
        distinct = {
            (event.list_id, event.event, event.message_id): event for event in person.events
        }
        person.events = [kept.applied(event) for event in distinct.values()]
        return person

    async def _contact(self, source: SourceList, findings: ContactFindings) -> list[str]:
        """Explains the contact of a list; returns the spellings of its address."""
        list_id, key = source.list_id, self._key
        try:
            rows = (await self._listrak.contact(list_id, self._address, source.field_id)).rows
        except (TemporaryError, RefusedError) as error:
            self._leave_out(f"The contact of list {list_id}", error)
            return [self._address]
        row = rows[0] if rows else None
        contacts = await self._store.contacts.known(list_id, [key])
        contact = contacts.get(key)
        pending, withheld = await self._store.unsubscribes.of(list_id, key)
        state = await self._store.lists.state(list_id)
        poll = ContactPoll(
            SourceList(
                list_id, source.name, source.field_id, self._zone.moved(state.horizon, state.zone)
            ),
            sweep=False,
            previous=times.from_seconds(state.contacts_at) if state.contacts_at else "",
            first_revision=state.forgotten_revision,
            zone=state.zone,
            revision_floor=state.revision_floor,
        )
        if row is not None and contact is not None:
            # Another spelling alone is no change: the bridge goes on with the one it told.
            row.email_address = contact.email
        known = KnownContact(contact, pending, withheld)
        self._person.events += findings.of(poll, row, known, self._listrak.clock.now())
        self._person.contacts.append(_shown_contact(source, row, contact, findings.rules))
        spelled = [self._address, *(one.email for one in [contact] if one is not None)]
        if row is not None and row.email_address:
            spelled.append(row.email_address)
        return list(dict.fromkeys(spelled))

    async def _messages(
        self, source: SourceList, findings: RowFindings, spellings: Sequence[str]
    ) -> None:
        """Explains the rows of all tracked messages of a list."""
        messages = await self._store.messages.tracked(source.list_id)
        await side_by_side(
            f"emails of list {source.list_id}",
            messages,
            lambda message: self._message(message, findings, spellings),
            at_once=self._settings.poll_concurrency,
        )

    async def _message(
        self, message: Message, findings: RowFindings, spellings: Sequence[str]
    ) -> None:
        try:
            rows = await self._reader.rows(message, spellings)
            clicks = await self._reader.clicks(message, rows)
        except MissingError:
            self._person.notes.append(f"Listrak doesn't have {message.path} any more.")
            return
        except (TemporaryError, RefusedError) as error:
            self._leave_out(message.path, error)
            return
        if not rows:
            return
        # Read after the rows, or what is found in between would count as not seen.
        seen = await self._seen(message)
        events = [event for row in rows for event in findings.of_row(seen, row)]
        for click in clicks:
            event = findings.of_click(seen, click.link, click.row)
            events += [event] if event is not None else []
        self._person.rows += [_shown_row(seen.message, row) for row in rows]
        self._person.events += events

    def _leave_out(self, what: str, error: BridgeError) -> None:
        """Notes what fails by itself; raises the error of everything else."""
        if not is_isolated(error):
            raise error
        self._person.notes.append(f"{what} is left out, it can't be read now: {error}")
        self._person.problem = error

    async def _seen(self, message: Message) -> SeenMessage:
        store = self._store
        state = await store.lists.state(message.list_id)
        backfill = await store.backfills.of(message.list_id)
        return SeenMessage(
            await store.messages.get(message.id),
            {
                reason: SeenKeys.unmerged(await store.seen_events.runs(message.id, withheld=reason))
                for reason in (SENT, EARLY, UNWANTED)
            },
            await store.seen_events.totals(message.id),
            self._zone.moved(state.horizon, state.zone),
            backfill.since if backfill is not None and backfill.finished else "",
        )


async def kept_events(store: Store) -> Kept:
    """The events that the state file keeps in full."""
    in_flight = [
        event.message_id
        for _, _, body in await store.outbox.pages()
        for event in made(journaled_events(body)[0])
    ]
    dead = {message_id: reason for *_, message_id, reason in await store.dead_letters.all()}
    return Kept(frozenset(in_flight), dead)


def _shown_contact(
    source: SourceList, row: wire.Contact | None, contact: Contact | None, rules: ContactRules
) -> dict[str, Any]:
    value = None if row is None else profile_value(row, source.field_id)
    is_nobody = value is not None and rules.user_ids.kind_of_nobody(value) is not None
    return {
        "list_id": source.list_id,
        "list_name": source.name,
        "listrak": None
        if row is None
        else {
            "subscription_state": row.subscription_state,
            "subscribe_date": row.subscribe_date,
            "resubscribe_date": row.resubscribe_date,
            "unsubscribe_date": row.unsubscribe_date,
            "unsubscribe_method": row.unsubscribe_method,
            "profile_value": value,
            "profile_value_stands_for_nobody": is_nobody,
        },
        "told": None
        if contact is None or not contact.revision
        else {
            "subscribed": contact.subscribed,
            "userId": contact.user_id,
            "deleted": contact.deleted_at is not None,
        },
    }


def _shown_row(message: Message, row: wire.Activity) -> dict[str, Any]:
    return {
        "list_id": message.list_id,
        "message": message.path,
        "kind": message.kind,
        "subject": message.subject or "",
        **{
            name: value
            for name, value in msgspec.structs.asdict(row).items()
            if name != "email_address"
        },
    }


def show(person: Person, console: Console) -> None:
    """Prints what is known of a person as tables."""
    console.print(_contacts_table(person.contacts))
    if person.rows:
        console.print(_rows_table(person.rows))
    else:
        console.print("Listrak shows no row of this address in the emails that are tracked.")
    if person.events:
        names = {row["message"]: _name(row) for row in person.rows}
        table = Table("list", "email", "event", "when", "messageId", "", title="What follows")
        for event in sorted(person.events, key=lambda one: (one.list_id, one.message, one.at)):
            outcome = f"{event.status}: {event.reason}" if event.reason else event.status
            email = names.get(event.message, "")
            table.add_row(
                str(event.list_id), email, event.event, event.at, event.message_id, outcome
            )
        console.print(table)
    else:
        console.print("No event follows from that.")
    for note in person.notes:
        console.print(note)


def _contacts_table(contacts: Iterable[dict[str, Any]]) -> Table:
    table = Table("list", "name", "in Listrak", "profile value", "told to Segment", title="Contact")
    for one in contacts:
        row, told = one["listrak"], one["told"]
        listrak = "not there"
        if row is not None:
            since = row["unsubscribe_date"] or ""
            is_there = (row["subscription_state"] or "").lower() != "unsubscribed"
            listrak = "subscribed" if is_there else f"unsubscribed {since}".rstrip()
        value = "" if row is None else row["profile_value"] or ""
        if row is not None and row["profile_value_stands_for_nobody"]:
            value += " (stands for nobody: no userId)"
        known = "never"
        if told is not None:
            known = "subscribed" if told["subscribed"] else "not subscribed"
            known += f", userId {told['userId']}" if told["userId"] else ""
            known += ", deleted" if told["deleted"] else ""
        table.add_row(str(one["list_id"]), one["list_name"], listrak, value, known)
    return table


def _rows_table(rows: Iterable[dict[str, Any]]) -> Table:
    table = Table("list", "email", "subject", "sent", "first activity", "shows", title="Rows")
    for row in sorted(rows, key=lambda one: (one["list_id"], one["message"])):
        shows = [name for name in ("open", "bounce", "abuse", "unsubscribe") if row[name]]
        shows += [f"{row['click_count']} clicks"] if row["click_count"] else []
        shows += [f"orders {row['order_total']:,.2f}"] if row["order_total"] else []
        table.add_row(
            str(row["list_id"]),
            _name(row),
            row["subject"],
            row["send_date"] or "",
            row["activity_date"] or "",
            ", ".join(shows),
        )
    return table


def _name(row: dict[str, Any]) -> str:
    """The kind and number of a row's message."""
    return f"{row['kind']} {row['message'].rpartition('/')[2]}"
