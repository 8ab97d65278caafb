"""The service in this process, between the servers of a rig: a tenth of a subprocess's time."""

from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from io import StringIO
from typing import Any

import anyio
import histories.reconciled as commands
import printed
from rig import Rig
from virtual.death import until_killed
from virtual.surroundings import restored_process
from virtual_machine import virtual_loop

from bridge import service
from bridge.environment import settings
from bridge.environment.settings import Settings
from bridge.errors import BridgeError, ConfigurationError, cause
from bridge.output.logs import configure_logging
from bridge.supervision.health import Health


async def caught_up(rig: Rig, environment: dict[str, str | None]) -> str:
    """Makes a catch-up, as `run --once` does; returns what it logged.

    Lists that the account hasn't are no failure: the others are caught up.
    """
    with suppress(ConfigurationError):
        return await _done(rig, service.run(_settings(rig, environment), once=True))
    return ""


async def killed(rig: Rig, environment: dict[str, str | None], turns: int) -> bool:
    """Begins a catch-up that is killed after so many turns of a virtual loop; tells whether it was.

    It may have ended before.
    """
    loop = virtual_loop()
    assert loop is not None

    async def work() -> None:
        # What isn't killed may fail.
        with suppress(BridgeError):
            await service.run(_settings(rig, environment), once=True)

    with undisturbed_process(rig):
        return await until_killed(loop, work, rig.state, turns)


@asynccontextmanager
async def running(
    rig: Rig, environment: Mapping[str, str | None] | None = None
) -> AsyncIterator[tuple[Health, StringIO]]:
    """Runs the service meanwhile; yields its health, and what it logs. Raises what ends it."""
    bridge = service.Service(_settings(rig, dict(environment or {})), once=False)
    with undisturbed_process(rig) as log:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(bridge.run)
                yield bridge._health, log
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise cause(group) from None


async def reconciled(
    rig: Rig, environment: dict[str, str | None], *, repair: bool = False
) -> dict[str, Any]:
    """What `reconcile` says, for programs."""
    with undisturbed_process(rig):
        return await commands.reconciled(_settings(rig, environment), repair=repair)


def _settings(rig: Rig, environment: dict[str, str | None]) -> Settings:
    loaded: Settings = settings.load(rig.with_settings(environment))
    return loaded


async def _done(rig: Rig, work: Awaitable[None]) -> str:
    with undisturbed_process(rig) as log:
        await work
        return log.getvalue()


@contextmanager
def undisturbed_process(rig: Rig | None = None) -> Iterator[StringIO]:
    """Undoes afterwards what a run changes of its process; yields the stream that it logs to."""
    log = StringIO()
    undo = rig.machine.install() if rig else (lambda: None)
    with restored_process():
        configure_logging(level="info", style="json", stream=log)
        try:
            yield log
        finally:
            printed.keep(["run"], printed.IN_PROCESS, out="", err=log.getvalue())
            undo()
