"""The bridge's own strategy: its real schedule, readers, rules, mapper and state file.

Only what takes time by itself is replaced: Listrak, the clock, the threads around SQLite, and the
loop that hands out tasks.
"""

import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import msgspec
from anyio.abc import ObjectReceiveStream

from bridge.event_types import TRACKS
from bridge.flow.channel import Channel
from bridge.flow.context import ReaderContext, Scope
from bridge.flow.delivery import Delivery
from bridge.flow.ledger import Ledger, Work
from bridge.flow.mapper import Mapper
from bridge.flow.mapping.activity import ActivityRules
from bridge.flow.mapping.contacts import ContactRules
from bridge.flow.message_poll import MessagePoll
from bridge.flow.page import Page
from bridge.flow.readers.messages import MessageReader
from bridge.flow.readers.names import Names
from bridge.flow.readers.properties import PropertyReader
from bridge.flow.readers.rows import RowReader
from bridge.flow.scheduling import schedule
from bridge.flow.scheduling.due_queue import DueQueue
from bridge.flow.set_aside import SetAside
from bridge.flow.source import SourceList
from bridge.flow.summary_metrics import SummaryMetrics
from bridge.listrak import times
from bridge.listrak.times import Zone
from bridge.metrics import Metrics
from bridge.state.checksums import Writing
from bridge.state.database import Database
from bridge.state.file_format import create
from bridge.state.records import Message, MessageRef
from bridge.state.store import Store
from simulation.listrak import Reading, SimulatedListrak, VirtualClock
from simulation.population import DAY, MINUTE, Send
from simulation.strategies import Result
from simulation.tally import Event, Tally

LIST = 1
TRACK = 30 * DAY


class DirectDatabase(Database):
    """The state file without a thread of its own, and without waiting for the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.copied = False
        self.behind = None
        self.is_untraced = False
        create(path)
        self._direct = sqlite3.connect(path, isolation_level=None, factory=Writing)
        self._direct.execute("PRAGMA journal_mode = WAL")
        self._direct.execute("PRAGMA synchronous = OFF")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All or nothing."""
        self._direct.execute("BEGIN IMMEDIATE")
        yield
        self._direct.execute("COMMIT")

    async def all(self, query: str, *values: object) -> list[Any]:
        """All rows of a query."""
        return self._direct.execute(query, values).fetchall()

    async def run(self, statement: str, *values: object) -> int:
        """Runs a statement."""
        return self._direct.execute(statement, values).lastrowid or 0

    async def many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Runs a statement for each row."""
        self._direct.executemany(statement, rows)

    def used(self) -> int:
        """Bytes of the file that hold anything."""
        one = [
            self._direct.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        ]
        return int((one[0] - one[1]) * one[2])


class DirectLedger(Ledger):
    """Commits at once what somebody waits for; the rest when the simulation says so."""

    def __init__(self, database: DirectDatabase) -> None:
        super().__init__(Store(database), Metrics())
        self.database = database

    async def commit(self, work: Work, on_committed: Callable[[], None] = lambda: None) -> None:
        """Commits `work` now, with all that is queued."""
        self.enqueue(work, on_committed)
        await self.flush()

    async def wait_for_room(self) -> None:
        """Makes room."""
        await self.flush()


class Sink:
    """Takes every event at once, and has it noted."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._decoder = msgspec.json.Decoder(Event)

    async def run(self, deliveries: ObjectReceiveStream[Delivery]) -> None:
        """Until there are no more."""
        async with deliveries:
            async for delivery in deliveries:
                for event in delivery.events:
                    self._tally.note(self._decoder.decode(event))
                if not delivery.is_flush:
                    delivery.accept(len(delivery.events))


