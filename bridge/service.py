"""The service: assembles the parts and runs them, from the start to the last commit."""

import gc
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Final

import anyio

from bridge import VERSION
from bridge.clients import (
    PATIENCE_ONCE,
    RETRY_DEADLINE,
    RETRY_DEADLINE_ONCE,
    Clients,
    open_clients,
)
from bridge.clock import DAY
from bridge.ending import signals
from bridge.ending.hard_end import EXIT_CODES, FAULT
from bridge.ending.stopping import unless_stopped
from bridge.environment.settings import Settings
from bridge.errors import BridgeError, StoppedError, cause
from bridge.flow.context import PollLimits, Scope
from bridge.flow.eraser import Eraser
from bridge.flow.ledger import Ledger
from bridge.flow.pipeline import Pipeline, Sink
from bridge.flow.readers import ErrandKind
from bridge.flow.reconfiguration import remembered_lists, take_over
from bridge.flow.reversal import take_up
from bridge.flow.saved_completions import recall
from bridge.flow.sending.sender import Sender, SendLimits
from bridge.flow.set_aside import SetAside
from bridge.flow.source import ResolvedLists, SourceList
from bridge.flow.time_keeper import TimeKeeper
from bridge.listrak import times
from bridge.listrak.times import Zone
from bridge.metrics import Metrics
from bridge.output.logs import log
from bridge.present import configuration_of, horizon_from, namespace_of
from bridge.state.inspection import COPIED
from bridge.state.store import Store, open_store
from bridge.supervision.health import Health
from bridge.supervision.lifecycle import Lifecycle
from bridge.supervision.list_watch import ListWatch, must_wait
from bridge.supervision.progress import STANDSTILL_AFTER, Progress
from bridge.supervision.status_port import StatusPort
from bridge.supervision.supervisor import Supervisor

