"""Lists the messages of a list, and tells what that costs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.commands.estimation.asking import Asking
from bridge.errors import MissingError
from bridge.flow.forecast.figures import Cost
from bridge.flow.readers.discovery import LOOKBACK
from bridge.flow.source import SourceList
from bridge.listrak import wire
from bridge.state.records import MessageRef


class Emails(NamedTuple):
    """The messages of a list.

    broadcasts: those with a date, each with its seconds since 1970.
    ongoing: messages that go on sending.
    unsent: number of broadcasts without a date, or with one that is still to come.
    discovery: cost of a complete discovery.
    recent: cost of one that lists only what was sent lately.
    """

    broadcasts: Sequence[tuple[MessageRef, float]]
    ongoing: Sequence[MessageRef]
    unsent: int
    discovery: Cost
    recent: Cost


@dataclass
class EmailReader:
    """Lists the messages of a list, as a complete discovery does."""

    asking: Asking
    source: SourceList
    broadcasts: list[tuple[MessageRef, float]] = field(default_factory=list)
    ongoing: list[MessageRef] = field(default_factory=list)
    unsent: int = 0
    has_campaigns: bool = False

    async def read(self, oldest: float) -> Emails:
        """The messages; of split tests that ended before `oldest` (since 1970) none are listed."""
        asking, list_id = self.asking, self.source.list_id
        before = asking.cost()
        listed = await self._listed()
        await asking.attempt(
            f"split tests of list {list_id}", lambda: self._split_tests(listed, oldest)
        )
        await asking.attempt(f"conversations of list {list_id}", self._conversations)
        await asking.attempt(f"transactional messages of list {list_id}", self._transactional)
        if self.has_campaigns:
            await asking.attempt(
                f"campaigns of list {list_id}", lambda: asking.listrak.campaigns(list_id)
            )
        discovery = asking.cost_since(before)
        # Its name is read as well, with all other lists.
        discovery.note("lists", 1)
        lately = sum(sent >= asking.now - LOOKBACK for _, sent in self.broadcasts)
        recent = Cost()
        recent.note("messages", 1, lately)
        return Emails(self.broadcasts, self.ongoing, self.unsent, discovery, recent)

    async def _listed(self) -> set[int]:
        """Takes up the broadcasts that are listed; returns their ids."""
        list_id = self.source.list_id
        rows = await self.asking.attempt(
            f"messages of list {list_id}", lambda: self.asking.listrak.messages(list_id)
        )
        for row in rows or ():
            self._add(row)
        return {row.message_id for row in rows or ()}

    def _add(self, row: wire.Message) -> None:
        self.has_campaigns = self.has_campaigns or bool(row.campaign_id)
        sent = self.asking.seconds(row.send_date)
        if sent is None or sent > self.asking.now:
            self.unsent += 1
        else:
            ref = MessageRef(self.source.list_id, "broadcast", row.message_id)
            self.broadcasts.append((ref, sent))

    async def _split_tests(self, listed: set[int], oldest: float) -> None:
        listrak, list_id = self.asking.listrak, self.source.list_id
        try:
            tests = await listrak.split_tests(list_id)
        except MissingError:
            return
        for test in tests:
            ended = self.asking.seconds(test.end_date)
            if ended is not None and ended < oldest:
                continue
            for number in await listrak.split_test_messages(list_id, test.split_test_id):
                if number not in listed:
                    listed.add(number)
                    self._add(await listrak.message(f"List/{list_id}/Message/{number}"))

    async def _conversations(self) -> None:
        listrak, list_id = self.asking.listrak, self.source.list_id
        try:
            talks = await listrak.conversations(list_id)
        except MissingError:
            return
        for talk in talks:
            for row in await listrak.conversation_messages(list_id, talk.conversation_id):
                self.has_campaigns |= bool(row.campaign_id or talk.campaign_id)
                self.ongoing.append(
                    MessageRef(list_id, "conversation", row.message_id, talk.conversation_id)
                )

    async def _transactional(self) -> None:
        list_id = self.source.list_id
        try:
            mails = await self.asking.listrak.transactional_messages(list_id)
        except MissingError:
            return
        for mail in mails:
            self.has_campaigns |= bool(mail.campaign_id)
            self.ongoing.append(MessageRef(list_id, "transactional", mail.transactional_message_id))
