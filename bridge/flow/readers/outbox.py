"""Sends the outbox on: pages that were journaled before the last stop, or are set aside."""

from collections.abc import Collection
from typing import Final

import anyio

from bridge.flow.acks.journal import journaled_events
from bridge.flow.channel import Channel
from bridge.flow.context import ReaderContext
from bridge.flow.in_flight import InFlight
from bridge.flow.page import Flush, OutboxPage

RETRY_INTERVAL: Final = 600.0
"""Seconds between two tries of events that are set aside."""


class OutboxReader:
    """Reads the outbox from the state file."""

    def __init__(self, context: ReaderContext) -> None:
        self._ledger = context.ledger
        self._pages = context.pages

    async def replay(self, channel: Channel) -> None:
        """Sends all pages of a channel; returns when each is acknowledged, or set aside again."""
        outbox = self._ledger.store.outbox
        await self._send(channel, [page for page, _, _ in await outbox.pages()])

    async def retry(self, channel: Channel, interval: float = RETRY_INTERVAL) -> None:
        """Sends a channel's pages that are set aside, every so many seconds, for ever."""
        while True:
            await anyio.sleep(interval)
            await self._send(channel, await self._ledger.store.outbox.set_aside())

    async def events_set_aside(self) -> int:
        """The number of events that are set aside."""
        return sum((await self._ledger.store.outbox.set_aside()).values())

    async def _send(self, channel: Channel, wanted: Collection[int]) -> None:
        outbox, in_flight = self._ledger.store.outbox, InFlight()
        if not wanted:
            return
        aside = await outbox.set_aside()
        for page, list_id, body in await outbox.pages():
            if page not in wanted:
                continue
            events, names = journaled_events(body)
            if Channel.of(names) is channel:
                in_flight.add()
                await self._pages[channel].send(
                    OutboxPage(page, list_id, in_flight, events, names, set_aside=page in aside)
                )
        await self._pages[channel].send(Flush())
        await in_flight.drained()