STOPPED: Final = f"{signals.STOPPED}; run it again, it goes on where it was"
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
        progress = Progress(self._metrics, patience=STANDSTILL_AFTER)
        self._supervisor = Supervisor(self._metrics, progress.accomplished)
        self._lifecycle = Lifecycle(self._health, progress, settings.drain_timeout)
        self._stop = self._lifecycle.stop
        self._set_aside: SetAside
        self._complete = False

    async def run(self) -> None:
        """Runs until a signal, or until everything is caught up.

        Raises ConfigurationError, StateError, StateDamagedError, and TemporaryError where the same
        fault comes back again and again. With `once` also where something could not be read or
        delivered, or a signal came before everything was.
        """
        settings = self._settings
        log.info("bridge.starting", version=VERSION, once=self._once, state=str(settings.state))
        lifecycle = self._lifecycle
        async with AsyncExitStack() as stack:
            stack.enter_context(lifecycle.hard_end)
            tasks = await stack.enter_async_context(anyio.create_task_group())
            await tasks.start(lifecycle.watch_signals)
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
            patience = RETRY_DEADLINE_ONCE if self._once else None
            ledger = Ledger(store, self._metrics, patience=patience)
            now = clients.listrak.clock.now
            self._set_aside = SetAside(ledger, self._metrics, now, interval=settings.poll_interval)
            self._health.set_aside = self._set_aside
            await self._load_counters(store)
            tasks.start_soon(ledger.run)
            tasks.start_soon(store.watch)
            tasks.start_soon(Eraser(ledger, self._metrics).run)
            tasks.start_soon(lifecycle.report, self._supervisor)
            tasks.start_soon(lifecycle.drain_deadline, tasks)
            try:
                await self._work(ledger, clients, worked_before=worked_before)
            finally:
                tasks.cancel_scope.cancel()
                await lifecycle.save(ledger)
        log.info("bridge.stopped")
        if self._once and not self._complete:
            raise self._stopped()

    def _stopped(self) -> StoppedError:
        """The error for what is done once, and was told to end before."""
        by = self._lifecycle.stopped_by
        if by is None or (self._only is None and self._sink is None):
            return StoppedError(STOPPED, FAULT)
        # An errand, or a preview, which saves nothing, is a person's command.
        return StoppedError(STOPPED if self._sink is None else signals.STOPPED, EXIT_CODES[by])

    async def _work(self, ledger: Ledger, clients: Clients, *, worked_before: bool) -> None:
        settings = self._settings
        horizon_at = partial(horizon_from, settings) if settings.since.instant is None else None
        keeper = TimeKeeper(ledger, clients.listrak, settings.track_days * DAY, horizon_at)
        await keeper.recall()
        namespace = await self._fix(ledger, "namespace", namespace_of(settings))
        first_start = await self._fix(ledger, "first_start", str(ledger.store.waiting.now()))
        await self._begin_times(ledger, clients)
        known = await remembered_lists(ledger.store)
        watch = ListWatch(clients.listrak, settings.lists, known, self._set_aside)
        lists = await unless_stopped(
            self._stop, lambda: watch.at_start(once=self._once, worked_before=worked_before)
        )
        self._lifecycle.ready()
        if lists is None and not self._stop.is_set():
            self._metrics.blocked.labels("listrak").set(1)
        if lists is None or (must_wait(lists) and not self._once):
            lists = await unless_stopped(self._stop, lambda: watch.insist(self._degrade))
        if lists is None:
            return
        lists.require(all_of_them=False)
        if not worked_before and len(lists.problems) > len(lists.passing):
            lists.require()
        await keeper.ascertain()
        await self._begin_times(ledger, clients)
        waited, now = ledger.store.waiting.now() - float(first_start), clients.listrak.clock.now
        await self._fix(ledger, "since", horizon_from(settings, now() - waited))
        if not worked_before:
            # A copy of the file from now on is no fresh start.
            await ledger.store.checkpoint()
        await take_up(ledger, now())
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
                lists = await self._serve(pipeline, keeper, watch, lists)
                await keeper.ascertain()
            if self._once or self._stop.is_set():
                break
        if self._once and self._only is None:
            # The others are caught up. Whoever has an errand done tells of lists by itself.
            lists.require()

    def _degrade(self, problems: Mapping[int, BridgeError]) -> None:
        nothing_left = len(problems) == len(self._settings.lists)
        self._health.degrade(problems, nothing_left=nothing_left, once=self._once)

    async def _serve(
        self, pipeline: Pipeline, keeper: TimeKeeper, watch: ListWatch, lists: ResolvedLists
    ) -> ResolvedLists:
        """Runs the pipeline until a stop, or until other lists can be read: returns these.

        Or until a clock turns out to have been wrong.
        """
        turn = anyio.Event()

        async def end_turn() -> None:
            nonlocal lists
            lists = await watch.others(lists, self._stop, self._degrade) or lists
            turn.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_turn)
            tasks.start_soon(keeper.run, turn)
            await self._supervisor.run(lambda: pipeline.run(turn), keeper.ledger.flush)
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
                patience=PATIENCE_ONCE,
            )
            return Sender(clients.segment, self._metrics, limits)

        return Pipeline(
            clients.listrak.with_deadline(RETRY_DEADLINE_ONCE, patience=PATIENCE_ONCE)
            if self._once
            else clients.listrak.with_deadline(RETRY_DEADLINE),
            ledger,
            self._metrics,
            self._sink or sender,
            scope=scope,
            limits=PollLimits(
                interval=settings.poll_interval,
                concurrency=settings.poll_concurrency,
                queue_pages=settings.queue_pages,
            ),
            set_aside=self._set_aside,
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

    async def _begin_times(self, ledger: Ledger, clients: Clients) -> None:
        """Sets metrics of times to what is known before anything is read."""
        now = clients.listrak.clock.now
        lists = [setting.list_id for setting in self._settings.lists]
        self._metrics.delays.begin(now)
        await recall(self._metrics.completions, ledger.store, self._set_aside, now(), lists)

    async def _load_counters(self, store: Store) -> None:
        """Sets metrics to the numbers in the state file, so that they add up at any time.

        What is set aside is taken up as well.
        """
        await self._set_aside.load({setting.list_id for setting in self._settings.lists})
        counters = await store.counters.all()
        self._metrics.in_flight.set(counters.pop("in_flight"))
        for outcome, number in counters.items():
            self._metrics.events.labels(outcome).inc(number)
        self._metrics.dead_letters.set(await store.dead_letters.count())
        self._metrics.events_set_aside.set(sum((await store.outbox.set_aside()).values()))


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
