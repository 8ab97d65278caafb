"""Commands that end when they are told to: by SIGTERM, or by Ctrl-C."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import anyio

from bridge.ending.hard_end import EXIT_CODES, STOPS, HardEnd
from bridge.errors import StoppedError

Result = TypeVar("Result")

STOPPED: Final = "stopped before the end"
"""The end of what was told to end."""

CLOSE_WITHIN: Final = 5.0
"""Seconds that a command has for its end once it is told to."""


async def unless_signalled(work: Callable[[], Awaitable[Result]]) -> Result:
    """Awaits a command's work, and returns its result. SIGTERM and Ctrl-C cancel it.

    Raises what `work` raises, and StoppedError where it was cancelled. What hangs nevertheless is
    cut off. (The service, which drains instead, takes the signals over.)
    """
    asyncio.get_running_loop().set_default_executor(_Unawaited())
    results: list[Result] = []
    failure: Exception | None = None
    told: signal.Signals | None = None
    with HardEnd(CLOSE_WITHIN) as hard_end:
        async with anyio.create_task_group() as tasks:

            async def watch(
                *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
            ) -> None:
                nonlocal told
                with anyio.open_signal_receiver(*STOPS) as signals:
                    hard_end.arm_at_signals(EXIT_CODES)
                    task_status.started()
                    async for number in signals:
                        told = number
                        tasks.cancel_scope.cancel()

            await tasks.start(watch)
            try:
                results.append(await work())
            except Exception as error:  # noqa: BLE001  (it is raised below, and not in a group)
                failure = error
            tasks.cancel_scope.cancel()
    if results:
        return results[0]
    if told is not None:
        raise StoppedError(STOPPED, EXIT_CODES[told])
    assert failure is not None
    raise failure


class _Unawaited(ThreadPoolExecutor):
    """Threads that look up names: that can't be cancelled, and no end waits for it."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """Ends the threads as soon as each is done, without a wait for it."""
        super().shutdown(wait=False, cancel_futures=True)
