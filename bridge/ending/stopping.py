"""Work that ends early when the service is told to stop."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

Result = TypeVar("Result")


async def unless_stopped(stop: anyio.Event, work: Callable[[], Awaitable[Result]]) -> Result | None:
    """Awaits `work` and returns its result; cancels it and returns None once `stop` is set."""
    result: Result | None = None
    async with anyio.create_task_group() as tasks:

        async def cancel() -> None:
            await stop.wait()
            tasks.cancel_scope.cancel()

        tasks.start_soon(cancel)
        result = await work()
        tasks.cancel_scope.cancel()
    return result
