"""Keeps the pipeline running: what breaks is built anew from the checkpoints, after a pause."""

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from bridge.errors import BridgeError, ConfigurationError, StateDamagedError, StateError
from bridge.pacing import wait_before
from bridge.telemetry import Metrics, log

CALM_AFTER: Final = 300.0
"""Seconds without a fault after which the next one counts as the first."""

FATAL: Final = (ConfigurationError, StateError, StateDamagedError)
"""What another try doesn't mend."""


def cause(error: BaseException) -> BaseException:
    """The error of a group that matters: one that ends the program, else ours, else the first."""
    leaves = list(_leaves(error))
    for kind in (FATAL, BridgeError, BaseException):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return error


async def supervise(
    run: Callable[[], Awaitable[None]], settle: Callable[[], Awaitable[None]], metrics: Metrics
) -> None:
    """Runs until it returns, or raises what a restart doesn't mend.

    Actors coupled by a queue stop and start together; `settle` saves what they had finished.
    """
    faults = 0
    while True:
        started = anyio.current_time()
        try:
            await run()
        except Exception as error:  # noqa: BLE001  (whatever it is, the checkpoints are good)
            fault = cause(error)
            if isinstance(fault, FATAL):
                raise fault from None
            faults = 1 if anyio.current_time() - started > CALM_AFTER else faults + 1
            seconds = wait_before(fault, faults)
            metrics.restarts.inc()
            log.error(
                "pipeline.restarting",
                reason=str(fault) or type(fault).__name__,
                seconds=round(seconds, 1),
                exc_info=None if isinstance(fault, BridgeError) else fault,
            )
            await settle()
            await anyio.sleep(seconds)
        else:
            return


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
