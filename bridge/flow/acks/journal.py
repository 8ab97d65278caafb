"""The journal: events that can't be made again the same way are written down before they are sent.

The rise of a total depends on what was known before, and a change of a contact on what Segment was
told; so these events are saved together with their effects, and sent from the outbox.
"""

from collections import Counter

import msgspec

from bridge import clock
from bridge.compression import decompressed
from bridge.flow.acks.outbox_pages import names_of, packed
from bridge.flow.acks.outcomes import Outcomes
from bridge.flow.ledger import Ledger, Work
from bridge.flow.mapping.mapped_page import EventSet
from bridge.metrics import Metrics
from bridge.state.store import Store


class Journal:
    """Writes pages of events into the outbox."""

    def __init__(self, ledger: Ledger, metrics: Metrics) -> None:
        self._ledger = ledger
        self._metrics = metrics

    async def write(
        self,
        list_id: int,
        page: EventSet,
        effects: Work,
        outcomes: Outcomes | None = None,
        *,
        already_fetched: bool = False,
    ) -> int | None:
        """Saves the events of a page of a list and their effects; returns when both are on disk.

        Returns the id of the page in the outbox, None where there is nothing to be sent.
        `outcomes`: those of the effects, if any; published with the events' own.
        `already_fetched`: the events were counted as fetched before.
        """
        outbox_id: int | None = None
        new = len(page.events) + len(page.dead)
        numbers = {
            "fetched": 0 if already_fetched else new,
            "dead_lettered": len(page.dead),
        }

        async def work(store: Store) -> None:
            nonlocal outbox_id
            if page.events:
                body = packed(page.events)
                outbox_id = await store.outbox.put(list_id, len(page.events), body)
            await store.dead_letters.add(page.dead, clock.wall_time())
            await store.counters.add(numbers)
            await effects(store)

        own = Outcomes(list_id, numbers, len(page.events), dead=page.dead)

        def publish() -> None:
            for published in (own, outcomes):
                if published is not None:
                    published.publish(self._metrics)

        # Also where this is cancelled before it returns: what is saved is counted.
        await self._ledger.commit(work, publish)
        return outbox_id


def journaled_events(body: bytes) -> tuple[list[bytes], Counter[str]]:
    """The events of a page of the outbox, and how many of each name."""
    raw = msgspec.json.decode(decompressed(body), type=list[msgspec.Raw])
    again = [bytes(event) for event in raw]
    return again, Counter(names_of(again))
