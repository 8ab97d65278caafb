"""Reads the rows of a message, page by page: those of activity, and through ClickReader clicks."""

import copy
from typing import Final

from bridge.errors import RefusedError
from bridge.flow.channel import Channel
from bridge.flow.context import ReaderContext
from bridge.flow.message_poll import MessagePoll
from bridge.flow.page import ActivityPage, Flush, LastPage
from bridge.flow.planner.filter_check import (
    GRACE,
    Parameter,
    ignored_parameter,
    record_refused_scan,
    without_filter,
)
from bridge.flow.planner.scan_types import Scan
from bridge.flow.readers.beside import Beside
from bridge.flow.readers.clicks import FIRST_CLICKS, ClickReader
from bridge.flow.readers.polling import PollClients, opened, rows_of
from bridge.flow.readers.properties import PropertyReader
from bridge.flow.readers.restart import read_from
from bridge.flow.source import SourceList
from bridge.listrak import times, wire
from bridge.listrak.paging import Trail
from bridge.output.logs import log
from bridge.state.cursors import PollCursor
from bridge.transport.priority import Priority

FIRST_PAGE: Final = PollCursor("activity", 0, wire.START)


class RowReader:
    """Sends the pages of polls on. Raises what the Listrak client raises; a poll goes on later."""

    def __init__(self, context: ReaderContext, properties: PropertyReader) -> None:
        self._clients = PollClients(context.listrak)
        self._pages = context.pages[Channel.TRACKS]
        self._zone = context.scope.zone
        self._properties = properties
        self._clicks = ClickReader(context, properties)

    def with_priority(self, priority: Priority) -> "RowReader":
        """A copy of the reader with another priority of its polls."""
        other = copy.copy(self)
        other._clients = self._clients.with_priority(priority)
        other._clicks = self._clicks.with_priority(priority)
        return other

    async def flush(self) -> None:
        """Makes the pages that were read so far be sent without waiting for full batches."""
        await self._pages.send(Flush())

    async def read(self, poll: MessagePoll, source: SourceList) -> None:
        """Reads all pages of a poll, from its cursor on."""
        if poll.plan.full:
            await read_from(
                poll.planned.cursor or FIRST_PAGE,
                FIRST_PAGE,
                lambda cursor: self._read_everything(poll, source, cursor),
                poll.message.path,
            )
        for scan in poll.plan.scans:
            await self._read_scan(poll, source, scan)
        await self._pages.send(LastPage(poll, await opened(poll)))

    async def _read_everything(
        self, poll: MessagePoll, source: SourceList, cursor: PollCursor
    ) -> None:
        if cursor.stage == "activity":
            await self._read_activity(poll, source, cursor.page)
            cursor = FIRST_CLICKS
        if poll.message.kind != "transactional":
            await self._clicks.read(poll, source, cursor)

    async def _read_scan(
        self, poll: MessagePoll, source: SourceList, scan: Scan, held: PollCursor | None = None
    ) -> None:
        """Reads one scan; one that is refused or ignored is in cooldown afterwards.

        held: where the poll goes on, if that is elsewhere.
        """
        name = scan.scan_type.name
        try:
            await read_from(
                FIRST_PAGE,
                FIRST_PAGE,
                lambda _: self._read_rows(poll, source, scan, held),
                poll.message.path,
            )
            return
        except (RefusedError, _IgnoredError) as error:
            parameter = error.parameter if isinstance(error, _IgnoredError) else None
            reason = str(error)
        log.info("scan.refused", message=poll.message.path, scan=name, reason=reason)
        other = without_filter(scan, parameter)
        if other is None:
            poll.stats.skipped.add(name)
        else:
            await self._read_scan(poll, source, other, held)
            if name in poll.stats.skipped:
                return
            parameter = "activityType"
        filters, kind = poll.planned.snapshot.filters, poll.message.kind
        record_refused_scan(filters, kind, scan, parameter, poll.started_at)

    async def _read_rows(
        self, poll: MessagePoll, source: SourceList, scan: Scan, held: PollCursor | None
    ) -> None:
        if scan.scan_type.reads_clicks:
            await self._clicks.read(poll, source, FIRST_CLICKS, scan)
        else:
            await self._read_activity(poll, source, wire.START, scan, held)

    async def _read_activity(
        self,
        poll: MessagePoll,
        source: SourceList,
        cursor: str,
        scan: Scan | None = None,
        held: PollCursor | None = None,
    ) -> None:
        """Reads activity rows, from a page on; in a scan, those that its filters let through.

        held: where the poll goes on, if that is elsewhere.
        """
        listrak, floor = self._clients.of_poll(poll), self._floor_of(scan)
        more: str | None = cursor
        asked = rows_of(scan, self._zone)
        trail = Trail(f"the activity of {poll.message.path}", cursor)
        beside = Beside(poll) if scan is None else None
        while more is not None:
            page = await listrak.activity(poll.message.path, more, asked)
            if page.rows:
                await self._properties.prepare(poll, source)
            if scan is not None:
                poll.stats.rows[scan.scan_type.name] += len(page.rows)
            more = trail.after(page)
            following = PollCursor("activity", 0, more) if more else FIRST_CLICKS
            number = await opened(poll)
            await self._pages.send(
                ActivityPage(poll, number, held or following, page.rows, page.origins, page.unread)
            )
            if scan is not None and (parameter := ignored_parameter(scan, page.certain, floor)):
                # The scan may be of the whole message: whether to read that is planned later.
                raise _IgnoredError(parameter)
            if beside is not None and more and (recent := beside.due(listrak.clock.now())):
                await self._read_scan(poll, source, recent, following)

    def _floor_of(self, scan: Scan | None) -> str:
        """The naive time before which no row of a scan may be; "" where there is none."""
        if scan is None or scan.since is None:
            return ""
        return self._zone.naive(times.from_seconds(scan.since - GRACE))


class _IgnoredError(Exception):
    """The rows of a scan show that a parameter of it was ignored."""

    def __init__(self, parameter: Parameter) -> None:
        super().__init__(f"{parameter} is ignored")
        self.parameter = parameter
