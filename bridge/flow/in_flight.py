"""The number of pages in flight."""

import anyio


class InFlight:
    """The number of a poll's pages that are not acknowledged, in whatever order they are.

    The reader calls `add` for each page before it hands it on; the page's ack calls `remove`, once,
    when its acknowledgement is on disk. Whoever needs all of them acknowledged awaits `drained`.
    After `fail`, which says that some will not be acknowledged in this run, both raise its error.
    """

    def __init__(self) -> None:
        self._count = 0
        self._drained = anyio.Event()
        self._error: Exception | None = None

    def add(self) -> None:
        """Counts one more page."""
        self._check()
        self._count += 1

    def remove(self) -> None:
        """Counts one page less."""
        self._count -= 1
        if self._count == 0:
            self._drained.set()
            self._drained = anyio.Event()

    def fail(self, error: Exception) -> None:
        """Notes why pages will not be acknowledged in this run."""
        self._error = error
        self._drained.set()
        self._drained = anyio.Event()

    async def drained(self) -> None:
        """Waits until no page is in flight."""
        while self._count:
            self._check()
            await self._drained.wait()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
