"""The service: assembles the parts and runs them, from the start to the last commit."""

import gc
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime

import anyio

from bridge import VERSION, clock
from bridge.clients import (
    RETRY_DEADLINE,
    RETRY_DEADLINE_AT_START,
    RETRY_DEADLINE_ONCE,
    Clients,
    open_clients,
)
from bridge.errors import ConfigurationError, CredentialsError, TemporaryError
from bridge.flow.configuration import Configuration
from bridge.flow.context import PollLimits, Scope
from bridge.flow.ledger import Ledger
from bridge.flow.pipeline import Pipeline, Sink
from bridge.flow.reconfiguration import take_over
from bridge.flow.sending.sender import Sender, SendLimits
from bridge.flow.source import SourceList, resolve
from bridge.listrak import times
from bridge.listrak.client import Listrak
from bridge.listrak.times import Zone
from bridge.logs import log
from bridge.metrics import Metrics
from bridge.present import configuration_of, namespace_of
from bridge.retry import retry
from bridge.settings import Settings
from bridge.state.store import Store, open_store
from bridge.status import Health, status_server
from bridge.stopping import unless_stopped
from bridge.supervisor import cause, supervise
from bridge.systemd import Notifier


class Service:
    """One run of the bridge.

    once: reads what exists now and ends, else runs until a signal.
    only_backfill: reads nothing but the requested backfills (with once).
    sink: makes what replaces the sender, None for the sender.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        once: bool,
        only_backfill: bool = False,
        sink: Callable[[], Sink] | None = None,
    ) -> None:
        self._settings = settings
        self._once = once
        self._only_backfill = only_backfill
        self._sink = sink
        self._metrics = Metrics()
        self._health = Health(self._metrics)
        self._notifier = Notifier()
        self._stop = anyio.Event()

    async def run(self) -> None:
        """Runs until a signal, or until everything is caught up.

        Raises ConfigurationError, StateError, StateDamagedError and, with `once`, TemporaryError.
        """
        settings = self._settings
        log.info("bridge.starting", version=VERSION, once=self._once, state=str(settings.state))
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(anyio.create_task_group())
            await tasks.start(self._watch_signals)
            store = await stack.enter_async_context(open_store(settings.state))
            clients = await stack.enter_async_context(open_clients(settings, self._metrics))
            await self._show_status(stack)
            ledger = Ledger(store, self._metrics)
            await self._load_counters(store)
            tasks.start_soon(ledger.run)
            tasks.start_soon(self._report)
            tasks.start_soon(self._drain_deadline, tasks)
            try:
                await self._work(ledger, clients)
            finally:
                tasks.cancel_scope.cancel()
                await self._save(ledger)
                self._notifier.tell("STOPPING=1")
        log.info("bridge.stopped")

    async def _work(self, ledger: Ledger, clients: Clients) -> None:
        namespace = await self._fix(ledger, "namespace", namespace_of(self._settings))
        first_start = await self._fix(ledger, "first_start", str(clock.wall_time()))
        worked_before = await ledger.store.meta.get("since") is not None
        sources = await unless_stopped(
            self._stop, lambda: self._sources(clients.listrak, worked_before=worked_before)
        )
        self._health.ready = True
        self._notifier.tell("READY=1", f"STATUS={self._health.sentence()}")
        if sources is None:
            sources = await unless_stopped(self._stop, lambda: self._insist(clients.listrak))
        if sources is None:
            return
        ahead = clients.listrak.clock.offset or 0.0
        seen_at = clock.wall_time() if worked_before else float(first_start)
        since = times.instant(self._settings.since.at(datetime.fromtimestamp(seen_at + ahead, UTC)))
        await self._fix(ledger, "since", since)
        configuration = await take_over(
            ledger,
            configuration_of(self._settings, sources),
            [replace(source, horizon=since) for source in sources],
            times.from_seconds(clients.listrak.clock.now()),
        )
        sources = await self._with_horizons(ledger, sources)
        log.info("bridge.ready", lists={source.list_id: source.horizon for source in sources})
        # What exists by now stays: the garbage collector need not scan it again and again.
        gc.freeze()
        pipeline = self._pipeline(ledger, clients, self._scope(sources, configuration, namespace))
        if self._only_backfill:
            await pipeline.backfill(self._stop)
        elif self._once:
            await pipeline.catch_up(self._stop)
        else:
            await supervise(lambda: pipeline.run(self._stop), ledger.flush, self._metrics)

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

    async def _sources(self, listrak: Listrak, *, worked_before: bool) -> list[SourceList] | None:
        """The configured lists; None if Listrak can't be reached for now.

        Refused credentials end a first start, as a person is there to see it. A service that worked
        before waits instead: Listrak may accept them again by itself.
        """
        asking = listrak.with_deadline(
            RETRY_DEADLINE_ONCE if self._once else RETRY_DEADLINE_AT_START,
            give_up_on=(CredentialsError,),
        )
        try:
            return await resolve(asking, self._settings.lists)
        except TemporaryError as error:
            if self._once or (isinstance(error, CredentialsError) and not worked_before):
                raise
            self._metrics.blocked.labels("listrak").set(1)
            log.warning("bridge.source_unreachable", reason=str(error))
            return None

    async def _insist(self, listrak: Listrak) -> list[SourceList]:
        """The configured lists, after retries until Listrak answers."""

        def on_wait(error: TemporaryError, seconds: float) -> None:
            log.warning("bridge.source_unreachable", seconds=round(seconds, 1), reason=str(error))

        return await retry(
            lambda: resolve(listrak, self._settings.lists), deadline=None, on_wait=on_wait
        )

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

    def _scope(
        self, sources: list[SourceList], configuration: Configuration, namespace: str
    ) -> Scope:
        return Scope(
            sources=sources,
            zone=Zone(self._settings.listrak_timezone),
            track=configuration.track,
            events=self._settings.events,
            wanted_since=configuration.wanted_since,
            namespace=namespace,
            ignored_user_ids=self._settings.ignored_user_ids,
            extra_properties=self._settings.extra_properties,
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

    async def _show_status(self, stack: AsyncExitStack) -> None:
        bind = self._settings.status_bind
        if bind is None:
            return
        try:
            await stack.enter_async_context(status_server(bind, self._health, self._metrics))
        except ConfigurationError as error:
            # Another bridge may use the port; a catch-up can do without it.
            if not self._once:
                raise
            log.warning("status.off", reason=str(error))

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
    only_backfill: bool = False,
    sink: Callable[[], Sink] | None = None,
) -> None:
    """Runs the bridge, as Service; raises the one error that ended it, not a group."""
    try:
        await Service(settings, once=once, only_backfill=only_backfill, sink=sink).run()
    except BaseExceptionGroup as group:
        error = cause(group)
        if isinstance(error, anyio.get_cancelled_exc_class()):
            return
        raise error from None
