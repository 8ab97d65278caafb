"""The surroundings of a run: signals, the deadline of a stop, reports to the service manager."""

import signal
from typing import Final

import anyio
import anyio.abc

from bridge.ending.hard_end import FAULT, STOPS, HardEnd
from bridge.flow.ledger import Ledger
from bridge.output.logs import log
from bridge.supervision.health import Health
from bridge.supervision.progress import Progress
from bridge.supervision.supervisor import Supervisor
from bridge.supervision.systemd import Notifier

LONGEST_INTERVAL: Final = 10.0
"""Seconds between two looks at the progress, at most."""

# Of the drain timeout: until what is on its way is cut short, for the last commit, until the
# process is ended whatever hangs. The rest is for the process to end.
_DRAIN, _SAVE, _CUT_OFF = 0.7, 0.15, 0.9
_LEAST: Final = 2.0
"""Seconds that an end which goes well may take on a busy machine, whatever the timeout."""


class Lifecycle:
    """The surroundings of a run, from its start to its end.

    drain_timeout: seconds that a stop may take.
    hard_end: the end of the process, whatever hangs; whoever leaves it has ended by itself.
    """

    def __init__(self, health: Health, progress: Progress, drain_timeout: float) -> None:
        self.stop = anyio.Event()
        self.stopped_by: signal.Signals | None = None
        self._health = health
        self._progress = progress
        self._drain_timeout = drain_timeout
        self._notifier = Notifier()
        self.hard_end = HardEnd(max(drain_timeout * _CUT_OFF, _LEAST))

    async def watch_signals(
        self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Sets `stop` at the first signal."""
        try:
            with anyio.open_signal_receiver(*STOPS) as signals:
                self.hard_end.arm_at_signals(dict.fromkeys(STOPS, FAULT))
                task_status.started()
                async for number in signals:
                    if self.stop.is_set():
                        log.warning("bridge.draining_still", signal=number.name)
                        continue
                    log.info("bridge.draining", signal=number.name)
                    self.stopped_by = number
                    self._health.stopping = True
                    self._tell_stopping()
                    self.stop.set()
        finally:
            # The end has begun: a late signal must not change the exit code.
            for number in STOPS:
                signal.signal(number, signal.SIG_IGN)

    async def drain_deadline(self, tasks: anyio.abc.TaskGroup) -> None:
        """Cancels a drain that takes too long; the next start reads again what did not arrive."""
        await self.stop.wait()
        await anyio.sleep(max(0.0, self._drain_timeout * _DRAIN - 0.5))
        log.warning("bridge.drain_timeout", note="what was on its way will be sent again")
        tasks.cancel_scope.cancel()

    def ready(self) -> None:
        """Tells the service manager that the service is up."""
        self._health.ready = True
        self._notifier.tell("READY=1", f"STATUS={self._health.sentence()}")

    async def report(self, supervisor: Supervisor) -> None:
        """Looks at the progress again and again, and tells the service manager that all is well.

        Of a standstill that nothing explains it isn't told: a restart may mend that. It is told of
        waits for others, and for room on the disk, which a restart doesn't mend.
        """
        interval = min(self._notifier.watchdog_interval or LONGEST_INTERVAL, LONGEST_INTERVAL)
        while True:
            look = self._progress.look()
            if look.slow is not None:
                log.warning("state.slow", seconds=round(look.slow, 1))
            if look.standstill is not None:
                log.error("progress.standstill", reason=look.standstill)
            self._health.set_problem(
                "state",
                None if look.slow is None else f"the disk has not answered for {look.slow:.0f} s",
            )
            self._health.set_problem("standstill", look.standstill)
            self._health.set_problem("restarts", supervisor.problem())
            alive = ("WATCHDOG=1",) if look.standstill is None else ()
            self._notifier.tell(*alive, f"STATUS={self._health.sentence()}")
            await anyio.sleep(interval)

    async def save(self, ledger: Ledger) -> None:
        """Saves what was delivered last; from then on, the end takes no longer than a stop may."""
        self.hard_end.arm()
        with anyio.move_on_after(self._drain_timeout * _SAVE, shield=True) as scope:
            await ledger.flush()
        if scope.cancelled_caught:
            log.error("state.not_saved", note="what was delivered last will be sent again")
        self._tell_stopping()

    def _tell_stopping(self) -> None:
        self._notifier.tell("STOPPING=1", f"STATUS={self._health.sentence()}")
