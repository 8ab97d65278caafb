"""In-order acknowledgement: only the contiguous prefix of what was opened is acknowledged."""

from typing import Final, Generic, TypeVar

import anyio

Item = TypeVar("Item")

MOST_UNACKED: Final = 64
"""Pages of one poll that may be unacknowledged at once: what a stuck page can hold back."""


class OrderedAcks(Generic[Item]):
    """Tracks what is open, and releases what is acknowledged in the order of opening.

    The contract, for one poll:

    1. The reader awaits `wait_for_room`, then calls `open` once for each page, in the order in
       which the pages are read, and gives the page the number it returns.
    2. The page's ack calls `ack` once with that number, in whatever order pages are acknowledged,
       and with the item that is due once all earlier pages are acknowledged as well.
    3. `ack` returns the items that are due by that, in the order of opening, each exactly once:
       none while an earlier page is open, several where the page was what others waited for.
       The caller hands them to the ledger in that order.
    4. `fail` is called instead of `ack` for a page that never will be: none is waited for then, and
       no page after it is released.

    A page that is never acknowledged (a crash, a restart of the pipeline) holds back all later
    ones: none of their checkpoints is saved, and they are read again.
    """

    def __init__(self) -> None:
        self._opened = 0
        self._released = 0
        self._acked: dict[int, Item] = {}
        self._failed: set[int] = set()
        self._progress = anyio.Event()

    @property
    def unacked(self) -> int:
        """The number of pages that are open, or acknowledged behind one that is."""
        return self._opened - self._released

    def open(self) -> int:
        """Opens the next; returns its number."""
        self._opened += 1
        return self._opened - 1

    def ack(self, number: int, item: Item) -> list[Item]:
        """Acknowledges one; returns the items that are due by that, in order."""
        self._acked[number] = item
        due: list[Item] = []
        while self._released in self._acked:
            due.append(self._acked.pop(self._released))
            self._released += 1
        self._announce()
        return due

    def fail(self, number: int) -> None:
        """Notes that one is never acknowledged."""
        self._failed.add(number)
        self._announce()

    async def wait_for_room(self) -> None:
        """Waits until another may be opened, or one has failed."""
        while self.unacked >= MOST_UNACKED and not self._failed:
            await self._progress.wait()

    async def drained(self) -> None:
        """Waits until nothing is open but what has failed."""
        while self.unacked > len(self._acked) + len(self._failed):
            await self._progress.wait()

    def _announce(self) -> None:
        self._progress.set()
        self._progress = anyio.Event()
