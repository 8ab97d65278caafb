"""Reads what waits in the state file: held unsubscribes, and what was not settled before a stop."""

from typing import Final

from anyio.abc import ObjectSendStream

from bridge.flow.ledger import Ledger
from bridge.flow.page import Flush, HeldPage, OutboxPage, Page, Tally
from bridge.flow.source import SourceList

CHUNK: Final = 1000
"""Held unsubscribes that go out as a page."""


class HeldReader:
    """Sends on what the state file holds; returns when it is settled."""

    def __init__(self, ledger: Ledger, pages: ObjectSendStream[Page]) -> None:
        self._ledger = ledger
        self._pages = pages

    async def release(self, source: SourceList, noted_by: float) -> None:
        """Sends the held unsubscribes that were noted by then."""
        store = self._ledger.store
        while rows := await store.unsubscribes.held(source.list_id, noted_by, CHUNK):
            tally = Tally()
            tally.enter()
            await self._pages.send(HeldPage(source.list_id, tally, source.name, rows))
            await self._pages.send(Flush())
            await tally.empty()
        if (await store.list_state(source.list_id)).contacts_at is not None:
            # Every unsubscribe since the horizon is known by now, so what is left was before it.
            await self._ledger.write(
                lambda store: store.unsubscribes.forget_old_causes(source.list_id)
            )

    async def replay(self) -> None:
        """Sends what was written down and not settled before the last stop."""
        tally = Tally()
        for outbox_id, body in await self._ledger.store.outbox.pages():
            tally.enter()
            await self._pages.send(OutboxPage(outbox_id, tally, body))
        await self._pages.send(Flush())
        await tally.empty()
