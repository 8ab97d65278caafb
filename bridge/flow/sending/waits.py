"""The waits of a batch between its tries."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import anyio

from bridge.errors import TemporaryError
from bridge.metrics import Metrics
from bridge.output.logs import log

MOST_CUT: Final = 3
"""Waits of a batch that are cut short: if that is no help, they grow."""


class Waits:
    """The waits of one batch, for `retry`.

    events: number of its events.
    accepting: the event that is set when Segment accepts another batch.
    """

    def __init__(self, events: int, accepting: Callable[[], anyio.Event], metrics: Metrics) -> None:
        self._events = events
        self._accepting = accepting
        self._metrics = metrics
        self._asked_to_wait = False
        self._cut = 0
        self._all: set[Waits] = set()

    @contextmanager
    def counted(self, waiting: "set[Waits]") -> Iterator[None]:
        """Puts itself, once it waits, among all that wait, until this is left."""
        self._all = waiting
        try:
            yield
        finally:
            waiting.discard(self)
            self._metrics.blocked.labels("segment").set(bool(waiting))

    def report(self, error: TemporaryError, seconds: float) -> None:
        """Tells of a wait that begins."""
        self._asked_to_wait = error.retry_after is not None
        self._all.add(self)
        self._metrics.retries.labels("segment").inc()
        self._metrics.blocked.labels("segment").set(1)
        log.warning(
            "segment.waiting", events=self._events, seconds=round(seconds, 1), reason=str(error)
        )

    async def sleep(self, seconds: float) -> None:
        """Waits, unless Segment works again: then it ends after a second at least."""
        with anyio.move_on_after(seconds):
            await anyio.sleep(1)
            if self._asked_to_wait or self._cut == MOST_CUT:
                await anyio.sleep_forever()
            await self._accepting().wait()
            self._cut += 1
