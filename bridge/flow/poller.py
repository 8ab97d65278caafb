"""Decides what is read when, and sees to it that it is read: the beginning of the data's way."""

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import anyio

from bridge import spool
from bridge.clock import SourceClock
from bridge.errors import (
    BridgeError,
    MissingError,
    RefusedError,
    TemporaryError,
)
from bridge.flow import scheduler
from bridge.flow.ledger import Ledger
from bridge.flow.readers.contacts import ContactReader
from bridge.flow.readers.discovery import Discovery
from bridge.flow.readers.held import HeldReader
from bridge.flow.readers.history import HistoryReader
from bridge.flow.readers.messages import MessageReader
from bridge.flow.scans.survey import Survey
from bridge.flow.scheduler import Agenda
from bridge.flow.slots import Slots
from bridge.flow.source import SourceList
from bridge.pacing import wait_before
from bridge.state.records import Message
from bridge.state.store import Store
from bridge.telemetry import Metrics, log

HISTORY_EVERY: Final = 3600.0
"""Seconds between two looks for a backfill; one that is asked for begins at once."""

REQUESTS_EVERY: Final = 5.0
"""Seconds between two looks for requests from outside."""

MOST_ROUNDS: Final = 5
"""Looks at one thing in a single catch-up: those resumed from before it are done once more."""


class Task(NamedTuple):
    """Something to do again and again: `subject` is a list's id, or a message's row."""

    name: str
    list_id: int
    subject: int


