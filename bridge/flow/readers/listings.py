"""Reads the listings of a list's messages, part by part: what fails is set aside by itself."""

from collections.abc import Awaitable, Callable
from types import EllipsisType
from typing import NamedTuple, TypeVar

from bridge.errors import MissingError, is_isolated
from bridge.flow.set_aside import SetAside
from bridge.listrak import wire
from bridge.listrak.client import Listrak
from bridge.listrak.times import Instant, Zone
from bridge.output.logs import log
from bridge.state.records import MessageRef
from bridge.state.set_aside import Part, PartKind

Answer = TypeVar("Answer")
Row = TypeVar("Row")


class ListingSpan(NamedTuple):
    """The part of a list's messages that is to be found.

    complete_until: start of the latest complete reading of what isn't set aside; None for none.
    oldest_since: the instant of the oldest broadcast that counts, for such a start.
    strict: nothing may be missing, so that any failure is raised.
    """

    list_id: int
    complete_until: float | None
    oldest_since: Callable[[float | None], Instant]
    strict: bool = False


class Listings:
    """One reading of the listings of a list's messages.

    refs: messages found so far.
    """

    def __init__(
        self, listrak: Listrak, set_aside: SetAside, zone: Zone, span: ListingSpan
    ) -> None:
        self.refs: list[MessageRef] = []
        self._listrak = listrak
        self._set_aside = set_aside
        self._zone = zone
        self._span = span
        self._list_id = span.list_id
        self._oldest_since = span.oldest_since
        # Ids of broadcasts.
        self._listed: set[int] = set()
        # With the start of the latest complete reading of each.
        self._failed: dict[Part, tuple[Exception, float | None]] = {}
        self._left: set[Part] = set()
        self._read: list[Part] = []
        self._missing: list[Part] = []
        self._there: dict[PartKind, set[str]] = {}

    async def broadcasts(self, lately: Instant | None) -> None:
        """Reads the list of broadcasts; those sent since `lately`, if it is given."""
        part = self._part("broadcasts")
        since = lately and self._zone.naive_from(lately)
        rows = await self._attempt(part, lambda: self._listrak.messages(self._list_id, since))
        oldest = self._oldest_since(self._until(part))
        for row in rows or ():
            self._listed.add(row.message_id)
            sent = self._zone.lenient(row.send_date)
            # A message without a date may be scheduled, or sent: its rows will tell.
            if not sent or sent >= oldest:
                self.refs.append(_broadcast(self._list_id, row, sent, _name(row.subject)))

    async def split_tests(self) -> None:
        """Reads the messages of split tests that the list of broadcasts leaves out."""
        part, list_id = self._part("split tests"), self._list_id
        tests = await self._attempt(
            part, lambda: self._if_any(self._listrak.split_tests(list_id), part)
        )
        if tests is None:
            return
        if part not in self._missing:
            self._there["split test"] = {str(test.split_test_id) for test in tests}
        unlisted: set[str] = set()
        for test in tests:
            one = self._part("split test", test.split_test_id)
            until = self._set_aside.complete_until(one, self._until(part))
            ended = self._zone.lenient(test.end_date)
            if ended and ended < self._oldest_since(until):
                continue
            ids = await self._attempt(one, self._messages_of(test.split_test_id), until)
            for message_id in ids or ():
                if message_id not in self._listed:
                    self._listed.add(message_id)
                    unlisted.add(str(message_id))
                    await self._unlisted(message_id, until)
        unread = (*self._failed, *self._left, *self._missing)
        if not any(one.kind in ("split test", "split tests") for one in unread):
            self._there["split test message"] = unlisted

    def _messages_of(self, test: int) -> Callable[[], Awaitable[list[int]]]:
        return lambda: self._listrak.split_test_messages(self._list_id, test)

    async def _unlisted(self, message_id: int, until: float | None) -> None:
        part = self._part("split test message", message_id)
        path = f"List/{self._list_id}/Message/{message_id}"
        until = self._set_aside.complete_until(part, until)

        async def read() -> list[wire.Message]:
            try:
                return [await self._listrak.message(path)]
            except MissingError:
                return []

        for row in await self._attempt(part, read, until) or ():
            sent = self._zone.lenient(row.send_date)
            if not sent or sent >= self._oldest_since(until):
                self.refs.append(_broadcast(self._list_id, row, sent, _name(row.subject or "")))

    async def conversations(self) -> None:
        """Reads the messages of conversations, which go on sending."""
        part, list_id = self._part("conversations"), self._list_id
        talks = await self._attempt(
            part, lambda: self._if_any(self._listrak.conversations(list_id))
        )
        if talks is None:
            return
        self._there["conversation"] = {str(talk.conversation_id) for talk in talks}
        for talk in talks:
            number = talk.conversation_id
            one = self._part("conversation", number)
            for row in await self._attempt(one, self._messages_in(number)) or ():
                campaign = _id(row.campaign_id or talk.campaign_id)
                self.refs.append(
                    MessageRef(
                        list_id,
                        "conversation",
                        row.message_id,
                        number,
                        campaign,
                        subject=_name(row.subject),
                    )
                )

    def _messages_in(self, conversation: int) -> Callable[[], Awaitable[list[wire.Message]]]:
        return lambda: self._listrak.conversation_messages(self._list_id, conversation)

    async def transactional_messages(self) -> None:
        """Reads the list of transactional messages, which go on sending."""
        part, list_id = self._part("transactional messages"), self._list_id
        mails = await self._attempt(
            part, lambda: self._if_any(self._listrak.transactional_messages(list_id))
        )
        for mail in mails or ():
            number, campaign = mail.transactional_message_id, _id(mail.campaign_id)
            self.refs.append(
                MessageRef(
                    list_id,
                    "transactional",
                    number,
                    campaign_id=campaign,
                    subject=_name(mail.subject),
                )
            )

    def note_failures(self) -> None:
        """Sets aside what failed: before it is noted that all else was read."""
        for part, (error, until) in self._failed.items():
            self._set_aside.failed(part, error, until)
        for part in self._missing:
            self._set_aside.miss(part, self._until(part))

    def note_successes(self) -> None:
        """Takes back what was read at last: once that is saved which was found."""
        for part in self._read:
            if part not in self._missing:
                self._set_aside.recovered(part)
        for kind, subjects in self._there.items():
            self._set_aside.keep_only(self._list_id, kind, subjects)

    def _part(self, kind: PartKind, subject: int | str = "") -> Part:
        return Part(self._list_id, kind, str(subject))

    def _until(self, part: Part) -> float | None:
        return self._set_aside.complete_until(part, self._span.complete_until)

    async def _attempt(
        self,
        part: Part,
        reading: Callable[[], Awaitable[Answer]],
        until: float | EllipsisType | None = ...,
    ) -> Answer | None:
        """The answer of a reading, None where it is set aside.

        until: start of the latest complete reading of the part, if that isn't the span's.
        """
        strict = self._span.strict
        if not strict and not self._set_aside.is_due(part):
            self._left.add(part)
            return None
        try:
            answer = await reading()
        except Exception as error:
            if strict or not is_isolated(error):
                raise
            since = self._span.complete_until if isinstance(until, EllipsisType) else until
            self._failed[part] = (error, since)
            return None
        self._read.append(part)
        return answer

    async def _if_any(self, listing: Awaitable[list[Row]], dated: Part | None = None) -> list[Row]:
        """A listing, empty where the account has no such thing at all.

        dated: what it is of, where it goes on from its latest complete reading, which it isn't.
        """
        try:
            return await listing
        except MissingError as error:
            log.info("listing.missing", reason=str(error))
            if dated is not None:
                self._missing.append(dated)
            return []


def _broadcast(list_id: int, row: wire.Message, sent: Instant, subject: str | None) -> MessageRef:
    campaign = _id(row.campaign_id)
    return MessageRef(list_id, "broadcast", row.message_id, 0, campaign, sent, subject)


def _id(told: int | None) -> int | None:
    """The id of a campaign, 0 for none, None where it can't be read."""
    return None if told == wire.UNREAD_ID else told or 0


def _name(told: str | None) -> str | None:
    """A name, None where it isn't told or can't be read."""
    return None if told == wire.UNREAD_NAME else told
