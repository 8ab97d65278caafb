"""Counts the contacts of a list, those who came lately, and those who left."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from bridge import clock
from bridge.clock import DAY
from bridge.commands.estimation.asking import Asking, first_pages
from bridge.flow.forecast.figures import ContactFigures
from bridge.flow.source import SourceList
from bridge.listrak import wire
from bridge.listrak.pages import PageOf

SPANS: Final = (30.0, 7.0, 1.0, 1 / 24)
"""Days that are asked for to find out how many come in a day: fewer where a page has no more."""


class Contacts(NamedTuple):
    """The contacts of a list.

    people: hashes of the addresses of those that were read.
    page_seconds: seconds that a page took, 0 where none was read.
    """

    figures: ContactFigures
    people: set[int]
    page_seconds: float = 0.0


async def contacts_of(asking: Asking, source: SourceList, pages: int) -> Contacts:
    """The contacts of a list, of which so many pages are read at most."""
    listrak, what = asking.listrak, f"contacts of list {source.list_id}"
    people: set[int] = set()
    number, read_pages, began = 0, 0, clock.monotonic()

    async def read(cursor: str) -> PageOf[wire.Contact]:
        return await listrak.contacts(source.list_id, "Subscribed", cursor, source.field_id, None)

    def take(rows: Sequence[wire.Contact]) -> None:
        nonlocal number, read_pages
        number += len(rows)
        read_pages += 1
        people.update(hash((row.email_address or "").lower()) for row in rows)

    is_counted = await asking.attempt(what, lambda: first_pages(what, read, pages, take))
    if is_counted is None:
        return Contacts(ContactFigures(is_counted=False), set())
    seconds = (clock.monotonic() - began) / read_pages
    figures = ContactFigures(
        number,
        is_counted,
        new=await _daily(asking, source, "Subscribed"),
        left=await _daily(asking, source, "Unsubscribed"),
    )
    return Contacts(figures, people, seconds)


async def _daily(asking: Asking, source: SourceList, state: str) -> float:
    """The number of contacts a day who came into a state lately."""
    listrak, number = asking.listrak, 0.0
    for days in SPANS:
        since = asking.since(days)
        page = await asking.attempt(
            f"recent contacts of list {source.list_id}",
            lambda since=since: listrak.contacts(  # type: ignore[misc]
                source.list_id, state, wire.START, None, since
            ),
        )
        if page is None:
            break
        oldest = asking.now - days * DAY
        dates = [asking.seconds(_date(row, state)) for row in page.rows]
        number = sum(date is None or date >= oldest for date in dates) / days
        if page.next_cursor is None:
            break
    return number


def _date(row: wire.Contact, state: str) -> str | None:
    """The date at which a contact came into its state."""
    if state == "Unsubscribed":
        return row.unsubscribe_date
    return row.resubscribe_date or row.subscribe_date
