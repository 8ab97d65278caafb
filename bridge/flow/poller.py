"""Polls everything when it is due: the beginning of the data flow."""

from typing import Final, Literal, NamedTuple

import anyio

from bridge import clock
from bridge.errors import MissingError, TemporaryError, is_isolated
from bridge.flow.channel import Channel
from bridge.flow.context import PollLimits, ReaderContext
from bridge.flow.readers import Readers
from bridge.flow.requests import Requests
from bridge.flow.scheduling import schedule
from bridge.flow.scheduling.backlog import Backlog
from bridge.flow.scheduling.due_queue import DueQueue
from bridge.flow.scheduling.slots import Slot, Slots
from bridge.flow.source import SourceList
from bridge.metrics import Metrics
from bridge.output.logs import log
from bridge.state.records import Message
from bridge.state.set_aside import LISTING_KINDS, Part
from bridge.transport.retry import backoff

TaskName = Literal["discovery", "contacts", "unsubscribes", "backfill", "identify", "message"]
LIST_TASKS: Final[dict[Channel, tuple[TaskName, ...]]] = {
    Channel.TRACKS: ("discovery", "unsubscribes", "backfill"),
    Channel.IDENTIFIES: ("contacts", "identify"),
}
"""The tasks that each list has, by the channel that their pages go through; "message" is one of
TRACKS."""


class Task(NamedTuple):
    """A task to be done again and again.

    name: of all but messages there is one a list.
    subject: the list's id, or the row of the message.
    """

    name: TaskName
    list_id: int
    subject: int

    @property
    def channel(self) -> Channel:
        """The channel of its pages."""
        is_contacts = self.name in LIST_TASKS[Channel.IDENTIFIES]
        return Channel.IDENTIFIES if is_contacts else Channel.TRACKS


