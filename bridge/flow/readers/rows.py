"""Reads the rows of a message: activity and clicks, page by page."""

import copy
from dataclasses import replace

from anyio.abc import ObjectSendStream

from bridge.errors import RefusedError
from bridge.flow.ledger import Ledger
from bridge.flow.look import Look
from bridge.flow.page import ActivityPage, ClickPage, Flush, LastPage, Page
from bridge.flow.readers.restart import read_from
from bridge.flow.scans.case import Scan
from bridge.flow.scans.doubt import GRACE, Parameter, blame, ignored, unfiltered
from bridge.flow.source import SourceList
from bridge.listrak import times, wire
from bridge.listrak.client import Listrak
from bridge.listrak.times import Zone
from bridge.pacing import Urgency
from bridge.segment import events
from bridge.state.records import Message, Past, Position
from bridge.telemetry import log
from bridge.vocabulary import CLICKED


class RowReader:
    """Sends the pages of looks on. Raises what the Listrak client raises; a look goes on later."""

    def __init__(
        self,
        listrak: Listrak,
        ledger: Ledger,
        zone: Zone,
        pages: ObjectSendStream[Page],
        *,
        wanted: frozenset[str],
    ) -> None:
        self._listrak = listrak
        self._unhurried = listrak.with_urgency(Urgency.WHOLE)
        self._ledger = ledger
        self._zone = zone
        self._pages = pages
        self._wanted = wanted
        self._campaigns: dict[int, dict[int, str]] = {}

    def with_urgency(self, urgency: Urgency) -> "RowReader":
        """The same, whose long looks go before others or after them."""
        other = copy.copy(self)
        other._unhurried = self._listrak.with_urgency(urgency)
        return other

    async def flush(self) -> None:
        """Somebody waits for what was read so far."""
        await self._pages.send(Flush())

    async def read(self, look: Look, source: SourceList) -> None:
        """All pages of a look, from its position on."""
        if look.survey.plan.whole:
            await read_from(
                look.survey.position,
                lambda position: self._read_stages(look, source, position),
                look.message.path,
            )
        for scan in look.survey.plan.scans:
            await self._read_scan(look, source, scan)
        await self._send(look, LastPage(look, look.pages.enter()))

    async def _read_stages(self, look: Look, source: SourceList, position: Position) -> None:
        stage, link_id, cursor = position or ["activity", 0, wire.START]
        if stage == "activity":
            await self._read_activity(look, source, str(cursor))
            link_id, cursor = 0, wire.START
        if look.message.kind != "transactional" and CLICKED in self._wanted:
            await self._read_clicks(look, int(link_id or 0), str(cursor))

    async def _read_scan(self, look: Look, source: SourceList, scan: Scan) -> None:
        """One scan; what Listrak doesn't go along with is not asked for again for a while."""
        survey, kind = look.survey, look.message.kind
        try:
            await read_from([], lambda _: self._read_rows(look, source, scan), look.message.path)
            return
        except (RefusedError, _IgnoredError) as error:
            parameter = error.parameter if isinstance(error, _IgnoredError) else None
            reason = str(error)
        log.info("scan.refused", message=look.message.path, scan=scan.step.name, reason=reason)
        other = unfiltered(scan, parameter)
        if other is None:
            survey.undone.add(scan.step.name)
        else:
            await self._read_scan(look, source, other)
            if scan.step.name in survey.undone:
                return
            parameter = "activityType"
        blame(survey.case.trust, kind, scan, parameter, look.started_at)

    async def _read_rows(self, look: Look, source: SourceList, scan: Scan) -> None:
        since = None if scan.since is None else times.from_seconds(scan.since)
        start = since and self._zone.naive_from(since)
        if scan.step.clicks:
            await self._read_clicks(look, 0, wire.START, scan, start)
        else:
            await self._read_activity(look, source, wire.START, scan, start)

    async def _read_activity(
        self,
        look: Look,
        source: SourceList,
        cursor: str,
        scan: Scan | None = None,
        since: str | None = None,
    ) -> None:
        listrak = self._client_for(look)
        only, by = (scan.only, scan.step.by) if scan else (None, None)
        floor = ""
        if scan is not None and scan.since is not None:
            floor = self._zone.naive(times.from_seconds(scan.since - GRACE))
        more: str | None = cursor
        while more is not None:
            page = await listrak.activity(look.message.path, more, only=only, by=by, since=since)
            if page.rows and look.message.properties is None:
                look.message = await self._take_over(look.message, source, look.past)
            if scan is not None:
                look.survey.rows[scan.step.name] += len(page.rows)
            more = page.next_cursor
            position: Position = ["activity", 0, more] if more else ["clicks", 0, wire.START]
            number = look.pages.enter()
            await self._send(look, ActivityPage(look, number, position, page.rows, page.origins))
            if scan is not None and (parameter := ignored(scan, page.rows, floor)):
                # It may be the whole message; whether that is worth its while is seen later.
                raise _IgnoredError(parameter)

    async def _read_clicks(
        self,
        look: Look,
        link_id: int,
        cursor: str,
        scan: Scan | None = None,
        since: str | None = None,
    ) -> None:
        """The clicks on all links from `link_id` on; in a recent scan, on those with new ones."""
        before = look.survey.case.watching.links if scan is not None and scan.step.recent else {}
        listrak = self._client_for(look)
        links = await listrak.links(look.message.path)
        look.survey.links = {link.link_id: link.click_count or 0 for link in links}
        for link in sorted(links, key=lambda link: link.link_id):
            if link.link_id < link_id or link.click_count == before.get(link.link_id, 0):
                continue
            more: str | None = cursor if link.link_id == link_id else wire.START
            while more is not None:
                path = look.message.path
                page = await listrak.clickers(path, link.link_id, more, since=since)
                if page.rows and look.message.properties is None:
                    # Clicks without a single row: the rows are late, the next look sees both.
                    look.survey.links = {}
                    return
                if scan is not None:
                    look.survey.rows[scan.step.name] += len(page.rows)
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

    def _client_for(self, look: Look) -> Listrak:
        return self._unhurried if look.survey.is_long else self._listrak

    async def _send(self, look: Look, page: Page) -> None:
        await look.room()
        await self._pages.send(page)

    async def _take_over(self, message: Message, source: SourceList, past: Past | None) -> Message:
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
        if past is not None:
            await self._ledger.write(
                lambda store: store.backfills.take_over(past.id, properties, sent_at)
            )
        else:
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


class _IgnoredError(Exception):
    """The rows of a scan show that a parameter of it was ignored."""

    def __init__(self, parameter: Parameter) -> None:
        super().__init__(f"{parameter} is ignored")
        self.parameter = parameter