async def live(
    name: str,
    sends: list[Send],
    folder: Path,
    *,
    begin: float,
    days: int,
    page: int,
    seconds: float,
    reading: Reading,
) -> Result:
    """Lives through the days; `seconds`: of the list's budget that a call takes."""
    began = time.perf_counter()
    end = begin + days * DAY
    result = Result(name, days)
    clock = VirtualClock(begin)
    paths = {path_of(send): send for send in sends}
    listrak: Any = SimulatedListrak(paths, clock, seconds=seconds, page=page, reading=reading)
    database = DirectDatabase(folder / "bridge.db")
    ledger = DirectLedger(database)
    page_in, page_out = anyio.create_memory_object_stream[Page](100)
    delivery_in, delivery_out = anyio.create_memory_object_stream[Delivery](100)
    zone, events = Zone(ZoneInfo("UTC")), frozenset(TRACKS)
    source = SourceList(LIST, "News", None, times.from_seconds(begin))
    scope = Scope([source], zone, TRACK, events)
    set_aside = SetAside(ledger, Metrics(), clock.now, interval=MINUTE)
    context = ReaderContext(listrak, ledger, dict.fromkeys(Channel, page_in), scope, set_aside)
    rows = RowReader(context, PropertyReader(context, Names(context)))
    reader = MessageReader(context, rows, SummaryMetrics(Metrics()), page_rows=page)
    poller = VirtualPoller(reader, source, ledger, clock, result)
    mapper = Mapper(ledger, ActivityRules(zone, events), ContactRules(zone, events), Metrics())
    tally = Tally(sends, clock.now, result)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Sink(tally).run, delivery_out)
        tasks.start_soon(mapper.run, page_out, delivery_in)
        async with page_in:
            await poller.run(sends, end)
    result.calls = sum(listrak.calls.values())
    result.listed = listrak.rows.pop("links", 0)
    result.rows = sum(listrak.rows.values())
    tally.close(end)
    result.seconds = time.perf_counter() - began
    return result


def path_of(send: Send) -> str:
    """Its place in Listrak's API."""
    if send.conversation:
        return f"List/{LIST}/Conversation/1/Message/{send.number}"
    return f"List/{LIST}/Message/{send.number}"


class VirtualPoller:
    """What the poller does, in the same order, on the virtual clock."""

    def __init__(
        self,
        reader: MessageReader,
        source: SourceList,
        ledger: DirectLedger,
        clock: VirtualClock,
        result: Result,
    ) -> None:
        self._reader = reader
        self._source = source
        self._ledger = ledger
        self._messages = ledger.store.messages
        self._database = ledger.database
        self._clock = clock
        self._result = result
        self._queue: DueQueue[int] = DueQueue()

    async def run(self, sends: list[Send], end: float) -> None:
        """Polls until the end."""
        clock, queue = self._clock, self._queue
        coming = sorted(sends, key=lambda send: send.begins, reverse=True)
        next_day = clock.time + DAY
        while clock.time < end:
            while coming and coming[-1].begins <= clock.time:
                await self._discover(coming.pop())
            if clock.time >= next_day:
                next_day += DAY
                self._result.state.append((self._database.used(), await self._tracked_events()))
            task = queue.take(clock.time)
            if task is None:
                # A new message is found at the next discovery.
                clock.time += max(min(queue.wait(clock.time), MINUTE), 0.001)
                continue
            delay = await self._poll_message(await self._messages.get(task))
            if delay is None:
                queue.drop(task)
            else:
                queue.put(task, clock.time + delay, slack=delay)

    async def _discover(self, send: Send) -> None:
        ref = MessageRef(
            LIST,
            "conversation" if send.conversation else "broadcast",
            send.number,
            conversation_id=int(send.conversation),
            sent_at="" if send.conversation else times.from_seconds(send.begins),
        )
        async with self._ledger.store.transaction():
            await self._messages.add([ref], self._clock.time)
        for message in await self._messages.tracked(LIST):
            if message.id not in self._queue:
                self._queue.put(message.id, self._clock.time)

    async def _poll_message(self, message: Message) -> float | None:
        """Seconds until it is due again, None for never."""
        over = schedule.is_over(message, TRACK, self._clock.time)
        planned = await self._reader.plan(message, last=over)
        if planned is not None:
            poll = await self._reader.read(planned, self._source)
            await self._complete(poll)
            message = await self._messages.get(message.id)
            if over and poll.is_proof:
                await self._reader.untrack(message)
                return None
        return schedule.poll_delay(message, self._clock.time, MINUTE)

    async def _complete(self, poll: MessagePoll) -> None:
        """Has all pages of a poll acknowledged, and commits its end and what that calls for."""
        await self._reader.flush()
        while not poll.completed.is_set():
            await anyio.lowlevel.checkpoint()
            await self._ledger.flush()
        await self._ledger.flush()

    async def _tracked_events(self) -> int:
        total = 0
        for message in await self._messages.tracked(LIST):
            counts = await self._ledger.store.event_counts.of(message.id)
            total += sum(count.seen for count in counts.values())
        return total
