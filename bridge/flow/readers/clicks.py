"""Reads the clicks of a message: link by link, page by page."""

import copy
from functools import partial
from typing import Final, NamedTuple

from bridge.flow.channel import Channel
from bridge.flow.context import ReaderContext
from bridge.flow.message_poll import MessagePoll
from bridge.flow.page import ClickPage
from bridge.flow.planner.scan_types import Scan
from bridge.flow.readers.click_tally import ClickTally
from bridge.flow.readers.polling import PollClients, opened, start_of
from bridge.flow.readers.properties import PropertyReader
from bridge.flow.readers.restart import read_from
from bridge.flow.source import SourceList
from bridge.listrak import wire
from bridge.listrak.paging import Trail
from bridge.state.cursors import PollCursor
from bridge.state.set_aside import Part
from bridge.transport.priority import Priority

FIRST_CLICKS: Final = PollCursor("clicks", 0, wire.START)


class ClickReader:
    """Sends the pages of clicks on. Raises what the Listrak client raises."""

    def __init__(self, context: ReaderContext, properties: PropertyReader) -> None:
        self._clients = PollClients(context.listrak)
        self._pages = context.pages[Channel.TRACKS]
        self._zone = context.scope.zone
        self._set_aside = context.set_aside
        self._properties = properties

    def with_priority(self, priority: Priority) -> "ClickReader":
        """A copy of the reader with another priority of its polls."""
        other = copy.copy(self)
        other._clients = self._clients.with_priority(priority)
        return other

    async def read(
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
        links = await self._set_aside.attempt(
            of_all, lambda: self._clients.of_poll(poll).links(path)
        )
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
            since = None if failed or part in self._set_aside else start_of(scan, self._zone)
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
        """Reads the clicks on a link, repeats as well; returns their tally."""
        tally = await self._tally(reading)
        if tally.repeats and not tally.came_early:
            await self._read_repeats(reading, None if reading.since else tally)
        return tally

    async def _tally(self, reading: "_LinkReading") -> ClickTally:
        """Reads the clicks on a link from the first page on: a part of them tells of no repeats.

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
        listrak, path = self._clients.of_poll(poll), poll.message.path
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
            following = here if more or tally.repeats else _after(link)
            number = await opened(poll)
            await self._pages.send(
                ClickPage(poll, number, following, link, page.rows, page.origins, page.unread)
            )
        return tally

    async def _read_repeats(self, reading: "_LinkReading", tally: ClickTally | None) -> None:
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
            links = await self._clients.of_poll(poll).links(poll.message.path)
            after = sum(one.click_count or 0 for one in links if one.link_id == link.link_id)
        is_certain = tally.is_certain(counted, again, after)
        repeats = tally.repeats if is_certain else []
        number = await opened(poll)
        await self._pages.send(
            ClickPage(
                poll,
                number,
                _after(link),
                link,
                [repeat.row for repeat in repeats],
                [repeat.origin for repeat in repeats],
                ordinals=[repeat.ordinal for repeat in repeats],
            )
        )


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
