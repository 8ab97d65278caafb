"""The bridge's own strategy: its real scheduler, readers, rules, mapper and state file.

Only what takes time by itself is replaced: Listrak, the clock, the threads around SQLite, and the
loop that hands out tasks.
"""

import sqlite3
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import msgspec
from anyio.abc import ObjectReceiveStream

from bridge.flow import scheduler
from bridge.flow.ledger import Ledger, Work
from bridge.flow.mapper import Mapper
from bridge.flow.page import Page, Parcel
from bridge.flow.readers.messages import MessageReader
from bridge.flow.readers.rows import RowReader
from bridge.flow.reconciliation import Comparison
from bridge.flow.rules.activity import ActivityRules
from bridge.flow.rules.contacts import ContactRules
from bridge.flow.scheduler import Agenda
from bridge.flow.source import SourceList
from bridge.listrak import times
from bridge.listrak.times import Zone
from bridge.state.database import SCHEMA_VERSION, Database
from bridge.state.store import Store
from bridge.telemetry import Metrics
from bridge.vocabulary import TRACKS
from simulation.listrak import Reading, SimulatedListrak, VirtualClock, number_of
from simulation.population import DAY, KINDS, MINUTE, Send
from simulation.strategies import Result

LIST = 1
TRACK = 30 * DAY
KIND_OF = {
    "Email Sent": "sent",
    "Email Opened": "opened",
    "Email Bounced": "bounced",
    "Email Link Clicked": "clicked",
    "Email Converted": "ordered",
    "Email Marked As Spam": "complained",
}


class DirectDatabase(Database):
    """The state file without a thread of its own, and without waiting for the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._direct = sqlite3.connect(path, isolation_level=None)
        self._direct.execute("PRAGMA journal_mode = WAL")
        self._direct.execute("PRAGMA synchronous = OFF")
        for step in range(1, SCHEMA_VERSION + 1):
            schema = files("bridge.state").joinpath("schema", f"{step}.sql").read_text()
            self._direct.executescript(schema)

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
    """Commits what must be written at once; the rest when the simulation says so."""

    async def write(self, work: Work) -> None:
        """Commits `work` now, with all that waits."""
        self.later(work)
        await self.flush()

    async def room(self) -> None:
        """Makes room."""
        await self.flush()


class _Seen(msgspec.Struct, rename="camel"):
    event: str
    anonymous_id: str
    timestamp: str
    properties: dict[str, Any]


class Sink:
    """Takes every event at once, and notes when."""

    def __init__(self, sends: dict[int, Send], clock: VirtualClock, result: Result) -> None:
        self._sends = sends
        self._clock = clock
        self._result = result
        self._decoder = msgspec.json.Decoder(_Seen)
        self._orders: dict[tuple[int, int], int] = {}
        self.found: dict[tuple[int, str], int] = {}

    async def run(self, parcels: ObjectReceiveStream[Parcel]) -> None:
        """Until there are no more."""
        async with parcels:
            async for parcel in parcels:
                for event in parcel.events:
                    self._note(self._decoder.decode(event))
                if parcel.events:
                    parcel.accept(len(parcel.events))
                else:
                    parcel.settle(parcel)

    def _note(self, event: _Seen) -> None:
        kind = KIND_OF[event.event]
        send = self._sends[int(event.properties["email_id"])]
        number = number_of(event.anonymous_id)
        sent = float(send.sent[number])
        key = (send.number, kind)
        if kind == "ordered":
            self._note_orders(send, number, sent, round(event.properties["order_total"] * 100))
            return
        if kind == "clicked":
            happened = times.seconds(event.timestamp)
        else:
            happened = float(getattr(send, kind)[number])
        self.found[key] = self.found.get(key, 0) + 1
        self._result.freshness.add(kind, happened, sent, self._clock.time)

    def _note_orders(self, send: Send, number: int, sent: float, cents: int) -> None:
        """One event may tell of two orders."""
        for place, moments in enumerate((send.ordered, send.ordered_again)):
            amount = int(send.cents[number, place])
            told = self._orders.get((send.number, number), 0)
            if amount and cents >= amount and told == place:
                cents -= amount
                self._orders[send.number, number] = told + 1
                key = (send.number, "ordered")
                self.found[key] = self.found.get(key, 0) + 1
                happened = float(moments[number])
                self._result.freshness.add("ordered", happened, sent, self._clock.time)
        if cents:
            raise AssertionError(f"an order of {send.number} to {number} is off by {cents} cents")


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
    result = Result(name, days)
    clock = VirtualClock(begin)
    paths = {path_of(send): send for send in sends}
    listrak: Any = SimulatedListrak(paths, clock, seconds=seconds, page=page, reading=reading)
    database = DirectDatabase(folder / "bridge.db")
    ledger = DirectLedger(Store(database), Metrics())
    zone = Zone(ZoneInfo("UTC"))
    horizon = times.from_seconds(begin)
    page_in, page_out = anyio.create_memory_object_stream[Page](100)
    parcel_in, parcel_out = anyio.create_memory_object_stream[Parcel](100)
    sink = Sink({send.number: send for send in sends}, clock, result)
    wanted = frozenset(TRACKS)
    reader = MessageReader(
        listrak,
        ledger,
        RowReader(listrak, ledger, zone, page_in, wanted=wanted),
        horizon=horizon,
        track=TRACK,
        wanted=wanted,
        comparison=Comparison(Metrics()),
        page_rows=page,
    )
    mapper = Mapper(ledger, ActivityRules(zone, wanted), ContactRules(zone, wanted), Metrics())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sink.run, parcel_out)
        tasks.start_soon(mapper.run, page_out, parcel_in)
        async with page_in:
            await _poll(sends, reader, ledger, database, clock, result, begin + days * DAY)
    result.calls = sum(listrak.calls.values())
    result.listed = listrak.rows.pop("links", 0)
    result.rows = sum(listrak.rows.values())
    _check(sends, sink, result, begin + days * DAY)
    result.seconds = time.perf_counter() - began
    return result


def path_of(send: Send) -> str:
    """Its place in Listrak's API."""
    if send.conversation:
        return f"List/{LIST}/Conversation/1/Message/{send.number}"
    return f"List/{LIST}/Message/{send.number}"


