"""The only writer of the state file: it queues what is to be written, and commits it in groups."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import anyio

from bridge import clock
from bridge.errors import TemporaryError
from bridge.flow.interruptions import Interruptions
from bridge.metrics import Metrics
from bridge.output.logs import log
from bridge.state.store import Store
from bridge.transport.retry import retry

MOST_QUEUED: Final = 64
"""Pieces of work that are queued for a commit before no further page is mapped."""

Work = Callable[[Store], Awaitable[None]]
"""A piece of a transaction: touches nothing but the store, as it may have to be done again."""

GROUP_COMMIT: Final = 0.1
"""Seconds that work may wait for more of its transaction, as each commit costs a disk sync."""


@dataclass(eq=False)
class _Entry:
    work: Work
    on_committed: Callable[[], None]
    done: anyio.Event = field(default_factory=anyio.Event)


class Ledger:
    """Commits work in groups, in order. Queued work survives a full disk: it is tried again.

    patience: seconds for which that is done before TemporaryError ends it; None for no end.
    interruptions: those of whoever reads and sends, and queues work here.
    """

    def __init__(self, store: Store, metrics: Metrics, *, patience: float | None = None) -> None:
        self.store = store
        self._patience = patience
        self.interruptions = Interruptions()
        self._metrics = metrics
        self._entries: list[_Entry] = []
        self._wake = anyio.Event()
        self._hurry = anyio.Event()
        self._turn = anyio.Lock()
        self._flushed = anyio.Event()
        self._committing = 0
        self._began: float | None = None
        metrics.outstanding.labels("saving").set_function(
            lambda: len(self._entries) + self._committing
        )
        metrics.transaction.set_function(
            lambda: 0.0 if self._began is None else clock.monotonic() - self._began
        )

    async def run(self) -> None:
        """Commits until cancelled; call `flush` afterwards."""
        while True:
            await self._wake.wait()
            with anyio.move_on_after(GROUP_COMMIT):
                await self._hurry.wait()
            await self.flush()

    def enqueue(self, work: Work, on_committed: Callable[[], None] = lambda: None) -> None:
        """Commits `work` with the next group.

        `on_committed` is called once, by whichever task commits, when it is on disk.
        """
        self._entries.append(_Entry(work, on_committed))
        self._wake.set()

    async def commit(self, work: Work, on_committed: Callable[[], None] = lambda: None) -> None:
        """Commits `work` now, with all that is queued, and returns when it is on disk.

        `on_committed` is called then, also where the caller was cancelled meanwhile.
        """
        entry = _Entry(work, on_committed)
        self._entries.append(entry)
        self._hurry.set()
        self._wake.set()
        await entry.done.wait()

    async def wait_for_room(self) -> None:
        """Waits while much is queued, so that pages don't pile up here."""
        while len(self._entries) >= MOST_QUEUED:
            await self._flushed.wait()

    async def flush(self) -> None:
        """Commits all that is queued. While the disk is full, it is tried again.

        Raises TemporaryError once the patience is at its end; what is queued stays so.
        """
        async with self._turn:
            # Only an event that is set is replaced: another may be awaited.
            if self._wake.is_set():
                self._wake = anyio.Event()
            if self._hurry.is_set():
                self._hurry = anyio.Event()
            entries, self._entries = self._entries, []
            self._committing = len(entries)
            try:
                if entries:
                    await retry(
                        lambda: self._transact(entries),
                        deadline=self._patience,
                        on_wait=self._wait,
                    )
            except BaseException:
                # Cancelled between two attempts: what is queued stays for a later flush.
                self._entries = entries + self._entries
                raise
            finally:
                self._committing = 0
        for entry in entries:
            entry.on_committed()
            entry.done.set()
        self._flushed.set()
        self._flushed = anyio.Event()

    async def rewrite(self) -> None:
        """Writes the state file anew, between two commits; see Database."""
        async with self._turn:
            self._metrics.blocked.labels("erasure").set(1)
            try:
                await self.store.rewrite()
            finally:
                self._metrics.blocked.labels("erasure").set(0)

    async def empty_wal(self) -> bool:
        """Empties the -wal, between two commits; see Database."""
        async with self._turn:
            return await self.store.empty_wal()

    async def _transact(self, entries: list[_Entry]) -> None:
        try:
            await self._commit(entries)
        except TemporaryError:
            if not await self.store.make_room():
                raise
            await self._commit(entries)
        self._metrics.commits.inc()
        self._metrics.last_commit.set(clock.wall_time())
        self._metrics.blocked.labels("state").set(0)

    async def _commit(self, entries: list[_Entry]) -> None:
        self._began = clock.monotonic()
        try:
            async with self.store.transaction():
                for entry in entries:
                    await entry.work(self.store)
        finally:
            self._began = None

    def _wait(self, error: TemporaryError, seconds: float) -> None:
        self._metrics.blocked.labels("state").set(1)
        log.error("state.waiting", seconds=round(seconds, 1), reason=str(error))
