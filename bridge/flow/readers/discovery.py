"""Finds the messages of a list that are to be tracked."""

from typing import Final

from bridge import clock
from bridge.clock import DAY
from bridge.completions import Completions
from bridge.flow.context import ReaderContext
from bridge.flow.readers.listings import Listings, ListingSpan
from bridge.flow.readers.names import Names
from bridge.flow.source import SourceList
from bridge.listrak import times
from bridge.listrak.times import Instant
from bridge.state.records import MessageRef
from bridge.state.set_aside import LISTING_KINDS
from bridge.state.store import Store

LOOKBACK: Final = 2 * DAY
"""Seconds that a list of recent messages goes back: the date that a filter goes by isn't proven
(bridge/listrak/FACTS.md: Messages)."""


class Discovery:
    """Finds the messages of lists. Raises what the Listrak client raises.

    What fails by itself is set aside, and the rest goes on: each listing has its own time of its
    latest complete reading.
    """

    def __init__(self, context: ReaderContext, names: Names, completions: Completions) -> None:
        self._names = names
        self._completions = completions
        self._listrak = context.listrak
        self._ledger = context.ledger
        self._scope = context.scope
        self._set_aside = context.set_aside

    async def discover(self, source: SourceList, *, everything: bool) -> bool:
        """Tracks the messages of a list that were sent since the latest complete discovery.

        `everything`: also split tests, conversations and transactional messages, and messages
        without a date, which makes it a complete one; else those that were sent lately. What is
        tracked already follows the subjects and campaigns that are listed; with a complete one, the
        names of the list and its campaigns are read again.

        Returns whether it read all that it was to read: nothing of it is set aside.
        """
        list_id, started = source.list_id, self._listrak.clock.now()
        began = clock.boot_time()
        everything = everything or self._set_aside.is_listing_due(list_id)
        span = await self._span(source, started)
        previous = span.complete_until
        listings = self._listings(span)
        # A message without a send date may be left out by a date filter: now and then all are read.
        await listings.broadcasts(
            None
            if previous is None or everything
            else times.from_seconds(min(previous, started) - LOOKBACK)
        )
        name: str | None = None
        if everything:
            await self._read_others(listings)
            name = await self._name(list_id, listings.refs)

        async def work(store: Store) -> None:
            if name is not None:
                await store.lists.rename(list_id, name)
            await store.messages.add(listings.refs, started)
            if everything:
                await store.lists.set_discovered(list_id, started, span.oldest_since(previous))

        # In this order: what failed is set aside before all else counts as read.
        listings.note_failures()
        await self._ledger.commit(work)
        listings.note_successes()
        complete = not self._set_aside.records(list_id, LISTING_KINDS)
        if complete and everything:
            self._completions.complete(list_id, "discovery", began)
        return complete

    async def _span(self, source: SourceList, started: float) -> ListingSpan:
        """The messages of a list that a discovery is to find."""
        state = await self._ledger.store.lists.state(source.list_id)
        # What was over by then doesn't come in by a longer tracking: nobody saw what it came to.
        first = await self._ledger.store.lists.tracked_from(source.list_id)
        first = self._scope.zone.moved(first, state.zone)

        def oldest_since(complete_until: float | None) -> Instant:
            # It goes on from the previous one, however long ago: what was sent meanwhile is found,
            # and what was found before is known by then. The first time also messages sent before
            # the horizon whose tracking reaches past it.
            horizon = times.seconds(source.horizon)
            since = horizon if complete_until is None else min(complete_until, started)
            return max(times.from_seconds(since - max(self._scope.track, LOOKBACK)), first)

        return ListingSpan(source.list_id, state.discovered_at, oldest_since)

    async def emails(self, list_id: int, oldest: Instant) -> list[MessageRef]:
        """Every message of a list: broadcasts sent since `oldest`, all of the other kinds.

        Raises what fails of any listing.
        """
        listings = self._listings(ListingSpan(list_id, None, lambda _: oldest, strict=True))
        await listings.broadcasts(None)
        await self._read_others(listings)
        return listings.refs

    def _listings(self, span: ListingSpan) -> Listings:
        return Listings(self._listrak, self._set_aside, self._scope.zone, span)

    async def _read_others(self, listings: Listings) -> None:
        await listings.split_tests()
        await listings.conversations()
        await listings.transactional_messages()

    async def _name(self, list_id: int, refs: list[MessageRef]) -> str | None:
        """The list's name; those of its campaigns are read as well if any message has one."""
        return await self._names.read(list_id, campaigns=any(ref.campaign_id for ref in refs))
