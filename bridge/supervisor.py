"""Restarts the pipeline after a fault: it is built anew from the checkpoints, after a backoff."""

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from bridge.errors import BridgeError, ConfigurationError, StateDamagedError, StateError
from bridge.logs import log
from bridge.metrics import Metrics
from bridge.retry import backoff

CALM_AFTER: Final = 300.0
"""Seconds without a fault after which the next one counts as the first."""

FATAL: Final = (ConfigurationError, StateError, StateDamagedError)
"""Errors that a restart doesn't mend."""


def cause(error: BaseException) -> BaseException:
    """The decisive error of a group: a FATAL one, else a BridgeError, else the first."""
    leaves = list(_leaves(error))
    for kind in (FATAL, BridgeError, BaseException):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return error


async def supervise(
    run: Callable[[], Awaitable[None]], flush: Callable[[], Awaitable[None]], metrics: Metrics
) -> None:
    """Runs the pipeline until it returns, with a restart after each fault. Raises FATAL errors.

    run: builds the pipeline and runs it; actors coupled by a queue restart together.
    flush: called after each fault, to commit what was acknowledged.
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
            seconds = backoff(fault, faults)
            metrics.restarts.inc()
            log.error(
                "pipeline.restarting",
                reason=str(fault) or type(fault).__name__,
                seconds=round(seconds, 1),
                exc_info=None if isinstance(fault, BridgeError) else fault,
            )
            await flush()
            await anyio.sleep(seconds)
        else:
            return


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
