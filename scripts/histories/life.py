"""Goes through a history: lives of the service, each with its troubles, its end and its ledger."""

import asyncio
import hashlib
import re
import sqlite3
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

import anyio
from virtual.death import until_killed
from virtual.loop import VirtualLoop

from bridge.clock import MINUTE
from bridge.errors import BridgeError, cause
from bridge.sandbox.expectations import Expectations
from bridge.sandbox.judge import judge
from bridge.service import Service
from histories.account import START, DrawnAccount, drawn_account
from histories.history import Deed, Episode, History, drawn
from histories.service import Stage, field_ids, stage_of
from histories.strikes import Strikes

MEMORY: Final = Path("/dev/shm")
"""Where the state file is, if this machine has it: nothing here proves anything of a real disk."""

RESTART_AFTER: Final = 5.0
"""Seconds until a service that has ended by itself is started again."""

CATCH_UPS: Final = (180.0, 60.0, 1500.0)
"""Minutes of health before each of the catch-ups that end a history."""

LONGEST_STOP: Final = 60.0
"""Seconds that a service may take to stop, at the most."""

IN_FLIGHT: Final = (
    "SELECT (SELECT coalesce(sum(events), 0) FROM outbox) + (SELECT count(*) FROM unsubscribes)"
)

_STAMP = re.compile(r', "timestamp": "[^"]*"')
_PLACE = re.compile(r"/\S*/bridge\.db")


@dataclass
class Outcome:
    """What came of a history.

    findings: sentences about what is wrong.
    story: lines, in order.
    digest: of all that was logged and received, and when.
    counts: lives, kills, stops, calls, events and others, by name.
    struck: how often each kind of trouble did.
    logged: how often each event was logged.
    virtual: seconds of the virtual clock; `seconds`: of the real one.
    """

    findings: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    digest: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    logged: Counter[str] = field(default_factory=Counter)
    virtual: float = 0.0
    seconds: float = 0.0


def lived(seed: int) -> Outcome:
    """Goes through the history of a seed."""
    return lived_through(drawn(seed))


def lived_through(history: History) -> Outcome:
    """Goes through a history: the same twice."""
    began, outcome = time.perf_counter(), Outcome()

    async def go() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            switches = ",".join(f"{name}={value}" for name, value in history.switches)
            world = drawn_account()
            # Of calls to SQLite whose caller was cancelled nobody wants to know.
            loop.set_exception_handler(lambda *_: None)
            async with stage_of(
                world, Path(folder), loop, switches=switches, seed=history.seed
            ) as stage:
                life = _Lives(stage, outcome)
                try:
                    await life.go_through(history)
                except Exception as error:  # noqa: BLE001  # whatever it is, it is a finding
                    life.find(f"an unexpected end: {error!r}")
                finally:
                    _sum_up(stage, outcome)
                    outcome.virtual = loop.time()

    anyio.run(go, backend_options={"loop_factory": VirtualLoop})
    outcome.seconds = time.perf_counter() - began
    return outcome


