"""Sends pending unsubscribes on, as soon as it is known which message each came through.

Where no message is found, each waits until none can be any more, an hour at most: see
`schedule.attributable_until`.
"""

from typing import Final

from bridge.flow.channel import Channel
from bridge.flow.context import ReaderContext
from bridge.flow.in_flight import InFlight
from bridge.flow.page import Flush, UnsubscribePage
from bridge.flow.readers.names import Names
from bridge.flow.source import SourceList
from bridge.state.records import Backfill, PendingUnsubscribe

CHUNK: Final = 1000
"""Pending or withheld unsubscribes that go out as a page."""


class UnsubscribeReader:
    """Reads pending and withheld unsubscribes from the state file."""

    def __init__(self, context: ReaderContext, names: Names) -> None:
        self._names = names
        self._ledger = context.ledger
        self._pages = context.pages[Channel.TRACKS]

    async def release(self, source: SourceList, noted_by: float) -> None:
        """Sends a list's pending unsubscribes; returns when they are acknowledged.

        noted_by: those noted by then, by the store's clock for what waits; others once their
            message is known.
        """
        store = self._ledger.store
        while rows := await store.unsubscribes.pending(source.list_id, noted_by, CHUNK):
            await self._send(source, rows)
        if not await store.unsubscribes.has_old_attributions(source.list_id):
            return
        if (await store.lists.state(source.list_id)).contacts_at is not None:
            # All unsubscribes since the horizon are known by now: attributions left are older.
            await self._ledger.commit(
                lambda store: store.unsubscribes.forget_old_attributions(source.list_id)
            )

    async def release_withheld(self, source: SourceList, backfill: Backfill) -> None:
        """Sends withheld unsubscribes for a backfill; returns when they are acknowledged."""
        unsubscribes = self._ledger.store.unsubscribes
        while rows := await unsubscribes.withheld(source.list_id, backfill.since, CHUNK):
            await self._send(source, rows, backfill)

    async def _send(
        self, source: SourceList, rows: list[PendingUnsubscribe], backfill: Backfill | None = None
    ) -> None:
        in_flight = InFlight()
        in_flight.add()
        named = await self._names.current(source)
        await self._pages.send(UnsubscribePage(named, in_flight, rows, backfill))
        await self._pages.send(Flush())
        await in_flight.drained()
