"""Plans and begins the polls of tracked messages."""

from collections.abc import Sequence

import anyio
import msgspec

from bridge.errors import MissingError
from bridge.event_types import UNSUBSCRIBED
from bridge.flow.acks.poll_ends import TrackedPollEnd
from bridge.flow.buckets import floor_of
from bridge.flow.context import ReaderContext
from bridge.flow.figures import counted_of, seen_of
from bridge.flow.message_cache import MessageCache
from bridge.flow.message_poll import MessagePoll, PlannedPoll, PollWindow
from bridge.flow.planner.plan import plan
from bridge.flow.planner.snapshot import MessageSnapshot
from bridge.flow.planner.watermarks import ROW_DELAY
from bridge.flow.readers.departures import Departures
from bridge.flow.readers.polling import PollClients
from bridge.flow.readers.rows import RowReader
from bridge.flow.scheduling import schedule
from bridge.flow.scheduling.budget import CallBudget
from bridge.flow.source import SourceList
from bridge.flow.summary_metrics import SummaryMetrics
from bridge.listrak import times, wire
from bridge.state.cursors import PollCursor
from bridge.state.keys import SeenKeys
from bridge.state.records import Message
from bridge.state.set_aside import Part
from bridge.state.store import Store


class MessageReader:
    """Plans polls and reads them. Raises what the Listrak client raises.

    page_rows: rows of a full page.
    """

    def __init__(
        self,
        context: ReaderContext,
        rows: RowReader,
        metrics: SummaryMetrics,
        departures: Departures,
        *,
        page_rows: int = wire.MOST_ROWS,
    ) -> None:
        self._listrak = context.listrak
        self._clients = PollClients(context.listrak)
        self._ledger = context.ledger
        self._scope = context.scope
        self._set_aside = context.set_aside
        self._rows = rows
        self._metrics = metrics
        self._departures = departures
        self._budget = CallBudget(lambda: context.listrak.requests_per_second)
        self._page_rows = page_rows
        self._cache = MessageCache(context.ledger)
        self._turns: dict[int, anyio.Lock] = {}

    async def plan(
        self, message: Message, *, full: bool = False, last: bool = False
    ) -> PlannedPoll | None:
        """Reads the counters of a message and plans its poll; None where there is nothing to read.

        full: everything is to be read.
        last: the message is about to be untracked.
        """
        started = self._listrak.clock.now()
        cursor: PollCursor | None = None
        begun = await self._ledger.store.polls.open_one(message.id)
        if begun is None:
            summary = await self._summary(message)
        else:
            started, cursor = begun.started_at, begun.cursor
            summary = (
                msgspec.json.decode(begun.summary, type=wire.Summary) if begun.summary else None
            )
        counts = await self._cache.counts_of(message)
        if summary is not None and begun is None:
            self._metrics.note(message, summary, counts)
        snapshot = MessageSnapshot(
            message=message,
            counted={} if summary is None else counted_of(summary),
            seen=seen_of(counts),
            watermarks=self._cache.watermarks_of(message),
            filters=await self._cache.filters(),
            now=started,
            track=self._scope.track,
            page_rows=self._page_rows,
            seconds_per_call=self._budget.seconds_per_call(),
            most_sends=self._budget.pages_at_once() * self._page_rows,
            unsubscribed_at=self._departures.noted_at(message.list_id),
            certain=min(started, self._listrak.clock.certain()),
            is_last=last,
            clicks_left=self._set_aside.is_click_due(message.list_id, message.path),
        )
        chosen = plan(snapshot, full=full or begun is not None)
        self._cache.set_watermarks(message, chosen.watermarks)
        if not chosen:
            return None
        text = "" if summary is None else msgspec.json.encode(summary).decode()
        return PlannedPoll(snapshot, chosen, text, cursor)

    def note_tracked(self, list_id: int, messages: Sequence[Message]) -> None:
        """Notes the tracked messages of a list, among which the budget is divided."""
        self._budget.note(list_id, messages, self._listrak.clock.now())

    def turn(self, message: int) -> anyio.Lock:
        """The turn of whoever plans and reads a message, up to the end of the poll."""
        return self._turns.setdefault(message, anyio.Lock())

    async def read_first(self, message: int, source: SourceList) -> None:
        """Polls a message if none of its polls is complete; returns when this one is."""
        async with self.turn(message):
            unread = await self._ledger.store.messages.get(message)
            if unread.polled_at is not None or unread.untracked:
                return
            planned = await self.plan(unread, full=True)
            if planned is not None:
                poll = await self.read(planned, source)
                await self.flush()
                await self.finish(poll)

    async def read(self, planned: PlannedPoll, source: SourceList) -> MessagePoll:
        """Reads what is planned. The poll is complete once its last page is acknowledged."""
        message, started = planned.snapshot.message, planned.snapshot.now
        poll = await self._begin(planned, source)
        if planned.plan.full and planned.cursor is None:

            async def begin(store: Store) -> None:
                await store.messages.set_first_floor(message.id, poll.window.floor)
                await store.polls.begin(message.id, started, planned.summary)

            await self._ledger.commit(begin)
        try:
            await self._rows.read(poll, source)
        except Exception:
            await self._abandon(poll)
            raise
        return poll

    async def finish(self, poll: MessagePoll) -> None:
        """Returns when a poll that was read is complete. Raises PageError if it never will be."""
        await poll.completed.wait()
        if poll.failure.error is not None:
            await self._abandon(poll)
            poll.failure.check()

    async def _abandon(self, poll: MessagePoll) -> None:
        message = poll.message
        # Pages in flight must be acknowledged before the message is read again.
        await poll.acks.drained()
        if not poll.plan.full:
            # Another poll begins anew, where a full one goes on.
            self._ledger.enqueue(lambda store: store.messages.release_properties(message.id))
        await self._ledger.flush()
        self._cache.forget_counts(message)

    def forget_counts(self, message: Message) -> None:
        """Has the numbers of a message read again: another than a poll has changed them."""
        self._cache.forget_counts(message)

    def knows_attributions(self, message: int, at: float) -> bool:
        """Tells whether all unsubscribes through a message up to a time (Listrak's) are known."""
        reconciled_at = self._cache.reconciled_at(message, UNSUBSCRIBED)
        return reconciled_at is not None and reconciled_at >= at

    async def untrack(self, message: Message) -> None:
        """Stops tracking a message; forgets it where it is certain that it is over."""
        certain = self._listrak.clock.certain()
        if schedule.is_over(message, self._scope.track, certain):
            await self._ledger.commit(lambda store: store.messages.untrack(message.id))
        else:
            await self._ledger.commit(lambda store: store.messages.suspend(message.id))
        self._metrics.forget(message)
        self._cache.forget(message)
        self._turns.pop(message.id, None)
        self._set_aside.forget_message(message.list_id, message.path)

    async def flush(self) -> None:
        """Makes the pages that were read so far be sent without waiting for full batches."""
        await self._rows.flush()

    async def _summary(self, message: Message) -> wire.Summary | None:
        """A message's counters; None where there are none, so that only its rows can tell.

        Where they fail by themselves they are set aside: they are missing then, not the events.
        """
        if message.kind == "transactional":
            return None
        listrak = self._clients.of(message, self._listrak.clock.now())

        async def read() -> wire.Summary | None:
            try:
                return await listrak.summary(message.path)
            except MissingError:
                return None

        return await self._set_aside.attempt(Part(message.list_id, "summary", message.path), read)

    async def _begin(self, planned: PlannedPoll, source: SourceList) -> MessagePoll:
        seen_events = self._ledger.store.seen_events
        snapshot, scope = planned.snapshot, self._scope
        message = snapshot.message
        floor = message.floor
        if floor is None:
            # The first time also sends from before the horizon whose tracking reaches past it.
            floor = floor_of(message, times.seconds(source.horizon) - scope.track)
        runs = await seen_events.runs(message.id)
        watermarks = planned.plan.watermarks
        read_until = watermarks.read_until
        window = PollWindow(
            horizon=source.horizon,
            floor=floor,
            previous=_instant(message.polled_at),
            complete_until={
                event: times.from_seconds(watermark.reconciled_at - ROW_DELAY)
                for event, watermark in watermarks.by_event.items()
                # What no poll could find may be in rows that could not be read.
                if watermark.reconciled_at > ROW_DELAY
                and (read_until is None or not watermark.never_shown)
            },
            read_until=None if read_until is None else _instant(read_until),
        )
        return MessagePoll(
            planned,
            window,
            seen=SeenKeys(runs) if planned.plan.full else SeenKeys.unmerged(runs),
            totals=await seen_events.totals(message.id),
            end=TrackedPollEnd(self._cache),
            namespace=scope.namespace,
        )


def _instant(seconds: float | None) -> times.Instant:
    """The instant of a time, "" for none."""
    return times.from_seconds(seconds) if seconds else ""
