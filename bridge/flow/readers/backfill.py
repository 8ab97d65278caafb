"""Reads backfills: events that were not sent because they were from before the start horizon."""

import math
from dataclasses import replace

from bridge.errors import MissingError, is_isolated
from bridge.event_types import TRACKS, UNSUBSCRIBED
from bridge.flow.acks.poll_ends import BackfillPollEnd
from bridge.flow.buckets import NO_BUCKET, floor_of
from bridge.flow.context import ReaderContext
from bridge.flow.message_poll import MessagePoll, PlannedPoll, PollWindow
from bridge.flow.planner.filter_support import FilterSupport
from bridge.flow.planner.plan import PollPlan
from bridge.flow.planner.snapshot import MessageSnapshot
from bridge.flow.planner.watermarks import Watermarks
from bridge.flow.readers.discovery import Discovery
from bridge.flow.readers.messages import MessageReader
from bridge.flow.readers.rows import RowReader
from bridge.flow.readers.unsubscribes import UnsubscribeReader
from bridge.flow.source import SourceList
from bridge.listrak import times
from bridge.listrak.times import Instant
from bridge.output.logs import log
from bridge.state.keys import AllowedKeys, SeenKeys
from bridge.state.records import Backfill, BackfillKind, BackfillMessage, MessageRef
from bridge.state.seen_events import EARLY, UNWANTED
from bridge.state.set_aside import Part
from bridge.state.store import Store
from bridge.transport.priority import Priority


