"""The bridge's own strategy: the whole service as it is, between a Listrak and a Segment.

Only its machine is replaced: the clock, the network and the threads (`virtual`).
"""

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest import mock

import anyio
from virtual.disk import Disk
from virtual.loop import VirtualLoop
from virtual.server import serve
from virtual.surroundings import Machine, restored_process, surroundings

from bridge.clock import DAY, MINUTE
from bridge.environment import settings
from bridge.flow import time_keeper
from bridge.flow.readers.messages import MessageReader
from bridge.flow.scheduling import schedule
from bridge.output.logs import configure_logging
from bridge.sandbox.listrak import API_PATH, TOKEN_PATH
from bridge.service import Service
from bridge.state import database
from bridge.supervision import lifecycle
from simulation.listrak import LIST, Listrak, Reading
from simulation.people import People
from simulation.result import Result, Retailer
from simulation.segment import Segment

LOOK: Final = 600.0
"""Seconds between two looks at what doesn't change here: requests and files beside the state file,
which nobody makes or touches, the clock, and whether all moves."""

MEMORY: Final = Path("/dev/shm")
"""Where the state file is, if this machine has it: nothing here proves anything of the disk."""

IN_MEMORY: Final = "state.doubtful_place"
"""What the service warns of there."""


class EndedError(Exception):
    """A service that is no more."""


@dataclass(frozen=True)
class Course:
    """What a life is like.

    days: how many are lived.
    page: rows of a full page.
    rate: calls a second that the list may cost.
    reading: what Listrak makes of activityType.
    interval: seconds between two polls.
    """

    days: int
    page: int
    rate: float
    reading: Reading
    interval: float = MINUTE


@dataclass(frozen=True)
class Running:
    """A service that runs, and what it lives among.

    now: tells the time, in seconds since 1970.
    sink: the address of Segment.
    log: the stream that it warns on.
    folder: where its state file is.
    """

    now: Callable[[], float]
    listrak: Listrak
    segment: Segment
    sink: str
    log: StringIO
    folder: Path

    @property
    def state(self) -> Path:
        """The state file."""
        return self.folder / "bridge.db"


def lived(name: str, retailer: Retailer, people: People, course: Course) -> Result:
    """Lives through the days, on a clock of its own: the same twice, call by call."""
    result = Result(name, retailer, course.days)
    anyio.run(_live, result, people, course, backend_options={"loop_factory": VirtualLoop})
    return result


async def _live(result: Result, people: People, course: Course) -> None:
    """Lives through the days, on a VirtualLoop, and fills the result."""
    began = time.perf_counter()
    async with living(result, people, course) as running:
        await anyio.sleep(MINUTE)
        empty, _ = _size_of(running.state)
        for day in range(course.days):
            await anyio.sleep(people.begin + (day + 1) * DAY - running.now())
            size, events = _size_of(running.state)
            result.state.append((size - empty, events))
        _count(result, running.listrak, running.segment)
    lines = running.log.getvalue().splitlines()
    result.warnings = [line for line in lines if IN_MEMORY not in line]
    running.segment.close(people.begin + course.days * DAY)
    result.seconds = time.perf_counter() - began


