"""The service: everything put together, from the start to the last commit."""

import gc
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import anyio

from bridge import VERSION
from bridge.clock import SourceClock
from bridge.errors import ConfigurationError, CredentialsError, TemporaryError
from bridge.flow.ledger import Ledger
from bridge.flow.pipeline import Pacing, Pipeline, Sink
from bridge.flow.sender import Sender
from bridge.flow.source import SourceList, resolve
from bridge.http import Http
from bridge.listrak import times
from bridge.listrak.auth import Auth
from bridge.listrak.client import Listrak
from bridge.listrak.times import Zone
from bridge.pacing import persist, unless
from bridge.segment.client import Segment
from bridge.settings import Settings
from bridge.state.store import Store, open_store
from bridge.status import Health, status_server
from bridge.supervisor import cause, supervise
from bridge.systemd import Notifier
from bridge.telemetry import Metrics, log

PATIENCE: Final = 60.0
"""Seconds that the service retries one call to Listrak before the poller turns to others."""

PATIENCE_ONCE: Final = 15.0
"""Seconds that a single catch-up retries one call, to Listrak or to Segment, before it gives up."""

PATIENCE_AT_START: Final = 4.0
"""Seconds of retries before the account is taken for unreachable at the start."""


@dataclass(frozen=True)
class Outlets:
    """The two servers."""

    listrak: Listrak
    segment: Segment


@asynccontextmanager
async def listrak_client(settings: Settings, metrics: Metrics) -> AsyncIterator[Listrak]:
    """A client of Listrak; nothing is asked yet."""
    clock = SourceClock()
    async with Http(on_date=clock.observe) as http:
        auth = Auth(
            http,
            url=settings.listrak_token_url,
            client_id=settings.listrak_client_id,
            client_secret=settings.listrak_client_secret,
        )
        yield Listrak(
            http,
            auth,
            metrics,
            clock,
            base=settings.listrak_api_url,
            requests_per_second=settings.listrak_requests_per_second,
            patience=PATIENCE,
        )


@asynccontextmanager
async def connect(settings: Settings, metrics: Metrics) -> AsyncIterator[Outlets]:
    """Clients of both servers; nothing is asked yet."""
    async with (
        listrak_client(settings, metrics) as listrak,
        Http() as sink,
    ):
        segment = Segment(
            sink, metrics, base=settings.segment_api_url, write_key=settings.segment_write_key
        )
        yield Outlets(listrak, segment)