class BackfillReader:
    """Brings a list's backfill on, a message at a time.

    Its rows are of three kinds:

    1. Tracked rows: it is known what of them was withheld, and that is sent.
    2. Rows that were never tracked, or of which nothing was sent: all of them is sent.
    3. Rows that were tracked and no longer are: nobody knows what was sent, so they are left out.

    A backfill of the history sends what happened before the start horizon, event by event up to
    where earlier ones have begun; one of events sends what was withheld by BRIDGE_EVENTS, of
    tracked rows and of unsubscribes.
    """

    def __init__(
        self,
        context: ReaderContext,
        discovery: Discovery,
        rows: RowReader,
        unsubscribes: UnsubscribeReader,
        messages: MessageReader,
    ) -> None:
        self._unsubscribes = unsubscribes
        self._messages = messages
        self._clock = context.listrak.clock
        self._ledger = context.ledger
        self._scope = context.scope
        self._set_aside = context.set_aside
        # By list, the last message of this round that failed.
        self._left: dict[int, int] = {}
        self._discovery = discovery
        self._rows = rows.with_priority(Priority.BACKFILL)

    async def begin(
        self,
        source: SourceList,
        since: Instant,
        kind: BackfillKind = "history",
        *,
        warehouse_only: bool = False,
    ) -> bool:
        """Queues a backfill; False if nothing is to be done, or another one is under way."""
        begun, list_id = False, source.list_id

        async def work(store: Store) -> None:
            nonlocal begun
            backfills = store.backfills
            if kind == "events":
                begun = await backfills.begin_events(list_id, since, warehouse_only=warehouse_only)
            else:
                # Of contacts there is no history.
                wanted = self._scope.events - {UNSUBSCRIBED}
                ends = await backfills.ends(list_id, source.horizon, wanted)
                begun = await backfills.begin(list_id, since, ends, warehouse_only=warehouse_only)

        await self._ledger.commit(work)
        return begun

    async def read_next(self, source: SourceList) -> bool:
        """Reads the next message of a list's backfill; False when none is left that can be read.

        Returns when all its events are acknowledged. Raises what the Listrak client raises, but for
        what fails of a message by itself: it is set aside, and read when the others are.
        """
        store = self._ledger.store
        backfill = await store.backfills.open_one(source.list_id)
        if backfill is None:
            return False
        if no_longer_wanted := backfill.names - self._scope.events:
            await self._ledger.commit(
                lambda store: store.backfills.drop_events(backfill, no_longer_wanted)
            )
            return True
        if backfill.kind == "events" and UNSUBSCRIBED in self._scope.events:
            await self._unsubscribes.release_withheld(source, backfill)
        if not backfill.listed:
            await (self._list_unwanted if backfill.kind == "events" else self._list)(
                source, backfill
            )
        message = await store.backfills.next(backfill, self._left.get(source.list_id, 0))
        if message is None and self._left.pop(source.list_id, 0):
            # Those that failed are all that is left: they are for another time.
            return False
        if message is None:
            self._set_aside.keep_only(source.list_id, "backfill message", ())
            await self._ledger.commit(lambda store: store.backfills.finish(backfill))
            log.info(
                "backfill.finished", list=source.list_id, kind=backfill.kind, since=backfill.since
            )
            return await store.backfills.open_one(source.list_id) is not None
        part = Part(source.list_id, "backfill message", message.message.path)
        try:
            await self._read(source, message, backfill)
        except MissingError as error:
            log.info("message.missing", message=message.message.path, reason=str(error))
            await self._ledger.commit(lambda store: store.backfills.complete(message, missing=True))
        except Exception as error:
            if not is_isolated(error):
                raise
            self._set_aside.failed(part, error)
            self._left[source.list_id] = message.id
            return True
        self._set_aside.recovered(part)
        return True

    async def _read(self, source: SourceList, message: BackfillMessage, backfill: Backfill) -> None:
        """Reads a message; returns when all its events are acknowledged."""
        if message.part == "withheld":
            # What is withheld of it is known once it was read to its end.
            await self._messages.read_first(message.tracked, source)
        poll = await self._begin(source, message, backfill)
        try:
            await self._rows.read(poll, source)
            await self._rows.flush()
            await poll.completed.wait()
            poll.failure.check()
        except Exception:
            # Pages in flight must be acknowledged before it is read again.
            await poll.acks.drained()
            raise
        self._messages.forget_counts(poll.message)

    async def _list(self, source: SourceList, backfill: Backfill) -> None:
        """Queues the messages that may have events in the span of a backfill."""
        store = self._ledger.store
        if (await store.lists.state(source.list_id)).discovered_at is None:
            # What is to be tracked is known from then on.
            await self._discovery.discover(source, everything=True)
        oldest = times.from_seconds(times.seconds(backfill.since) - self._scope.track)
        known = {
            (message.kind, message.message_id): message
            for message in await store.messages.all_of(source.list_id)
        }
        queued: list[tuple[str, int, MessageRef]] = []
        left_out = 0
        for ref in await self._discovery.emails(source.list_id, oldest):
            message = known.pop((ref.kind, ref.message_id), None)
            row = message.id if message and not message.untracked else 0
            sent = (message.sent_at if message else "") or ref.sent_at
            dated = ref._replace(sent_at=sent)
            if ref.kind != "broadcast":
                queued.append(("old", row, dated))
            if row:
                queued.append(("withheld", row, dated))
            elif ref.kind == "broadcast" and (message is None or message.floor is None):
                # Every message that was ever tracked is known for ever.
                queued.append(("old", row, dated))
            elif ref.kind == "broadcast" and (not sent or sent < backfill.before):
                left_out += 1
        # Listed no longer: their turn tells whether Listrak has them.
        queued += [
            ("withheld", message.id, message.ref)
            for message in known.values()
            if not message.untracked and (not message.sent_at or message.sent_at >= oldest)
        ]
        await self._ledger.commit(lambda store: store.backfills.queue(backfill, queued, left_out))
        log.info("backfill.listed", list=source.list_id, messages=len(queued), left_out=left_out)

    async def _list_unwanted(self, source: SourceList, backfill: Backfill) -> None:
        """Queues the tracked messages of which events were withheld by BRIDGE_EVENTS."""
        store = self._ledger.store
        rows = set(await store.seen_events.with_unwanted(source.list_id))
        queued = [
            ("unwanted", message.id, message.ref)
            for message in await store.messages.tracked(source.list_id)
            if message.id in rows
        ]
        await self._ledger.commit(lambda store: store.backfills.queue(backfill, queued, 0))
        log.info("backfill.listed", list=source.list_id, messages=len(queued), left_out=0)

    async def _begin(
        self, source: SourceList, queued: BackfillMessage, backfill: Backfill
    ) -> MessagePoll:
        """A poll of what a backfill is to send of a message."""
        store, track, now = self._ledger.store, self._scope.track, self._clock.certain()
        message = await store.messages.get(queued.tracked) if queued.tracked else queued.message
        if queued.properties is not None:
            is_known = message.properties is not None
            message = replace(message, properties=queued.properties) if is_known else queued.message
        is_tracked = queued.part != "old"
        if is_tracked:
            known = floor_of(message, now - track) if message.floor is None else message.floor
            floor, ceiling = known, NO_BUCKET
        elif message.kind == "broadcast":
            floor, ceiling = 0, NO_BUCKET
        else:
            # Younger sends are tracked, or were.
            oldest = floor_of(message, times.seconds(source.horizon) - track)
            first = oldest if message.first_floor is None else message.first_floor
            floor, ceiling = 0, first
        withheld, before = UNWANTED, dict[str, Instant]()
        if queued.part != "unwanted":
            withheld = EARLY
            ends = await store.backfills.ends(source.list_id, backfill.before, backfill.names)
            # Of other events it brings nothing.
            before = dict.fromkeys(TRACKS, backfill.since) | ends
        snapshot = MessageSnapshot(message, {}, {}, Watermarks(), FilterSupport(), now, track)
        return MessagePoll(
            PlannedPoll(snapshot, PollPlan(full=True, expected_rows=math.inf), "", queued.cursor),
            PollWindow(backfill.since, floor, before=before, ceiling=ceiling),
            seen=(
                AllowedKeys(await store.seen_events.runs(message.id, withheld=withheld))
                if is_tracked
                else SeenKeys()
            ),
            totals=await store.seen_events.totals(message.id) if is_tracked else {},
            end=BackfillPollEnd(queued),
            backfill=queued,
            namespace=self._scope.namespace,
        )
