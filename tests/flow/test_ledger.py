"""The only writer of the state file."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import pytest

from bridge.errors import StateError, TemporaryError
from bridge.flow.ledger import GROUP_COMMIT, Ledger
from bridge.metrics import Metrics
from bridge.state.store import Store

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(virtual_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    return virtual_backend


class Disk:
    """A store that keeps names; it is full as long as `full` says how often, or fails for good."""

    def __init__(self, full: int = 0, broken: Exception | None = None) -> None:
        self.full = full
        self.broken = broken
        self.commits: list[list[str]] = []
        self.attempts = 0
        self.slow = 0.0
        self.frees = False
        self._open: list[str] | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        assert self._open is None, "one transaction at a time"
        self._open = []
        self.attempts += 1
        try:
            with anyio.CancelScope(shield=True):
                yield
                await anyio.sleep(self.slow)
                if self.broken:
                    raise self.broken
                if self.full:
                    self.full -= 1
                    raise TemporaryError("disk full")
                self.commits.append(self._open)
        finally:
            self._open = None

    async def make_room(self) -> bool:
        """Tells that nothing could be freed, or frees it."""
        self.full = self.full if not self.frees else 0
        return self.frees

    def put(self, name: str) -> Callable[[Store], Awaitable[None]]:
        """A piece of work: `name` is written."""

        async def work(store: Store) -> None:
            assert cast(Any, store) is self
            assert self._open is not None, "work belongs into a transaction"
            self._open.append(name)

        return work


@asynccontextmanager
async def ledger_of(disk: Disk, metrics: Metrics | None = None) -> AsyncIterator[Ledger]:
    """A ledger that runs."""
    ledger = Ledger(cast(Store, disk), metrics or Metrics())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ledger.run)
        yield ledger
        tasks.cancel_scope.cancel()


async def test_group_commit() -> None:
    """What comes within a short time event_sets a transaction, in the order it came."""
    disk = Disk()
    done: list[str] = []
    async with ledger_of(disk) as ledger:
        began = anyio.current_time()
        for name in "abc":
            ledger.enqueue(disk.put(name), lambda name=name: done.append(name))  # type: ignore[misc]
        assert (disk.commits, done) == ([], [])
        await anyio.sleep(GROUP_COMMIT * 1.5)
        assert (disk.commits, done) == ([["a", "b", "c"]], ["a", "b", "c"])
        ledger.enqueue(disk.put("d"))
        await anyio.sleep(GROUP_COMMIT * 1.5)
        assert disk.commits == [["a", "b", "c"], ["d"]]
        assert anyio.current_time() - began < 1


async def test_write_waits() -> None:
    """`write` returns when its work is on disk, with all that waited before it, and at once."""
    disk = Disk()
    done: list[str] = []
    async with ledger_of(disk) as ledger:
        ledger.enqueue(disk.put("a"), lambda: done.append("a"))
        began = anyio.current_time()
        await ledger.commit(disk.put("b"))
        assert anyio.current_time() - began < GROUP_COMMIT / 2
        assert (disk.commits, done) == ([["a", "b"]], ["a"])


async def test_a_flush_from_elsewhere_takes_nobody_s_turn() -> None:
    """Whoever flushes, and when, what is written afterwards is committed."""
    disk = Disk()
    async with ledger_of(disk) as ledger:
        await anyio.wait_all_tasks_blocked()
        await ledger.flush()
        with anyio.fail_after(1):
            await ledger.commit(disk.put("a"))
        ledger.enqueue(disk.put("b"))
        await ledger.flush()
        with anyio.fail_after(1):
            await ledger.commit(disk.put("c"))
    assert disk.commits == [["a"], ["b"], ["c"]]


async def test_a_flush_that_was_given_up_is_made_up_for() -> None:
    """What waits while a full disk is tried again is committed, though who asked went away."""
    disk = Disk(full=1)
    async with ledger_of(disk) as ledger:
        await anyio.wait_all_tasks_blocked()
        with anyio.move_on_after(0.01):
            ledger.enqueue(disk.put("a"))
            await ledger.flush()
        await anyio.sleep(GROUP_COMMIT * 1.5)
    assert disk.commits == [["a"]]


async def test_writers_share() -> None:
    """Writers that come while a transaction is on its way share the next one."""
    disk = Disk()
    disk.slow = 1.0
    async with ledger_of(disk) as ledger, anyio.create_task_group() as writers:
        writers.start_soon(ledger.commit, disk.put("first"))
        await anyio.sleep(0.5)
        for name in "abc":
            writers.start_soon(ledger.commit, disk.put(name))
    assert disk.commits == [["first"], ["a", "b", "c"]]


async def test_a_full_disk() -> None:
    """While the disk is full it is tried again, with pauses; nothing is lost or reordered."""
    disk, metrics = Disk(full=5), Metrics()
    done: list[str] = []

    def blocked() -> float | None:
        return metrics.registry.get_sample_value("bridge_blocked", {"by": "state"})

    async with ledger_of(disk, metrics) as ledger:
        ledger.enqueue(disk.put("a"), lambda: done.append("a"))
        async with anyio.create_task_group() as writers:
            writers.start_soon(ledger.commit, disk.put("b"))
            await anyio.sleep(1)
            assert (disk.commits, done, blocked()) == ([], [], 1)
            ledger.enqueue(disk.put("c"), lambda: done.append("c"))
        await anyio.sleep(1)
    assert disk.commits == [["a", "b"], ["c"]]
    assert done == ["a", "c"]
    assert blocked() == 0
    assert disk.attempts == 7
    assert metrics.registry.get_sample_value("bridge_commits_total") == 2


async def test_cancelled_while_the_disk_is_full() -> None:
    """What waited when the ledger was cancelled is there for the last flush, in order."""
    disk = Disk(full=10**6)
    done: list[str] = []
    async with ledger_of(disk) as ledger:
        ledger.enqueue(disk.put("a"), lambda: done.append("a"))
        await anyio.sleep(1)
        ledger.enqueue(disk.put("b"), lambda: done.append("b"))
    assert disk.commits == []
    disk.full = 0
    await ledger.flush()
    assert (disk.commits, done) == ([["a", "b"]], ["a", "b"])
    await ledger.flush()
    assert len(disk.commits) == 1, "nothing waits, nothing is written"


async def test_cancelled_in_a_transaction() -> None:
    """A commit that has begun is finished, and is told so, before the last flush begins."""
    disk = Disk()
    disk.slow = 1.0
    done: list[str] = []
    ledger = Ledger(cast(Store, disk), Metrics())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ledger.run)
        ledger.enqueue(disk.put("a"), lambda: done.append("a"))
        await anyio.sleep(0.5)
        assert disk.attempts == 1
        ledger.enqueue(disk.put("b"), lambda: done.append("b"))
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await ledger.flush()
    assert disk.commits == [["a"], ["b"]]
    assert done == ["a", "b"]


async def test_flushes_take_turns() -> None:
    """However many flush at once: one transaction after the other, in order, each piece once."""
    disk = Disk()
    disk.slow = 0.2
    done: list[str] = []
    async with ledger_of(disk) as ledger, anyio.create_task_group() as others:
        for name in "abcdefgh":
            ledger.enqueue(disk.put(name), lambda name=name: done.append(name))  # type: ignore[misc]
            others.start_soon(ledger.flush)
            await anyio.sleep(0.07)
    await ledger.flush()
    assert [name for commit in disk.commits for name in commit] == list("abcdefgh")
    assert done == list("abcdefgh")


async def test_what_does_not_pass() -> None:
    """An error that a retry doesn't mend comes out; what waited is kept."""
    disk = Disk(broken=StateError("gone"))
    ledger = Ledger(cast(Store, disk), Metrics())
    ledger.enqueue(disk.put("a"))
    with pytest.raises(StateError, match="gone"):
        await ledger.flush()
    disk.broken = None
    await ledger.flush()
    assert disk.commits == [["a"]]


