"""The command `backfill`: has older events sent, by the running service or by itself."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import anyio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from bridge import clock, service, spool
from bridge.errors import ConfigurationError, StateError
from bridge.event_types import TRACKS
from bridge.listrak import times
from bridge.listrak.times import Instant
from bridge.settings import Settings
from bridge.state.database import SCHEMA_VERSION, is_locked
from bridge.state.records import Backfill, BackfillKind
from bridge.state.store import Store, open_store
from bridge.values import since as parse_since

REFRESH_INTERVAL = 0.3
"""Seconds between two updates of the progress bars."""


@dataclass(frozen=True)
class Wish:
    """The wish of a person for events to be sent.

    since: instant from which on; "" for all that was withheld.
    kind: see Backfill.
    warehouse_only: the events are for warehouses alone.
    """

    since: Instant
    kind: BackfillKind
    warehouse_only: bool


async def backfill(
    settings: Settings,
    *,
    since: str | None,
    only_list: int | None,
    events: bool = False,
    warehouse_only: bool = False,
) -> None:
    """Has events sent that were not sent when they happened; shows progress.

    since: an ISO date-time, or a span such as 90d; None with `events` for all.
    only_list: id of a list; None for all configured ones.
    events: those that were not in BRIDGE_EVENTS, else those from before the start horizon.
    warehouse_only: they reach no destination but warehouses.

    Raises ConfigurationError for a list or an instant that can't be, StateError where the service
    was never started, TemporaryError where something could not be read for now.
    """
    configured = [setting.list_id for setting in settings.lists]
    if only_list is not None and only_list not in configured:
        raise ConfigurationError("LISTRAK_LISTS", f"doesn't name list {only_list}")
    wish = Wish(
        "" if since is None else _instant(since, settings),
        "events" if events else "history",
        warehouse_only,
    )
    console = Console(stderr=True)
    wanted = configured if only_list is None else [only_list]
    lists = await _request(settings, wanted, wish, console)
    if not lists:
        return
    while not await _is_done(settings, lists, wish.kind):
        if is_locked(settings.state):
            await _follow_service(settings, lists, wish.kind, console)
        else:
            await _run_alone(settings, lists, wish.kind, console)
    async with open_store(settings.state, read_only=True) as store:
        for list_id in lists:
            backfill = await store.backfills.of(list_id, wish.kind)
            if backfill is not None:
                _tell(backfill, await store.messages.untracked_until(list_id), console)
    if wish.kind == "history" and (unwanted := sorted(set(TRACKS) - settings.events)):
        console.print(
            f"Not in BRIDGE_EVENTS, so not sent, nor by a later backfill of the same time: "
            f"{', '.join(unwanted)}."
        )


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
    settings: Settings, lists: Sequence[int], wish: Wish, console: Console
) -> list[int]:
    """Leaves a request for each list that has anything to be sent; returns those lists."""
    wanting: list[int] = []
    async with open_store(settings.state, read_only=True) as store:
        if await store.version() < SCHEMA_VERSION:
            raise StateError(
                f"BRIDGE_STATE: {str(settings.state)!r} was written by an older version. Start the "
                "service once: it brings the file up to date"
            )
        if await store.meta.get("since") is None:
            raise StateError(
                f"BRIDGE_STATE: with {str(settings.state)!r} no service was started yet. "
                "Start it first; what happens from then on is its own to send"
            )
        for list_id in lists:
            horizon = (await store.lists.state(list_id)).horizon
            last = await store.backfills.of(list_id, wish.kind)
            covered = horizon if last is None else min(horizon, last.since)
            if not horizon:
                console.print(
                    f"List {list_id}: the service has not read it yet. Start it first; what "
                    "happens from then on is its own to send."
                )
            elif last is not None and not last.finished:
                console.print(f"List {list_id}: a backfill since {last.since} is under way.")
                wanting.append(list_id)
            elif wish.kind == "history" and wish.since >= covered:
                console.print(
                    f"List {list_id}: nothing to do here: what happened since {covered} is the "
                    "service's own to send, or was sent by a backfill. What was not in "
                    "BRIDGE_EVENTS meanwhile is brought by --events."
                )
            else:
                request = spool.Backfill(
                    list_id, wish.since, wish.kind == "events", wish.warehouse_only
                )
                spool.leave(settings.state, request)
                wanting.append(list_id)
    return wanting


async def _is_done(settings: Settings, lists: Sequence[int], kind: BackfillKind) -> bool:
    async with open_store(settings.state, read_only=True) as store:
        return await _finished(store, lists, kind)


async def _finished(store: Store, lists: Sequence[int], kind: BackfillKind) -> bool:
    waiting = {
        request.list_id
        for _, request in spool.waiting(store.path)
        if isinstance(request, spool.Backfill)
    }
    backfills = [await store.backfills.of(list_id, kind) for list_id in lists]
    return waiting.isdisjoint(lists) and all(one is not None and one.finished for one in backfills)


async def _follow_service(
    settings: Settings, lists: Sequence[int], kind: BackfillKind, console: Console
) -> None:
    """Shows the progress of the running service, until it is done or gone."""
    console.print("The running service does it; Ctrl-C ends the watching only.")

    def over() -> bool:
        return not is_locked(settings.state)

    async with open_store(settings.state, read_only=True) as store:
        with Bars(lists, kind, console) as bars:
            while not await _finished(store, lists, kind) and not over():
                await bars.show(store)
                await anyio.sleep(REFRESH_INTERVAL)


async def _run_alone(
    settings: Settings, lists: Sequence[int], kind: BackfillKind, console: Console
) -> None:
    """Runs the backfills in this process, which locks the state file meanwhile."""
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            with Bars(lists, kind, console) as bars:
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

    def __init__(self, lists: Sequence[int], kind: BackfillKind, console: Console) -> None:
        self._kind = kind
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
            state = await store.backfills.of(list_id, self._kind)
            if state is not None and state.listed:
                total = state.messages + state.waiting
                done = state.messages
                self._progress.update(task, completed=done, total=total, sent=state.sent)


def _tell(done: Backfill, untracked_until: Instant, console: Console) -> None:
    if done.kind == "events":
        span = f" since {done.since}" if done.since else ""
        console.print(
            f"List {done.list_id}: {done.sent:,} events{span} that were not in BRIDGE_EVENTS, of "
            f"{done.messages:,} messages. What is still not in it stays withheld."
        )
        if untracked_until:
            console.print(
                f"List {done.list_id}: emails sent up to {untracked_until} are no longer tracked: "
                "what was withheld of them can't be had any more."
            )
        return
    console.print(
        f"List {done.list_id}: {done.sent:,} events from {done.since} to {done.before}, "
        f"of {done.messages:,} messages."
    )
    if done.left_out:
        console.print(
            f"List {done.list_id}: {done.left_out:,} messages were left out: they were tracked "
            f"once and are no longer (those sent up to {untracked_until}), so that what was sent "
            "of them can't be told."
        )
