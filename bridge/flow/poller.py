"""Decides what is read when, and sees to it that it is read: the beginning of the data's way."""

import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import anyio

from bridge.clock import SourceClock
from bridge.errors import MissingError, RefusedError, TemporaryError
from bridge.flow import scheduler
from bridge.flow.ledger import Ledger
from bridge.flow.readers import Readers
from bridge.flow.requests import Requests
from bridge.flow.scheduler import Agenda
from bridge.flow.slots import Slot, Slots
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
            agenda.put(Task(name, list_id, list_id), time.monotonic())
        async with anyio.create_task_group() as tasks:
            while True:
                await self._until_due(agenda)
                slot = await self._slots.take(list_id)
                task = agenda.take(time.monotonic())
                if task is None:
                    slot.leave()
                else:
                    tasks.start_soon(self._do, task, slot)

    async def _until_due(self, agenda: Agenda[Task]) -> None:
        while (seconds := agenda.wait(time.monotonic())) > 0:
            changed = self._changed
            with anyio.move_on_after(seconds):
                await changed.wait()

    async def _mind_requests(self) -> None:
        """Begins at once with what is asked for from outside."""
        while True:
            asked = await self._requests.take()
            tasks = [Task("check", message.list_id, message.id) for message in asked.messages]
            tasks += [Task("history", list_id, list_id) for list_id in asked.lists]
            for task in tasks:
                if task.list_id in self._agendas:
                    self._agendas[task.list_id].hasten(task, time.monotonic())
            if tasks:
                self._announce()
            await anyio.sleep(REQUESTS_EVERY)

    def _announce(self) -> None:
        """Wakes those who wait for something to do."""
        self._changed.set()
        self._changed = anyio.Event()

    async def _do(self, task: Task, slot: Slot) -> None:
        """One task, once; what may pass is done again later."""
        began, asked_at = time.time(), self._clock.now()
        delay: float | None
        try:
            delay = await self._perform(task, slot)
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
            slot.leave()
        agenda = self._agendas[task.list_id]
        if delay is None:
            agenda.drop(task)
            self._asked.pop(task, None)
        else:
            agenda.put(task, time.monotonic() + delay, slack=delay)
            self._announce()

    async def _perform(self, task: Task, slot: Slot) -> float | None:
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
                sweep = await self._readers.contacts.is_sweep_next(source)
                if sweep:
                    await slot.lengthen()
                await self._readers.contacts.read(source, sweep=sweep)
            case "release":
                await self._readers.held.release(source, await self._all_asked_at(source))
            case "check":
                return await self._check(task, source, slot)
            case "history":
                await slot.lengthen()
                return 0.0 if await self._readers.history.read_next(source) else HISTORY_EVERY
        return self._poll_interval

    async def _put_checks(self, source: SourceList) -> None:
        agenda = self._agendas[source.list_id]
        messages = await self._ledger.store.messages.tracked(source.list_id)
        for message in messages:
            task = Task("check", source.list_id, message.id)
            if task not in agenda:
                # After a start all are new: what is fresh goes before what is asked rarely.
                usual = scheduler.check_delay(message, self._clock.now(), self._poll_interval)
                agenda.put(task, time.monotonic(), slack=usual)
                self._announce()
        self._metrics.tracked.labels(str(source.list_id)).set(len(messages))

    async def _check(self, task: Task, source: SourceList, slot: Slot) -> float | None:
        reader, messages = self._readers.messages, self._ledger.store.messages
        message = await messages.get(task.subject)
        now = self._clock.now()
        over = scheduler.is_over(message, self._track, now)
        try:
            survey = await reader.ask(message, last=over)
            if survey is not None:
                if survey.is_long:
                    await slot.lengthen()
                look = await reader.read(survey, source)
                # Its pages are on their way; others may read while they arrive.
                slot.leave()
                await look.completed.wait()
                reader.settled(survey)
                self._metrics.looks.labels(message.kind, str(look.found).lower()).inc()
                if over and look.started_at >= now and look.is_proof:
                    await reader.retire(message)
                    return None
        except MissingError as error:
            log.info("message.missing", message=message.path, reason=str(error))
            if over:
                await reader.retire(message)
                return None
            return 15 * self._poll_interval
        message = await messages.get(message.id)
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
