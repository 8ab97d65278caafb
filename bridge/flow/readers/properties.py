"""The properties that all events of a poll carry: names as of its beginning, saved before use."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NamedTuple, TypeVar

import msgspec

from bridge.event_types import CAMPAIGN_ID
from bridge.flow.context import ReaderContext
from bridge.flow.message_poll import MessagePoll
from bridge.flow.readers.names import Names, await_name
from bridge.flow.scheduling import schedule
from bridge.flow.source import SourceList
from bridge.listrak import wire
from bridge.segment import events
from bridge.state.records import Message
from bridge.state.set_aside import Part
from bridge.state.store import Store

Answer = TypeVar("Answer")

SUBJECT = "email_subject"
CAMPAIGN = "campaign_name"
ANALYTICS = "google_analytics_campaign_name"


class Details(NamedTuple):
    """A message as it is when it is asked for by itself.

    subject: "" for none.
    analytics_name: of the Google Analytics campaign; None for none.
    campaign_id: 0 for none.
    sent_at: instant of the send, "" for none.
    """

    subject: str
    analytics_name: str | None
    campaign_id: int
    sent_at: str


class PropertyReader:
    """Composes the properties of polls from what things are called when they begin."""

    def __init__(self, context: ReaderContext, names: Names) -> None:
        self._listrak = context.listrak
        self._ledger = context.ledger
        self._set_aside = context.set_aside
        self._zone = context.scope.zone
        self._extra = context.scope.extra_properties
        self._names = names

    async def prepare(self, poll: MessagePoll, source: SourceList) -> None:
        """Gives a poll the properties of its events, before the first of its rows go on.

        1. Another poll with these properties was interrupted: they stay, as some of its events may
           have been sent, and a repeated event is the identical one.
        2. Else they are composed anew, and saved before they are used.
        """
        if poll.has_properties:
            return
        if not _goes_on(poll):  # 2
            await self._renew(poll, await self._names.current(source))
        poll.has_properties = True

    async def _renew(self, poll: MessagePoll, source: SourceList) -> None:
        message, details = poll.message, None
        if _are_details_due(poll):
            details = await self._read_details(message)
        properties = await self._compose(message, details, source)
        sent_at = message.sent_at
        if message.properties is None and details is not None:
            sent_at = details.sent_at
        await self._save(poll, properties, sent_at, details)
        poll.message = replace(message, properties=properties, sent_at=sent_at)

    async def _save(
        self, poll: MessagePoll, properties: str, sent_at: str, details: Details | None
    ) -> None:
        backfill, message = poll.backfill, poll.message.id

        async def work(store: Store) -> None:
            if backfill is not None:
                await store.backfills.set_properties(backfill, properties, sent_at)
                return
            await store.messages.use_properties(message, properties, sent_at)
            if details is not None:
                await store.messages.set_details(
                    message, details.subject, details.campaign_id, poll.started_at
                )

        await self._ledger.commit(work)

    async def _compose(self, message: Message, details: Details | None, source: SourceList) -> str:
        """Properties as JSON text; what isn't read again stays as it was."""
        known = _known(message)
        subject, analytics_name = message.subject, known.get(ANALYTICS)
        campaign_id = message.campaign_id
        if details is not None:
            subject, analytics_name, campaign_id, _ = details
        named = {
            "email_id": str(message.message_id),
            SUBJECT: known.get(SUBJECT) if subject is None else subject,
            CAMPAIGN: await self._names.campaign(
                message.list_id,
                campaign_id,
                known.get(CAMPAIGN),
                wait=message.properties is None,
            ),
            ANALYTICS: analytics_name,
            **source.properties,
        }
        if campaign_id and CAMPAIGN_ID in self._extra:
            named[CAMPAIGN_ID] = str(campaign_id)
        return events.properties_of(named)

    async def _read_details(self, message: Message) -> Details | None:
        """The details that the message itself tells; None where they can't be read.

        What it was called before is better than none of its events. Those of one that was never
        read wait first, for an hour at most: names can't be had later.
        """
        details = await self._attempt(
            Part(message.list_id, "details", message.path),
            lambda: self._details_of(message),
            wait=message.properties is None,
        )
        is_dated = message.kind != "broadcast" or message.properties is not None
        if details is None or details.sent_at or is_dated:
            return details
        sent_at = await self._attempt(
            Part(message.list_id, "details", f"{message.path}/Status"),
            lambda: self._started(message),
            wait=True,
        )
        return details._replace(sent_at=sent_at or "")

    async def _attempt(
        self, part: Part, reading: Callable[[], Awaitable[Answer]], *, wait: bool
    ) -> Answer | None:
        answer = await self._set_aside.attempt(part, reading)
        if answer is None and wait:
            await_name(self._set_aside, part)
        return answer

    async def _details_of(self, message: Message) -> Details:
        """The details; what can't be read of them is as it was."""
        known = _known(message)
        subject, campaign_id = message.subject or known.get(SUBJECT, ""), message.campaign_id
        if message.kind == "transactional":
            rows = await self._listrak.transactional_messages(message.list_id)
            told = _subject_of(message, rows)
            subject = subject if told == wire.UNREAD_NAME else told
            return Details(subject, None, campaign_id, message.sent_at)
        detail = await self._listrak.message(message.path)
        if message.kind == "broadcast" and detail.campaign_id != wire.UNREAD_ID:
            # Conversation messages may have the campaign of their conversation.
            campaign_id = detail.campaign_id or 0
        if detail.subject != wire.UNREAD_NAME:
            subject = detail.subject or ""
        analytics_name = detail.google_analytics_campaign_name
        if analytics_name == wire.UNREAD_NAME:
            analytics_name = known.get(ANALYTICS)
        sent_at = message.sent_at or self._zone.lenient(detail.send_date)
        return Details(subject, analytics_name, campaign_id, sent_at)

    async def _started(self, message: Message) -> str:
        return self._zone.lenient(await self._listrak.started(message.path))


def _known(message: Message) -> dict[str, str]:
    """The properties that a message had when it was polled last."""
    return msgspec.json.decode(message.properties or "{}", type=dict[str, str])


def _goes_on(poll: MessagePoll) -> bool:
    """Tells whether events with the properties of an earlier poll may have been sent unnoticed."""
    if poll.backfill is not None:
        return poll.backfill.properties is not None
    return poll.message.properties is not None and bool(poll.message.properties_used)


def _are_details_due(poll: MessagePoll) -> bool:
    """Tells whether the message is to be asked for by itself. Any of:

    1. Nothing is known of it, or it is to be read from end to end, which can afford one call more.
    2. A day has passed since: no listing tells the Google Analytics campaign.

    Of a transactional message the listings tell all there is: only where they didn't.
    """
    message = poll.message
    if message.kind == "transactional":
        return message.subject is None and message.properties is None
    if message.properties is None or poll.plan.full or message.described_at is None:  # 1
        return True
    return poll.started_at >= message.described_at + schedule.DETAILS_INTERVAL  # 2


def _subject_of(message: Message, rows: list[wire.TransactionalMessage]) -> str:
    mine = [row for row in rows if row.transactional_message_id == message.message_id]
    return mine[0].subject or "" if mine else ""
