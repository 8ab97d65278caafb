"""Checkpoints: what is saved for a page, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bridge import clock
from bridge.event_types import CONVERTED, IDENTIFY
from bridge.flow.acks.key_runs import KeyRuns
from bridge.flow.acks.outbox_pages import save_aside
from bridge.flow.acks.outcomes import Outcomes
from bridge.flow.mapping.mapped_page import Attributions, MappedPage
from bridge.flow.message_poll import MessagePoll
from bridge.flow.page import ActivityPage, ClickPage, ContactPage, UnsubscribePage, address_keys
from bridge.state.cursors import PollCursor
from bridge.state.keys import Keys, sorted_keys
from bridge.state.records import Backfill, BackfillMessage, DeadLetter, EventCount, Total
from bridge.state.store import Store


@dataclass(eq=False)
class PageCheckpoint:
    """The checkpoint of a page of a message's poll: saved once its events are acknowledged.

    It holds no events but those that are set aside, as many wait for their turn.

    next_cursor: where the poll goes on.
    runs: keys of its reproducible events.
    counts: by name, what it adds to the numbers of its message.
    outcomes: what became of its events.
    outbox_id: its journaled events in the outbox, None for none.
    totals: of a backfill's page, what is sent of cumulative values, by key.
    aside: events that are to be saved, and tried again by themselves.
    """

    poll: MessagePoll
    next_cursor: PollCursor
    runs: KeyRuns
    attributions: Attributions
    counts: dict[str, EventCount]
    outcomes: Outcomes
    outbox_id: int | None
    totals: Mapping[int, Total] = field(default_factory=dict)
    aside: Sequence[bytes] = ()

    def set_aside(self, aside: Sequence[bytes]) -> None:
        """Notes that some of its events are saved for later."""
        self.aside = aside
        self.outcomes.set_aside(aside)

    def refuse(self, letters: Sequence[DeadLetter]) -> None:
        """Notes that some of its events can't be sent."""
        self.outcomes.refuse(letters)
        for letter in letters:
            count = self.counts.setdefault(letter.event, EventCount())
            count.dead += 1
            count.unsent_amount += _amount(letter)

    async def save(self, store: Store) -> None:
        """Writes it into the transaction."""
        if self.outcomes.dead:
            await store.dead_letters.add(self.outcomes.dead, clock.wall_time())
        await store.counters.add(self.outcomes.numbers)
        await save_aside(self.outcomes.list_id, self.aside, store)
        if self.poll.backfill is not None:
            await self._save_backfill(store, self.poll.backfill)
            return
        message = self.poll.message
        await self.runs.save(message.id, store)
        now = store.waiting.now()
        for emails, old in ((self.attributions.recent, False), (self.attributions.old, True)):
            if emails:
                await store.unsubscribes.attribute(
                    message.list_id, message.id, emails, now, old=old
                )
        await store.polls.save_cursor(message.id, self.next_cursor)
        await store.event_counts.add(message.id, self.counts)
        if self.outbox_id is not None:
            await store.outbox.remove(self.outbox_id)

    async def _save_backfill(self, store: Store, message: BackfillMessage) -> None:
        sent = self.outcomes.numbers["delivered"]
        await store.backfills.save_cursor(message, self.next_cursor, sent)
        if message.part == "old":
            return
        if message.part == "unwanted":
            await self.runs.release(message.tracked, store)
            await store.seen_events.release_totals(message.tracked, self.totals)
        # Events that were seen and not sent before are sent now.
        no_longer_unsent = {
            event: EventCount(
                unsent=count.unsent - count.seen,
                dead=count.dead,
                unsent_amount=count.unsent_amount,
            )
            for event, count in self.counts.items()
        }
        await store.event_counts.add(message.tracked, no_longer_unsent)


def checkpoint_of(
    page: ActivityPage | ClickPage, mapped: MappedPage, runs: KeyRuns, outbox_id: int | None
) -> PageCheckpoint:
    """The checkpoint of a page that was just mapped, provided that all its events are accepted."""
    fresh, journaled = mapped.reproducible, mapped.journaled
    numbers = {
        "fetched": len(fresh.events) + len(fresh.dead) + mapped.known + mapped.filtered,
        "known": mapped.known,
        "filtered": mapped.filtered,
        "delivered": len(fresh.events) + len(journaled.events),
        "dead_lettered": len(fresh.dead),
    }
    # Journaled events were counted as fetched, and as in flight, when they were journaled.
    list_id, stats = page.poll.message.list_id, page.poll.stats
    outcomes = Outcomes(list_id, numbers, -len(journaled.events), mapped.names, fresh.dead)
    outcomes.happened = mapped.dates.moments()
    return PageCheckpoint(
        page.poll,
        msgspec.structs.replace(page.next_cursor, read=stats.read, unread=stats.unread),
        runs,
        mapped.attributions,
        fresh.counts(),
        outcomes,
        outbox_id,
        {key: total for key, (_, total) in mapped.totals.items()} if page.poll.backfill else {},
    )


