"""Interruptions of a run, for what has to be done while nothing of it is in memory."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio

Result = TypeVar("Result")


class Interruptions:
    """Work that begins from what is saved, and can be cut short and begun anew at any instant."""

    def __init__(self) -> None:
        self._turn = anyio.Lock()
        self._scope: anyio.CancelScope | None = None

    async def run(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Does the work to its end, begun anew after each interruption; returns its result."""
        while True:
            # The scope is there before the turn is, so that no interruption waits for the end.
            with anyio.CancelScope() as self._scope:
                async with self._turn:
                    return await work()

    @asynccontextmanager
    async def interrupted(self) -> AsyncIterator[None]:
        """Cancels the work, and keeps it from beginning anew until this is left."""
        if self._scope is not None:
            self._scope.cancel()
        async with self._turn:
            yield
