"""Turns pages into deliveries: maps each, journals what has to be, and hands it to the sender."""

from collections import Counter

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from bridge.errors import is_unexpected
from bridge.flow import delivery
from bridge.flow.acks.checkpoint import (
    ContactCheckpoint,
    JournalCheckpoint,
    UnsubscribeCheckpoint,
    WithheldUnsubscribeCheckpoint,
    checkpoint_of,
)
from bridge.flow.acks.journal import Journal
from bridge.flow.acks.key_runs import KeyRuns
from bridge.flow.acks.outcomes import Outcomes
from bridge.flow.acks.page_acks import OutboxAck, PollPageAck
from bridge.flow.delivery import Delivery
from bridge.flow.in_flight import InFlight
from bridge.flow.ledger import Ledger
from bridge.flow.mapping.activity import ActivityRules
from bridge.flow.mapping.contacts import ContactRules
from bridge.flow.mapping.mapped_page import MappedPage
from bridge.flow.page import (
    ActivityPage,
    ClickPage,
    ContactPage,
    Flush,
    LastPage,
    OutboxPage,
    Page,
    UnsubscribePage,
    address_keys,
)
from bridge.flow.unreadable import Unreadable
from bridge.flow.user_id_alarm import UserIdAlarm
from bridge.metrics import Metrics
from bridge.segment.events import for_warehouses
from bridge.state.keys import sorted_keys