async def test_who_was_cancelled_is_counted_all_the_same() -> None:
    """What is queued is committed without whoever waited for it, and told."""
    disk, told = Disk(), list[str]()
    disk.slow = 1
    async with ledger_of(disk) as ledger:
        with anyio.move_on_after(0.5):
            await ledger.commit(disk.put("a"), lambda: told.append("a"))
        assert told == []
        await ledger.commit(disk.put("b"), lambda: told.append("b"))
        assert told == ["a", "b"]
        assert disk.commits == [["a"], ["b"]]


async def test_a_disk_that_stays_full() -> None:
    """Whoever has to come to an end gives up in time; what was queued is still there."""
    disk = Disk(full=10**6)
    ledger = Ledger(cast(Store, disk), Metrics(), patience=15)
    ledger.enqueue(disk.put("a"))
    began = anyio.current_time()
    with pytest.raises(TemporaryError, match="disk full"):
        await ledger.flush()
    assert 1 < anyio.current_time() - began < 30
    disk.full = 0
    await ledger.flush()
    assert disk.commits == [["a"]]


async def test_room_that_can_be_made() -> None:
    """What a checkpoint frees of a full disk is used at once."""
    disk, metrics = Disk(full=10**6), Metrics()
    disk.frees = True
    ledger = Ledger(cast(Store, disk), metrics)
    ledger.enqueue(disk.put("a"))
    began = anyio.current_time()
    await ledger.flush()
    assert anyio.current_time() - began < 0.4
    assert (disk.commits, disk.attempts) == ([["a"]], 2)
    assert not metrics.registry.get_sample_value("bridge_blocked", {"by": "state"})
