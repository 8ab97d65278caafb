"""Decides what is read when, and sees to it that it is read: the beginning of the data's way."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import anyio

from bridge.clock import SourceClock
from bridge.errors import MissingError, RefusedError, TemporaryError
from bridge.flow import scheduler
from bridge.flow.ledger import Ledger
from bridge.flow.readers import Readers
from bridge.flow.requests import Requests
from bridge.flow.scheduler import Agenda
from bridge.flow.slots import Slots
from bridge.flow.source import SourceList
from bridge.pacing import wait_before
from bridge.telemetry import Metrics, log

HISTORY_EVERY: Final = 3600.0
"""Seconds between two looks for a backfill; one that is asked for begins at once."""

REQUESTS_EVERY: Final = 5.0
"""Seconds between two looks for requests from outside."""


class Task(NamedTuple):
    """Something to do again and again: `subject` is a list's id, or a message's row."""

    name: str
    list_id: int
    subject: int


class Poller:
    """Polls for ever, one list beside the other."""

    def __init__(
        self,
        readers: Readers,
        ledger: Ledger,
        metrics: Metrics,
        sources: Sequence[SourceList],
        clock: SourceClock,
        *,
        poll_interval: float,
        concurrency: int,
        track: float,
    ) -> None:
        self._readers = readers
        self._requests = Requests(ledger, readers.history)
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
        await self._readers.held.replay()
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
                long = self._is_long(task)
                if long and not self._slots.has_room(list_id, long=True):
                    # What is short need not wait behind it.
                    self._parked.append(task)
                    continue
                await self._slots.acquire(list_id, long=long)
                tasks.start_soon(self._do, task, long)

    async def _mind_requests(self) -> None:
        """Begins at once with what is asked for from outside."""
        while True:
            asked = await self._requests.take()
            self._long.update(message.id for message in asked.messages)
            tasks = [Task("check", message.list_id, message.id) for message in asked.messages]
            tasks += [Task("history", list_id, list_id) for list_id in asked.lists]
            for task in tasks:
                if task.list_id in self._agendas:
                    self._agendas[task.list_id].hasten(task, time.monotonic())
            if tasks:
                self._announce()
            await anyio.sleep(REQUESTS_EVERY)

    def _is_long(self, task: Task) -> bool:
        """Whether a task may keep its slot for long."""
        return task.name == "history" or (task.name == "check" and task.subject in self._long)

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
            if task.name != "check" or self._readers.messages.knows_causes(task.subject, asked_at):
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
                await self._readers.discovery.discover(source, everything=everything)
                self._discoveries[task.list_id] = done + 1
                await self._put_checks(source)
            case "contacts":
                state = await self._ledger.store.list_state(task.list_id)
                sweep = scheduler.sweep_due(state, self._clock.now())
                await self._readers.contacts.read(source, sweep=sweep)
            case "release":
                await self._readers.held.release(source, await self._all_asked_at(source))
            case "check":
                return await self._check(task, source, free)
            case "history":
                return 0.0 if await self._readers.history.read_next(source) else HISTORY_EVERY
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
            look = await self._readers.messages.check(message, source, last=over)
        except MissingError as error:
            log.info("message.missing", message=message.path, reason=str(error))
            if over:
                await self._readers.messages.retire(message)
                return None
            return 15 * self._poll_interval
        # Its pages are on their way; others may read while they arrive.
        free()
        if look is not None:
            await look.completed.wait()
            self._long.discard(message.id)
            self._readers.messages.settled(look.survey)
            self._metrics.looks.labels(message.kind, str(look.found).lower()).inc()
        message = await self._ledger.store.messages.get(message.id)
        if over and look is not None and look.started_at >= now and look.is_proof:
            await self._readers.messages.retire(message)
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


class _Once:
    """Calls a function at most once."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def __call__(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()
