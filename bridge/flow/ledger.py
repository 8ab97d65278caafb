"""The only writer of the state file: gathers what is to be written, commits it together."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import anyio

from bridge.errors import TemporaryError
from bridge.pacing import wait_before
from bridge.state.store import Store
from bridge.telemetry import Metrics, log

MOST_WAITING: Final = 64
"""Pieces of work that wait for a commit before no further page is mapped."""

Work = Callable[[Store], Awaitable[None]]
"""A piece of a transaction: touches nothing but the store, as it may have to be done again."""

GROUP_COMMIT: Final = 0.1
"""Seconds that progress may wait for more to share its transaction: a commit costs a disk sync."""


@dataclass(eq=False)
class _Entry:
    work: Work
    then: Callable[[], None]
    done: anyio.Event = field(default_factory=anyio.Event)


class Ledger:
    """Commits in groups, in order. What was handed over survives a full disk: it is tried again."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self.store = store
        self._metrics = metrics
        self._entries: list[_Entry] = []
        self._wake = anyio.Event()
        self._hurry = anyio.Event()
        self._turn = anyio.Lock()
        self._flushed = anyio.Event()

    async def run(self) -> None:
        """Commits until cancelled; call `flush` afterwards."""
        while True:
            await self._wake.wait()
            with anyio.move_on_after(GROUP_COMMIT):
                await self._hurry.wait()
            await self.flush()

    def later(self, work: Work, then: Callable[[], None] = lambda: None) -> None:
        """Commits `work` with the next group; `then` is called when it is on disk."""
        self._entries.append(_Entry(work, then))
        self._wake.set()

    async def write(self, work: Work) -> None:
        """Commits `work` now, with all that waits, and returns when it is on disk."""
        entry = _Entry(work, lambda: None)
        self._entries.append(entry)
        self._hurry.set()
        self._wake.set()
        await entry.done.wait()

    async def room(self) -> None:
        """Waits while much is waiting to be committed: what is read must not pile up here."""
        while len(self._entries) >= MOST_WAITING:
            await self._flushed.wait()

    async def flush(self) -> None:
        """Commits all that waits. Does not give up while the state file can't be written."""
        async with self._turn:
            # One that nobody set may be waited for.
            if self._wake.is_set():
                self._wake = anyio.Event()
            if self._hurry.is_set():
                self._hurry = anyio.Event()
            entries, self._entries = self._entries, []
            attempt = 0
            try:
                while entries and not await self._commit(entries, attempt):
                    attempt += 1
            except BaseException:
                # Cancelled between two tries: what waits must not be lost to a later flush.
                self._entries = entries + self._entries
                raise
        for entry in entries:
            entry.then()
            entry.done.set()
        self._flushed.set()
        self._flushed = anyio.Event()

    async def _commit(self, entries: list[_Entry], attempt: int) -> bool:
        try:
            async with self.store.transaction():
                for entry in entries:
                    await entry.work(self.store)
        except TemporaryError as error:
            self._metrics.blocked.labels("state").set(1)
            seconds = wait_before(error, attempt + 1)
            log.error("state.waiting", seconds=round(seconds, 1), reason=str(error))
            await anyio.sleep(seconds)
            return False
        self._metrics.commits.inc()
        self._metrics.last_commit.set_to_current_time()
        self._metrics.blocked.labels("state").set(0)
        return True
