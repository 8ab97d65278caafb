"""Errands: work that a command has done by the running service, or by itself where none runs."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple, Protocol

import anyio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from bridge import clock, service, spool
from bridge.environment.settings import Settings
from bridge.errors import StateError, TemporaryError, cause
from bridge.flow.readers import ErrandKind
from bridge.state.lock import is_locked
from bridge.state.store import Store, open_store

REFRESH_INTERVAL = 0.3
"""Seconds between two updates of the progress bars."""

NOT_REQUESTED = "nothing was requested for it: run this again once it is back"
"""The consequence for a list that can't be read now."""

USUALLY_TAKEN_UP = 15.0
"""Seconds after which a service that reads the list has taken a request up."""


class Done(NamedTuple):
    """The progress of an errand for one list.

    done: so much, of `total` (None where that isn't known yet).
    events: number of events sent for it.
    """

    done: int
    total: int | None
    events: int


class Errand(Protocol):
    """Something to be done for some lists.

    only: what a service of its own reads for it.
    """

    only: ErrandKind
    lists: Sequence[int]

    def waiting(self) -> set[int]:
        """The lists for which no service has taken the request up yet."""

    async def is_done(self, store: Store) -> bool:
        """Tells whether it is done for all lists."""

    async def progress(self, store: Store, list_id: int) -> Done | None:
        """The progress of it for a list, None where nothing can be said yet."""


async def see_through(settings: Settings, errand: Errand, console: Console) -> None:
    """Has an errand done to its end; shows progress.

    Raises TemporaryError where it was stopped before, or something could not be read for now.
    """
    while not await _is_done(settings, errand):
        if is_locked(settings.state):
            await _follow_service(settings, errand, console)
            continue
        try:
            await _run_alone(settings, errand, console)
        except Exception as raised:
            error = cause(raised)
            if not isinstance(error, StateError):
                raise
            # A service may have been started at this instant: then it does it.
            if is_locked(settings.state):
                continue
            left = f". {spool.LEFT}" if errand.waiting() else ""
            raise StateError(f"{error}{left}") from None
        if not await _is_done(settings, errand):
            raise TemporaryError(service.STOPPED)


async def _is_done(settings: Settings, errand: Errand) -> bool:
    async with open_store(settings.state, read_only=True) as store:
        return await errand.is_done(store)


async def _follow_service(settings: Settings, errand: Errand, console: Console) -> None:
    """Shows the progress of the running service, until it is done or gone."""
    console.print("The running service does it; Ctrl-C ends the watching only.")
    began, warned = clock.monotonic(), False

    def over() -> bool:
        return not is_locked(settings.state)

    async with open_store(settings.state, read_only=True) as store:
        with Bars(errand, console) as bars:
            while not await errand.is_done(store) and not over():
                await bars.show(store)
                waiting = errand.waiting()
                if waiting and not warned and clock.monotonic() - began > USUALLY_TAKEN_UP:
                    warned = True
                    which = ", ".join(map(str, sorted(waiting)))
                    console.print(
                        f"The service has not taken it up yet for list {which}; the request waits "
                        "until it reads that list."
                    )
                await anyio.sleep(REFRESH_INTERVAL)


async def _run_alone(settings: Settings, errand: Errand, console: Console) -> None:
    """Does it in this process, which locks the state file meanwhile."""
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            with Bars(errand, console) as bars:
                while True:
                    # The file may be busy for a moment, while the service below opens it.
                    with suppress(StateError):
                        async with open_store(settings.state, read_only=True) as store:
                            await bars.show(store)
                    await anyio.sleep(REFRESH_INTERVAL)

        tasks.start_soon(watch)
        await service.run(replace(settings, status_bind=None), once=True, only=errand.only)
        tasks.cancel_scope.cancel()


class Bars:
    """A progress bar a list."""

    def __init__(self, errand: Errand, console: Console) -> None:
        self._errand = errand
        columns = ("{task.description}", "{task.fields[sent]:,} events sent")
        self._progress = Progress(
            TextColumn(columns[0]),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(columns[1]),
            console=console,
            transient=True,
        )
        self._tasks = {
            list_id: self._progress.add_task(f"list {list_id}", total=None, sent=0)
            for list_id in errand.lists
        }

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    async def show(self, store: Store) -> None:
        """Updates the bars."""
        for list_id, task in self._tasks.items():
            progress = await self._errand.progress(store, list_id)
            if progress is not None:
                done, total, events = progress
                self._progress.update(task, completed=done, total=total, sent=events)


def waiting_lists(settings: Settings, kind: type[spool.Backfill | spool.IdentifyAll]) -> set[int]:
    """The lists of which a request of a kind waits beside the state file."""
    return {
        request.list_id for _, request in spool.waiting(settings.state) if isinstance(request, kind)
    }
