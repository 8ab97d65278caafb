"""The port on which health and metrics are served: another program may have it."""

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Final

import anyio
import anyio.abc

from bridge.environment.values import Bind
from bridge.errors import ConfigurationError
from bridge.flow.scheduling import schedule
from bridge.metrics import Metrics
from bridge.output.logs import log
from bridge.supervision.health import Health

_OFF: Final = "the service goes on without health and metrics; this is tried again every minute"


class StatusPort:
    """Serves the status as soon as its port is free."""

    def __init__(self, bind: Bind, health: Health, metrics: Metrics) -> None:
        self._bind = bind
        self._health = health
        self._metrics = metrics

    async def open(
        self, stack: AsyncExitStack, tasks: anyio.abc.TaskGroup, *, required: bool, insist: bool
    ) -> None:
        """Serves the status until the stack is left.

        required: raises ConfigurationError where the port is taken, instead of going on without.
        insist: tries again then, in one of the tasks, until it is free.
        """
        try:
            await stack.enter_async_context(self._server())
        except ConfigurationError as error:
            if required:
                raise
            note = _OFF if insist else "a catch-up goes on without it"
            log.error("status.off", reason=str(error), note=note)
            if insist:
                self._health.unserved = True
                tasks.start_soon(self._insist)

    def _server(self) -> AbstractAsyncContextManager[str]:
        # Imported here, as it takes a tenth of a start: catch-ups and commands may do without it.
        from bridge.supervision.status_server import status_server

        return status_server(self._bind, self._health, self._metrics)

    async def _insist(self) -> None:
        while True:
            await anyio.sleep(schedule.STATUS_RETRY_INTERVAL)
            try:
                async with self._server():
                    self._health.unserved = False
                    await anyio.sleep_forever()
            except ConfigurationError as error:
                log.warning("status.off", reason=str(error), note=_OFF)