async def _poll(
    sends: list[Send],
    reader: MessageReader,
    ledger: Ledger,
    database: DirectDatabase,
    clock: VirtualClock,
    result: Result,
    end: float,
) -> None:
    """What the poller does, in the same order, on the virtual clock."""
    store, source = ledger.store, SourceList(LIST, "News", None)
    agenda: Agenda[int] = Agenda()
    coming = sorted(sends, key=lambda send: send.begins, reverse=True)
    next_day = clock.time + DAY
    while clock.time < end:
        while coming and coming[-1].begins <= clock.time:
            await _discover(store, coming.pop(), clock)
            for message in await store.messages.tracked(LIST):
                if message.id not in agenda:
                    agenda.put(message.id, clock.time)
        if clock.time >= next_day:
            next_day += DAY
            result.state.append((database.used(), await _tracked_events(store)))
        task = agenda.take(clock.time)
        if task is None:
            # A new message is found at the next poll.
            clock.time += max(min(agenda.wait(clock.time), MINUTE), 0.001)
            continue
        message = await store.messages.get(task)
        over = scheduler.is_over(message, TRACK, clock.time)
        survey = await reader.ask(message, last=over)
        if survey is not None:
            look = await reader.read(survey, source)
            await reader.flush()
            while not look.completed.is_set():
                await anyio.lowlevel.checkpoint()
                await ledger.flush()
            reader.settled(survey)
            await ledger.flush()
            message = await store.messages.get(task)
            if over and look.is_proof:
                await reader.retire(message)
                agenda.drop(task)
                continue
        delay = scheduler.check_delay(message, clock.time, MINUTE)
        agenda.put(task, clock.time + delay, slack=delay)


async def _discover(store: Store, send: Send, clock: VirtualClock) -> None:
    kind = "conversation" if send.conversation else "broadcast"
    sent = "" if send.conversation else times.from_seconds(send.begins)
    row = (LIST, kind, send.number, int(send.conversation), 0, sent)
    async with store.transaction():
        await store.messages.add([row], clock.time)


async def _tracked_events(store: Store) -> int:
    total = 0
    for message in await store.messages.tracked(LIST):
        counts = await store.event_counts.of(message.id)
        total += sum(count.seen for count in counts.values())
    return total


def _check(sends: list[Send], sink: Sink, result: Result, end: float) -> None:
    """Everything that happened until two days before the end must have been seen, once."""
    for send in sends:
        for kind in KINDS:
            if kind == "unsubscribed":
                # Told by the contacts, which are left out here.
                continue
            happened = send.events[kind]
            found = sink.found.get((send.number, kind), 0)
            due = int((happened < end - 2 * DAY).sum())
            if not due <= found <= len(happened):
                result.missed += abs(due - found)
                result.missing.append(f"{kind} of {send.number}: {found}, {due} were due")
