"""Reads what Listrak shows of one person, for people: nothing of it is saved or sent."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from msgspec.structs import astuple

from bridge.clock import DAY
from bridge.errors import RefusedError
from bridge.flow.readers.restart import read_from
from bridge.listrak import times, wire
from bridge.listrak.client import Listrak
from bridge.listrak.pages import PageOf
from bridge.listrak.paging import Trail
from bridge.listrak.times import Zone
from bridge.state.records import Message

Row = TypeVar("Row", bound=wire.Activity | wire.Clicker)

_CLICK_MARGIN: Final = DAY


@dataclass(frozen=True)
class Click:
    """A click on a link."""

    link: wire.Link
    row: wire.Clicker


class PersonReader:
    """Reads the rows of one address. Raises what the Listrak client raises.

    address: in lower case; rows are matched without regard to case, whatever Listrak filters.
    """

    def __init__(self, listrak: Listrak, zone: Zone, address: str) -> None:
        self._listrak = listrak
        self._zone = zone
        self._address = address
        self._is_ignored = False

    async def rows(self, message: Message, spellings: Sequence[str]) -> list[wire.Activity]:
        """The activity rows of the person in a message.

        Where Listrak doesn't filter by address, all rows of the message are read.

        spellings: of the address, as Listrak may have it.
        """
        everything = partial(self._listrak.activity, message.path)
        if message.kind == "conversation":
            return _distinct(await self._own(message, everything))
        found: list[wire.Activity] = []
        for email in spellings:
            try:
                own = await self._own(
                    message,
                    partial(self._listrak.activity_of, message.path, email),
                    is_filtered=True,
                )
            except RefusedError:
                return _distinct(await self._own(message, everything))
            found += own
            if self._is_ignored:
                # All rows came, whatever was asked for.
                break
        return _distinct(found)

    async def clicks(self, message: Message, rows: Sequence[wire.Activity]) -> list[Click]:
        """The clicks of the person on the links of a message, in which `rows` are theirs."""
        if message.kind == "transactional" or not any(row.click_count for row in rows):
            return []
        since = self._first_activity(rows)
        clicks: list[Click] = []
        for link in await self._listrak.links(message.path):
            if link.click_count == 0:
                continue
            read = partial(self._listrak.clickers, message.path, link.link_id, since=since)
            clicks += [Click(link, row) for row in await self._own(message, read)]
        return clicks

    def _first_activity(self, rows: Sequence[wire.Activity]) -> str | None:
        """The naive time before which none of the person's clicks lies; None if it isn't known."""
        dates = [self._zone.lenient(row.activity_date) for row in rows if row.click_count]
        if not all(dates):
            return None
        return self._zone.naive(times.from_seconds(times.seconds(min(dates)) - _CLICK_MARGIN))

    async def _own(
        self,
        message: Message,
        read: Callable[[str], Awaitable[PageOf[Row]]],
        *,
        is_filtered: bool = False,
    ) -> list[Row]:
        """The person's rows of all pages; is_filtered: of others there should be none."""
        found: list[Row] = []

        async def read_all(cursor: str) -> None:
            following: str | None = cursor
            others = 0
            trail = Trail(message.path, cursor)
            while following is not None:
                page = await read(following)
                own = [
                    row for row in page.rows if (row.email_address or "").lower() == self._address
                ]
                found.extend(own)
                others += len(page.rows) - len(own)
                following = trail.after(page)
            if is_filtered and others:
                self._is_ignored = True

        await read_from(wire.START, wire.START, read_all, message.path)
        return found


def _distinct(rows: Sequence[wire.Activity]) -> list[wire.Activity]:
    """Rows without repeats: pages shift while they are read, and spellings may be no filter."""
    return list({repr(astuple(row)): row for row in rows}.values())
