"""The command `identify --all`: has all contacts told again, changed or not."""

from collections.abc import Sequence

from rich.console import Console

from bridge import spool
from bridge.commands.errand import (
    NOT_REQUESTED,
    Done,
    see_through,
    waiting_lists,
)
from bridge.commands.readable import resolve_if_possible, tell_problems
from bridge.commands.requirements import configured_lists, require_started
from bridge.commands.terminal import terminal
from bridge.environment.settings import Settings
from bridge.errors import TemporaryError
from bridge.flow.readers import ErrandKind
from bridge.state.records import IdentifyRun
from bridge.state.store import Store, open_store


async def identify_all(settings: Settings, *, only_list: int | None) -> None:
    """Has all known contacts told again, for another write key or another source.

    only_list: id of a list; None for all configured ones.

    Raises ConfigurationError for a list that isn't configured, StateError where the service was
    never started, TemporaryError where something could not be read for now. A list that can't be
    read is told of, and raised at the end.
    """
    console = terminal(stderr=True)
    configured = configured_lists(settings, only_list)
    resolved, _ = await resolve_if_possible(settings, configured, console)
    tell_problems(resolved, console, NOT_REQUESTED)
    wanted = [list_id for list_id in configured if list_id not in resolved.problems]
    runs = await _request(settings, wanted, console)
    if runs.lists:
        await _see_through(settings, runs, console)
    resolved.require()


async def _see_through(settings: Settings, runs: "Runs", console: Console) -> None:
    """Has them done, and says what came of it. TemporaryError where contacts are left out."""
    left_out: list[int] = []
    await see_through(settings, runs, console)
    async with open_store(settings.state, read_only=True) as store:
        for list_id in runs.lists:
            run = await store.identify_runs.of(list_id)
            if run is not None:
                console.print(
                    f"List {list_id}: {run.told:,} contacts told again. Changes seen meanwhile "
                    "were told as they came."
                )
            for part in await store.set_aside.all(list_id):
                if part.part.kind == "contact look-ups":
                    left_out.append(list_id)
                    console.print(
                        f"List {list_id}: some contacts are left out, as they can't be read; the "
                        f"next sweep requests them again: {part.reason}"
                    )
    if left_out:
        which = ", ".join(map(str, left_out))
        raise TemporaryError(
            f"not all contacts of list {which} were told again, as some can't be read: run "
            "`identify --all` again once the service no longer names them as set aside"
        )


class Runs:
    """The runs that a person waits for.

    finished_before: start of the latest run of each list that was complete beforehand.
    """

    only: ErrandKind = "identify"

    def __init__(
        self, settings: Settings, lists: Sequence[int], finished_before: dict[int, float]
    ) -> None:
        self.lists = lists
        self._settings = settings
        self._finished_before = finished_before
        self._known: dict[int, int] = {}

    def waiting(self) -> set[int]:
        """See Errand."""
        return waiting_lists(self._settings, spool.IdentifyAll).intersection(self.lists)

    async def is_done(self, store: Store) -> bool:
        """See Errand."""
        runs = [await self._run(store, list_id) for list_id in self.lists]
        return all(run is not None and run.finished for run in runs) and not self.waiting()

    async def progress(self, store: Store, list_id: int) -> Done | None:
        """See Errand."""
        run = await self._run(store, list_id)
        if run is None:
            return None
        if list_id not in self._known:
            self._known[list_id] = await store.contacts.count(list_id)
        total = self._known[list_id]
        return Done(total if run.finished else min(run.told, total), total, run.told)

    async def _run(self, store: Store, list_id: int) -> IdentifyRun | None:
        """The run of a list; None while there is none but an earlier one."""
        run = await store.identify_runs.of(list_id)
        before = self._finished_before.get(list_id)
        return None if run is None or run.started_at == before else run


async def _request(settings: Settings, lists: Sequence[int], console: Console) -> Runs:
    """Leaves a request for each list that has contacts to be told; returns the runs of those."""
    wanting: list[int] = []
    finished: dict[int, float] = {}
    itself = "it identifies all contacts by itself"
    async with open_store(settings.state, read_only=True) as store:
        await require_started(store, itself)
        waiting = waiting_lists(settings, spool.IdentifyAll)
        for list_id in lists:
            run = await store.identify_runs.of(list_id)
            if not (await store.lists.state(list_id)).horizon:
                console.print(
                    f"List {list_id}: the service has not read it yet. Start it first; {itself}."
                )
                continue
            wanting.append(list_id)
            if run is not None and run.finished:
                finished[list_id] = run.started_at
            if run is not None and not run.finished:
                console.print(f"List {list_id}: a run that has told {run.told:,} is under way.")
            elif list_id not in waiting:
                spool.leave(settings.state, spool.IdentifyAll(list_id))
    return Runs(settings, wanting, finished)