class Mapper:
    """Maps one page after the other, in the order they come."""

    def __init__(
        self, ledger: Ledger, activity: ActivityRules, contacts: ContactRules, metrics: Metrics
    ) -> None:
        self._ledger = ledger
        self._activity = activity
        self._contacts = contacts
        self._metrics = metrics
        self._journal = Journal(ledger, metrics)
        self._unreadable = Unreadable(ledger, metrics)
        self._user_ids = UserIdAlarm(metrics)

    async def run(
        self, pages: ObjectReceiveStream[Page], deliveries: ObjectSendStream[Delivery]
    ) -> None:
        """Maps until there are no more pages, then closes the way to the sender."""
        async with pages, deliveries:
            async for page in pages:
                await self._ledger.wait_for_room()
                mapped = await self._map_or_fail(page)
                # Frees the page: the next one may be long in coming.
                del page
                if mapped is None:
                    pass
                elif mapped.events or mapped.ack is None:
                    await deliveries.send(mapped)
                else:
                    mapped.ack.done([])
                # A stream that has room and items never waits: let others run between pages.
                await anyio.lowlevel.checkpoint()

    async def _map_or_fail(self, page: Page) -> Delivery | None:
        """The delivery of a page; None where there is none: nothing is new, or it can't be made,
        which ends the page's poll alone."""
        earlier = _failure_of(page)
        if earlier is not None:
            _fail(page, earlier)
            return None
        try:
            return await self._map(page)
        except Exception as error:
            if not is_unexpected(error) or isinstance(page, OutboxPage | Flush):
                raise
            _fail(page, error)
            return None

    async def _map(self, page: Page) -> Delivery | None:
        match page:
            case ActivityPage():
                return await self._poll_page(page, self._activity.map_activity(page))
            case ClickPage():
                return await self._poll_page(page, self._activity.map_clicks(page))
            case LastPage():
                ack = PollPageAck(page.poll, page.number, None, self._ledger, self._metrics)
                return Delivery([], Counter(), ack)
            case ContactPage():
                return await self._contact_page(page)
            case UnsubscribePage():
                return await self._unsubscribe_page(page)
            case OutboxPage():
                return self._outbox_page(page)
            case Flush():
                return delivery.flush()

    async def _poll_page(self, page: ActivityPage | ClickPage, mapped: MappedPage) -> Delivery:
        """The delivery of a poll's page; its checkpoint is saved after its acknowledgement."""
        poll = page.poll
        poll.stats.unread += len(mapped.unread)
        if isinstance(page, ActivityPage):
            poll.stats.read += len(page.rows)
        self._unreadable.note(poll.message.list_id, mapped.unread)
        runs, journaled_runs = KeyRuns.of(mapped.reproducible), KeyRuns.of(mapped.journaled)
        runs.add_to(poll)
        journaled_runs.add_to(poll)
        poll.changed = poll.changed or bool(mapped.totals)
        outbox_id: int | None = None
        if mapped.journaled.seen or mapped.journaled.amounts:
            effects = JournalCheckpoint(poll.message.id, journaled_runs, mapped)
            outbox_id = await self._journal.write(
                poll.message.list_id, mapped.journaled, effects.save
            )
        if poll.backfill is not None:
            mapped.dates.clear()
        checkpoint = checkpoint_of(page, mapped, runs, outbox_id)
        ack = PollPageAck(poll, page.number, checkpoint, self._ledger, self._metrics)
        events = mapped.reproducible.events + mapped.journaled.events
        if poll.backfill is not None and poll.backfill.warehouse_only:
            events = list(map(for_warehouses, events))
        return Delivery(events, mapped.names, ack)

    async def _contact_page(self, page: ContactPage) -> Delivery | None:
        """The delivery of a page of contacts; its checkpoint is saved before it is sent.

        None where nothing has changed: a checkpoint that nobody waits for.
        """
        list_id = page.poll.source.list_id
        known = await self._ledger.store.contacts.known(list_id, page.emails)
        mapped = self._contacts.map_contacts(page, known)
        self._unreadable.note(list_id, mapped.unread)
        keys = sorted_keys(address_keys(email.lower() for email in page.emails))
        page.poll.twins.meet(keys)
        findings = page.poll.user_ids
        findings.withheld += mapped.user_ids_withheld
        if mapped.changes.user_ids:
            findings.shared.add(mapped.changes.user_ids)
            self._user_ids.note(page.poll)
        checkpoint = ContactCheckpoint(page, mapped, keys)
        outbox_id: int | None = None
        if mapped.journaled.events or mapped.journaled.dead or checkpoint.changes_anything:
            outbox_id = await self._journal.write(
                list_id, mapped.journaled, checkpoint.save, checkpoint.outcomes
            )
        else:
            # Nothing to send: the checkpoint may wait for a later transaction.
            self._ledger.enqueue(
                checkpoint.save, lambda: checkpoint.outcomes.publish(self._metrics)
            )
            if page.told_before is None and not page.poll.sweep:
                # Nobody reads it before the end of the poll, which is saved after it.
                page.poll.in_flight.remove()
                return None
        return self._from_outbox(list_id, outbox_id, mapped, page.poll.in_flight)

    async def _unsubscribe_page(self, page: UnsubscribePage) -> Delivery:
        """The delivery of a page of unsubscribes; its checkpoint is saved before it is sent."""
        list_id = page.source.list_id
        mapped = self._contacts.map_unsubscribes(page)
        checkpoint: UnsubscribeCheckpoint | WithheldUnsubscribeCheckpoint
        if page.backfill is None:
            checkpoint = UnsubscribeCheckpoint(page, mapped)
        else:
            if page.backfill.warehouse_only:
                mapped.journaled.events = list(map(for_warehouses, mapped.journaled.events))
            sent = len(mapped.journaled.events)
            checkpoint = WithheldUnsubscribeCheckpoint(page, page.backfill, sent)
        outbox_id = await self._journal.write(
            list_id,
            mapped.journaled,
            checkpoint.save,
            checkpoint.outcomes,
            already_fetched=page.backfill is None,
        )
        if page.backfill is not None:
            mapped.dates.clear()
        return self._from_outbox(list_id, outbox_id, mapped, page.in_flight)

    def _outbox_page(self, page: OutboxPage) -> Delivery:
        """The delivery of a page of the outbox."""
        numbers = {"delivered": len(page.events), "dead_lettered": 0}
        outcomes = Outcomes(page.list_id, numbers, -len(page.events), page.names)
        if page.set_aside:
            outcomes.aside = -len(page.events)
        ack = OutboxAck(page.outbox_id, outcomes, page.in_flight, self._ledger, self._metrics)
        return Delivery(page.events, page.names, ack, was_set_aside=page.set_aside)

    def _from_outbox(
        self, list_id: int, outbox_id: int | None, mapped: MappedPage, in_flight: InFlight
    ) -> Delivery:
        """The delivery of journaled events, which leave the outbox once they are acknowledged."""
        events, names = mapped.journaled.events, mapped.names
        numbers = {"delivered": len(events), "dead_lettered": 0}
        outcomes = Outcomes(list_id, numbers, -len(events), names)
        outcomes.happened = mapped.dates.moments()
        ack = OutboxAck(outbox_id, outcomes, in_flight, self._ledger, self._metrics)
        return Delivery(events, names, ack)


def _failure_of(page: Page) -> Exception | None:
    """The failure of an earlier page of the same poll."""
    if isinstance(page, ActivityPage | ClickPage | LastPage | ContactPage):
        return page.poll.failure.error
    return None


def _fail(page: Page, error: Exception) -> None:
    """Tells the poll of a page that it can't be turned into events."""
    match page:
        case ActivityPage() | ClickPage() | LastPage():
            page.poll.fail(page.number, error)
        case ContactPage():
            page.poll.failure.note(error)
            page.poll.in_flight.remove()
        case UnsubscribePage():
            page.in_flight.fail(error)
