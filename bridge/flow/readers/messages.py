"""Reads a message: asks whether it moved, and if so reads its rows and its clicks."""

from dataclasses import replace

import msgspec
from anyio.abc import ObjectSendStream

from bridge.errors import MissingError
from bridge.flow import scheduler
from bridge.flow.ledger import Ledger
from bridge.flow.look import Look, floor_of
from bridge.flow.page import ActivityPage, ClickPage, Flush, LastPage, Page
from bridge.flow.readers.restart import read_from
from bridge.flow.reconciliation import Comparison
from bridge.flow.source import SourceList
from bridge.listrak import times, wire
from bridge.listrak.client import Listrak
from bridge.listrak.times import Instant, Zone
from bridge.segment import events
from bridge.state.keys import KnownKeys
from bridge.state.records import Message, Position
from bridge.vocabulary import CLICKED


class MessageReader:
    """Sends the pages of looks on. Raises what the Listrak client raises; a look goes on later."""

    def __init__(
        self,
        listrak: Listrak,
        ledger: Ledger,
        zone: Zone,
        pages: ObjectSendStream[Page],
        *,
        horizon: Instant,
        track: float,
        wanted: frozenset[str],
        comparison: Comparison,
    ) -> None:
        self._listrak = listrak
        self._ledger = ledger
        self._zone = zone
        self._pages = pages
        self._horizon = horizon
        self._track = track
        self._wanted = wanted
        self._comparison = comparison
        self._campaigns: dict[int, dict[int, str]] = {}

    async def check(self, message: Message, source: SourceList, *, full: bool) -> Look | None:
        """Asks whether a message moved, and if so (or if `full`) reads it.

        The look is complete once its last page is committed; None if there was nothing to read.
        """
        started = self._listrak.clock.now()
        begun = await self._ledger.store.looks.open_one(message.id)
        if begun is None:
            summary = await self._summary(message)
            if not full and not scheduler.look_due(message, summary, started):
                return None
            await self._ledger.write(lambda store: store.looks.begin(message.id, started, summary))
            begun = (started, summary, [])
        started_at, _summary, position = begun
        look = await self._look(message, started_at, position)
        await self._read(look, source)
        return look

    async def _summary(self, message: Message) -> str:
        """A message's counters as text; "" where there are none, so that only a look can tell."""
        if message.kind == "transactional":
            return ""
        try:
            summary = await self._listrak.summary(message.path)
        except MissingError:
            return ""
        self._comparison.note(
            message, summary, await self._ledger.store.event_counts.of(message.id)
        )
        return msgspec.json.encode(summary).decode()

    async def flush(self) -> None:
        """Somebody waits for the looks that were read so far."""
        await self._pages.send(Flush())

    async def _look(self, message: Message, started_at: float, position: Position) -> Look:
        store = self._ledger.store
        first = message.looked_at is None
        since = times.seconds(self._horizon) if first else started_at
        return Look(
            message=message,
            started_at=started_at,
            position=position,
            known=KnownKeys(await store.looks.runs(message.id)),
            totals=await store.looks.totals(message.id),
            previous="" if message.looked_at is None else times.from_seconds(message.looked_at),
            horizon=self._horizon,
            floor=floor_of(message, since - self._track),
        )

    async def _read(self, look: Look, source: SourceList) -> None:
        """All pages of a look, from its position on."""
        await read_from(
            look.position,
            lambda position: self._read_stages(look, source, position),
            look.message.path,
        )
        await self._send(look, LastPage(look, look.pages.enter()))

    async def _read_stages(self, look: Look, source: SourceList, position: Position) -> None:
        stage, link_id, cursor = position or ["activity", 0, wire.START]
        if stage == "activity":
            await self._read_activity(look, source, str(cursor))
            link_id, cursor = 0, wire.START
        if look.message.kind != "transactional" and CLICKED in self._wanted:
            await self._read_clicks(look, int(link_id or 0), str(cursor))

    async def _read_activity(self, look: Look, source: SourceList, cursor: str) -> None:
        more: str | None = cursor
        while more is not None:
            page = await self._listrak.activity(look.message.path, more)
            if page.rows and look.message.properties is None:
                look.message = await self._take_over(look.message, source)
            more = page.next_cursor
            position: Position = ["activity", 0, more] if more else ["clicks", 0, wire.START]
            number = look.pages.enter()
            await self._send(look, ActivityPage(look, number, position, page.rows, page.origins))

    async def _read_clicks(self, look: Look, link_id: int, cursor: str) -> None:
        links = await self._listrak.links(look.message.path)
        for link in sorted(links, key=lambda link: link.link_id):
            if link.link_id < link_id or link.click_count == 0:
                continue
            more: str | None = cursor if link.link_id == link_id else wire.START
            while more is not None:
                page = await self._listrak.clickers(look.message.path, link.link_id, more)
                if page.rows and look.message.properties is None:
                    # Clicks without a single row: the rows are late, the next look sees both.
                    return
                more = page.next_cursor
                position: Position = (
                    ["clicks", link.link_id, more]
                    if more
                    else ["clicks", link.link_id + 1, wire.START]
                )
                number = look.pages.enter()
                await self._send(
                    look, ClickPage(look, number, position, link, page.rows, page.origins)
                )

    async def _send(self, look: Look, page: Page) -> None:
        await look.room()
        await self._pages.send(page)

    async def _take_over(self, message: Message, source: SourceList) -> Message:
        """Fixes a message's text and date, the first time that rows of it are seen."""
        name: str | None = None
        sent_at = message.sent_at
        if message.kind == "transactional":
            rows = await self._listrak.transactional_messages(message.list_id)
            mine = [row for row in rows if row.transactional_message_id == message.message_id]
            subject = mine[0].subject if mine else None
        else:
            detail = await self._listrak.message(message.path)
            subject, name = detail.subject, detail.google_analytics_campaign_name
            sent_at = sent_at or self._zone.lenient(detail.send_date)
            if not sent_at and message.kind == "broadcast":
                sent_at = self._zone.lenient(await self._listrak.started(message.path))
        properties = events.properties_of(
            {
                "email_id": str(message.message_id),
                "email_subject": subject,
                "campaign_name": await self._campaign(message.list_id, message.campaign_id),
                "google_analytics_campaign_name": name,
                "list_id": str(message.list_id),
                "list_name": source.name,
            }
        )
        await self._ledger.write(
            lambda store: store.messages.take_over(message.id, properties, sent_at)
        )
        return replace(message, properties=properties, sent_at=sent_at)

    async def _campaign(self, list_id: int, campaign_id: int) -> str | None:
        if not campaign_id:
            return None
        known = self._campaigns.get(list_id, {})
        if campaign_id not in known:
            known = self._campaigns[list_id] = await self._listrak.campaigns(list_id)
        return known.get(campaign_id)
