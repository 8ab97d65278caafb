"""What a process lends to a service on a virtual clock, and takes back afterwards."""

import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import aiohappyeyeballs
import structlog
from aiohttp import web_app

from bridge import clock
from bridge.ending.hard_end import HardEnd
from virtual.disk import Disk, without_threads
from virtual.loop import VirtualLoop
from virtual.network import Address


class Machine:
    """The clocks of a machine that runs on a loop's time.

    since: the loop's time of its start.
    wall: its clock of the day.
    starts: how often it was started.
    """

    def __init__(self, loop: VirtualLoop, wall: Callable[[], float]) -> None:
        self.starts = 1
        self.since = loop.time() - 60.0
        self.wall = wall
        self.loop = loop

    def boot_time(self) -> float:
        """Seconds since its start."""
        return self.loop.time() - self.since

    def restart(self) -> None:
        """Starts it anew."""
        self.starts += 1
        self.since = self.loop.time() - 60.0


@contextmanager
def surroundings(machine: Machine, disk: Disk) -> Iterator[None]:
    """Has the service go by a machine's clocks, connect to servers of its loop, and use no thread.

    Nothing cuts it off: that goes by real time, in a thread.
    """
    loop = machine.loop

    async def connected(*_: Any, addr_infos: list[Any], **_options: Any) -> Address:
        host, port = addr_infos[0][4][:2]
        return loop.network.address(host, port)

    with ExitStack() as stack:
        stack.enter_context(without_threads(disk))
        stack.enter_context(mock.patch.object(aiohappyeyeballs, "start_connection", connected))
        stack.enter_context(mock.patch.object(HardEnd, "arm"))
        for name, reading in (
            ("wall_time", machine.wall),
            ("wall_time_ns", lambda: int(machine.wall() * 1e9)),
            ("boot_time", machine.boot_time),
            ("boot_id", lambda: f"start {machine.starts}"),
            ("monotonic", loop.time),
        ):
            stack.enter_context(mock.patch.object(clock, name, reading))
        yield


@contextmanager
def restored_process() -> Iterator[None]:
    """Undoes afterwards what a run of the service changes of its process, on whatever loop."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        gc.unfreeze()
        # It would keep what these servers were, with all that they served.
        web_app._cached_build_middleware.cache_clear()
        structlog.reset_defaults()