class Poller:
    """Polls for ever, one list beside the other."""

    def __init__(
        self, readers: Readers, context: ReaderContext, metrics: Metrics, limits: PollLimits
    ) -> None:
        self._readers = readers
        self._ledger = context.ledger
        self._set_aside = context.set_aside
        self._clock = context.listrak.clock
        self._track = context.scope.track
        self._sources = {source.list_id: source for source in context.scope.sources}
        self._requests = Requests(context.ledger, readers, context.scope.sources)
        self._metrics = metrics
        self._poll_interval = limits.interval
        # A list's contacts are read one page after the other, whatever the concurrency.
        self._slots = {
            Channel.TRACKS: Slots(limits.concurrency, self._sources),
            Channel.IDENTIFIES: Slots(0, self._sources),
        }
        self._queues: dict[tuple[Channel, int], DueQueue[Task]] = {
            (channel, list_id): DueQueue() for channel in Channel for list_id in self._sources
        }
        # Set once something else of a queue may be due, and replaced then.
        self._changed = {key: anyio.Event() for key in self._queues}
        self._failures: dict[Task, int] = {}
        self._under_way = 0
        metrics.outstanding.labels("reading").set_function(self._outstanding)
        self._discoveries: dict[int, int] = {}
        # By list, once its messages are known; by the clock that counts while the machine sleeps.
        self._backlogs: dict[int, Backlog[Task]] = {}
        # Start of each task's last success, by the clock for what waits.
        self._last_polled: dict[Task, float] = {}

    async def run(self) -> None:
        """Polls until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._take_requests)
            for channel in Channel:
                tasks.start_soon(self._run_channel, channel)

    async def _run_channel(self, channel: Channel) -> None:
        """Does what is due for one channel; the other one doesn't wait for it."""
        await self._readers.outbox.replay(channel)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._readers.outbox.retry, channel)
            for list_id in self._sources:
                tasks.start_soon(self._run_list, channel, list_id)

    async def _run_list(self, channel: Channel, list_id: int) -> None:
        """Does what is due for one list; the others don't wait for it."""
        queue, slots = self._queues[channel, list_id], self._slots[channel]
        for name in LIST_TASKS[channel]:
            queue.put(Task(name, list_id, list_id), clock.monotonic())
        async with anyio.create_task_group() as tasks:
            while True:
                await self._until_due(channel, list_id)
                slot = await slots.take(list_id)
                task = queue.take(clock.monotonic())
                if task is None:
                    slot.leave()
                else:
                    tasks.start_soon(self._do, task, slot)

    async def _until_due(self, channel: Channel, list_id: int) -> None:
        queue = self._queues[channel, list_id]
        while (seconds := queue.wait(clock.monotonic())) > 0:
            changed = self._changed[channel, list_id]
            with anyio.move_on_after(seconds):
                await changed.wait()

    async def _take_requests(self) -> None:
        """Makes due at once what is requested from outside."""
        while True:
            requested = await self._requests.take()
            tasks = [Task("message", message.list_id, message.id) for message in requested.messages]
            tasks += [Task("backfill", list_id, list_id) for list_id in requested.backfills]
            tasks += [Task("identify", list_id, list_id) for list_id in requested.identifies]
            for task in tasks:
                if task.list_id in self._sources:
                    self._queue_of(task).hasten(task, clock.monotonic())
                    self._announce(task)
            await anyio.sleep(schedule.REQUEST_INTERVAL)

    def _queue_of(self, task: Task) -> DueQueue[Task]:
        return self._queues[task.channel, task.list_id]

    def _outstanding(self) -> int:
        """The number of tasks being done, and of lists with one that is due."""
        now = clock.monotonic()
        return self._under_way + sum(queue.wait(now) <= 0 for queue in self._queues.values())

    def _announce(self, task: Task) -> None:
        """Wakes who waits for something to do in the queue of a task."""
        key = (task.channel, task.list_id)
        self._changed[key].set()
        self._changed[key] = anyio.Event()

    async def _do(self, task: Task, slot: Slot) -> None:
        """Does a task once, and queues it again, after a failure that may pass with a backoff."""
        began, polled_at = self._ledger.store.waiting.now(), self._clock.now()
        delay: float | None
        self._under_way += 1
        try:
            delay = await self._perform(task, slot)
            if self._knows_attributions(task, polled_at):
                self._last_polled[task] = began
            self._failures.pop(task, None)
            if task.name != "message":
                self._set_aside.recovered(Part(task.list_id, task.name))
        except Exception as error:
            if not (isinstance(error, TemporaryError) or is_isolated(error)):
                raise
            delay = await self._postpone(task, error)
        finally:
            slot.leave()
            self._under_way -= 1
            self._metrics.tasks.labels(task.name).inc()
        queue = self._queue_of(task)
        if delay is None:
            queue.drop(task)
            self._backlogs[task.list_id].drop(task)
            self._last_polled.pop(task, None)
        else:
            queue.put(task, clock.monotonic() + delay, slack=delay)
            self._announce(task)

    def _knows_attributions(self, task: Task, at: float) -> bool:
        """Tells whether a task has shown all unsubscribes up to a time that it may show."""
        if task.name == "message":
            return self._readers.messages.knows_attributions(task.subject, at)
        # What isn't discovered may be what they came through.
        return task.name != "discovery" or not self._set_aside.records(task.list_id, LISTING_KINDS)

    async def _postpone(self, task: Task, error: Exception) -> float:
        """Seconds until a task that failed is tried again; one that fails by itself is set aside.

        The client has retried already: the place is for others for a while.
        """
        if is_isolated(error):
            return self._set_aside.failed(await self._part(task), error)
        failures = self._failures[task] = self._failures.get(task, 0) + 1
        log.warning("poll.postponed", task=task.name, list=task.list_id, reason=str(error))
        return max(self._poll_interval, backoff(error, failures))

    async def _part(self, task: Task) -> Part:
        if task.name != "message":
            return Part(task.list_id, task.name)
        message = await self._ledger.store.messages.get(task.subject)
        return Part(task.list_id, "message", message.path)

    async def _perform(self, task: Task, slot: Slot) -> float | None:
        """Does a task; returns seconds until it is due again, None for never."""
        source = self._sources[task.list_id]
        match task.name:
            case "discovery":
                await self._discover(source)
            case "contacts":
                sweep = await self._readers.contacts.is_sweep_next(source)
                if sweep:
                    await slot.lengthen()
                await self._readers.contacts.read(source, sweep=sweep)
            case "unsubscribes":
                # It takes all messages of the list to tell.
                pending = await self._ledger.store.unsubscribes.are_pending(source.list_id)
                noted_by = await self._attributable_until(source) if pending else 0.0
                await self._readers.unsubscribes.release(source, noted_by)
            case "backfill" | "identify" as errand:
                await slot.lengthen()
                more = await self._readers.of_errand(errand).read_next(source)
                return 0.0 if more else schedule.BACKFILL_INTERVAL
            case "message":
                async with self._readers.messages.turn(task.subject):
                    return await self._poll_message(task, source, slot)
        return self._poll_interval

    async def _discover(self, source: SourceList) -> None:
        done = self._discoveries.get(source.list_id, 0)
        everything = done % schedule.FULL_DISCOVERY_EVERY == 0
        await self._readers.discovery.discover(source, everything=everything)
        self._discoveries[source.list_id] = done + 1
        queue = self._queues[Channel.TRACKS, source.list_id]
        messages = await self._ledger.store.messages.tracked(source.list_id)
        self._readers.messages.note_tracked(source.list_id, messages)
        backlog, now = self._backlog_of(source.list_id), clock.boot_time()
        # Messages that nobody finds can't be read: without it nothing of them is complete.
        backlog.read(Task("discovery", source.list_id, source.list_id), now + self._poll_interval)
        for message in messages:
            task = Task("message", source.list_id, message.id)
            if task not in queue:
                # At first nobody knows since when those of an earlier run were due.
                backlog.add(task, now if done else None)
                # After a start all are new: what is fresh goes before what is due rarely.
                usual = schedule.poll_delay(message, self._clock.now(), self._poll_interval)
                queue.put(task, clock.monotonic(), slack=usual)
                self._announce(task)
        self._metrics.tracked.labels(str(source.list_id)).set(len(messages))

    def _backlog_of(self, list_id: int) -> Backlog[Task]:
        """The backlog of a list's messages and their discovery, told from its first use on."""
        backlog = self._backlogs.get(list_id)
        if backlog is None:
            backlog = self._backlogs[list_id] = Backlog()
            self._metrics.completions.measure(
                list_id, "messages", lambda: backlog.complete_until(clock.boot_time())
            )
        return backlog

    async def _poll_message(self, task: Task, source: SourceList, slot: Slot) -> float | None:
        reader, messages = self._readers.messages, self._ledger.store.messages
        message = await messages.get(task.subject)
        now = self._clock.now()
        over = schedule.is_over(message, self._track, now)
        try:
            planned = await reader.plan(message, last=over)
            if planned is not None:
                if planned.is_long:
                    await slot.lengthen()
                poll = await reader.read(planned, source)
                # Its pages are on their way; others may read while they arrive.
                slot.leave()
                await reader.finish(poll)
                self._metrics.polls.labels(message.kind, str(poll.changed).lower()).inc()
                if over and poll.started_at >= now and poll.is_proof:
                    await reader.untrack(message)
                    return None
        except MissingError as error:
            log.info("message.missing", message=message.path, reason=str(error))
            part = Part(message.list_id, "message", message.path)
            self._set_aside.lack(part)
            if over and not self._set_aside.may_return(part):
                await reader.untrack(message)
                return None
            delay = schedule.POSTPONED_INTERVALS * self._poll_interval
            self._note_read(task, message, delay)
            return delay
        self._set_aside.recovered(Part(message.list_id, "message", message.path))
        if planned is not None:
            message = await messages.get(message.id)
        delay = schedule.poll_delay(message, self._clock.now(), self._poll_interval)
        self._note_read(task, message, delay)
        return delay

    def _note_read(self, task: Task, message: Message, delay: float) -> None:
        """Notes that a message was polled to its end, unless a part of it is set aside."""
        if not self._set_aside.is_behind(message.list_id, message.path):
            self._backlog_of(message.list_id).read(task, clock.boot_time() + delay)

    async def _attributable_until(self, source: SourceList) -> float:
        """The time up to which unsubscribes can be attributed, by the clock for what waits."""
        messages = await self._ledger.store.messages.tracked(source.list_id)
        tasks = [Task("message", source.list_id, message.id) for message in messages]
        tasks.append(Task("discovery", source.list_id, source.list_id))
        last_polls = [self._last_polled.get(task, 0.0) for task in tasks]
        now = self._ledger.store.waiting.now()
        return schedule.attributable_until(last_polls, self._poll_interval, now)
