"""Reads the rows of a message: activity and clicks, page by page."""

import copy
from functools import partial
from typing import Final, NamedTuple

from bridge.errors import RefusedError
from bridge.flow.channel import Channel
from bridge.flow.context import ReaderContext
from bridge.flow.message_poll import MessagePoll
from bridge.flow.page import ActivityPage, ClickPage, Flush, LastPage
from bridge.flow.planner.filter_check import (
    GRACE,
    Parameter,
    ignored_parameter,
    record_refused_scan,
    without_filter,
)
from bridge.flow.planner.scan_types import Scan
from bridge.flow.readers.click_tally import ClickTally
from bridge.flow.readers.properties import PropertyReader
from bridge.flow.readers.restart import read_from
from bridge.flow.source import SourceList
from bridge.listrak import times, wire
from bridge.listrak.client import Listrak
from bridge.listrak.paging import Trail
from bridge.logs import log
from bridge.priority import Priority
from bridge.state.cursors import PollCursor
from bridge.state.set_aside import Part

FIRST_PAGE: Final = PollCursor("activity", 0, wire.START)
FIRST_CLICKS: Final = PollCursor("clicks", 0, wire.START)


class RowReader:
    """Sends the pages of polls on. Raises what the Listrak client raises; a poll goes on later."""

    def __init__(self, context: ReaderContext, properties: PropertyReader) -> None:
        self._listrak = context.listrak
        self._unhurried = context.listrak.with_priority(Priority.FULL)
        self._pages = context.pages[Channel.TRACKS]
        self._scope = context.scope
        self._set_aside = context.set_aside
        self._properties = properties

    def with_priority(self, priority: Priority) -> "RowReader":
        """A copy of the reader with another priority of its long polls."""
        other = copy.copy(self)
        other._unhurried = self._listrak.with_priority(priority)
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
        await self._pages.send(LastPage(poll, await self._open(poll)))

    async def _read_everything(
        self, poll: MessagePoll, source: SourceList, cursor: PollCursor
    ) -> None:
        if cursor.stage == "activity":
            await self._read_activity(poll, source, cursor.page)
            cursor = FIRST_CLICKS
        if poll.message.kind != "transactional":
            await self._read_clicks(poll, source, cursor)

    async def _read_scan(self, poll: MessagePoll, source: SourceList, scan: Scan) -> None:
        """Reads one scan; one that is refused or ignored is in cooldown afterwards."""
        name = scan.scan_type.name
        try:
            await read_from(
                FIRST_PAGE,
                FIRST_PAGE,
                lambda _: self._read_rows(poll, source, scan),
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
            await self._read_scan(poll, source, other)
            if name in poll.stats.skipped:
                return
            parameter = "activityType"
        filters, kind = poll.planned.snapshot.filters, poll.message.kind
        record_refused_scan(filters, kind, scan, parameter, poll.started_at)

    async def _read_rows(self, poll: MessagePoll, source: SourceList, scan: Scan) -> None:
        if scan.scan_type.reads_clicks:
            await self._read_clicks(poll, source, FIRST_CLICKS, scan)
        else:
            await self._read_activity(poll, source, wire.START, scan)

    async def _read_activity(
        self, poll: MessagePoll, source: SourceList, cursor: str, scan: Scan | None = None
    ) -> None:
        """Reads activity rows, from a page on; in a scan, those that its filters let through."""
        listrak, since, floor = self._client_for(poll), self._start_of(scan), self._floor_of(scan)
        more: str | None = cursor
        trail = Trail(f"the activity of {poll.message.path}", cursor)
        while more is not None:
            page = await listrak.activity(
                poll.message.path,
                more,
                activity_type=scan.activity_type if scan else None,
                date_type=scan.scan_type.date_type if scan else None,
                since=since,
            )
            if page.rows:
                await self._properties.prepare(poll, source)
            if scan is not None:
                poll.stats.rows[scan.scan_type.name] += len(page.rows)
            more = trail.after(page)
            following = PollCursor("activity", 0, more) if more else FIRST_CLICKS
            number = await self._open(poll)
            await self._pages.send(
                ActivityPage(poll, number, following, page.rows, page.origins, page.unread)
            )
            if scan is not None and (parameter := ignored_parameter(scan, page.certain, floor)):
                # The scan may be of the whole message: whether to read that is planned later.
                raise _IgnoredError(parameter)

    async def _read_clicks(
        self, poll: MessagePoll, source: SourceList, cursor: PollCursor, scan: Scan | None = None
    ) -> None:
        """Reads clicks, link by link, from one on; in a recent scan, of links with new ones.

        What fails by itself is set aside, the links or one of them: the other clicks are read.
        """
        recent = scan is not None and scan.scan_type.from_watermark
        before = poll.plan.watermarks.link_clicks if recent else {}
        list_id, path = poll.message.list_id, poll.message.path
        of_all = Part(list_id, "links", path)
        failed = of_all in self._set_aside
        links = await self._set_aside.attempt(of_all, lambda: self._client_for(poll).links(path))
        if links is None:
            poll.stats.clicks_left = True
            return
        poll.stats.link_clicks = {link.link_id: link.click_count or 0 for link in links}
        for link in sorted(links, key=lambda link: link.link_id):
            part = Part(list_id, "link", f"{path}/Link/{link.link_id}")
            if part not in self._set_aside and (
                link.link_id < cursor.link_id or link.click_count == before.get(link.link_id, 0)
            ):
                continue
            # After a failure also what is older than the watermark may be missing.
            since = None if failed or part in self._set_aside else self._start_of(scan)
            reading = _LinkReading(poll, source, scan, link, since)
            tally = await self._set_aside.attempt(part, partial(self._read_link, reading))
            if tally is None:
                poll.stats.clicks_left = True
                poll.stats.link_clicks.pop(link.link_id)
            elif tally.came_early:
                # Clicks without a single row: the rows are late, the next poll sees both.
                poll.stats.link_clicks = {}
                return

    async def _read_link(self, reading: "_LinkReading") -> ClickTally:
        """Reads the clicks on a link, twins as well; returns their tally."""
        tally = await self._tally(reading)
        if tally.twins and not tally.came_early:
            await self._read_twins(reading, None if reading.since else tally)
        return tally

    async def _tally(self, reading: "_LinkReading") -> ClickTally:
        """Reads the clicks on a link from its first page on: only a complete tally tells of twins.

        Where a cursor is refused, it begins again.
        """
        tally = ClickTally()

        async def read(_: str) -> None:
            nonlocal tally
            tally = await self._read_pages(reading)

        await read_from(wire.START, wire.START, read, reading.poll.message.path)
        return tally

    async def _read_pages(self, reading: "_LinkReading") -> ClickTally:
        poll, source, scan, link, since = reading
        listrak, path = self._client_for(poll), poll.message.path
        here = PollCursor("clicks", link.link_id, wire.START)
        tally = ClickTally()
        more: str | None = wire.START
        trail = Trail(f"the clicks of {path}", wire.START)
        while more is not None:
            page = await listrak.clickers(path, link.link_id, more, since=since)
            if page.rows and poll.message.properties is None:
                tally.came_early = True
                break
            if page.rows:
                await self._properties.prepare(poll, source)
            if scan is not None:
                poll.stats.rows[scan.scan_type.name] += len(page.rows)
            tally.add(page)
            more = trail.after(page)
            following = here if more or tally.twins else _after(link)
            number = await self._open(poll)
            await self._pages.send(
                ClickPage(poll, number, following, link, page.rows, page.origins, page.unread)
            )
        return tally

    async def _read_twins(self, reading: "_LinkReading", tally: ClickTally | None) -> None:
        """Sends on the rows that are like others, if it is certain that they are clicks.

        Otherwise they are missing clicks, as the link's count tells, and are looked for like these.

        tally: of all clicks on the link; None where only a part was read.
        """
        poll, link = reading.poll, reading.link
        everything = reading._replace(scan=None, since=None)
        tally = tally or await self._tally(everything)
        again: ClickTally | None = None
        counted = after = link.click_count or 0
        if tally.pages > 1 and tally.rows == counted:
            again = await self._tally(everything)
            links = await self._client_for(poll).links(poll.message.path)
            after = sum(one.click_count or 0 for one in links if one.link_id == link.link_id)
        is_certain = tally.is_certain(counted, again, after)
        twins = tally.twins if is_certain else []
        number = await self._open(poll)
        await self._pages.send(
            ClickPage(
                poll,
                number,
                _after(link),
                link,
                [twin.row for twin in twins],
                [twin.origin for twin in twins],
                ordinals=[twin.ordinal for twin in twins],
            )
        )

    def _start_of(self, scan: Scan | None) -> str | None:
        """The naive time from which a scan reads, None for the beginning."""
        if scan is None or scan.since is None:
            return None
        return self._scope.zone.naive_from(times.from_seconds(scan.since))

    def _floor_of(self, scan: Scan | None) -> str:
        """The naive time before which no row of a scan may be; "" where there is none."""
        if scan is None or scan.since is None:
            return ""
        return self._scope.zone.naive(times.from_seconds(scan.since - GRACE))

    def _client_for(self, poll: MessagePoll) -> Listrak:
        return self._unhurried if poll.planned.is_long else self._listrak

    async def _open(self, poll: MessagePoll) -> int:
        """The number of the poll's next page, as soon as it may have one more."""
        await poll.acks.wait_for_room()
        poll.failure.check()
        return poll.acks.open()


def _after(link: wire.Link) -> PollCursor:
    return PollCursor("clicks", link.link_id + 1, wire.START)


class _LinkReading(NamedTuple):
    """A reading of the clicks on a link.

    since: the naive time from which on; None for the beginning.
    """

    poll: MessagePoll
    source: SourceList
    scan: Scan | None
    link: wire.Link
    since: str | None


class _IgnoredError(Exception):
    """The rows of a scan show that a parameter of it was ignored."""

    def __init__(self, parameter: Parameter) -> None:
        super().__init__(f"{parameter} is ignored")
        self.parameter = parameter
