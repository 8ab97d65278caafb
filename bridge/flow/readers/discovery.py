"""Finds the messages of a list that are to be tracked."""

from collections.abc import Awaitable
from typing import Final, TypeVar

from bridge.clock import DAY
from bridge.errors import MissingError
from bridge.flow.context import ReaderContext
from bridge.flow.readers.names import Names
from bridge.flow.source import SourceList
from bridge.listrak import times, wire
from bridge.listrak.times import Instant
from bridge.logs import log
from bridge.state.records import MessageRef
from bridge.state.store import Store

LOOKBACK: Final = 2 * DAY
"""Seconds that a list of recent messages goes back: the date that a filter goes by isn't proven
(bridge/listrak/FACTS.md: Messages)."""

Row = TypeVar("Row")


class Discovery:
    """Finds the messages of lists. Raises what the Listrak client raises."""

    def __init__(self, context: ReaderContext, names: Names) -> None:
        self._names = names
        self._listrak = context.listrak
        self._ledger = context.ledger
        self._scope = context.scope

    async def discover(self, source: SourceList, *, everything: bool) -> None:
        """Tracks the messages of a list that were sent since the latest complete discovery.

        `everything`: also split tests, conversations and transactional messages, and messages
        without a date, which makes it a complete one; else those that were sent lately. What is
        tracked already follows the subjects and campaigns that are listed; with a complete one, the
        names of the list and its campaigns are read again.
        """
        started = self._listrak.clock.now()
        state = await self._ledger.store.lists.state(source.list_id)
        previous = state.discovered_at
        # It goes on from the previous one, however long ago: what was sent meanwhile is found, and
        # what was found before is known by then. The first time also messages sent before the
        # horizon whose tracking reaches past it.
        since = times.seconds(source.horizon) if previous is None else min(previous, started)
        oldest = times.from_seconds(since - max(self._scope.track, LOOKBACK))
        # What was over by then doesn't come in by a longer tracking: nobody saw what it came to.
        first = await self._ledger.store.lists.tracked_from(source.list_id)
        oldest = max(oldest, self._scope.zone.moved(first, state.zone))
        # A message without a send date may be left out by a date filter: now and then all are read.
        recent_only = previous is not None and not everything
        lately = times.from_seconds(since - LOOKBACK) if recent_only else None
        refs = await self._broadcasts(source.list_id, oldest, lately, tests=everything)
        if everything:
            refs += await self._recurring(source.list_id)
        name = await self._name(source.list_id, refs) if everything else None

        async def work(store: Store) -> None:
            if name is not None:
                await store.lists.rename(source.list_id, name)
            await store.messages.add(refs, started)
            if everything:
                await store.lists.set_discovered(source.list_id, started, oldest)

        await self._ledger.commit(work)

    async def _name(self, list_id: int, refs: list[MessageRef]) -> str | None:
        """The list's name; those of its campaigns are read as well if any message has one."""
        return await self._names.read(list_id, campaigns=any(ref.campaign_id for ref in refs))

    async def emails(self, list_id: int, oldest: Instant) -> list[MessageRef]:
        """Every message of a list: broadcasts sent since `oldest`, all of the other kinds."""
        refs = await self._broadcasts(list_id, oldest, None, tests=True)
        return refs + await self._recurring(list_id)

    async def _broadcasts(
        self, list_id: int, oldest: Instant, lately: Instant | None, *, tests: bool
    ) -> list[MessageRef]:
        """Broadcasts sent since `oldest`; those listed since `lately`, if one is given."""
        zone = self._scope.zone
        listed = await self._listrak.messages(list_id, lately and zone.naive_from(lately))
        refs: list[MessageRef] = []
        for row in listed:
            sent = zone.lenient(row.send_date)
            # A message without a date may be scheduled, or sent: its rows will tell.
            if not sent or sent >= oldest:
                refs.append(_broadcast(list_id, row, sent, row.subject))
        if tests:
            seen = {row.message_id for row in listed}
            refs += await self._split_tests(list_id, oldest, seen)
        return refs

    async def _split_tests(self, list_id: int, oldest: Instant, seen: set[int]) -> list[MessageRef]:
        """Messages of split tests that the message list leaves out."""
        refs: list[MessageRef] = []
        for test in await self._if_any(self._listrak.split_tests(list_id)):
            ended = self._scope.zone.lenient(test.end_date)
            if ended and ended < oldest:
                continue
            for message_id in await self._listrak.split_test_messages(list_id, test.split_test_id):
                if message_id not in seen:
                    seen.add(message_id)
                    refs += await self._unlisted(list_id, message_id, oldest)
        return refs

    async def _unlisted(self, list_id: int, message_id: int, oldest: Instant) -> list[MessageRef]:
        try:
            row = await self._listrak.message(f"List/{list_id}/Message/{message_id}")
        except MissingError:
            return []
        sent = self._scope.zone.lenient(row.send_date)
        if sent and sent < oldest:
            return []
        row.message_id = message_id
        return [_broadcast(list_id, row, sent, row.subject or "")]

    async def _recurring(self, list_id: int) -> list[MessageRef]:
        """Conversation and transactional messages, which go on sending."""
        refs: list[MessageRef] = []
        for talk in await self._if_any(self._listrak.conversations(list_id)):
            number = talk.conversation_id
            for row in await self._listrak.conversation_messages(list_id, number):
                campaign = row.campaign_id or talk.campaign_id or 0
                refs.append(
                    MessageRef(
                        list_id,
                        "conversation",
                        row.message_id,
                        number,
                        campaign,
                        subject=row.subject,
                    )
                )
        for mail in await self._if_any(self._listrak.transactional_messages(list_id)):
            number = mail.transactional_message_id
            campaign = mail.campaign_id or 0
            refs.append(
                MessageRef(
                    list_id, "transactional", number, campaign_id=campaign, subject=mail.subject
                )
            )
        return refs

    async def _if_any(self, listing: Awaitable[list[Row]]) -> list[Row]:
        """A listing, empty where the account has no such thing at all."""
        try:
            return await listing
        except MissingError as error:
            log.info("listing.missing", reason=str(error))
            return []


def _broadcast(list_id: int, row: wire.Message, sent: Instant, subject: str | None) -> MessageRef:
    return MessageRef(list_id, "broadcast", row.message_id, 0, row.campaign_id or 0, sent, subject)
