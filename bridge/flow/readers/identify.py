"""Tells all contacts of a list again, changed or not: `identify --all`."""

from typing import Final

from bridge.flow.context import ReaderContext
from bridge.flow.page import ContactPage, ContactPoll, address_keys
from bridge.flow.readers.contact_readings import (
    CHUNK,
    DELETED_STAGE,
    FIRST_STAGE,
    ContactReadings,
    ListReadings,
    request_each,
    unseen_of,
)
from bridge.flow.readers.restart import read_from
from bridge.flow.source import SourceList
from bridge.listrak.paging import Trail
from bridge.output.logs import log
from bridge.state.cursors import ContactCursor
from bridge.state.keys import SeenKeys
from bridge.state.set_aside import Part
from bridge.state.store import Store
from bridge.transport.priority import Priority

SUBSCRIBED: Final = FIRST_STAGE.stage


class IdentifyReader:
    """Brings a list's run on, a page at a time, beside the polls of its contacts.

    Contacts are of three kinds:

    1. Those on the pages of subscribed ones: told as they are now.
    2. Those known as subscribed that no page has shown: requested one by one, and told as they are,
       or as deleted. One whose request fails by itself is left out; the next sweep requests it.
    3. Those known as not subscribed: told as they are known. Who came back meanwhile was on the
       pages, or is told by the next poll, which is later. Deleted ones are not told again.

    Who was told since the run began, by it or by a poll, is not told twice.
    """

    def __init__(self, context: ReaderContext, readings: ContactReadings) -> None:
        self._clock = context.listrak.clock
        self._listrak = context.listrak.with_priority(Priority.BACKFILL)
        self._ledger = context.ledger
        self._set_aside = context.set_aside
        self._readings = readings
        self._trails: dict[int, Trail] = {}

    async def begin(self, source: SourceList) -> bool:
        """Begins a run; False if one is under way."""
        begun, now = False, self._clock.now()

        async def work(store: Store) -> None:
            nonlocal begun
            begun = await store.identify_runs.begin(source.list_id, now)

        await self._ledger.commit(work)
        return begun

    async def read_next(self, source: SourceList) -> bool:
        """Reads the next page of a list's run; False when none is left.

        Returns when all its events are acknowledged, as those of all pages before: of a contact no
        two identifies are on their way at once. Raises what the Listrak client raises.
        """
        runs = self._ledger.store.identify_runs
        run = await runs.open_one(source.list_id)
        if run is None:
            return False
        readings = await self._readings.of(source.list_id)
        async with readings.turn:
            await readings.drain()
            await read_from(
                run.cursor or FIRST_STAGE,
                FIRST_STAGE,
                lambda cursor: self._read_page(source, cursor, readings),
                f"contacts of list {source.list_id}",
            )
        return await runs.open_one(source.list_id) is not None

    async def _read_page(
        self, source: SourceList, cursor: ContactCursor, readings: ListReadings
    ) -> None:
        poll = await self._readings.poll_of(source, sweep=False)
        told = SeenKeys.unmerged(await self._ledger.store.identify_runs.told(source.list_id))
        if cursor.stage == SUBSCRIBED:
            await self._read_subscribed(poll, cursor, readings, told)
        else:
            await self._read_others(poll, cursor, readings, told)
        await readings.drain(poll)

    async def _read_subscribed(
        self, poll: ContactPoll, cursor: ContactCursor, readings: ListReadings, told: SeenKeys
    ) -> None:
        source = poll.source
        if cursor == FIRST_STAGE or source.list_id not in self._trails:
            self._trails[source.list_id] = Trail(
                f"the contacts of list {source.list_id}", cursor.page
            )
        page = await self._listrak.contacts(
            source.list_id, SUBSCRIBED, cursor.page, source.field_id, None
        )
        more = self._trails[source.list_id].after(page)
        addresses = [(row.email_address or "").lower() for row in page.rows]
        untold = told.unseen(address_keys(addresses))
        told_before = set(addresses) - {addresses[place] for place in untold}
        await readings.send(
            ContactPage(
                poll,
                ContactCursor(SUBSCRIBED, more) if more else DELETED_STAGE,
                page.rows,
                readings.instant(),
                told_before=frozenset(told_before),
                unread=page.unread,
            )
        )

    async def _read_others(
        self, poll: ContactPoll, cursor: ContactCursor, readings: ListReadings, told: SeenKeys
    ) -> None:
        list_id = poll.source.list_id
        known = await self._ledger.store.contacts.after(list_id, cursor.page, CHUNK)
        if not known:
            await self._ledger.commit(lambda store: store.identify_runs.finish(list_id))
            log.info("identify.finished", list=list_id)
            return
        unseen = unseen_of(known, told, lambda one, _: one.subscribed)
        requested = await request_each(self._listrak, poll.source, unseen.single)
        for error in requested.failures:
            self._set_aside.failed(Part(list_id, "contact look-ups"), error)
        await readings.send(
            ContactPage(
                poll,
                ContactCursor("lost", unseen.after),
                requested.rows,
                readings.instant(),
                deleted=requested.deleted,
                as_known=[one.spelling for one in unseen.others],
                told_before=frozenset(),
                unread=requested.unread,
            )
        )