def _amount(letter: DeadLetter) -> float:
    """The order total of an event that couldn't be sent, 0 for an event without one."""
    if letter.event != CONVERTED:
        return 0.0
    properties = msgspec.json.decode(letter.body, type=_WithProperties).properties
    amount = properties.get("order_total", 0.0)
    return float(amount) if isinstance(amount, int | float) else 0.0


class _WithProperties(msgspec.Struct):
    properties: dict[str, Any]


class JournalCheckpoint:
    """The checkpoint of a poll's journaled events: saved together with their journal.

    message: row of the message.
    runs: keys of the events.
    """

    def __init__(self, message: int, runs: KeyRuns, mapped: MappedPage) -> None:
        self._message = message
        self._runs = runs
        self._totals = mapped.totals
        self._counts = mapped.journaled.counts()

    async def save(self, store: Store) -> None:
        """Writes it into the transaction."""
        await self._runs.save(self._message, store)
        await store.seen_events.set_totals(self._message, self._totals)
        await store.event_counts.add(self._message, self._counts)


class ContactCheckpoint:
    """The checkpoint of a page of contacts: saved together with the journal of its identifies.

    keys: sorted keys of its addresses.
    """

    def __init__(self, page: ContactPage, mapped: MappedPage, keys: Keys) -> None:
        self._page = page
        self._keys = keys
        self._changes = mapped.changes
        self._told = mapped.names[IDENTIFY]
        pending = len(mapped.changes.unsubscribes)
        numbers = {
            "fetched": mapped.known + mapped.filtered + pending,
            "known": mapped.known,
            "filtered": mapped.filtered,
        }
        self.outcomes = Outcomes(page.poll.source.list_id, numbers, pending)

    @property
    def changes_anything(self) -> bool:
        """Tells whether anything of a contact is different from before."""
        return bool(self._changes.contacts or self._changes.unsubscribes)

    async def save(self, store: Store) -> None:
        """Writes it into the transaction."""
        page, changes = self._page, self._changes
        list_id = page.poll.source.list_id
        await store.contacts.set(list_id, changes.contacts.values())
        await store.unsubscribes.forget_attributions(list_id, changes.resubscribed)
        await store.unsubscribes.add(list_id, changes.unsubscribes, store.waiting.now())
        await store.contacts.add_twins(list_id, changes.twins)
        await store.contacts.remove_twins(list_id, page.single or ())
        if changes.contacts:
            await store.lists.set_identified(list_id, page.read_at)
        if page.told_before is not None:
            told = sorted_keys(address_keys(changes.told))
            await store.identify_runs.advance(list_id, page.next_cursor, told, self._told)
        else:
            if changes.told:
                await store.identify_runs.add_told(list_id, sorted_keys(address_keys(changes.told)))
            if page.poll.sweep or page.poll.beside is not None:
                await store.contact_polls.add_seen_in_sweep(list_id, self._keys)
            await store.contact_polls.save_cursor(list_id, page.next_cursor)
        await store.counters.add(self.outcomes.numbers)


class WithheldUnsubscribeCheckpoint:
    """The checkpoint of a page of unsubscribes that were withheld, and that a backfill sends."""

    def __init__(self, page: UnsubscribePage, backfill: Backfill, sent: int) -> None:
        self._page = page
        self._backfill = backfill
        self._sent = sent
        self.outcomes = Outcomes(page.source.list_id, {})

    async def save(self, store: Store) -> None:
        """Writes it into the transaction."""
        await store.unsubscribes.remove_withheld(self._page.source.list_id, self._page.rows)
        await store.backfills.add_sent(self._backfill, self._sent)


class UnsubscribeCheckpoint:
    """The checkpoint of a page of unsubscribes: saved together with their journal."""

    def __init__(self, page: UnsubscribePage, mapped: MappedPage) -> None:
        self._page = page
        self._unwanted = mapped.unwanted_unsubscribes
        # They were counted as fetched, and as in flight, when they were noted.
        numbers = {"filtered": mapped.filtered}
        self.outcomes = Outcomes(page.source.list_id, numbers, -len(page.rows))

    async def save(self, store: Store) -> None:
        """Writes it into the transaction."""
        list_id = self._page.source.list_id
        await store.unsubscribes.withhold(list_id, self._unwanted)
        await store.unsubscribes.remove(list_id, self._page.rows)
        await store.counters.add(self.outcomes.numbers)
