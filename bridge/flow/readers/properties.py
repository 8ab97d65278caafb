"""The properties that all events of a message carry: read once, saved before they are used."""

from dataclasses import replace

from bridge.event_types import CAMPAIGN_ID
from bridge.flow.context import ReaderContext
from bridge.flow.message_poll import MessagePoll
from bridge.flow.source import SourceList
from bridge.listrak import wire
from bridge.segment import events
from bridge.state.records import Message


class PropertyReader:
    """Freezes the properties and the date of messages, the first time that rows of one are seen."""

    def __init__(self, context: ReaderContext) -> None:
        self._listrak = context.listrak
        self._ledger = context.ledger
        self._zone = context.scope.zone
        self._extra = context.scope.extra_properties
        # Names of campaigns by list and id.
        self._campaigns: dict[int, dict[int, str]] = {}

    async def freeze(self, poll: MessagePoll, source: SourceList) -> None:
        """Gives the poll's message its properties, saved so that a repeated event is identical."""
        message = poll.message
        subject, analytics_name, sent_at = await self._details_of(message)
        properties = events.properties_of(
            {
                "email_id": str(message.message_id),
                "email_subject": subject,
                "campaign_name": await self._campaign(message.list_id, message.campaign_id),
                "google_analytics_campaign_name": analytics_name,
                **source.properties,
                CAMPAIGN_ID: self._campaign_id(message),
            }
        )
        backfill = poll.backfill
        if backfill is not None:
            await self._ledger.commit(
                lambda store: store.backfills.freeze_properties(backfill, properties, sent_at)
            )
        else:
            await self._ledger.commit(
                lambda store: store.messages.freeze_properties(message.id, properties, sent_at)
            )
        poll.message = replace(message, properties=properties, sent_at=sent_at)

    async def _details_of(self, message: Message) -> tuple[str | None, str | None, str]:
        """Subject, Google Analytics campaign, and instant of the send ("" for none)."""
        if message.kind == "transactional":
            rows = await self._listrak.transactional_messages(message.list_id)
            return _subject_of(message, rows), None, message.sent_at
        detail = await self._listrak.message(message.path)
        sent_at = message.sent_at or self._zone.lenient(detail.send_date)
        if not sent_at and message.kind == "broadcast":
            sent_at = self._zone.lenient(await self._listrak.started(message.path))
        return detail.subject, detail.google_analytics_campaign_name, sent_at

    def _campaign_id(self, message: Message) -> str | None:
        is_sent = CAMPAIGN_ID in self._extra and message.campaign_id
        return str(message.campaign_id) if is_sent else None

    async def _campaign(self, list_id: int, campaign_id: int) -> str | None:
        if not campaign_id:
            return None
        names = self._campaigns.get(list_id, {})
        if campaign_id not in names:
            names = self._campaigns[list_id] = await self._listrak.campaigns(list_id)
        return names.get(campaign_id)


def _subject_of(message: Message, rows: list[wire.TransactionalMessage]) -> str | None:
    mine = [row for row in rows if row.transactional_message_id == message.message_id]
    return mine[0].subject if mine else None
