"""Lives of the service, one after the other, each with its troubles, its end and its ledger."""

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from itertools import chain, repeat
from math import inf
from typing import Final

import anyio
from virtual.death import until_killed

from bridge.clock import DAY, MINUTE
from bridge.errors import BridgeError, cause
from bridge.service import Service
from histories.account import START, DrawnAccount
from histories.history import Deed, Episode, History
from histories.looks import Looks
from histories.outcome import Outcome
from histories.service import Stage
from histories.strikes import Strikes
from histories.verdicts import ledger, verdict_of_lives, verdict_of_looks

RESTARTS_AFTER: Final = (5.0, 7.0, 10.0, 20.0, 45.0, 90.0, 180.0, 300.0)
"""Seconds until a service that has ended by itself is started again, longer each time: what the
many starts of one trouble would show is seen in fewer."""

SERVED: Final = (("BRIDGE_POLL_INTERVAL", "600"), ("LISTRAK_REQUESTS_PER_SECOND", "0"))
"""Settings of a service that runs in health: half a day of it is some polls."""

HALF_A_DAY: Final = 13.5 * 60.0
"""Minutes within which a service in health brings all that is left, what is hidden as well."""

ONCE_A_DAY: Final = ("missing: identify", "missing: Email Marked As Spam")
"""What may take longer: who has vanished, and complaints where nothing filters for them."""

LONG_ENDS: Final = 16
"""One history of so many ends with half a day of health: it takes five times as long as others."""

CATCH_UPS: Final = (180.0, 1500.0)
"""Minutes of health before each of the catch-ups that end a history."""

LONGEST_STOP: Final = 60.0
"""Seconds that a service may take to stop, at the most."""

YEARS_AHEAD: Final = 800 * DAY
"""Seconds by which a clock is ahead that has nothing to do with that of an account in a test."""

_PLACE = re.compile(r"/\S*/bridge\.db")


