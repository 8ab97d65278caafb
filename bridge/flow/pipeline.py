"""The actors and the bounded queues between them: poller, mapper, sender."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from anyio.streams.memory import MemoryObjectSendStream

from bridge.flow.catch_up import CatchUp
from bridge.flow.ledger import Ledger
from bridge.flow.mapper import Mapper
from bridge.flow.page import Page, Parcel
from bridge.flow.poller import Poller
from bridge.flow.readers import Readers
from bridge.flow.readers.contacts import ContactReader
from bridge.flow.readers.discovery import Discovery
from bridge.flow.readers.held import HeldReader
from bridge.flow.readers.history import HistoryReader
from bridge.flow.readers.messages import MessageReader
from bridge.flow.readers.rows import RowReader
from bridge.flow.reconciliation import Comparison
from bridge.flow.rules.activity import ActivityRules
from bridge.flow.rules.contacts import ContactRules
from bridge.flow.slots import most
from bridge.flow.source import SourceList
from bridge.listrak.client import Listrak
from bridge.listrak.times import Instant, Zone
from bridge.pacing import unless
from bridge.telemetry import Metrics

PARCELS_AHEAD: Final = 0
"""Parcels between mapper and sender, besides the one that the mapper holds while it waits.

One is many batches, and more than twice as large as the page it was made of.
"""


class Sink(Protocol):
    """The end of the data's way: takes parcels until there are no more."""

    async def run(self, parcels: ObjectReceiveStream[Parcel]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Pacing:
    """How fast and how much: see the environment table."""

    poll_interval: float
    poll_concurrency: int
    queue_pages: int
    track: float


class Pipeline:
    """Everything between the two servers, built anew for every run.

    `sender` makes a sender; the rest is shared with the service around it.
    """

    def __init__(
        self,
        *,
        listrak: Listrak,
        ledger: Ledger,
        metrics: Metrics,
        sender: Callable[[], Sink],
        sources: Sequence[SourceList],
        zone: Zone,
        horizon: Instant,
        wanted: frozenset[str],
        pacing: Pacing,
    ) -> None:
        self._listrak = listrak
        self._ledger = ledger
        self._metrics = metrics
        self._make_sender = sender
        self._sources = sources
        self._zone = zone
        self._horizon = horizon
        self._wanted = wanted
        self._pacing = pacing

    async def run(self, stop: anyio.Event) -> None:
        """Polls until `stop`, then lets what was read arrive."""
        await self._run(lambda readers: self._poller(readers).run(), stop)

    async def catch_up(self, stop: anyio.Event) -> None:
        """Once through everything that exists now, or until `stop`."""
        await self._run(lambda readers: self._catch_up(readers).everything(), stop)

    async def backfill(self, stop: anyio.Event) -> None:
        """Nothing but the backfills that were asked for, to their end, or until `stop`."""
        await self._run(lambda readers: self._catch_up(readers).history(), stop)

    async def _run(self, read: Callable[[Readers], Awaitable[None]], stop: anyio.Event) -> None:
        pacing = self._pacing
        page_in, page_out = anyio.create_memory_object_stream[Page](
            # Each reader holds a page as well; the mapper has one, made into a parcel, while the
            # sender has another's, and a parcel is the larger of both.
            max(1, pacing.queue_pages - most(pacing.poll_concurrency, len(self._sources)) - 3)
        )
        parcel_in, parcel_out = anyio.create_memory_object_stream[Parcel](PARCELS_AHEAD)
        self._metrics.queue.labels("pages").set_function(lambda: _waiting(page_in))
        self._metrics.queue.labels("parcels").set_function(lambda: _waiting(parcel_in))
        mapper = Mapper(
            self._ledger,
            ActivityRules(self._zone, self._wanted),
            ContactRules(self._zone, self._wanted),
            self._metrics,
        )
        async with anyio.create_task_group() as actors:
            actors.start_soon(self._make_sender().run, parcel_out)
            actors.start_soon(mapper.run, page_out, parcel_in)
            async with page_in:
                await unless(stop, lambda: read(self._readers(page_in)))

    def _readers(self, pages: ObjectSendStream[Page]) -> Readers:
        span: Any = {"horizon": self._horizon, "track": self._pacing.track}
        source = (self._listrak, self._ledger, self._zone)
        discovery = Discovery(*source, **span)
        rows = RowReader(*source, pages, wanted=self._wanted)
        return Readers(
            discovery,
            MessageReader(
                self._listrak,
                self._ledger,
                rows,
                wanted=self._wanted,
                comparison=Comparison(self._metrics),
                **span,
            ),
            ContactReader(*source, pages, horizon=self._horizon),
            HeldReader(self._ledger, pages),
            HistoryReader(self._listrak, self._ledger, discovery, rows, **span),
        )

    def _poller(self, readers: Readers) -> Poller:
        return Poller(
            readers,
            self._ledger,
            self._metrics,
            self._sources,
            self._listrak.clock,
            poll_interval=self._pacing.poll_interval,
            concurrency=self._pacing.poll_concurrency,
            track=self._pacing.track,
        )

    def _catch_up(self, readers: Readers) -> CatchUp:
        return CatchUp(
            readers,
            self._ledger,
            self._sources,
            self._listrak.clock,
            concurrency=self._pacing.poll_concurrency,
            track=self._pacing.track,
        )


def _waiting(queue: MemoryObjectSendStream[Any]) -> int:
    """How many items wait in a queue, or with their senders for a place in it."""
    seen = queue.statistics()
    return seen.current_buffer_used + seen.tasks_waiting_send
