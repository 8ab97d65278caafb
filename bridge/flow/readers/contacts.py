"""Reads a list's contacts: all of them, or those who came or left lately."""

from functools import partial
from typing import Final

from bridge.clock import DAY
from bridge.flow.context import ReaderContext
from bridge.flow.mapping.user_ids import MOST_SHARED
from bridge.flow.page import ContactPage, ContactPoll, Flush
from bridge.flow.readers.restart import read_from
from bridge.flow.scheduling import schedule
from bridge.flow.source import SourceList
from bridge.listrak import times, wire
from bridge.listrak.client import Listrak
from bridge.logs import log
from bridge.priority import Priority
from bridge.segment import events
from bridge.state.cursors import ContactCursor
from bridge.state.keys import SeenKeys, heads
from bridge.state.store import Store

CHUNK: Final = 1000
"""Known contacts that are compared with a sweep at once."""

UNSUBSCRIBED_TURNS: Final = 30
"""Sweeps until each contact known as not subscribed, and unseen by all, was requested once."""

FIRST_STAGE: Final = ContactCursor("Subscribed", wire.START)
UNSUBSCRIBED_STAGE: Final = ContactCursor("Unsubscribed", wire.START)
DELETED_STAGE: Final = ContactCursor("lost", "")


class ContactReader:
    """Sends the pages of polls of contacts on. Raises what the Listrak client raises."""

    def __init__(self, context: ReaderContext) -> None:
        self._listrak = context.listrak
        self._ledger = context.ledger
        self._pages = context.pages
        self._scope = context.scope
        # The latest time that a page of each list was read at.
        self._read_at: dict[int, float] = {}

    async def is_sweep_next(self, source: SourceList) -> bool:
        """Tells whether a sweep is next: it has begun already, or is due."""
        store = self._ledger.store
        begun = await store.contact_polls.open_one(source.list_id)
        state = await store.lists.state(source.list_id)
        is_due = schedule.is_sweep_due(state, self._listrak.clock.now())
        return is_due or (begun is not None and begun.sweep)

    async def read(self, source: SourceList, *, sweep: bool) -> None:
        """Reads a list's contacts; returns when all events are acknowledged.

        `sweep`: all of them, else those who came or left since the poll before.
        """
        store = self._ledger.store
        begun = await store.contact_polls.open_one(source.list_id)
        cursor: ContactCursor | None = None
        if begun is None or (sweep and not begun.sweep):
            started = self._listrak.clock.now()
            await self._ledger.commit(
                lambda store: store.contact_polls.begin(source.list_id, started, sweep=sweep)
            )
        else:
            sweep, _, cursor = begun
        state = await store.lists.state(source.list_id)
        self._read_at.setdefault(source.list_id, state.identified_at)
        poll = ContactPoll(
            source,
            sweep,
            times.from_seconds(state.contacts_at) if state.contacts_at else "",
            state.forgotten_revision,
        )
        await read_from(
            cursor or FIRST_STAGE,
            FIRST_STAGE,
            lambda cursor: self._read_stages(poll, cursor),
            f"contacts of list {source.list_id}",
        )
        await self._ledger.commit(partial(self._complete, poll))
        if sweep:
            self._note_user_ids(poll, await store.contacts.most_shared_user_id(source.list_id))

    async def _complete(self, poll: ContactPoll, store: Store) -> None:
        list_id = poll.source.list_id
        await store.contact_polls.complete(list_id)
        if poll.sweep:
            # Nothing of them is tracked any more.
            await store.contacts.forget_deleted(
                list_id, self._listrak.clock.now() - self._scope.track
            )

    async def _read_stages(self, poll: ContactPoll, cursor: ContactCursor) -> None:
        """Reads from a page on to the end: who is subscribed, who isn't, who was deleted."""
        since = self._since(poll)
        if cursor.stage == "Subscribed":
            await self._read_state(poll, cursor, UNSUBSCRIBED_STAGE, since)
            cursor = UNSUBSCRIBED_STAGE
        if cursor.stage == "Unsubscribed":
            horizon = times.from_seconds(times.seconds(poll.source.horizon) - DAY)
            await self._read_state(
                poll, cursor, DELETED_STAGE, since or self._scope.zone.naive(horizon)
            )
            cursor = DELETED_STAGE
        if poll.sweep:
            await self._find_deleted(poll, cursor.page)

    def _since(self, poll: ContactPoll) -> str | None:
        """The naive time since when contacts are read; None for all of them."""
        if poll.sweep or not poll.previous:
            return None
        recent = times.seconds(poll.previous) - schedule.CONTACT_OVERLAP
        return self._scope.zone.naive(times.from_seconds(recent))

    async def _read_state(
        self,
        poll: ContactPoll,
        cursor: ContactCursor,
        next_stage: ContactCursor,
        since: str | None,
    ) -> None:
        """Reads the contacts in the state of a stage, from a page on."""
        state, listrak = cursor.stage, self._client_for(poll)
        list_id, field_id = poll.source.list_id, poll.source.field_id
        more: str | None = cursor.page
        while more is not None:
            page = await listrak.contacts(list_id, state, more, field_id, since)
            more = page.next_cursor
            following = ContactCursor(state, more) if more else next_stage
            read_at = self._reading(list_id)
            await self._send(
                ContactPage(poll, following, page.rows, read_at, state == "Subscribed")
            )
        # The next stage compares with what this one found, and no two identifies of a contact are
        # on their way at once.
        await self._drain(poll)

    async def _find_deleted(self, poll: ContactPoll, after: str) -> None:
        """Requests one by one the known contacts that the sweep has not seen.

        A sweep alone proves nothing: its pages shift while it goes on, and may come back empty. Of
        those known as not subscribed, whom a date filter may leave out, a part is requested each
        time.
        """
        source, store, listrak = poll.source, self._ledger.store, self._client_for(poll)
        seen = SeenKeys(await store.contact_polls.seen_in_sweep(source.list_id))
        turn = int(self._listrak.clock.now() // DAY)
        while known := await store.contacts.after(source.list_id, after, CHUNK):
            after = known[-1].key
            keys = heads([events.digest(one.key.encode()) for one in known])
            rows: list[wire.Contact] = []
            deleted: list[str] = []
            for place in seen.unseen(keys):
                one = known[place]
                is_due = one.subscribed or (int(keys[place]) + turn) % UNSUBSCRIBED_TURNS == 0
                if one.key and is_due:
                    row = await listrak.contact(source.list_id, one.spelling, source.field_id)
                    if row is None:
                        deleted.append(one.spelling)
                    else:
                        # The known spelling: the answer's may differ in upper and lower case.
                        row.email_address = one.spelling
                        rows.append(row)
            cursor = ContactCursor("lost", after)
            read_at = self._reading(source.list_id)
            await self._send(ContactPage(poll, cursor, rows, read_at, deleted=deleted))
        await self._drain(poll)

    def _reading(self, list_id: int) -> float:
        """The time of a reading that has just ended, by Listrak's clock, in whole milliseconds.

        It is later than that of every reading before, whatever the clocks say: what is shown later
        has the later timestamp.
        """
        before = round(self._read_at[list_id] * 1000)
        now = int(self._listrak.clock.now() * 1000)
        self._read_at[list_id] = at = max(now, before + 1) / 1000
        return at

    def _note_user_ids(self, poll: ContactPoll, contacts: int) -> None:
        """Tells where so many contacts share a userId that it can't be theirs."""
        if contacts > MOST_SHARED:
            log.error(
                "user_id.shared",
                list=poll.source.list_id,
                field=poll.source.field_id,
                contacts=contacts,
                note="Segment merges them into one profile: choose another profile field, or "
                "empty it in Listrak",
            )

    def _client_for(self, poll: ContactPoll) -> Listrak:
        return self._listrak.with_priority(Priority.FULL) if poll.sweep else self._listrak

    async def _send(self, page: ContactPage) -> None:
        page.poll.in_flight.add()
        await self._pages.send(page)

    async def _drain(self, poll: ContactPoll) -> None:
        """Waits until all pages sent on so far are acknowledged."""
        await self._pages.send(Flush())
        await poll.in_flight.drained()
