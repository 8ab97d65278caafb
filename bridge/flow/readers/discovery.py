"""Finds the emails of a list that are to be tracked."""

from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from bridge.errors import MissingError
from bridge.flow.ledger import Ledger
from bridge.flow.source import SourceList
from bridge.listrak import times
from bridge.listrak.client import Listrak
from bridge.listrak.times import Instant, Zone
from bridge.state.store import Store
from bridge.telemetry import log

LATELY: Final = 2 * 86400.0
"""Seconds that a list of recent messages goes back: what dates are held against isn't proven."""

Row = TypeVar("Row")


class Discovery:
    """Reads what messages there are. `horizon`: the start horizon; `track`: seconds."""

    def __init__(
        self, listrak: Listrak, ledger: Ledger, zone: Zone, *, horizon: Instant, track: float
    ) -> None:
        self._listrak = listrak
        self._ledger = ledger
        self._zone = zone
        self._horizon = horizon
        self._track = track

    async def discover(self, source: SourceList, *, everything: bool) -> None:
        """Finds the emails of a list that are to be tracked."""
        started = self._listrak.clock.now()
        state = await self._ledger.store.list_state(source.list_id)
        first = state.discovered_at is None
        # At first also what was sent so long before the horizon that its tracking reaches past it.
        since = times.seconds(self._horizon) if first else started
        oldest = times.from_seconds(since - self._track)
        # A message without a send date may be left out by a date filter: now and then all are read.
        lately = None if first or everything else times.from_seconds(started - LATELY)
        found = await self._broadcasts(source.list_id, oldest, lately, tests=everything)
        if everything:
            found += await self._going_on(source.list_id)

        async def work(store: Store) -> None:
            await store.messages.add(found, started)
            await store.discovered(source.list_id, started)

        await self._ledger.write(work)

    async def emails(self, list_id: int, oldest: Instant) -> list[Any]:
        """Every email of a list: broadcast messages sent since `oldest`, all of the other kinds.

        Each as `Messages.add` takes them.
        """
        found = await self._broadcasts(list_id, oldest, None, tests=True)
        return found + await self._going_on(list_id)

    async def _broadcasts(
        self, list_id: int, oldest: Instant, lately: Instant | None, *, tests: bool
    ) -> list[Any]:
        listed = await self._listrak.messages(list_id, lately and self._zone.naive_from(lately))
        found: list[Any] = []
        for row in listed:
            sent = self._zone.lenient(row.send_date)
            # Without a date it may be about to be sent, or have been: its rows will tell.
            if not sent or sent >= oldest:
                found.append((list_id, "broadcast", row.message_id, 0, row.campaign_id or 0, sent))
        if not tests:
            return found
        seen = {row.message_id for row in listed}
        for test in await self._if_any(self._listrak.split_tests(list_id)):
            ended = self._zone.lenient(test.end_date)
            if ended and ended < oldest:
                continue
            for message_id in await self._listrak.split_test_messages(list_id, test.split_test_id):
                if message_id not in seen:
                    seen.add(message_id)
                    found += await self._unlisted(list_id, message_id, oldest)
        return found

    async def _unlisted(self, list_id: int, message_id: int, oldest: Instant) -> list[Any]:
        """A split test's message that the message list leaves out."""
        try:
            row = await self._listrak.message(f"List/{list_id}/Message/{message_id}")
        except MissingError:
            return []
        sent = self._zone.lenient(row.send_date)
        if sent and sent < oldest:
            return []
        return [(list_id, "broadcast", message_id, 0, row.campaign_id or 0, sent)]

    async def _going_on(self, list_id: int) -> list[Any]:
        """Conversation and transactional messages."""
        found: list[Any] = []
        for talk in await self._if_any(self._listrak.conversations(list_id)):
            number = talk.conversation_id
            for row in await self._listrak.conversation_messages(list_id, number):
                campaign = row.campaign_id or talk.campaign_id or 0
                found.append((list_id, "conversation", row.message_id, number, campaign, ""))
        for mail in await self._if_any(self._listrak.transactional_messages(list_id)):
            number = mail.transactional_message_id
            found.append((list_id, "transactional", number, 0, mail.campaign_id or 0, ""))
        return found

    async def _if_any(self, listing: Awaitable[list[Row]]) -> list[Row]:
        """A listing, empty where the account has no such thing at all."""
        try:
            return await listing
        except MissingError as error:
            log.info("listing.missing", reason=str(error))
            return []
