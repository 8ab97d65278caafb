"""SQLite and other work of threads, done by the loop itself: in order, whoever waits for it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar
from unittest import mock

import aiosqlite
import anyio.lowlevel
import anyio.to_thread

Result = TypeVar("Result")


class Disk:
    """How the disk behaves.

    latency: draws the seconds that a call to SQLite takes.
    fault: called before each with its statement ("" for none); what it raises is what the call
        raises.
    fault_after: likewise, once the call is done.
    is_instant: a call takes no turn of the loop either, so that nothing comes between two of them.
    """

    def __init__(self, *, is_instant: bool = False) -> None:
        self.is_instant = is_instant
        self.latency: Callable[[], float] = lambda: 0.0
        self.fault: Callable[[str], None] = lambda _: None
        self.fault_after: Callable[[str], None] = lambda _: None

    def make(self, call: Callable[[], Result]) -> Result:
        """Makes a call, as the disk allows; returns what it returns."""
        statement = _statement_of(call)
        self.fault(statement)
        result = call()
        self.fault_after(statement)
        return result


class _Worker:
    """Stands in for the queue of a connection's thread, and for the thread."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._calls: deque[tuple[asyncio.Future[Any] | None, Callable[[], Any]]] = deque()
        self._latest = 0.0

    def put_nowait(self, call: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        """Has a call made, after those before it."""
        self._calls.append(call)
        if self._disk.is_instant:
            self._make_next()
            return
        loop = asyncio.get_running_loop()
        self._latest = max(self._latest, loop.time() + self._disk.latency())
        loop.call_at(self._latest, self._make_next)

    def start(self) -> None:
        """Does nothing: there is no thread."""

    def _make_next(self) -> None:
        future, function = self._calls.popleft()
        try:
            result = self._disk.make(function)
        except BaseException as error:  # noqa: BLE001  (as the thread does)
            if future is not None and not future.done():
                future.set_exception(error)
        else:
            if future is not None and not future.done():
                future.set_result(result)


def _statement_of(call: object) -> str:
    """The statement of a call, "" for one without: of a connection's end, say."""
    arguments = getattr(call, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], str) else ""


async def _in_place(
    work: Callable[..., Result],
    *arguments: Any,
    abandon_on_cancel: bool = False,  # noqa: ARG001
    limiter: object = None,  # noqa: ARG001
) -> Result:
    await anyio.lowlevel.checkpoint()
    return work(*arguments)


@contextmanager
def without_threads(disk: Disk) -> Iterator[None]:
    """Has the loop do what threads would."""
    make: Callable[..., None] = aiosqlite.Connection.__init__
    execute: Callable[..., Awaitable[Any]] = aiosqlite.Connection._execute

    def made(connection: Any, *arguments: Any, **named: Any) -> None:
        make(connection, *arguments, **named)
        connection._tx = connection._thread = _Worker(disk)

    async def executed(connection: Any, call: Any, *arguments: Any, **named: Any) -> Any:
        if not disk.is_instant:
            return await execute(connection, call, *arguments, **named)
        return disk.make(partial(call, *arguments, **named))

    work: Callable[..., Awaitable[Any]] = _in_place
    with (
        mock.patch.object(aiosqlite.Connection, "__init__", made),
        mock.patch.object(aiosqlite.Connection, "_execute", executed),
        mock.patch.object(anyio.to_thread, "run_sync", work),
    ):
        yield
