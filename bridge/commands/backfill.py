"""The command `backfill`: has older events sent, by the running service or by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from bridge import clock, spool
from bridge.commands.errand import (
    NOT_REQUESTED,
    Done,
    configured_lists,
    require_started,
    see_through,
    waiting_lists,
)
from bridge.commands.readable import resolve_if_possible, tell_problems
from bridge.errors import ConfigurationError
from bridge.event_types import TRACKS
from bridge.flow.readers import ErrandKind
from bridge.listrak import times
from bridge.listrak.times import Instant
from bridge.settings import Settings
from bridge.state.records import Backfill, BackfillKind
from bridge.state.store import Store, open_store
from bridge.values import since as parse_since


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
    was never started, TemporaryError where something could not be read for now. A list that can't
    be read is told of, and raised at the end.
    """
    configured = configured_lists(settings, only_list)
    wish = Wish(
        "" if since is None else _instant(since, settings),
        "events" if events else "history",
        warehouse_only,
    )
    console = Console(stderr=True)
    resolved = await resolve_if_possible(settings, configured, console)
    tell_problems(resolved, console, NOT_REQUESTED)
    wanted = [list_id for list_id in configured if list_id not in resolved.problems]
    if lists := await _request(settings, wanted, wish, console):
        await _see_through(settings, lists, wish, console)
    resolved.require()


async def _see_through(
    settings: Settings, lists: Sequence[int], wish: Wish, console: Console
) -> None:
    """Has it done for these lists, and tells what came of it."""
    await see_through(settings, Backfills(settings, lists, wish.kind), console)
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
        await require_started(settings, store, "what happens from then on is its own to send")
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


class Backfills:
    """The backfills that a person waits for."""

    only: ErrandKind = "backfill"

    def __init__(self, settings: Settings, lists: Sequence[int], kind: BackfillKind) -> None:
        self.lists = lists
        self._settings = settings
        self._kind = kind

    def waiting(self) -> set[int]:
        """See Errand."""
        return waiting_lists(self._settings, spool.Backfill).intersection(self.lists)

    async def is_done(self, store: Store) -> bool:
        """See Errand."""
        backfills = [await store.backfills.of(list_id, self._kind) for list_id in self.lists]
        done = all(one is not None and one.finished for one in backfills)
        return done and not self.waiting()

    async def progress(self, store: Store, list_id: int) -> Done | None:
        """See Errand: messages read, of all that are to be read."""
        state = await store.backfills.of(list_id, self._kind)
        if state is None or not state.listed:
            return None
        return Done(state.messages, state.messages + state.waiting, state.sent)


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
