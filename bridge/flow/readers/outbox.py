"""Sends the outbox on: pages that were journaled and not acknowledged before the last stop."""

from bridge.flow.context import ReaderContext
from bridge.flow.in_flight import InFlight
from bridge.flow.page import Flush, OutboxPage


class OutboxReader:
    """Reads the outbox from the state file."""

    def __init__(self, context: ReaderContext) -> None:
        self._ledger = context.ledger
        self._pages = context.pages

    async def replay(self) -> None:
        """Sends all pages of the outbox; returns when they are acknowledged."""
        in_flight = InFlight()
        for outbox_id, list_id, body in await self._ledger.store.outbox.pages():
            in_flight.add()
            await self._pages.send(OutboxPage(outbox_id, list_id, in_flight, body))
        await self._pages.send(Flush())
        await in_flight.drained()
