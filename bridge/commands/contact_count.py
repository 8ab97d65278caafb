"""The number of subscribed contacts of a list: Listrak tells none, so they are read."""

from dataclasses import dataclass

from bridge import clock
from bridge.listrak import wire
from bridge.listrak.client import Listrak
from bridge.listrak.paging import Trail

SECONDS = 60.0
"""Time after which a person would rather have an incomplete number than wait."""


@dataclass(frozen=True)
class ContactCount:
    """A number of contacts; `complete` unless counting was given up before the last page."""

    number: int
    complete: bool

    def __str__(self) -> str:
        return f"{self.number:,}" if self.complete else f"more than {self.number:,}"


async def count_subscribed(listrak: Listrak, list_id: int) -> ContactCount:
    """Reads the list's subscribed contacts, for a minute at most. Raises as Listrak does."""
    end = clock.monotonic() + SECONDS
    trail = Trail(f"the contacts of list {list_id}", wire.START)
    number, cursor = 0, wire.START
    while True:
        page = await listrak.contacts(list_id, "Subscribed", cursor, None, None)
        number += len(page.rows)
        if (more := trail.after(page)) is None:
            return ContactCount(number, complete=True)
        if clock.monotonic() > end:
            return ContactCount(number, complete=False)
        cursor = more