class Lives:
    """The lives of a history.

    stands: while nothing runs, this machine's clocks stand still.
    """

    def __init__(self, stage: Stage, outcome: Outcome, *, stands: bool) -> None:
        self._stage = stage
        self._outcome = outcome
        self._stands = stands
        self._account = DrawnAccount(stage.world)
        self._looks = Looks(stage)
        if stands:
            stage.ahead = YEARS_AHEAD

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
            self._find_all(ledger(self._stage.state))
        self._tell("all is well from now on")
        if history.changes:
            self._find_all(await self._looks.untrue())
            self._find_all(verdict_of_looks(self._stage, self._looks.steps, self._outcome.counts))
            return
        self._stage.ahead = 0.0
        if history.seed % LONG_ENDS == LONG_ENDS - 2:
            await self._serve_in_health()
        await self._catch_up_in_health()
        self._find_all(verdict_of_lives(self._stage, self._outcome.counts))

    # Health

    async def _serve_in_health(self) -> None:
        """No catch-up, which reads everything, mends what the service left behind."""
        self._stage.environment |= dict(SERVED)
        await self._live(Episode("serve", HALF_A_DAY))
        found = verdict_of_lives(self._stage, self._outcome.counts)
        self._find_all([one for one in found if not one.startswith(ONCE_A_DAY)])

    async def _catch_up_in_health(self) -> None:
        repeats: list[int] = []
        for minutes in CATCH_UPS:
            self._rest(Episode("rest", minutes))
            await self._once()
            repeats.append(self._stage.segment.duplicates)
        if repeats[-1] > repeats[0]:
            # After the first of them nothing is in flight, and nothing fails.
            self.find(f"in health {repeats[-1] - repeats[0]} events are sent again")

    async def _once(self) -> None:
        try:
            await Service(self._stage.settings(), once=True).run()
        except BaseException as group:
            error = cause(group)
            if not isinstance(error, BridgeError):
                raise
            self.find(f"in health it ends with {type(error).__name__}: {placeless(str(error))}")
        self._find_all(ledger(self._stage.state))

    # Episodes

    async def _live(self, episode: Episode) -> None:
        if episode.kind == "rest":
            self._rest(episode)
        elif episode.kind == "backfill":
            self._outcome.counts["backfills"] += 1
            self._tell(await self._looks.backfill(episode.luck))
        elif episode.kind == "look":
            self._outcome.counts["looks"] += 1
            self._looks.change(episode.changes)
            if self._looks.begin(episode.minutes):
                await self._work(episode)
            self._tell(await self._looks.end())
        else:
            await self._work(episode)

    async def _work(self, episode: Episode) -> None:
        """The service works for a while, in trouble, until it ends in one way or another."""
        before = asyncio.all_tasks()
        strikes = Strikes(self._stage, episode.troubles, self._outcome.struck, self._tell)
        progress = _Progress(episode)
        loop, stage = self._stage.loop, self._stage

        async def work() -> None:
            await self._run(episode, strikes, progress)

        if episode.ending != "stop" and episode.turns:
            first = self._arrivals(*episode.arrivals) if episode.arrivals[1] else None
            is_killed = await until_killed(loop, work, stage.state, episode.turns, first=first)
            self._outcome.counts["kills"] += is_killed
            if is_killed:
                name, number = episode.arrivals
                after = f"{number} of {name or 'any'} and " if number else ""
                self._tell(f"killed, after {after}{episode.turns} turns")
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

    def _arrivals(self, name: str, number: int) -> Callable[[], Awaitable[None]]:
        """Waits for so many events of a name at Segment from now on."""
        segment, arrived = self._stage.segment, self._stage.arrived
        goal = arrived[name] + number

        async def come() -> None:
            await segment.wait_for(lambda _: arrived[name] >= goal, timeout=inf)

        return come

    async def _run(self, episode: Episode, strikes: Strikes, progress: "_Progress") -> None:
        """The episode's time: the service beside what people do and what goes wrong."""
        end = self._stage.loop.time() + episode.minutes * MINUTE
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(strikes.run, episode.minutes * MINUTE)
            tasks.start_soon(self._people, progress)
            delays = chain(RESTARTS_AFTER, repeat(RESTARTS_AFTER[-1]))
            while (left := end - self._stage.loop.time()) > 0:
                self._outcome.counts["lives"] += 1
                ended = await self._serve(episode, left)
                if episode.kind == "once" or ended is None:
                    break
                self._outcome.counts["restarts"] += 1
                await anyio.sleep(next(delays))
            tasks.cancel_scope.cancel()

    async def _serve(self, episode: Episode, left: float) -> str | None:
        """Runs a service for so long; the error that it ends with by itself, None for a stop."""
        stage, is_once = self._stage, episode.kind != "serve"
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
            self._tell(f"ended by itself: {type(error).__name__}: {placeless(str(error))}")
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
            self._pass(deed.at - at)
            at = deed.at
            self._do(deed)
        self._pass(episode.minutes - at)

    def _pass(self, minutes: float) -> None:
        """So many minutes pass, in which nothing runs here."""
        self._stage.clock.advance(timedelta(minutes=minutes))
        if self._stands:
            self._stage.ahead -= minutes * MINUTE
        else:
            self._stage.machine.since -= minutes * MINUTE

    def _do(self, deed: Deed) -> None:
        stage = self._stage
        # No two things happen at the same instant, and none between two instants of a row.
        stage.clock.advance(timedelta(milliseconds=10))
        stage.world.advance(stage.clock.now)
        self._account.do(deed.what, deed.luck)
        self._outcome.counts["deeds"] += 1

    def _find_all(self, sentences: list[str]) -> None:
        for sentence in sentences:
            self.find(sentence)

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


def placeless(text: str) -> str:
    """The text without the path of the state file, which is another each time."""
    return _PLACE.sub("bridge.db", text)


def _is_of_server(task: "asyncio.Task[object]") -> bool:
    """Tells whether a task is one of the emulators'."""
    return "RequestHandler" in repr(task.get_coro())