class _Lives:
    """The lives of a history, one after the other."""

    def __init__(self, stage: Stage, outcome: Outcome) -> None:
        self._stage = stage
        self._outcome = outcome
        self._account = DrawnAccount(stage.world)

    def find(self, sentence: str) -> None:
        """Notes something that is wrong."""
        self._tell(f"FOUND {sentence}")
        self._outcome.findings.append(sentence)

    async def go_through(self, history: History) -> None:
        """Lives all episodes; then, in health, what is left over arrives."""
        for episode in history.episodes:
            self._stage.environment |= dict(episode.settings)
            told = " ".join(f"{name}={value}" for name, value in episode.settings)
            self._tell(f"{episode.kind} for {episode.minutes:.1f} min {told}")
            await self._live(episode)
            self._check_ledger()
        self._tell("all is well from now on")
        self._stage.ahead = 0.0
        repeats: list[int] = []
        for minutes in CATCH_UPS:
            self._rest(Episode("rest", minutes))
            await self._catch_up_in_health()
            repeats.append(self._stage.segment.duplicates)
        if repeats[-1] > repeats[0]:
            # After the first of them nothing is in flight, and nothing fails.
            self.find(f"in health {repeats[-1] - repeats[0]} events are sent again")
        self._judge()

    async def _live(self, episode: Episode) -> None:
        if episode.kind == "rest":
            self._rest(episode)
            return
        before = asyncio.all_tasks()
        strikes = Strikes(self._stage, episode.troubles, self._outcome.struck, self._tell)
        progress = _Progress(episode)
        loop, stage = self._stage.loop, self._stage

        async def work() -> None:
            await self._run(episode, strikes, progress)

        if episode.ending != "stop" and episode.turns:
            is_killed = await until_killed(loop, work, stage.state, episode.turns)
            self._outcome.counts["kills"] += is_killed
            if is_killed:
                self._tell(f"killed, after {episode.turns} turns")
        else:
            await work()
        strikes.lift()
        if episode.ending == "vanish":
            stage.machine.restart()
        # What people did meanwhile doesn't depend on the service.
        for deed in progress.take():
            self._do(deed)
        await anyio.sleep(0.001)
        for task in asyncio.all_tasks() - before:
            if not _is_of_server(task):
                self.find(f"a task was left over: {task.get_coro()}")

    async def _run(self, episode: Episode, strikes: Strikes, progress: "_Progress") -> None:
        """The episode's time: the service beside what people do and what goes wrong."""
        end = self._stage.loop.time() + episode.minutes * MINUTE
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(strikes.run, episode.minutes * MINUTE)
            tasks.start_soon(self._people, progress)
            while (left := end - self._stage.loop.time()) > 0:
                self._outcome.counts["lives"] += 1
                ended = await self._serve(episode, left)
                if episode.kind == "once" or ended is None:
                    break
                self._outcome.counts["restarts"] += 1
                await anyio.sleep(RESTART_AFTER)
            tasks.cancel_scope.cancel()

    async def _serve(self, episode: Episode, left: float) -> str | None:
        """Runs a service for so long; the error that it ends with by itself, None for a stop."""
        stage, is_once = self._stage, episode.kind == "once"
        service: Service | None = None

        def stop() -> None:
            if service is not None:
                service._stop.set()

        async def stop_then() -> None:
            await anyio.sleep(left)
            stop()

        if episode.ending == "stop" and episode.turns:
            stage.loop.virtual.at_step(stage.loop.virtual.steps + episode.turns, stop)
        try:
            service = Service(stage.settings(), once=is_once)
            with anyio.fail_after(None if is_once else left + LONGEST_STOP):
                async with anyio.create_task_group() as tasks:
                    if not is_once:
                        tasks.start_soon(stop_then)
                    await service.run()
                    tasks.cancel_scope.cancel()
        except TimeoutError:
            self.find(f"it did not stop within {LONGEST_STOP:.0f} s")
        except BaseException as group:
            error = cause(group)
            if not isinstance(error, BridgeError):
                raise
            self._tell(f"ended by itself: {type(error).__name__}: {_placeless(str(error))}")
            return str(error)
        finally:
            stage.loop.virtual.forget(stop)
        was_stopped = service is not None and service._stop.is_set()
        self._outcome.counts["stops" if was_stopped else "catch-ups"] += 1
        self._tell("stopped" if was_stopped else "caught up")
        return None

    async def _people(self, progress: "_Progress") -> None:
        began = self._stage.loop.time()
        while (deed := progress.next()) is not None:
            await anyio.sleep(began + deed.at * MINUTE - self._stage.loop.time())
            self._do(next(progress.take()))

    def _rest(self, episode: Episode) -> None:
        at = 0.0
        for deed in episode.deeds:
            self._stage.clock.advance(timedelta(minutes=deed.at - at))
            self._stage.machine.since -= (deed.at - at) * MINUTE
            at = deed.at
            self._do(deed)
        self._stage.clock.advance(timedelta(minutes=episode.minutes - at))
        self._stage.machine.since -= (episode.minutes - at) * MINUTE

    def _do(self, deed: Deed) -> None:
        stage = self._stage
        # No two things happen at the same instant, and none between two instants of a row.
        stage.clock.advance(timedelta(milliseconds=10))
        stage.world.advance(stage.clock.now)
        self._account.do(deed.what, deed.luck)
        self._outcome.counts["deeds"] += 1

    async def _catch_up_in_health(self) -> None:
        try:
            await Service(self._stage.settings(), once=True).run()
        except BaseException as group:
            error = cause(group)
            if not isinstance(error, BridgeError):
                raise
            self.find(f"in health it ends with {type(error).__name__}: {_placeless(str(error))}")
        self._check_ledger()

    # What has to be so

    def _check_ledger(self) -> None:
        """fetched = delivered + known + filtered + dead-lettered + in flight."""
        if not self._stage.state.exists():
            return
        # Another connection at its end would move what is beside the file into it.
        address = f"file:{self._stage.state}?mode=ro"
        with (
            closing(sqlite3.connect(address, uri=True)) as db,
            suppress(sqlite3.OperationalError),
        ):
            counts = Counter(dict(db.execute("SELECT name, value FROM counters")))
            ((counts["in flight"],),) = db.execute(IN_FLIGHT)
            fetched = counts.pop("fetched", 0)
            if fetched != counts.total():
                self.find(f"the ledger doesn't close: {fetched} fetched, {dict(counts)}")

    def _judge(self) -> None:
        stage = self._stage
        expectations = Expectations(
            lists=field_ids(stage.world),
            since=START,
            strict_cause=False,
            slack=stage.now - START,
        )
        verdict = judge(stage.world, stage.segment.received(), expectations)
        for title in ("missing", "extra", "wrong", "late_repeats"):
            for sentence in getattr(verdict, title):
                self.find(f"{title}: {sentence}")
        self._outcome.counts["events"] = sum(verdict.delivered.values())
        self._outcome.counts["repeats"] = sum(verdict.duplicates.values())
        if stage.segment.dropped or stage.segment.complaint_examples:
            said = (dict(stage.segment.dropped), dict(stage.segment.complaint_examples))
            self.find(f"Segment has to say: {said}")
        with closing(sqlite3.connect(stage.state)) as db:
            ((waiting,),) = db.execute("SELECT coalesce(sum(events), 0) FROM outbox")
            if waiting:
                self.find(f"{waiting} events wait in the outbox for ever")

    def _tell(self, what: str) -> None:
        at = self._stage.now - START
        self._outcome.story.append(f"{str(at).split('.')[0]:>18}  {what}")


class _Progress:
    """How far an episode's people are."""

    def __init__(self, episode: Episode) -> None:
        self._left = deque(episode.deeds)

    def next(self) -> Deed | None:
        """What is done next, None for nothing."""
        return self._left[0] if self._left else None

    def take(self) -> Iterator[Deed]:
        """All that is left, each as it is done."""
        while self._left:
            yield self._left.popleft()


def _is_of_server(task: "asyncio.Task[object]") -> bool:
    """Tells whether a task is one of the emulators'."""
    return "RequestHandler" in repr(task.get_coro())


def _placeless(text: str) -> str:
    return _PLACE.sub("bridge.db", text)


def _sum_up(stage: Stage, outcome: Outcome) -> None:
    outcome.counts["calls"] = sum(stage.listrak.requests.values())
    log = _placeless(_STAMP.sub("", stage.log.getvalue()))
    outcome.logged.update(re.findall(r'"event": "([a-z_.]+)"', log))
    digest = hashlib.blake2b(log.encode(), digest_size=8)
    for event in stage.segment.received(stamped=True):
        digest.update(repr(sorted(event.items())).encode())
    outcome.digest = digest.hexdigest()
