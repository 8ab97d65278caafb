"""The actors and the bounded queues between them: poller, mapper, sender."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol

import anyio
from anyio.abc import ObjectReceiveStream
from anyio.streams.memory import MemoryObjectSendStream

from bridge.ending.stopping import unless_stopped
from bridge.flow.catch_up import CatchUp
from bridge.flow.channel import Channel
from bridge.flow.context import PollLimits, ReaderContext, Scope
from bridge.flow.delivery import Delivery
from bridge.flow.ledger import Ledger
from bridge.flow.mapper import Mapper
from bridge.flow.mapping.activity import ActivityRules
from bridge.flow.mapping.contacts import ContactRules
from bridge.flow.mapping.user_ids import UserIds
from bridge.flow.page import Page
from bridge.flow.poller import Poller
from bridge.flow.readers import ErrandKind, Readers, readers_of
from bridge.flow.scheduling.slots import slot_count
from bridge.flow.set_aside import SetAside
from bridge.flow.unreadable import Unreadable
from bridge.listrak.client import Listrak
from bridge.metrics import Metrics

CONTACT_PAGES_AHEAD: Final = 0
"""Pages of contacts between readers and mapper, besides the one that each list's reader has."""

DRAIN_WITHIN: Final = 30.0
"""Seconds after a stop in which what was read is sent; what is left then is read again."""

DELIVERIES_AHEAD: Final = 0
"""Deliveries between mapper and sender, besides the one that the mapper has while it waits.

A delivery is many batches, and more than twice as large as the page it was made of.
"""

Read = Callable[[Readers, ReaderContext], Awaitable[None]]


class Sink(Protocol):
    """The end of the data flow. `run` accepts the deliveries of one channel, to their end."""

    async def run(self, deliveries: ObjectReceiveStream[Delivery]) -> None: ...


class Pipeline:
    """Everything between the two servers, built anew for every run.

    make_sink: makes what sends; the rest is shared with the service around it.
    """

    def __init__(
        self,
        listrak: Listrak,
        ledger: Ledger,
        metrics: Metrics,
        make_sink: Callable[[], Sink],
        *,
        scope: Scope,
        limits: PollLimits,
        set_aside: SetAside,
    ) -> None:
        self._listrak = listrak
        self._ledger = ledger
        self._metrics = metrics
        self._make_sink = make_sink
        self._scope = scope
        self._limits = limits
        self._set_aside = set_aside

    async def run(self, stop: anyio.Event) -> None:
        """Polls until `stop`, then drains."""

        async def poll(readers: Readers, context: ReaderContext) -> None:
            await Poller(readers, context, self._metrics, self._limits).run()

        await self._run(poll, stop)

    async def catch_up(self, stop: anyio.Event) -> bool:
        """Reads everything that exists now, once, or until `stop`; tells whether it was all."""

        async def read(readers: Readers, context: ReaderContext) -> None:
            await CatchUp(readers, context, self._metrics, self._limits).everything()

        return await self._run(read, stop)

    async def errand(self, errand: ErrandKind, stop: anyio.Event) -> bool:
        """Reads what was requested of an errand, or until `stop`; tells whether it was all."""

        async def read(readers: Readers, context: ReaderContext) -> None:
            await CatchUp(readers, context, self._metrics, self._limits).errand(errand)

        return await self._run(read, stop)

    async def _run(self, read: Read, stop: anyio.Event) -> bool:
        """Runs the actors while `read` does, and to the end of what it read; False for a stop."""
        return await self._ledger.interruptions.run(lambda: self._run_actors(read, stop))

    async def _run_actors(self, read: Read, stop: anyio.Event) -> bool:
        limits, scope = self._limits, self._scope
        # Each reader has a page as well; mapper and sender have a delivery each, which is larger.
        ahead = limits.queue_pages - slot_count(limits.concurrency, len(scope.sources)) - 3
        pages = {
            Channel.TRACKS: anyio.create_memory_object_stream[Page](max(1, ahead)),
            Channel.IDENTIFIES: anyio.create_memory_object_stream[Page](CONTACT_PAGES_AHEAD),
        }
        deliveries = {
            channel: anyio.create_memory_object_stream[Delivery](DELIVERIES_AHEAD)
            for channel in Channel
        }
        queue, outstanding = self._metrics.queue, self._metrics.outstanding
        queue.labels("pages").set_function(_waiting_in(pages.values()))
        queue.labels("parcels").set_function(_waiting_in(deliveries.values()))
        # What waits to be turned into events, or to be sent.
        waiting = _waiting_in([*pages.values(), *deliveries.values()])
        outstanding.labels("mapping").set_function(waiting)
        mapper = Mapper(
            self._ledger,
            ActivityRules(scope.zone, scope.events, scope.extra_properties),
            ContactRules(
                scope.zone, scope.events, scope.namespace, UserIds(scope.ignored_user_ids)
            ),
            self._metrics,
        )
        into = {channel: stream for channel, (stream, _) in pages.items()}
        context = self._context(into)
        readers = readers_of(context, self._metrics)

        async def read_all() -> bool:
            await read(readers, context)
            return True

        sink = self._make_sink()
        async with AsyncExitStack() as stack:
            actors = await stack.enter_async_context(anyio.create_task_group())
            for channel in Channel:
                delivery_in, delivery_out = deliveries[channel]
                actors.start_soon(sink.run, delivery_out)
                actors.start_soon(mapper.run, pages[channel][1], delivery_in)
                await stack.enter_async_context(into[channel])
            complete = await unless_stopped(stop, read_all)
            if not complete:
                # What one channel waits for must not keep the other one from going on.
                actors.cancel_scope.deadline = anyio.current_time() + DRAIN_WITHIN
        return bool(complete)

    def _context(self, pages: Mapping[Channel, MemoryObjectSendStream[Page]]) -> ReaderContext:
        """The surroundings of readers that send their pages there."""
        unreadable = Unreadable(self._ledger, self._metrics)
        return ReaderContext(
            self._listrak.telling(unreadable.note_answer),
            self._ledger,
            pages,
            self._scope,
            self._set_aside,
            self._limits.interval,
        )


def _waiting_in(queues: Iterable[tuple[MemoryObjectSendStream[Any], Any]]) -> Callable[[], int]:
    """A function that counts what waits in all of some queues, for a metric."""
    streams = [into for into, _ in queues]
    return lambda: sum(map(_waiting, streams))


def _waiting(queue: MemoryObjectSendStream[Any]) -> int:
    """The number of items in a queue, or with senders that wait for a place in it."""
    statistics = queue.statistics()
    return statistics.current_buffer_used + statistics.tasks_waiting_send
