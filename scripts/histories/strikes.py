"""Troubles in force: begins and ends them, and counts how often each has struck."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Final
from zlib import crc32

import anyio

from bridge.clock import DAY, HOUR, MINUTE
from bridge.sandbox.fault import Fault
from bridge.sandbox.faults import Faults
from histories.service import Stage
from histories.troubles import REFUSAL, Trouble

WRITES: Final = ("INSERT", "UPDATE", "DELETE", "REPLACE", "COMMIT", "BEGIN")

IN_MEMORY: Final = "PRAGMA busy_timeout"
"""A statement that no disk has to do with."""

ERRORS: Final = {
    "SQLITE_FULL": "database or disk is full",
    "SQLITE_IOERR": "disk I/O error",
    "SQLITE_BUSY": "database is locked",
}
"""What SQLite says, by the name of its code."""

CLOCKS: Final = {
    "ahead": 90.0,
    "behind": -90.0,
    "hours ahead": 5 * HOUR,
    "years behind": -3 * 365 * DAY,
}
"""Seconds by which the machine's clock jumps."""


class Strikes:
    """The troubles of an episode.

    struck: counts each hit by kind.
    tell: told of what begins and ends.
    """

    def __init__(
        self,
        stage: Stage,
        troubles: tuple[Trouble, ...],
        struck: Counter[str],
        tell: Callable[[str], None],
    ) -> None:
        self._stage = stage
        self._troubles = troubles
        self._struck = struck
        self._tell = tell
        self._calls = 0

    async def run(self, seconds: float) -> None:
        """Has each trouble come and go in its time."""
        async with anyio.create_task_group() as tasks:
            for trouble in self._troubles:
                tasks.start_soon(self._strike, trouble, seconds)

    def lift(self) -> None:
        """Ends all but the jumps of clocks."""
        stage = self._stage
        stage.listrak.faults.clear()
        stage.segment.faults.clear()
        stage.refuses = lambda _: False
        stage.disk.fault = stage.disk.fault_after = lambda _: None
        stage.disk.latency = stage.loop.network.latency = lambda: 0.0
        stage.loop.network.is_down = False

    async def _strike(self, trouble: Trouble, seconds: float) -> None:
        await anyio.sleep(trouble.begin * seconds)
        self._tell(f"{trouble.where}: {trouble.what}")
        undo = self._begin(trouble)
        await anyio.sleep(max(0.0, trouble.end - trouble.begin) * seconds)
        undo()
        if trouble.where != "clock":
            self._tell(f"{trouble.where}: {trouble.what} is over")

    def _begin(self, trouble: Trouble) -> Callable[[], None]:
        match trouble.where:
            case "listrak":
                return self._fault(self._stage.listrak.faults, trouble)
            case "segment" if trouble.what == REFUSAL:
                return self._refusal(trouble)
            case "segment":
                return self._fault(self._stage.segment.faults, trouble)
            case "disk":
                return self._disk(trouble)
            case "network":
                return self._network(trouble)
            case "clock":
                return self._clock(trouble)

    def _fault(self, faults: Faults, trouble: Trouble) -> Callable[[], None]:
        fault = faults.add(trouble.what)
        strikes = fault.strikes

        def counted(request: object, rng: Random) -> bool:
            hit = strikes(request, rng)  # type: ignore[arg-type]
            self._struck[trouble.kind] += hit
            return hit

        fault.strikes = counted  # type: ignore[method-assign]
        return lambda: _remove(faults, fault)

    def _refusal(self, trouble: Trouble) -> Callable[[], None]:
        """Segment refuses some events for good, each time they are sent meanwhile."""
        stage = self._stage

        def refuses(message_id: str) -> bool:
            is_refused = crc32(message_id.encode()) % 8 == trouble.luck % 8
            self._struck[trouble.kind] += is_refused
            return is_refused

        def undo() -> None:
            stage.refuses = lambda _: False

        stage.refuses = refuses
        return undo

    def _disk(self, trouble: Trouble) -> Callable[[], None]:
        disk, first = self._stage.disk, trouble.luck % 40

        def fail(statement: str, name: str, *, writes: bool) -> None:
            self._calls += 1
            touched = statement.upper().startswith(WRITES) if writes else bool(statement)
            if self._calls < first or not touched or statement.startswith(IN_MEMORY):
                return
            self._struck[trouble.kind] += 1
            raise _error_of(name)

        def undo() -> None:
            disk.fault = disk.fault_after = lambda _: None
            disk.latency = lambda: 0.0

        match trouble.what:
            case "full":
                disk.fault = lambda one: fail(one, "SQLITE_FULL", writes=True)
            case "I/O error":
                disk.fault = lambda one: fail(one, "SQLITE_IOERR", writes=False)
            case "locked":
                disk.fault = lambda one: fail(one, "SQLITE_BUSY", writes=True)
            case "done, and not told":
                disk.fault_after = lambda one: fail(one, "SQLITE_IOERR", writes=True)
            case _:
                rng = Random(trouble.luck)
                disk.latency = lambda: rng.expovariate(1 / 0.3)
                self._struck[trouble.kind] += 1
        return undo

    def _network(self, trouble: Trouble) -> Callable[[], None]:
        network, rng = self._stage.loop.network, Random(trouble.luck)

        def undo() -> None:
            network.latency = lambda: 0.0
            network.is_down = False

        self._struck[trouble.kind] += 1
        if trouble.what == "down":
            network.cut()
        elif trouble.what == "slow":
            network.latency = lambda: 1.5
        else:
            network.latency = lambda: rng.expovariate(1 / 0.2)
        return undo

    def _clock(self, trouble: Trouble) -> Callable[[], None]:
        self._struck[trouble.kind] += 1
        if trouble.what in CLOCKS:
            self._stage.ahead += CLOCKS[trouble.what]
        elif trouble.what == "asleep":
            self._sleep(trouble.luck % 600 * MINUTE)
        return lambda: None

    def _sleep(self, seconds: float) -> None:
        """The machine sleeps: time passes for all others."""
        self._stage.clock.advance(timedelta(seconds=seconds))
        self._stage.machine.since -= seconds


def _error_of(name: str) -> sqlite3.OperationalError:
    """The error that SQLite raises with a code."""
    error = sqlite3.OperationalError(ERRORS[name])
    error.sqlite_errorname = name
    error.sqlite_errorcode = getattr(sqlite3, name)
    return error


def _remove(faults: Faults, fault: Fault) -> None:
    """Lifts one fault of several."""
    fault.lifted.set()
    faults._faults = [one for one in faults if one is not fault]
