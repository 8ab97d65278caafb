"""The service: assembles the parts and runs them, from the start to the last commit."""

import gc
import signal
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final

import anyio

from bridge import VERSION, clock
from bridge.clients import (
    RETRY_DEADLINE,
    RETRY_DEADLINE_ONCE,
    Clients,
    open_clients,
)
from bridge.errors import BridgeError, TemporaryError
from bridge.flow.context import PollLimits, Scope
from bridge.flow.eraser import Eraser
from bridge.flow.ledger import Ledger
from bridge.flow.pipeline import Pipeline, Sink
from bridge.flow.readers import ErrandKind
from bridge.flow.reconfiguration import take_over
from bridge.flow.reversal import take_up
from bridge.flow.sending.sender import Sender, SendLimits
from bridge.flow.source import ResolvedLists, SourceList
from bridge.health import Health
from bridge.list_watch import ListWatch, must_wait
from bridge.listrak import times
from bridge.listrak.times import Zone
from bridge.logs import log
from bridge.metrics import Metrics
from bridge.present import configuration_of, horizon_from, namespace_of
from bridge.settings import Settings
from bridge.state.inspection import COPIED
from bridge.state.store import Store, open_store
from bridge.status_port import StatusPort
from bridge.stopping import unless_stopped
from bridge.supervisor import cause, supervise
from bridge.systemd import Notifier

STOPPED: Final = "stopped before the end; run it again, it goes on where it was"
"""The meaning of a signal for what is to be done once."""


