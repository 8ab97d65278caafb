"""Reads backfills: events that were not sent because they were from before the start horizon."""

import math

from bridge.errors import MissingError
from bridge.flow.acks.poll_ends import BackfillPollEnd
from bridge.flow.buckets import NO_BUCKET, floor_of
from bridge.flow.context import ReaderContext
from bridge.flow.message_poll import MessagePoll, PlannedPoll, PollWindow
from bridge.flow.planner.filter_support import FilterSupport
from bridge.flow.planner.plan import PollPlan
from bridge.flow.planner.snapshot import MessageSnapshot
from bridge.flow.planner.watermarks import Watermarks
from bridge.flow.readers.discovery import Discovery
from bridge.flow.readers.rows import RowReader
from bridge.flow.source import SourceList
from bridge.listrak import times
from bridge.listrak.times import Instant
from bridge.logs import log
from bridge.priority import Priority
from bridge.state.keys import AllowedKeys, SeenKeys
from bridge.state.records import Backfill, BackfillMessage, MessageRef
from bridge.state.store import Store


class BackfillReader:
    """Brings a list's backfill on, a message at a time.

    Its rows are of three kinds:

    1. Tracked rows: it is known what of them was withheld, and that is sent.
    2. Rows too old to have ever been tracked: all of them is sent.
    3. Rows that were tracked and no longer are: nobody knows what was sent, so they are left out.
    """

    def __init__(self, context: ReaderContext, discovery: Discovery, rows: RowReader) -> None:
        self._clock = context.listrak.clock
        self._ledger = context.ledger
        self._scope = context.scope
        self._discovery = discovery
        self._rows = rows.with_priority(Priority.BACKFILL)

    async def begin(self, source: SourceList, since: Instant) -> bool:
        """Queues a backfill; False if nothing is to be done, or another one is under way."""
        begun = False

        async def work(store: Store) -> None:
            nonlocal begun
            begun = await store.backfills.begin(source.list_id, since, source.horizon)

        await self._ledger.commit(work)
        return begun

    async def read_next(self, source: SourceList) -> bool:
        """Reads the next message of a list's backfill; False when none is left.

        Returns when all its events are acknowledged. Raises what the Listrak client raises.
        """
        store = self._ledger.store
        backfill = await store.backfills.of(source.list_id)
        if backfill is None or backfill.finished:
            return False
        if not backfill.listed:
            await self._list(source, backfill)
        message = await store.backfills.next(source.list_id)
        if message is None:
            await self._ledger.commit(lambda store: store.backfills.finish(source.list_id))
            log.info("backfill.finished", list=source.list_id, since=backfill.since)
            return False
        poll = await self._begin(source, message, backfill)
        try:
            await self._rows.read(poll, source)
        except MissingError as error:
            log.info("message.missing", message=poll.message.path, reason=str(error))
            await self._ledger.commit(lambda store: store.backfills.complete(message))
            return True
        await self._rows.flush()
        await poll.completed.wait()
        return True

    async def _list(self, source: SourceList, backfill: Backfill) -> None:
        """Queues the messages that may have events in the span of a backfill."""
        track = self._scope.track
        oldest = times.from_seconds(times.seconds(backfill.since) - track)
        never_tracked = times.from_seconds(times.seconds(source.horizon) - track)
        known = {
            (message.kind, message.message_id): message
            for message in await self._ledger.store.messages.all_of(source.list_id)
        }
        queued: list[tuple[str, int, MessageRef]] = []
        left_out = 0
        for ref in await self._discovery.emails(source.list_id, oldest):
            message = known.get((ref.kind, ref.message_id))
            row = message.id if message and not message.untracked else 0
            sent = (message.sent_at if message else "") or ref.sent_at
            dated = ref._replace(sent_at=sent)
            if ref.kind != "broadcast":
                queued.append(("old", row, dated))
            if row:
                queued.append(("withheld", row, dated))
            elif ref.kind == "broadcast" and sent and sent < never_tracked:
                queued.append(("old", row, dated))
            elif ref.kind == "broadcast" and (not sent or sent < backfill.before):
                left_out += 1
        await self._ledger.commit(
            lambda store: store.backfills.queue(source.list_id, queued, left_out=left_out)
        )
        log.info("backfill.listed", list=source.list_id, messages=len(queued), left_out=left_out)

    async def _begin(
        self, source: SourceList, queued: BackfillMessage, backfill: Backfill
    ) -> MessagePoll:
        """A poll of what a backfill is to send of a message."""
        store, track, now = self._ledger.store, self._scope.track, self._clock.now()
        message = await store.messages.get(queued.tracked) if queued.tracked else queued.message
        if queued.properties is not None and message.properties is None:
            message = queued.message
        is_withheld = queued.part == "withheld"
        if is_withheld:
            floor, ceiling = floor_of(message, now - track), NO_BUCKET
        elif message.kind == "broadcast":
            floor, ceiling = 0, NO_BUCKET
        else:
            # Younger sends are tracked.
            floor, ceiling = 0, floor_of(message, times.seconds(source.horizon) - track)
        snapshot = MessageSnapshot(message, {}, {}, Watermarks(), FilterSupport(), now, track)
        return MessagePoll(
            PlannedPoll(snapshot, PollPlan(full=True, expected_rows=math.inf), "", queued.cursor),
            PollWindow(backfill.since, floor, before=backfill.before, ceiling=ceiling),
            seen=(
                AllowedKeys(await store.seen_events.runs(message.id, withheld=True))
                if is_withheld
                else SeenKeys()
            ),
            totals=await store.seen_events.totals(message.id) if is_withheld else {},
            end=BackfillPollEnd(queued),
            backfill=queued,
            namespace=self._scope.namespace,
        )
