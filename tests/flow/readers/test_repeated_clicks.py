"""Clicks of a contact on a link within one second: each is told, and none that wasn't."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual.disk import Disk
from virtual.loop import VirtualLoop
from virtual.surroundings import Machine, surroundings

from bridge.clock import SourceClock
from bridge.errors import TemporaryError
from bridge.event_types import TRACKS
from bridge.flow.channel import Channel
from bridge.flow.context import ReaderContext, Scope
from bridge.flow.delivery import Delivery
from bridge.flow.ledger import Ledger
from bridge.flow.mapper import Mapper
from bridge.flow.mapping.activity import ActivityRules
from bridge.flow.mapping.contacts import ContactRules
from bridge.flow.page import Page
from bridge.flow.readers.click_tally import ClickTally
from bridge.flow.readers.departures import Departures
from bridge.flow.readers.messages import MessageReader
from bridge.flow.readers.names import Names
from bridge.flow.readers.properties import PropertyReader
from bridge.flow.readers.rows import RowReader
from bridge.flow.set_aside import SetAside
from bridge.flow.source import SourceList
from bridge.flow.summary_metrics import SummaryMetrics
from bridge.listrak import times, wire
from bridge.listrak.pages import PageOf
from bridge.listrak.times import Zone
from bridge.metrics import Metrics
from bridge.state.records import MessageRef
from bridge.state.store import Store, open_store

NOW = 1_780_272_000.0
SENT = "2026-06-01T00:00:00"

MEMORY = Path("/dev/shm")

Shown = tuple[int, str, str]
"""A click as it is shown: link, address, date."""


class Clock(SourceClock):
    """Stands still but when somebody moves it."""

    def __init__(self) -> None:
        super().__init__()
        self.time = NOW

    def now(self) -> float:
        return self.time


@dataclass
class Shifting:
    """A Listrak whose pages shift: clicks show newest first, and come while pages are read.

    coming: clicks by the number of the request before which they show.
    counted: likewise, before which their link counts them.
    crashes: numbers of requests that fail.
    """

    size: int
    coming: list[tuple[int, int, Shown]]
    crashes: set[int]
    requests_per_second: float = 5.0
    clock: Clock = field(default_factory=Clock)
    requests: int = 0
    calls: Counter[str] = field(default_factory=Counter)

    def with_priority(self, _priority: object) -> "Shifting":
        return self

    def ask(self, resource: str) -> None:
        self.requests += 1
        self.calls[resource] += 1
        self.clock.time += 1
        if self.requests in self.crashes:
            raise TemporaryError("no answer")

    def shown(self) -> list[Shown]:
        here = [(shows, place, click) for place, (shows, _, click) in enumerate(self.coming)]
        return [click for shows, _, click in sorted(here, reverse=True) if shows <= self.requests]

    def counts(self) -> Counter[int]:
        return Counter(click[0] for _, counted, click in self.coming if counted <= self.requests)

    async def summary(self, _path: str) -> wire.Summary:
        self.ask("summary")
        return wire.Summary(sent_count=3, click_count=self.counts().total())

    async def links(self, _path: str) -> list[wire.Link]:
        self.ask("links")
        counts = self.counts()
        return [wire.Link(link, f"https://shop.example/{link}", counts[link]) for link in (1, 2)]

    async def message(self, _path: str) -> wire.Message:
        return wire.Message(7, send_date=SENT, subject="News")

    async def campaigns(self, _list_id: int) -> PageOf[wire.Campaign]:
        return PageOf([], None)

    async def activity(self, _path: str, _cursor: str, _only: object) -> PageOf[wire.Activity]:
        self.ask("activity")
        rows = [wire.Activity(f"c{number}@x.example", SENT) for number in range(3)]
        return PageOf(rows, None)

    async def clickers(
        self, _path: str, link: int, cursor: str, *, since: str | None = None
    ) -> PageOf[wire.Clicker]:
        self.ask("clickers")
        own = [click for click in self.shown() if click[0] == link and click[2] >= (since or "")]
        begin = 0 if cursor == wire.START else int(cursor)
        rows = [wire.Clicker(email, date) for _, email, date in own[begin : begin + self.size]]
        end = begin + self.size
        return PageOf(rows, str(end) if end < len(own) else None)


class Told:
    """What was told, by id; clicks by what they show."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}

    async def run(self, deliveries: Any) -> None:
        async with deliveries:
            async for delivery in deliveries:
                for event in map(msgspec.json.decode, delivery.events):
                    assert self.events.setdefault(event["messageId"], event) == event
                if not delivery.is_flush:
                    delivery.accept(len(delivery.events))

    @property
    def clicks(self) -> Counter[Shown]:
        return Counter(
            (int(e["properties"]["link_id"]), e["anonymousId"], e["timestamp"][:19])
            for e in self.events.values()
            if e["event"] == "Email Link Clicked"
        )