class Service:
    """One run of the bridge.

    once: reads what exists now and ends, else runs until a signal.
    only: with once, what alone is read of what was requested; None for everything.
    sink: makes what replaces the sender, None for the sender.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        once: bool,
        only: ErrandKind | None = None,
        sink: Callable[[], Sink] | None = None,
    ) -> None:
        self._settings = settings
        self._once = once
        self._only = only
        self._sink = sink
        self._metrics = Metrics()
        self._health = Health(self._metrics)
        self._notifier = Notifier()
        self._stop = anyio.Event()
        self._complete = False

    async def run(self) -> None:
        """Runs until a signal, or until everything is caught up.

        Raises ConfigurationError, StateError, StateDamagedError and, with `once`, TemporaryError,
        also where a signal came before everything was read and delivered.
        """
        settings = self._settings
        log.info("bridge.starting", version=VERSION, once=self._once, state=str(settings.state))
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(anyio.create_task_group())
            await tasks.start(self._watch_signals)
            store = await stack.enter_async_context(open_store(settings.state))
            clients = await stack.enter_async_context(open_clients(settings, self._metrics))
            if store.copied:
                log.warning("state.copied", note=COPIED)
            worked_before = await store.meta.get("since") is not None
            if settings.status_bind is not None:
                port = StatusPort(settings.status_bind, self._health, self._metrics)
                # Of a first start somebody sees the end; a catch-up can do without it.
                required = not self._once and not worked_before
                await port.open(stack, tasks, required=required, insist=not self._once)
            ledger = Ledger(store, self._metrics)
            await self._load_counters(store)
            tasks.start_soon(ledger.run)
            tasks.start_soon(store.watch)
            tasks.start_soon(Eraser(ledger, self._metrics).run)
            tasks.start_soon(self._report)
            tasks.start_soon(self._drain_deadline, tasks)
            try:
                await self._work(ledger, clients, worked_before=worked_before)
            finally:
                tasks.cancel_scope.cancel()
                await self._save(ledger)
                self._notifier.tell("STOPPING=1")
        log.info("bridge.stopped")
        if self._once and not self._complete:
            raise TemporaryError(STOPPED)

    async def _work(self, ledger: Ledger, clients: Clients, *, worked_before: bool) -> None:
        namespace = await self._fix(ledger, "namespace", namespace_of(self._settings))
        first_start = await self._fix(ledger, "first_start", str(clock.wall_time()))
        watch = ListWatch(clients.listrak, self._settings.lists)
        lists = await unless_stopped(
            self._stop, lambda: watch.at_start(once=self._once, worked_before=worked_before)
        )
        self._health.ready = True
        self._notifier.tell("READY=1", f"STATUS={self._health.sentence()}")
        if lists is None and not self._stop.is_set():
            self._metrics.blocked.labels("listrak").set(1)
        if lists is None or (must_wait(lists) and not self._once):
            lists = await unless_stopped(self._stop, lambda: watch.insist(self._degrade))
        if lists is None:
            return
        lists.require(all_of_them=False)
        if not worked_before and len(lists.problems) > len(lists.passing):
            lists.require()
        ahead = clients.listrak.clock.offset or 0.0
        since = horizon_from(self._settings, float(first_start) + ahead)
        await self._fix(ledger, "since", since)
        if not worked_before:
            # A copy of the file from now on is no fresh start.
            await ledger.store.checkpoint()
        await take_up(ledger, clients.listrak.clock.now())
        while True:
            self._degrade(lists.problems)
            scope = await self._scope(ledger, clients, lists, namespace)
            pipeline = self._pipeline(ledger, clients, scope)
            # What exists by now stays: the garbage collector need not scan it again and again.
            gc.freeze()
            if self._only is not None:
                self._complete = await pipeline.errand(self._only, self._stop)
            elif self._once:
                self._complete = await pipeline.catch_up(self._stop)
            else:
                lists = await self._serve(pipeline, ledger, watch, lists)
            if self._once or self._stop.is_set():
                break
        if self._once and self._only is None:
            # The others are caught up. Whoever has an errand done tells of lists by itself.
            lists.require()

    def _degrade(self, problems: Mapping[int, BridgeError]) -> None:
        nothing_left = len(problems) == len(self._settings.lists)
        self._health.degrade(problems, nothing_left=nothing_left, once=self._once)

    async def _serve(
        self, pipeline: Pipeline, ledger: Ledger, watch: ListWatch, lists: ResolvedLists
    ) -> ResolvedLists:
        """Runs the pipeline until a stop, or until other lists can be read: returns these."""
        turn = anyio.Event()

        async def end_turn() -> None:
            nonlocal lists
            lists = await watch.others(lists, self._stop, self._degrade) or lists
            turn.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_turn)
            await supervise(lambda: pipeline.run(turn), ledger.flush, self._metrics)
            tasks.cancel_scope.cancel()
        return lists

    async def _fix(self, ledger: Ledger, name: str, value: str) -> str:
        """Stores a value under a name at the first start; returns the stored one at every start."""
        fixed = ""

        async def work(store: Store) -> None:
            nonlocal fixed
            fixed = await store.meta.set_once(name, value)

        await ledger.commit(work)
        return fixed

    async def _with_horizons(self, ledger: Ledger, sources: list[SourceList]) -> list[SourceList]:
        """The lists with the start horizon of each.

        It divides Listrak's own naive times, so that another zone moves it along with them: nothing
        changes sides.
        """
        zone = Zone(self._settings.listrak_timezone)
        states = [await ledger.store.lists.state(source.list_id) for source in sources]
        return [
            replace(source, horizon=zone.moved(state.horizon, state.zone))
            for source, state in zip(sources, states, strict=True)
        ]

    def _pipeline(self, ledger: Ledger, clients: Clients, scope: Scope) -> Pipeline:
        settings = self._settings

        def sender() -> Sender:
            limits = SendLimits(
                batch_events=settings.batch_events,
                batch_bytes=settings.batch_bytes,
                flush_interval=settings.flush_interval,
                concurrency=settings.send_concurrency,
                events_per_second=settings.events_per_second,
                deadline=RETRY_DEADLINE_ONCE if self._once else None,
            )
            return Sender(clients.segment, self._metrics, limits)

        return Pipeline(
            clients.listrak.with_deadline(RETRY_DEADLINE_ONCE if self._once else RETRY_DEADLINE),
            ledger,
            self._metrics,
            self._sink or sender,
            scope=scope,
            limits=PollLimits(
                interval=settings.poll_interval,
                concurrency=settings.poll_concurrency,
                queue_pages=settings.queue_pages,
            ),
        )

    async def _scope(
        self, ledger: Ledger, clients: Clients, lists: ResolvedLists, namespace: str
    ) -> Scope:
        """The part of the account that is read from now on, after what has changed in it."""
        settings, at = self._settings, clients.listrak.clock.now()
        horizon = horizon_from(settings, at)
        known = {state.list_id for state in await ledger.store.lists.all()}
        if not known:
            # Those of the first start begin with it.
            horizon = await self._fix(ledger, "since", horizon)
        # What can't be read only for now begins as well: nothing of it is lost meanwhile.
        later = [SourceList(each, "", None) for each in lists.passing if each not in known]
        configuration = await take_over(
            ledger,
            configuration_of(settings, lists.found),
            [replace(source, horizon=horizon) for source in [*lists.found, *later]],
            times.from_seconds(at),
            lists.problems,
        )
        sources = await self._with_horizons(ledger, lists.found)
        log.info("bridge.ready", lists={source.list_id: source.horizon for source in sources})
        return Scope(
            sources=sources,
            zone=Zone(settings.listrak_timezone),
            track=configuration.track,
            events=settings.events,
            namespace=namespace,
            ignored_user_ids=settings.ignored_user_ids,
            extra_properties=settings.extra_properties,
        )

    # Around the work

    async def _watch_signals(
        self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        stops = (signal.SIGTERM, signal.SIGINT)
        try:
            with anyio.open_signal_receiver(*stops) as signals:
                task_status.started()
                async for number in signals:
                    if self._stop.is_set():
                        log.warning("bridge.draining_still", signal=number.name)
                        continue
                    log.info("bridge.draining", signal=number.name)
                    self._health.stopping = True
                    self._notifier.tell("STOPPING=1", f"STATUS={self._health.sentence()}")
                    self._stop.set()
        finally:
            # The end has begun: a late signal must not change the exit code.
            for number in stops:
                signal.signal(number, signal.SIG_IGN)

    async def _drain_deadline(self, tasks: anyio.abc.TaskGroup) -> None:
        """Cancels a drain that takes too long; the next start reads again what did not arrive."""
        await self._stop.wait()
        # The rest is for the last commit, and for the process to end.
        await anyio.sleep(max(0.0, self._settings.drain_timeout * 0.7 - 0.5))
        log.warning("bridge.drain_timeout", note="what was on its way will be sent again")
        tasks.cancel_scope.cancel()

    async def _save(self, ledger: Ledger) -> None:
        with anyio.move_on_after(self._settings.drain_timeout * 0.15, shield=True) as scope:
            await ledger.flush()
        if scope.cancelled_caught:
            log.error("state.not_saved", note="what was delivered last will be sent again")

    async def _report(self) -> None:
        """Tells the service manager at every interval that the service is alive, and its state."""
        every = self._notifier.watchdog_interval or 10.0
        while True:
            self._notifier.tell("WATCHDOG=1", f"STATUS={self._health.sentence()}")
            await anyio.sleep(min(every, 10.0))

    async def _load_counters(self, store: Store) -> None:
        """Sets metrics to the numbers in the state file, so that they add up at any time."""
        counters = await store.counters.all()
        self._metrics.in_flight.set(counters.pop("in_flight"))
        for outcome, number in counters.items():
            self._metrics.events.labels(outcome).inc(number)
        self._metrics.dead_letters.set(await store.dead_letters.count())


async def run(
    settings: Settings,
    *,
    once: bool,
    only: ErrandKind | None = None,
    sink: Callable[[], Sink] | None = None,
) -> None:
    """Runs the bridge, as Service; raises the one error that ended it, not a group."""
    try:
        await Service(settings, once=once, only=only, sink=sink).run()
    except BaseExceptionGroup as group:
        error = cause(group)
        if isinstance(error, anyio.get_cancelled_exc_class()):
            return
        raise error from None
