"""The surroundings in which inputs are read: no waits, no threads, no log."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import anyio
import structlog
from virtual.disk import Disk
from virtual.loop import VirtualLoop
from virtual.surroundings import Machine, surroundings

from bridge.output.redaction import SECRETS
from fuzz.target import SECRET

T = TypeVar("T")

NOW: Final = 1_778_600_000.0
"""The time of day at which all inputs are read, in seconds since 1970."""


def on_virtual_clock(work: Callable[[], Awaitable[T]]) -> T:
    """Does work on a loop whose waits pass at once."""
    loop = VirtualLoop()

    async def within() -> T:
        machine = Machine(loop, lambda: NOW + loop.time())
        with surroundings(machine, Disk(is_instant=True)), _unlogged():
            return await work()

    return anyio.run(within, backend_options={"loop_factory": lambda: loop})


@contextmanager
def _unlogged() -> Iterator[None]:
    """Nothing is logged meanwhile, and what was secret is forgotten afterwards."""
    before = structlog.get_config()
    structlog.configure(processors=[_dropped], cache_logger_on_first_use=False)
    SECRETS.add(SECRET)
    try:
        yield
    finally:
        SECRETS.clear()
        structlog.configure(**before)


def _dropped(*_: Any) -> Any:
    raise structlog.DropEvent