def on_a_state_file(path: Path, work: Callable[[Store], Awaitable[None]]) -> None:
    """Does some work with a new state file, on a virtual loop."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        machine = Machine(loop, lambda: NOW + loop.time())
        with surroundings(machine, Disk(is_instant=True)):
            async with open_store(path) as store:
                await work(store)

    anyio.run(run, backend_options={"loop_factory": VirtualLoop})


async def polled(listrak: Any, store: Store, told: Told, *, full: bool) -> None:
    """Polls the message once, by a service that has just started; it may fail."""
    ledger = Ledger(store, Metrics())
    page_in, page_out = anyio.create_memory_object_stream[Page](100)
    delivery_in, delivery_out = anyio.create_memory_object_stream[Delivery](100)
    zone, names = Zone(ZoneInfo("UTC")), frozenset(TRACKS)
    source = SourceList(1, "News", None, times.from_seconds(NOW - 1e6))
    set_aside = SetAside(ledger, Metrics(), lambda: NOW, interval=60)
    scope = Scope([source], zone, 1e8, names)
    context = ReaderContext(listrak, ledger, dict.fromkeys(Channel, page_in), scope, set_aside, 60)
    rows = RowReader(context, PropertyReader(context, Names(context)))
    reader = MessageReader(context, rows, SummaryMetrics(Metrics()), Departures())
    mapper = Mapper(ledger, ActivityRules(zone, names), ContactRules(zone, names), Metrics())
    async with store.transaction():
        ref = MessageRef(1, "broadcast", 7, sent_at=f"{SENT}Z")
        await store.messages.add([ref], NOW)
    (message,) = await store.messages.tracked(1)
    async with anyio.create_task_group() as writing:
        writing.start_soon(ledger.run)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(told.run, delivery_out)
            tasks.start_soon(mapper.run, page_out, delivery_in)
            # What is under way is acknowledged, or not, as it comes.
            with suppress(TemporaryError):
                async with page_in:
                    planned = await reader.plan(message, full=full)
                    if planned is not None:
                        poll = await reader.read(planned, source)
                        await reader.flush()
                        await poll.completed.wait()
        writing.cancel_scope.cancel()
    await ledger.flush()


clicks = st.tuples(
    st.sampled_from((1, 1, 1, 2)),
    st.sampled_from(("c0@x.example", "c1@x.example", "c2@x.example")),
    st.integers(1, 4).map(lambda second: f"2026-06-01T00:00:0{second}"),
)
coming = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), clicks), max_size=24)


@settings(max_examples=60)
@given(st.integers(1, 7), coming, st.sets(st.integers(1, 60), max_size=4), st.booleans())
def test_exactly_the_true_clicks(
    size: int, drawn: list[tuple[int, int, Shown]], crashes: set[int], ahead: bool
) -> None:
    """Pages of any size, clicks that come between two of them, crashes at any: never a phantom.

    Counters may be ahead of rows, or behind; in the end, all that happened was told.
    """
    # A row that is late may come before its link counts it, or long after.
    orders = [(max(a, b), min(a, b), c) if ahead else (a, max(a, b), c) for a, b, c in drawn]
    true = Counter(click for _, _, click in orders)

    async def live(store: Store) -> None:
        listrak, told = Shifting(size, orders, crashes), Told()
        for number in range(12):
            await polled(listrak, store, told, full=number % 3 == 0)
            assert told.clicks <= true, "a phantom"
            listrak.clock.time += 4000
        listrak.requests += 100
        for _ in range(2):
            await polled(listrak, store, told, full=True)
        assert told.clicks == true

    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        on_a_state_file(Path(folder) / "bridge.db", live)


def told_at_once(path: Path, listrak: Shifting) -> Told:
    """What a full poll tells."""
    told = Told()

    async def poll(store: Store) -> None:
        await polled(listrak, store, told, full=True)

    on_a_state_file(path, poll)
    return told


@pytest.mark.parametrize("repeats", [False, True])
def test_what_repeats_cost(tmp_path: Path, repeats: bool) -> None:
    """Nothing for links without any; nothing on one page; a second reading on several."""
    date = "2026-06-01T00:00:01"
    dates = [date, date] if repeats else [date, "2026-06-01T00:00:02"]
    orders = [(0, 0, (1, "c0@x.example", date)) for date in dates]
    for size, expected in ((5, 1), (1, 4 if repeats else 2)):
        listrak = Shifting(size, orders, set())
        told = told_at_once(tmp_path / f"{size}.db", listrak)
        assert listrak.calls["clickers"] == expected
        assert told.clicks.total() == 2


def test_the_first_keeps_its_id(tmp_path: Path) -> None:
    """The id that a click had before repeats were told from clicks is that of the first of them."""
    ids: list[set[str]] = []
    for number in (1, 2, 3):
        click = (1, "c0@x.example", "2026-06-01T00:00:01")
        told = told_at_once(tmp_path / f"{number}.db", Shifting(5, [(0, 0, click)] * number, set()))
        ids.append({i for i, e in told.events.items() if e["event"] == "Email Link Clicked"})
    assert [len(each) for each in ids] == [1, 2, 3]
    assert ids[0] < ids[1] < ids[2]


def test_a_row_that_came_twice() -> None:
    """On two pages, of a link that counts one click: one row, shown twice."""
    row = wire.Clicker("c0@x.example", "2026-06-01T00:00:01.50")
    tally = ClickTally()
    for page in ([row], [wire.Clicker(row.email_address, "2026-06-01T00:00:01.5")]):
        tally.add(PageOf(page, None))
    assert tally.alike.total() == 1
    assert not tally.is_certain(1, tally, 1)
    assert not tally.is_certain(2, None, 2)
    assert not tally.is_certain(2, tally, 3)
    assert tally.is_certain(2, tally, 2)