class Service:
    """One run of the bridge, for ever or `once`, which may be for `only_history`.

    `sink` makes what takes the place of Segment.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        once: bool,
        only_history: bool = False,
        sink: Callable[[], Sink] | None = None,
    ) -> None:
        self._settings = settings
        self._once = once
        self._only_history = only_history
        self._sink = sink
        self._metrics = Metrics()
        self._health = Health(self._metrics)
        self._notifier = Notifier()
        self._stop = anyio.Event()

    async def run(self) -> None:
        """Runs until a signal, or until all is caught up.

        Raises ConfigurationError, StateError, StateDamagedError, or, `once`, TemporaryError.
        """
        settings = self._settings
        log.info("bridge.starting", version=VERSION, once=self._once, state=str(settings.state))
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(anyio.create_task_group())
            await tasks.start(self._watch_signals)
            store = await stack.enter_async_context(open_store(settings.state))
            outlets = await stack.enter_async_context(connect(settings, self._metrics))
            await self._show_status(stack)
            ledger = Ledger(store, self._metrics)
            await self._load_counters(store)
            tasks.start_soon(ledger.run)
            tasks.start_soon(self._report)
            tasks.start_soon(self._drain_deadline, tasks)
            try:
                await self._work(ledger, outlets)
            finally:
                tasks.cancel_scope.cancel()
                await self._save(ledger)
                self._notifier.tell("STOPPING=1")
        log.info("bridge.stopped")

    async def _work(self, ledger: Ledger, outlets: Outlets) -> None:
        first_start = await self._remember(ledger, "first_start", str(time.time()))
        worked_before = await ledger.store.recall("since") is not None
        sources = await unless(
            self._stop, lambda: self._sources(outlets.listrak, worked_before=worked_before)
        )
        self._health.ready = True
        self._notifier.tell("READY=1", f"STATUS={self._health.sentence()}")
        if sources is None:
            sources = await unless(self._stop, lambda: self._insist(outlets.listrak))
        if sources is None:
            return
        clock = outlets.listrak.clock
        began = datetime.fromtimestamp(float(first_start) + (clock.offset or 0.0), UTC)
        since = times.instant(self._settings.since.at(began))
        horizon = await self._remember(ledger, "since", since)

        async def name_lists(store: Store) -> None:
            for source in sources:
                await store.name_list(source.list_id, source.name)

        await ledger.write(name_lists)
        log.info("bridge.ready", lists=[source.list_id for source in sources], since=horizon)
        # What is here by now stays: the garbage collector need not look at it again and again.
        gc.freeze()
        pipeline = self._pipeline(ledger, outlets, sources, horizon)
        if self._only_history:
            await pipeline.backfill(self._stop)
        elif self._once:
            await pipeline.catch_up(self._stop)
        else:
            await supervise(lambda: pipeline.run(self._stop), ledger.flush, self._metrics)

    async def _remember(self, ledger: Ledger, name: str, value: str) -> str:
        """What was fixed under a name at the first start."""
        fixed = ""

        async def work(store: Store) -> None:
            nonlocal fixed
            fixed = await store.remember(name, value)

        await ledger.write(work)
        return fixed

    async def _sources(self, listrak: Listrak, *, worked_before: bool) -> list[SourceList] | None:
        """The configured lists; None if Listrak can't be asked for now.

        Refused credentials end a first start, as a person is there to see it; a service that
        worked before only waits, as they may be accepted again without anybody's doing here.
        """
        asking = listrak.with_patience(
            PATIENCE_ONCE if self._once else PATIENCE_AT_START, give_up_on=(CredentialsError,)
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
        """Asks until Listrak answers."""

        def on_wait(error: TemporaryError, seconds: float) -> None:
            log.warning("bridge.source_unreachable", seconds=round(seconds, 1), reason=str(error))

        return await persist(
            lambda: resolve(listrak, self._settings.lists), patience=None, on_wait=on_wait
        )

    def _pipeline(
        self, ledger: Ledger, outlets: Outlets, sources: list[SourceList], horizon: str
    ) -> Pipeline:
        settings = self._settings
        patience = PATIENCE_ONCE if self._once else None

        def sender() -> Sender:
            return Sender(
                outlets.segment,
                self._metrics,
                batch_events=settings.batch_events,
                batch_bytes=settings.batch_bytes,
                flush_interval=settings.flush_interval,
                concurrency=settings.send_concurrency,
                events_per_second=settings.events_per_second,
                patience=patience,
            )

        return Pipeline(
            listrak=outlets.listrak.with_patience(PATIENCE_ONCE if self._once else PATIENCE),
            ledger=ledger,
            metrics=self._metrics,
            sender=self._sink or sender,
            sources=sources,
            zone=Zone(settings.listrak_timezone),
            horizon=horizon,
            wanted=settings.events,
            pacing=Pacing(
                poll_interval=settings.poll_interval,
                poll_concurrency=settings.poll_concurrency,
                queue_pages=settings.queue_pages,
                track=settings.track_days * 86400,
            ),
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
            # It is about to end anyway: a late signal must not spoil the exit code.
            for number in stops:
                signal.signal(number, signal.SIG_IGN)

    async def _drain_deadline(self, tasks: anyio.abc.TaskGroup) -> None:
        """What has not arrived in time is read again after the next start."""
        await self._stop.wait()
        # A part is kept back for the last commit, and for the process to end.
        await anyio.sleep(max(0.0, self._settings.drain_timeout * 0.7 - 0.5))
        log.warning("bridge.drain_timeout", note="what was on its way will be sent again")
        tasks.cancel_scope.cancel()

    async def _save(self, ledger: Ledger) -> None:
        with anyio.move_on_after(self._settings.drain_timeout * 0.15, shield=True) as scope:
            await ledger.flush()
        if scope.cancelled_caught:
            log.error("state.not_saved", note="what was delivered last will be sent again")

    async def _report(self) -> None:
        """Keeps the service manager informed."""
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
            # A catch-up may run beside another one; its end is what counts.
            if not self._once:
                raise
            log.warning("status.off", reason=str(error))

    async def _load_counters(self, store: Store) -> None:
        """Metrics go on from what the state file holds, so that they add up at any time."""
        counters = await store.counters()
        self._metrics.in_flight.set(counters.pop("in_flight"))
        for outcome, number in counters.items():
            self._metrics.events.labels(outcome).inc(number)
        self._metrics.dead_letters.set(await store.dead_letters.count())


async def run(
    settings: Settings,
    *,
    once: bool,
    only_history: bool = False,
    sink: Callable[[], Sink] | None = None,
) -> None:
    """Runs the bridge; raises the one error that ended it, not a group."""
    try:
        await Service(settings, once=once, only_history=only_history, sink=sink).run()
    except BaseExceptionGroup as group:
        error = cause(group)
        if isinstance(error, anyio.get_cancelled_exc_class()):
            return
        raise error from None