class Poller:
    """Polls for ever with `run`, or once through everything with `catch_up`."""

    def __init__(
        self,
        discovery: Discovery,
        messages: MessageReader,
        contacts: ContactReader,
        held: HeldReader,
        history: HistoryReader,
        ledger: Ledger,
        metrics: Metrics,
        sources: Sequence[SourceList],
        clock: SourceClock,
        *,
        poll_interval: float,
        concurrency: int,
        track: float,
    ) -> None:
        self._discovery = discovery
        self._messages = messages
        self._contacts = contacts
        self._held = held
        self._history = history
        self._ledger = ledger
        self._metrics = metrics
        self._sources = {source.list_id: source for source in sources}
        self._clock = clock
        self._poll_interval = poll_interval
        self._slots = Slots(concurrency, self._sources)
        self._track = track
        self._agendas: dict[int, Agenda[Task]] = {list_id: Agenda() for list_id in self._sources}
        self._changed = anyio.Event()
        # Messages that are to be read whole.
        self._long: set[int] = set()
        self._parked: list[Task] = []
        self._failures: dict[Task, int] = {}
        self._discoveries: dict[int, int] = {}
        # When each task that came to its end last had begun, by this machine's clock.
        self._asked: dict[Task, float] = {}

    async def run(self) -> None:
        """Polls until cancelled."""
        await self._held.replay()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._mind_requests)
            for list_id in self._sources:
                tasks.start_soon(self._run_list, list_id)

    async def _run_list(self, list_id: int) -> None:
        """Does what is due for one list; the others don't wait for it."""
        agenda = self._agendas[list_id]
        for name in ("discover", "contacts", "release", "history"):
            agenda.put(Task(name, list_id, list_id), 0)
        async with anyio.create_task_group() as tasks:
            while True:
                now = time.monotonic()
                task = agenda.take(now)
                if task is None:
                    changed = self._changed
                    with anyio.move_on_after(agenda.wait(now)):
                        await changed.wait()
                    continue
                long = task.name == "history" or task.subject in self._long
                if long and not self._slots.has_room(list_id, long=True):
                    # What is short need not wait behind it.
                    self._parked.append(task)
                    continue
                await self._slots.acquire(list_id, long=long)
                tasks.start_soon(self._do, task, long)

    async def _mind_requests(self) -> None:
        while True:
            await self._take_requests()
            await anyio.sleep(REQUESTS_EVERY)

    async def _take_requests(self) -> None:
        """Takes up what was asked of the service from outside, while it ran or before."""
        for place, request in spool.waiting(self._ledger.store.path):
            if isinstance(request, spool.Invalid):
                aside = spool.refuse(place)
                log.error("request.refused", file=str(aside), reason=request.reason)
                continue
            if isinstance(request, spool.Backfill):
                await self._take_backfill(place, request)
                continue
            await self._ledger.write(partial(_ask, request.messages))
            spool.done(place)
            log.info("request.taken", messages=len(request.messages))
            for message in await self._ledger.store.messages.tracked():
                if message.asked:
                    self._long.add(message.id)
                    task = Task("check", message.list_id, message.id)
                    self._agendas[message.list_id].hasten(task, time.monotonic())
            self._announce()

    async def _take_backfill(self, place: Path, request: spool.Backfill) -> None:
        begun = await self._history.begin(request.list_id, request.since)
        spool.done(place)
        log.info("request.taken", list=request.list_id, since=request.since, begun=begun)
        if request.list_id in self._agendas:
            task = Task("history", request.list_id, request.list_id)
            self._agendas[request.list_id].hasten(task, time.monotonic())
            self._announce()

    async def backfill(self) -> None:
        """Does nothing but the backfills that were asked for, to their end."""
        await self._take_requests()
        await self._held.replay()
        async with anyio.create_task_group() as tasks:
            for source in self._sources.values():
                tasks.start_soon(self._backfill_list, source)

    async def _backfill_list(self, source: SourceList) -> None:
        async with self._slots.of(source.list_id):
            while await self._history.read_next(source):
                pass

    def _announce(self) -> None:
        """Wakes those who wait for something to do."""
        self._changed.set()
        self._changed = anyio.Event()

    def _release(self, list_id: int, long: bool) -> None:
        """Gives a slot back; what waited for one for long readings is due again."""
        self._slots.release(list_id, long=long)
        if not self._parked:
            return
        parked, self._parked = self._parked, []
        for task in parked:
            self._agendas[task.list_id].put(task, 0)
        self._announce()

    async def _do(self, task: Task, long: bool) -> None:
        """One task, once; what may pass is done again later."""
        free = _Once(partial(self._release, task.list_id, long))
        began, asked_at = time.time(), self._clock.now()
        delay: float | None
        try:
            delay = await self._perform(task, free)
            if task.name != "check" or self._messages.knows_causes(task.subject, asked_at):
                self._asked[task] = began
            self._failures.pop(task, None)
        except TemporaryError as error:
            failures = self._failures[task] = self._failures.get(task, 0) + 1
            # The client has been patient already: leave the place to others for a while.
            delay = max(self._poll_interval, wait_before(error, failures))
            log.warning("poll.postponed", task=task.name, list=task.list_id, reason=str(error))
        except RefusedError as error:
            delay = 15 * self._poll_interval
            log.error("poll.refused", task=task.name, list=task.list_id, reason=str(error))
        finally:
            free()
        agenda = self._agendas[task.list_id]
        if delay is None:
            agenda.drop(task)
            self._asked.pop(task, None)
        else:
            agenda.put(task, time.monotonic() + delay)
            self._announce()

    async def _perform(self, task: Task, free: Callable[[], None]) -> float | None:
        """Does a task; returns seconds until it is due again, None for never."""
        source = self._sources[task.list_id]
        match task.name:
            case "discover":
                done = self._discoveries.get(task.list_id, 0)
                everything = done % scheduler.DISCOVER_ALL_EVERY == 0
                await self._discovery.discover(source, everything=everything)
                self._discoveries[task.list_id] = done + 1
                await self._put_checks(source)
            case "contacts":
                state = await self._ledger.store.list_state(task.list_id)
                sweep = scheduler.sweep_due(state, self._clock.now())
                await self._contacts.read(source, sweep=sweep)
            case "release":
                await self._held.release(source, await self._all_asked_at(source))
            case "check":
                return await self._check(task, source, free)
            case "history":
                return 0.0 if await self._history.read_next(source) else HISTORY_EVERY
        return self._poll_interval

    async def _put_checks(self, source: SourceList) -> None:
        messages = await self._ledger.store.messages.tracked(source.list_id)
        for message in messages:
            task = Task("check", source.list_id, message.id)
            if message.looked_at is None or message.asked:
                self._long.add(message.id)
            if task not in self._agendas[source.list_id]:
                self._agendas[source.list_id].put(task, 0)
                self._announce()
        self._metrics.tracked.labels(str(source.list_id)).set(len(messages))

    async def _check(
        self, task: Task, source: SourceList, free: Callable[[], None]
    ) -> float | None:
        message = await self._ledger.store.messages.get(task.subject)
        now = self._clock.now()
        over = scheduler.is_over(message, self._track, now)
        try:
            look = await self._messages.check(message, source, last=over)
        except MissingError as error:
            log.info("message.missing", message=message.path, reason=str(error))
            if over:
                await self._retire(message)
                return None
            return 15 * self._poll_interval
        # Its pages are on their way; others may read while they arrive.
        free()
        if look is not None:
            await look.completed.wait()
            self._long.discard(message.id)
            self._messages.settled(look.survey)
            self._metrics.looks.labels(message.kind, str(look.found).lower()).inc()
        message = await self._ledger.store.messages.get(message.id)
        if over and look is not None and look.started_at >= now and look.is_proof:
            await self._retire(message)
            return None
        return scheduler.check_delay(message, self._clock.now(), self._poll_interval)

    async def _all_asked_at(self, source: SourceList) -> float:
        """Until when all who unsubscribed through messages are known, by this machine's clock."""
        messages = await self._ledger.store.messages.tracked(source.list_id)
        tasks = [Task("check", source.list_id, message.id) for message in messages]
        tasks.append(Task("discover", source.list_id, source.list_id))
        # A counter may be behind what it tells of.
        asked = min(self._asked.get(task, 0.0) for task in tasks)
        asked -= scheduler.SETTLED * self._poll_interval
        return max(asked, time.time() - scheduler.LONGEST_HOLD)

    # Once through everything

    async def catch_up(self) -> None:
        """Finds everything that exists at this moment. Raises TemporaryError if some is left."""
        began = self._clock.now()
        failed: list[BridgeError] = []
        await self._take_requests()
        await self._held.replay()
        # Contacts first: whoever is seen to have unsubscribed waits for the message behind it.
        for step in (self._catch_up_contacts, self._catch_up_messages):
            async with anyio.create_task_group() as tasks:
                for source in self._sources.values():
                    tasks.start_soon(self._attempt, step, source, began, failed)
        for source in self._sources.values():
            await self._held.release(source, time.time())
        if failed:
            raise TemporaryError(f"not everything could be read, nothing is lost: {failed[0]}")

    async def _attempt(
        self,
        step: Callable[[SourceList, float, list[BridgeError]], Awaitable[None]],
        source: SourceList,
        began: float,
        failed: list[BridgeError],
    ) -> None:
        try:
            await step(source, began, failed)
        except (TemporaryError, RefusedError) as error:
            log.error("catch_up.failed", list=source.list_id, reason=str(error))
            failed.append(error)

    async def _catch_up_contacts(
        self, source: SourceList, began: float, _: list[BridgeError]
    ) -> None:
        for _round in range(MOST_ROUNDS):
            async with self._slots.of(source.list_id):
                await self._contacts.read(source, sweep=True)
            state = await self._ledger.store.list_state(source.list_id)
            if (state.swept_at or 0) >= began:
                break

    async def _catch_up_messages(
        self, source: SourceList, began: float, failed: list[BridgeError]
    ) -> None:
        async with self._slots.of(source.list_id):
            await self._discovery.discover(source, everything=True)
        store = self._ledger.store
        messages = await store.messages.tracked(source.list_id)
        for _round in range(MOST_ROUNDS):
            looks: list[_Begun] = []
            async with anyio.create_task_group() as tasks:
                for message in messages:
                    tasks.start_soon(self._catch_up_message, message, source, looks, failed)
            await self._messages.flush()
            for look in looks:
                await look.completed.wait()
                self._messages.settled(look.survey)
            # One that was resumed shows what was true when it began.
            messages = [
                await store.messages.get(look.message) for look in looks if look.started_at < began
            ]
            if not messages:
                break
        for message in await store.messages.tracked(source.list_id):
            end = scheduler.sent_at(message) + self._track
            unread = message.looked_at is not None and message.looked_at < end
            if scheduler.is_over(message, self._track, began) and not unread:
                await self._retire(message)

    async def _catch_up_message(
        self,
        message: Message,
        source: SourceList,
        looks: list["_Begun"],
        failed: list[BridgeError],
    ) -> None:
        try:
            async with self._slots.of(source.list_id):
                look = await self._messages.check(message, source, full=True)
        except MissingError as error:
            log.warning("message.missing", message=message.path, reason=str(error))
        except (TemporaryError, RefusedError) as error:
            log.error("catch_up.failed", message=message.path, reason=str(error))
            failed.append(error)
        else:
            if look is not None:
                looks.append(_Begun(look.message.id, look.survey, look.started_at, look.completed))

    async def _retire(self, message: Message) -> None:
        """Forgets a message of which nothing counts any more, if it was read to its end."""
        await self._ledger.write(lambda store: store.messages.retire(message.id))
        self._messages.forget(message)


async def _ask(messages: list[int], store: Store) -> None:
    await store.messages.ask(messages)


class _Begun(NamedTuple):
    """A look that was read: not the look itself, whose keys are let go when it is complete."""

    message: int
    survey: Survey
    started_at: float
    completed: anyio.Event


class _Once:
    """Calls a function at most once."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def __call__(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()
