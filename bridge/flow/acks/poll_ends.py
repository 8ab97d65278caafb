"""Ends of polls, once their last page is acknowledged."""

from bridge.flow.figures import seen_of
from bridge.flow.message_cache import MessageCache
from bridge.flow.message_poll import MessagePoll
from bridge.flow.planner.evaluation import evaluate
from bridge.state.records import BackfillMessage
from bridge.state.store import Store


class TrackedPollEnd:
    """The end of a tracked message's poll: what was read is evaluated, saved and learned from."""

    def __init__(self, cache: MessageCache) -> None:
        self._cache = cache

    async def save(self, poll: MessagePoll, store: Store) -> None:
        """Writes the end of the poll and the evaluation of what it read into the transaction."""
        message = poll.message.id
        if poll.plan.full:
            await store.polls.complete(message, changed=poll.changed)
        elif poll.changed:
            await store.polls.complete_partial(message, poll.started_at)
        seen = seen_of(await store.event_counts.of(message))
        poll.result = evaluate(poll.planned.snapshot, poll.plan, poll.stats, seen)
        floor = poll.floor_from_now_on
        if floor > poll.window.floor:
            await store.messages.raise_floor(message, floor)
        if poll.plan.full or poll.changed or floor > poll.window.floor:
            await store.seen_events.compact(message, poll.forgotten_below)
        if poll.has_properties or poll.plan.full:
            # A full poll has come to whatever an interrupted one had on its way.
            await store.messages.release_properties(message)
        watermarks = poll.result.watermarks.text()
        await store.messages.save_watermarks(message, watermarks, poll.planned.summary)

    def committed(self, poll: MessagePoll) -> None:
        """Applies the result, and tells who waits for the poll."""
        self._cache.apply(poll)
        poll.completed.set()


class BackfillPollEnd:
    """The end of a poll that a backfill made: the message leaves its queue."""

    def __init__(self, message: BackfillMessage) -> None:
        self._message = message

    async def save(self, _: MessagePoll, store: Store) -> None:
        """Removes the message from the backfill's queue, in the transaction."""
        await store.backfills.complete(self._message)

    def committed(self, poll: MessagePoll) -> None:
        """Tells who waits for the poll."""
        poll.completed.set()
