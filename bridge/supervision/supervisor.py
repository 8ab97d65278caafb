"""Restarts the pipeline after a fault: it is built anew from the checkpoints, after a backoff."""

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from bridge.errors import FATAL, BridgeError, TemporaryError, cause
from bridge.metrics import Metrics
from bridge.output.logs import log
from bridge.transport.retry import backoff

CALM_AFTER: Final = 300.0
"""Seconds without a fault after which the next one counts as the first."""

MOST_IN_VAIN: Final = 5
"""Faults in a row after which the run ends, where nothing was accomplished in between: what comes
back on the same work isn't mended by yet another restart."""


class Supervisor:
    """Runs the pipeline, and knows how that goes.

    accomplished: tells a number that grows with what is delivered.
    """

    def __init__(self, metrics: Metrics, accomplished: Callable[[], float]) -> None:
        self._metrics = metrics
        self._accomplished = accomplished
        self._in_row = 0
        self._in_vain = 0
        self._done = 0.0
        self._last = 0.0
        self._reason = ""

    async def run(
        self, run: Callable[[], Awaitable[None]], flush: Callable[[], Awaitable[None]]
    ) -> None:
        """Runs the pipeline until it returns, with a restart after each fault.

        Raises FATAL errors, and TemporaryError (or what the fault is, if it is one of ours) at the
        fault that is MOST_IN_VAIN in a row, as restarts are of no use.

        run: builds the pipeline and runs it; actors coupled by a queue restart together.
        flush: called after each fault, to commit what was acknowledged.
        """
        while True:
            started = anyio.current_time()
            try:
                await run()
            except Exception as error:  # noqa: BLE001  (whatever it is, the checkpoints are good)
                fault = cause(error)
                if isinstance(fault, FATAL):
                    raise fault from None
                self._note(fault, is_calm=anyio.current_time() - started > CALM_AFTER)
                await flush()
                self._give_up_in_vain(fault)
                seconds = backoff(fault, self._in_row)
                self._metrics.restarts.inc()
                log.error(
                    "pipeline.restarting",
                    reason=self._reason,
                    seconds=round(seconds, 1),
                    exc_info=None if isinstance(fault, BridgeError) else fault,
                )
                await anyio.sleep(seconds)
            else:
                return

    def problem(self) -> str | None:
        """The sentence about faults that come one after the other; None while there are none."""
        if self._in_row < 2 or anyio.current_time() - self._last > CALM_AFTER:
            return None
        return f"restarted after {self._in_row} faults in a row: {self._reason}"

    def _note(self, fault: BaseException, *, is_calm: bool) -> None:
        self._in_row = 1 if is_calm else self._in_row + 1
        self._in_vain = 0 if is_calm else self._in_vain
        self._last = anyio.current_time()
        self._reason = str(fault) or type(fault).__name__

    def _give_up_in_vain(self, fault: BaseException) -> None:
        """Raises an error where too many faults came with nothing accomplished in between."""
        done = self._accomplished()
        self._in_vain = self._in_vain + 1 if done == self._done else 1
        self._done = done
        if self._in_vain < MOST_IN_VAIN:
            return
        if isinstance(fault, BridgeError):
            raise fault from None
        raise TemporaryError(
            f"a fault has come back {self._in_vain} times, and restarts don't mend it "
            f"({type(fault).__name__}: {fault}). Nothing that was saved is lost. Please report it "
            "with what stands above in the log"
        ) from fault
