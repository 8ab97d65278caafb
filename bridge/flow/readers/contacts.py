"""Reads a list's contacts: all of them, or those who came or left lately."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from bridge import clock
from bridge.clock import DAY, HOUR
from bridge.completions import Completions, Reading
from bridge.errors import BridgeError, TemporaryError
from bridge.flow.context import ReaderContext
from bridge.flow.page import ContactPage, ContactPoll
from bridge.flow.readers.contact_readings import (
    CHUNK,
    DELETED_STAGE,
    FIRST_STAGE,
    ContactReadings,
    ListReadings,
    request_each,
    unseen_of,
)
from bridge.flow.readers.departures import Departures, marks
from bridge.flow.readers.restart import read_from
from bridge.flow.scheduling import schedule
from bridge.flow.source import SourceList
from bridge.flow.user_id_alarm import UserIdAlarm
from bridge.listrak import times, wire
from bridge.listrak.client import Listrak
from bridge.listrak.paging import Trail
from bridge.listrak.times import Instant
from bridge.state.contacts import KnownAddress
from bridge.state.cursors import ContactCursor
from bridge.state.keys import SeenKeys
from bridge.state.set_aside import Part
from bridge.state.store import Store
from bridge.transport.priority import Priority

UNSUBSCRIBED_TURNS: Final = 30
"""Sweeps until each contact known as not subscribed, and unseen by all, was requested once."""

SHOWS_LATE: Final = HOUR
"""Seconds after which contacts show at the latest what activity rows show of them already."""

UNSUBSCRIBED_STAGE: Final = ContactCursor("Unsubscribed", wire.START)


class ContactReader:
    """Sends the pages of polls of contacts on. Raises what the Listrak client raises."""

    def __init__(
        self,
        context: ReaderContext,
        readings: ContactReadings,
        user_ids: UserIdAlarm,
        departures: Departures,
        completions: Completions,
    ) -> None:
        self._listrak = context.listrak
        self._ledger = context.ledger
        self._scope = context.scope
        self._set_aside = context.set_aside
        self._readings = readings
        self._user_ids = user_ids
        self._departures = departures
        self._completions = completions
        self._interval = context.interval
        # When polls began that this process began, by list and by the clock for what waits.
        self._began: dict[int, float] = {}
        # When who came or left lately was last read, by list and by the clock that never jumps.
        self._recent_at: dict[int, float] = {}

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
            started_at = self._listrak.clock.now()
            self._began[source.list_id] = store.waiting.now()
            # With what follows, in one transaction: a poll that finds nothing costs one.
            self._ledger.enqueue(
                lambda store: store.contact_polls.begin(source.list_id, started_at, sweep=sweep)
            )
        else:
            sweep, started_at, cursor = begun
        self._recent_at[source.list_id] = clock.monotonic()
        readings = await self._readings.of(source.list_id)
        poll = await self._readings.poll_of(source, sweep=sweep)
        complete = self._completion_of(source.list_id, started_at)
        await read_from(
            cursor or FIRST_STAGE,
            FIRST_STAGE,
            lambda cursor: self._read_stages(poll, cursor, readings, complete),
            f"contacts of list {source.list_id}",
        )
        await self._ledger.commit(partial(self._complete, poll))
        value, contacts = "", 0
        if sweep:
            value, contacts = await store.contacts.most_shared_user_id(source.list_id)
            if Part(source.list_id, "contact look-ups") not in self._set_aside:
                complete("sweep")
        self._user_ids.complete(poll, value, contacts)

    def _completion_of(self, list_id: int, started_at: float) -> Callable[[Reading], None]:
        """A function that notes a reading of the open poll as complete.

        started_at: its start by Listrak's clock, which counts where an earlier run began it.
        """
        noted = self._began.get(list_id)
        if noted is None:
            age = self._listrak.clock.now() - started_at
        else:
            age = self._ledger.store.waiting.now() - noted
        began = clock.boot_time() - age

        def complete(reading: Reading) -> None:
            # Where Listrak's clock has gone back since, nobody knows.
            if age >= 0:
                self._completions.complete(list_id, reading, began)

        return complete

    async def _complete(self, poll: ContactPoll, store: Store) -> None:
        list_id, now = poll.source.list_id, self._listrak.clock.certain()
        await store.contact_polls.complete(list_id)
        began = self._began.get(list_id)
        if poll.sweep:
            # Nothing of them is tracked any more.
            await store.contacts.forget_deleted(list_id, now - self._scope.track)
            oldest = times.from_seconds(now - self._scope.track)
            await store.unsubscribes.forget_withheld(list_id, oldest)
            if began is not None:
                # Whoever was there when the sweep began is known by now.
                await store.unsubscribes.forget_strangers(list_id, began - SHOWS_LATE)

    async def _read_stages(
        self,
        poll: ContactPoll,
        cursor: ContactCursor,
        readings: ListReadings,
        complete: Callable[[Reading], None],
    ) -> None:
        """Reads from a page on to the end: who is subscribed, who isn't, who was deleted."""
        poll.user_ids.begin(is_whole=cursor == FIRST_STAGE)
        poll.twins.begin(is_whole=cursor == FIRST_STAGE)
        since = self._since(poll)
        if cursor.stage == "Subscribed":
            await self._read_state(poll, cursor, since, readings)
            cursor = UNSUBSCRIBED_STAGE
        complete("subscribed")
        if cursor.stage == "Unsubscribed":
            horizon = times.from_seconds(times.seconds(poll.source.horizon) - DAY)
            since = since or self._scope.zone.naive(horizon)
            await self._read_state(poll, cursor, since, readings)
            cursor = DELETED_STAGE
        complete("unsubscribed")
        if poll.sweep:
            await self._decide_twins(poll, cursor, readings)
            await self._find_deleted(poll, cursor.page, readings)

    def _since(self, poll: ContactPoll) -> str | None:
        """The naive time since when contacts are read; None for all of them."""
        return None if poll.sweep or not poll.previous else self._recent(poll.previous)

    def _recent(self, previous: Instant) -> str:
        """The naive time since when contacts are recent, after a poll that began then."""
        recent = times.seconds(previous) - schedule.CONTACT_OVERLAP
        return self._scope.zone.naive(times.from_seconds(recent))

    async def _read_state(
        self, poll: ContactPoll, cursor: ContactCursor, since: str | None, readings: ListReadings
    ) -> None:
        """Reads the contacts in the state of a stage, from a page on."""
        state, listrak = cursor.stage, self._client_for(poll)
        list_id, field_id = poll.source.list_id, poll.source.field_id
        next_stage = UNSUBSCRIBED_STAGE if state == "Subscribed" else DELETED_STAGE
        trail = Trail(f"the contacts of list {list_id}", cursor.page)
        departed: set[int] = set()
        while cursor.stage == state:
            async with readings.turn:
                page = await listrak.contacts(list_id, state, cursor.page, field_id, since)
                more = trail.after(page)
                cursor = ContactCursor(state, more) if more else next_stage
                read_at, is_subscribed = readings.instant(), state == "Subscribed"
                if not is_subscribed and not poll.sweep:
                    departed |= marks(page.rows)
                await readings.send(
                    ContactPage(
                        poll,
                        poll.beside or cursor,
                        page.rows,
                        read_at,
                        is_subscribed,
                        unread=page.unread,
                    )
                )
            await self._read_beside(poll, cursor, readings)
        # The next stage compares with what this one found, and no two identifies of a contact are
        # on their way at once.
        await readings.drain(poll)
        if departed:
            self._departures.note(list_id, departed, self._listrak.clock.now())

    async def _read_beside(
        self, sweep: ContactPoll, cursor: ContactCursor, readings: ListReadings
    ) -> None:
        """Reads who came or left lately, each interval while a sweep goes on, which may be hours.

        The sweep goes on at `cursor`. Nothing else is saved of this: the next poll reads all again
        that is later than the one before the sweep.
        """
        list_id, now = sweep.source.list_id, clock.monotonic()
        if not sweep.sweep or now - self._recent_at[list_id] < self._interval:
            return
        began = clock.boot_time()
        await readings.drain(sweep)
        poll = sweep.beside_it(cursor)
        since = self._recent(sweep.previous or times.from_seconds(self._listrak.clock.now()))
        await self._read_state(poll, FIRST_STAGE, since, readings)
        self._completions.complete(list_id, "subscribed", began)
        await self._read_state(poll, UNSUBSCRIBED_STAGE, since, readings)
        self._completions.complete(list_id, "unsubscribed", began)
        self._user_ids.complete(poll, "", 0)
        self._recent_at[list_id] = clock.monotonic()

    async def _decide_twins(
        self, poll: ContactPoll, cursor: ContactCursor, readings: ListReadings
    ) -> None:
        """Sends on what counts of the addresses that the list has more than once."""
        async with readings.turn:
            rows, single = poll.twins.decided(self._scope.zone)
            if rows or single:
                await readings.send(
                    ContactPage(poll, cursor, rows, readings.instant(), single=single)
                )
        await readings.drain(poll)
        poll.twins.known.difference_update(single)

    async def _find_deleted(self, poll: ContactPoll, after: str, readings: ListReadings) -> None:
        """Requests one by one the known contacts that the sweep has not seen.

        A sweep alone proves nothing: its pages shift while it goes on, and may come back empty. Of
        those known as not subscribed, whom a date filter may leave out, a part is requested each
        time.
        """
        list_id, store, listrak = poll.source.list_id, self._ledger.store, self._client_for(poll)
        seen = SeenKeys(await store.contact_polls.seen_in_sweep(list_id))
        turn = int(self._listrak.clock.now() // DAY)

        def is_due(one: KnownAddress, key: int) -> bool:
            return one.subscribed or (key + turn) % UNSUBSCRIBED_TURNS == 0

        part, failures = Part(list_id, "contact look-ups"), list[BridgeError]()
        swept_at, is_resumed = (await store.lists.state(list_id)).swept_at, bool(after)
        while known := await store.contacts.after(list_id, after, CHUNK):
            unseen = unseen_of(known, seen, is_due)
            after = unseen.after
            async with readings.turn:
                requested = await request_each(listrak, poll.source, unseen.single)
                if requested.failures and not failures:
                    # Before the page is saved: a later run doesn't look them up again.
                    self._set_aside.failed(part, _summary_of(requested.failures), swept_at)
                failures += requested.failures
                cursor, at = ContactCursor("lost", after), readings.instant()
                await readings.send(
                    ContactPage(
                        poll,
                        cursor,
                        requested.rows,
                        at,
                        deleted=requested.deleted,
                        unread=requested.unread,
                    )
                )
            await self._read_beside(poll, cursor, readings)
        await readings.drain(poll)
        # Whoever is left stays as it is known, and is requested again by the next sweep.
        if failures:
            self._set_aside.failed(part, _summary_of(failures), swept_at)
        elif not is_resumed:
            self._set_aside.recovered(part)

    def _client_for(self, poll: ContactPoll) -> Listrak:
        return self._listrak.with_priority(Priority.OLD if poll.sweep else Priority.RECENT)


def _summary_of(failures: Sequence[BridgeError]) -> TemporaryError:
    """The failures of a sweep's look-ups as one."""
    return TemporaryError(f"{len(failures)} in the latest sweep, the last of them: {failures[-1]}")
