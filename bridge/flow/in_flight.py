"""The number of pages in flight."""

import anyio


class InFlight:
    """The number of a poll's pages that are not acknowledged, in whatever order they are.

    The reader calls `add` for each page before it hands it on; the page's ack calls `remove`, once,
    when its acknowledgement is on disk. Whoever needs all of them acknowledged awaits `drained`.
    """

    def __init__(self) -> None:
        self._count = 0
        self._drained = anyio.Event()

    def add(self) -> None:
        """Counts one more page."""
        self._count += 1

    def remove(self) -> None:
        """Counts one page less."""
        self._count -= 1
        if self._count == 0:
            self._drained.set()
            self._drained = anyio.Event()

    async def drained(self) -> None:
        """Waits until no page is in flight."""
        while self._count:
            await self._drained.wait()