@asynccontextmanager
async def living(result: Result, people: People, course: Course) -> AsyncIterator[Running]:
    """Runs the service meanwhile, on a VirtualLoop; EndedError where it ends by itself.

    result: an empty one; what Segment gets is counted in it.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    since = loop.time()
    # What the service draws (its waits) is the same each time.
    random.seed(result.name)

    def now() -> float:
        return people.begin + loop.time() - since

    listrak = Listrak(people, now, page=course.page, reading=course.reading)
    segment = Segment(people, now, result)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None))
        log = stack.enter_context(process(Machine(loop, now), course.page))
        source = await stack.enter_async_context(serve(listrak.answer, now))
        sink = await stack.enter_async_context(serve(segment.answer, now))
        running = Running(now, listrak, segment, sink, log, Path(folder))
        environ = environment(source, sink, running.state, course)
        tasks = await stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(_run, Service(settings.load(environ), once=False))
        yield running
        tasks.cancel_scope.cancel()


async def _run(service: Service) -> None:
    """Runs the service. Raises EndedError where it ends by itself, as it does at a signal."""
    await service.run()
    raise EndedError("the service has ended before its life did")


def environment(source: str, sink: str, state: Path, course: Course) -> dict[str, str]:
    """The environment of a service between two servers, at these addresses."""
    return {
        "PATH": os.environ["PATH"],
        "LISTRAK_CLIENT_ID": "simulated-client",
        "LISTRAK_CLIENT_SECRET": "simulated-secret",
        "SEGMENT_WRITE_KEY": "simulated-write-key",
        "LISTRAK_LISTS": str(LIST),
        "LISTRAK_API_URL": source + API_PATH,
        "LISTRAK_TOKEN_URL": source + TOKEN_PATH,
        "SEGMENT_API_URL": f"{sink}/v1",
        "LISTRAK_TIMEZONE": "UTC",
        "LISTRAK_REQUESTS_PER_SECOND": f"{course.rate:g}",
        "BRIDGE_STATE": str(state),
        "BRIDGE_SINCE": "29d",
        "BRIDGE_POLL_INTERVAL": f"{course.interval:g}s",
        "BRIDGE_STATUS_BIND": "",
    }


@contextmanager
def process(machine: Machine, page: int) -> Iterator[StringIO]:
    """Lends the process to the service, and undoes afterwards what it changes of it.

    Yields the stream that it warns on. Pages are smaller than those of the true Listrak; what
    looks for people's requests does so seldom, and nothing looks at who else touches the state
    file: nobody does.
    """
    log = StringIO()
    make: Any = MessageReader.__init__
    defaults = make.__kwdefaults__
    with (
        restored_process(),
        surroundings(machine, Disk(is_instant=True)),
        mock.patch.dict(defaults, page_rows=page),
        mock.patch.object(schedule, "ERASE_INTERVAL", LOOK),
        mock.patch.object(schedule, "REQUEST_INTERVAL", LOOK),
        mock.patch.object(database, "INTERVAL", LOOK),
        mock.patch.object(database.Database, "require_present", _is_present),
        mock.patch.object(lifecycle, "LONGEST_INTERVAL", LOOK),
        mock.patch.object(time_keeper, "LOOK_INTERVAL", LOOK),
    ):
        configure_logging(level="warning", style="json", stream=log)
        yield log


async def _is_present(_database: database.Database, *, content: bool = False) -> None:
    """Stands in for a look at the state file."""
    del content


def _size_of(state: Path) -> tuple[float, int]:
    """Bytes of the state file, but for those of contacts, and the events of what is tracked."""
    with closing(sqlite3.connect(state)) as db:
        (size,) = db.execute(
            "SELECT sum(pgsize) FROM dbstat WHERE name NOT IN"
            " (SELECT name FROM sqlite_schema WHERE tbl_name IN ('contacts', 'met'))"
        ).fetchone()
        (events,) = db.execute(
            "SELECT coalesce(sum(seen), 0) FROM event_counts"
            " WHERE message IN (SELECT id FROM messages WHERE retired = 0)"
        ).fetchone()
    return float(size), int(events)


def _count(result: Result, listrak: Listrak, segment: Segment) -> None:
    rows = listrak.rows
    result.calls = sum(listrak.calls.values())
    result.calls_of = dict(listrak.calls)
    result.calls_by_day = [listrak.calls_by_day[day] for day in range(result.days)]
    result.listed, result.contacts = rows["links"], rows["contacts"]
    result.rows = rows["activity"] + rows["clickers"]
    result.digest = listrak.digest.hexdigest()[:16]
    result.events_digest = segment.digest.hexdigest()[:16]
