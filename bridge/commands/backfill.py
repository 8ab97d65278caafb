"""The command `backfill`: has older events sent, by the running service or by itself."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import anyio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from bridge import clock, service, spool
from bridge.errors import ConfigurationError, StateError
from bridge.listrak import times
from bridge.listrak.times import Instant
from bridge.settings import Settings
from bridge.state.database import is_locked
from bridge.state.records import Backfill
from bridge.state.store import Store, open_store
from bridge.values import since as parse_since

REFRESH_INTERVAL = 0.3
"""Seconds between two updates of the progress bars."""


async def backfill(settings: Settings, *, since: str, only_list: int | None) -> None:
    """Has events sent that lie between an instant and what was covered so far; shows progress.

    since: an ISO date-time, or a span such as 90d.
    only_list: id of a list; None for all configured ones.

    Raises ConfigurationError for a list or an instant that can't be, StateError where the service
    was never started, TemporaryError where something could not be read for now.
    """
    configured = [setting.list_id for setting in settings.lists]
    if only_list is not None and only_list not in configured:
        raise ConfigurationError("LISTRAK_LISTS", f"doesn't name list {only_list}")
    instant = _instant(since, settings)
    console = Console(stderr=True)
    lists = await _request(
        settings, configured if only_list is None else [only_list], instant, console
    )
    if not lists:
        return
    while not await _is_done(settings, lists):
        if is_locked(settings.state):
            await _follow_service(settings, lists, console)
        else:
            await _run_alone(settings, lists, console)
    async with open_store(settings.state, read_only=True) as store:
        for list_id in lists:
            backfill = await store.backfills.of(list_id)
            if backfill is not None:
                _tell(backfill, console)


def _instant(text: str, settings: Settings) -> Instant:
    try:
        moment = parse_since(text).at(clock.utc_now())
    except (ValueError, OverflowError) as error:
        raise ConfigurationError("--since", f"{text!r} is not allowed; it takes {error}") from None
    if not 1990 < moment.year < 9999:
        raise ConfigurationError("--since", f"{text!r} lies too far away")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=settings.listrak_timezone)
    return times.instant(moment)


async def _request(
    settings: Settings, lists: Sequence[int], since: Instant, console: Console
) -> list[int]:
    """Leaves a request for each list that has anything to be sent; returns those lists."""
    wanting: list[int] = []
    async with open_store(settings.state, read_only=True) as store:
        horizon = await store.meta.get("since")
        if horizon is None:
            raise StateError(
                f"BRIDGE_STATE: with {str(settings.state)!r} no service was started yet. "
                "Start it first; what happens from then on is its own to send"
            )
        for list_id in lists:
            last = await store.backfills.of(list_id)
            covered = horizon if last is None else min(horizon, last.since)
            if last is not None and not last.finished:
                console.print(f"List {list_id}: a backfill since {last.since} is under way.")
                wanting.append(list_id)
            elif since >= covered:
                console.print(f"List {list_id}: nothing to do, all since {covered} is covered.")
            else:
                spool.leave(settings.state, spool.Backfill(list_id, since))
                wanting.append(list_id)
    return wanting


async def _is_done(settings: Settings, lists: Sequence[int]) -> bool:
    async with open_store(settings.state, read_only=True) as store:
        return await _finished(store, lists)


async def _finished(store: Store, lists: Sequence[int]) -> bool:
    waiting = {
        request.list_id
        for _, request in spool.waiting(store.path)
        if isinstance(request, spool.Backfill)
    }
    backfills = [await store.backfills.of(list_id) for list_id in lists]
    return waiting.isdisjoint(lists) and all(one is not None and one.finished for one in backfills)


async def _follow_service(settings: Settings, lists: Sequence[int], console: Console) -> None:
    """Shows the progress of the running service, until it is done or gone."""
    console.print("The running service does it; Ctrl-C ends the watching only.")

    def over() -> bool:
        return not is_locked(settings.state)

    async with open_store(settings.state, read_only=True) as store:
        with Bars(lists, console) as bars:
            while not await _finished(store, lists) and not over():
                await bars.show(store)
                await anyio.sleep(REFRESH_INTERVAL)


async def _run_alone(settings: Settings, lists: Sequence[int], console: Console) -> None:
    """Runs the backfills in this process, which locks the state file meanwhile."""
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            with Bars(lists, console) as bars:
                while True:
                    # The file may be busy for a moment, while the service below opens it.
                    with suppress(StateError):
                        async with open_store(settings.state, read_only=True) as store:
                            await bars.show(store)
                    await anyio.sleep(REFRESH_INTERVAL)

        tasks.start_soon(watch)
        await service.run(replace(settings, status_bind=None), once=True, only_backfill=True)
        tasks.cancel_scope.cancel()


class Bars:
    """A progress bar a list: messages read, of all that are to be read."""

    def __init__(self, lists: Sequence[int], console: Console) -> None:
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
            for list_id in lists
        }

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    async def show(self, store: Store) -> None:
        """Updates the bars."""
        for list_id, task in self._tasks.items():
            state = await store.backfills.of(list_id)
            if state is not None and state.listed:
                total = state.messages + state.waiting
                done = state.messages
                self._progress.update(task, completed=done, total=total, sent=state.sent)


def _tell(done: Backfill, console: Console) -> None:
    console.print(
        f"List {done.list_id}: {done.sent:,} events from {done.since} to {done.before}, "
        f"of {done.messages:,} messages."
    )
    if done.left_out:
        console.print(
            f"List {done.list_id}: {done.left_out:,} messages were left out: they were tracked "
            "once and are no longer, so that what was sent of them can't be told."
        )
