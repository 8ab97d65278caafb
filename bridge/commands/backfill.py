"""The command `backfill`: has older events sent, by the running service or by itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Console

from bridge import clock, spool
from bridge.commands.errand import (
    NOT_REQUESTED,
    Done,
    see_through,
    waiting_lists,
)
from bridge.commands.limits import limits_of, tell
from bridge.commands.readable import resolve_if_possible, tell_problems
from bridge.commands.requirements import configured_lists, require_started
from bridge.commands.terminal import print_json, terminal
from bridge.environment.settings import Settings
from bridge.environment.values import since as parse_since
from bridge.errors import BridgeError, ConfigurationError
from bridge.event_types import TRACKS, UNSUBSCRIBED
from bridge.flow.limits import Limit
from bridge.flow.readers import ErrandKind
from bridge.listrak import times
from bridge.listrak.times import Instant
from bridge.state.records import Backfill, BackfillKind
from bridge.state.store import Store, open_store

LIMITS = "Not sent by it, or out of reach:"


@dataclass(frozen=True)
class Wish:
    """The wish of a person for events to be sent.

    since: instant from which on; "" for all that was withheld.
    is_span: it was counted back from now, by this machine's clock.
    kind: see Backfill.
    warehouse_only: the events are for warehouses alone.
    """

    since: Instant
    kind: BackfillKind
    warehouse_only: bool
    is_span: bool = False

    def by_listrak(self, ahead: float) -> "Wish":
        """The wish by Listrak's clock, which is so many seconds ahead."""
        if not self.is_span:
            return self
        return replace(self, since=times.from_seconds(times.seconds(self.since) + ahead))


def wish_of(settings: Settings, since: str | None, *, events: bool, warehouse_only: bool) -> Wish:
    """The wish of a command line.

    since: an ISO date-time, or a span such as 90d; None with `events` for all.
    events: for those that were not in BRIDGE_EVENTS, else for those from before the start horizon.

    Raises ConfigurationError for an instant that can't be.
    """
    kind: BackfillKind = "events" if events else "history"
    if since is None:
        return Wish("", kind, warehouse_only)
    try:
        begin = parse_since(since)
        moment = begin.at(clock.utc_now())
    except (ValueError, OverflowError) as error:
        raise ConfigurationError("--since", f"{since!r} is not allowed; it takes {error}") from None
    if not 1990 < moment.year < 9999:
        raise ConfigurationError("--since", f"{since!r} lies too far away")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=settings.listrak_timezone)
    return Wish(times.instant(moment), kind, warehouse_only, is_span=begin.instant is None)


async def backfill(
    settings: Settings, wish: Wish, *, only_list: int | None, as_json: bool = False
) -> None:
    """Has events sent that were not sent when they happened; shows progress, and what came of it.

    only_list: id of a list; None for all configured ones.

    Raises ConfigurationError for a list that isn't configured, StateError where the service was
    never started, TemporaryError where something could not be read for now. A list that can't be
    read is told of, and raised at the end.
    """
    configured = configured_lists(settings, only_list)
    console = terminal(stderr=True)
    resolved, ahead = await resolve_if_possible(settings, configured, console)
    wish = wish.by_listrak(ahead)
    tell_problems(resolved, console, NOT_REQUESTED)
    wanted = [list_id for list_id in configured if list_id not in resolved.problems]
    lists = await _request(settings, wanted, wish, console)
    reach = _Reach(configured, lists, resolved.reasons)
    try:
        if lists:
            await see_through(settings, Backfills(settings, lists, wish.kind), console)
    except BridgeError:
        # What came of the lists that are done is told nevertheless.
        await _tell(settings, reach, wish, console if not as_json else None)
        raise
    await _tell(settings, reach, wish, console if not as_json else None)
    resolved.require()


async def _request(
    settings: Settings, lists: Sequence[int], wish: Wish, console: Console
) -> list[int]:
    """Leaves a request for each list that has anything to be sent; returns those lists."""
    wanting: list[int] = []
    async with open_store(settings.state, read_only=True) as store:
        await require_started(store, "what happens from then on is its own to send")
        for list_id in lists:
            horizon = (await store.lists.state(list_id)).horizon
            last = await store.backfills.of(list_id, wish.kind)
            ends = await store.backfills.ends(list_id, horizon, settings.events - {UNSUBSCRIBED})
            if not horizon:
                console.print(
                    f"List {list_id}: the service has not read it yet. Start it first; what "
                    "happens from then on is its own to send."
                )
            elif last is not None and not last.finished:
                console.print(f"List {list_id}: a backfill since {last.since} is under way.")
                wanting.append(list_id)
            elif wish.kind == "history" and all(wish.since >= end for end in ends.values()):
                console.print(
                    f"List {list_id}: nothing to do here. Of what is in BRIDGE_EVENTS, backfills "
                    f"have read what happened since {max(ends.values(), default=horizon)}, or it "
                    "is the service's own to send. What was not in BRIDGE_EVENTS when the service "
                    "saw it is brought by --events."
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
        read = state.messages + state.missing
        return Done(read, read + state.waiting, state.sent)


@dataclass(frozen=True)
class _Reach:
    """The lists that are asked for, those of them that something is sent of, and problems."""

    lists: Sequence[int]
    begun: Sequence[int]
    problems: Mapping[int, str]


async def _tell(settings: Settings, reach: _Reach, wish: Wish, console: Console | None) -> None:
    """Tells what came of the backfills that were begun, and the limits of all lists.

    console: None for JSON.
    """
    async with open_store(settings.state, read_only=True) as store:
        found = [await store.backfills.of(list_id, wish.kind) for list_id in reach.begun]
        limits = await limits_of(store, settings, reach.lists, reach.problems)
    done = [one for one in found if one is not None and one.finished]
    if console is None:
        told = {"backfills": list(map(_as_json, done)), "limits": [one.as_json() for one in limits]}
        print_json(told)
        return
    for one in done:
        for sentence in _sentences(one):
            console.print(f"List {one.list_id}: {sentence}")
    tell(_of_kind(limits, wish.kind), LIMITS, console)


def _of_kind(limits: Sequence[Limit], kind: BackfillKind) -> list[Limit]:
    """The limits that count for a kind of backfill: what is withheld is no matter of history."""
    other = ("history", "left_out", "missing", "dropped") if kind == "events" else ("withheld",)
    return [limit for limit in limits if limit.kind not in other]


def _sentences(done: Backfill) -> Iterator[str]:
    if done.kind == "events":
        span = f" since {done.since}" if done.since else ""
        yield (
            f"{done.sent:,} events{span} that were not in BRIDGE_EVENTS, of {done.messages:,} "
            "messages. What is still not in it stays withheld; what no poll has seen yet is the "
            "service's own to send."
        )
        if done.missing:
            yield f"{done.missing:,} messages were not read: Listrak doesn't have them any more."
        return
    yield (
        f"{done.sent:,} events from {done.since} to {done.before}, of {done.messages:,} messages: "
        f"{_names(done)}, as far as Listrak shows them."
    )
    if others := [name for name in TRACKS if name not in done.names and name != UNSUBSCRIBED]:
        yield (
            f"Not brought by it: {', '.join(others)}. Once in BRIDGE_EVENTS, the same command "
            "brings them, unless an earlier backfill did."
        )
    if done.left_out:
        yield (
            f"{done.left_out:,} messages were left out: they were tracked once and are no longer, "
            "so that what was sent of them can't be told."
        )


def _names(done: Backfill) -> str:
    return ", ".join(sorted(done.names)) or "nothing that is in BRIDGE_EVENTS"


def _as_json(done: Backfill) -> dict[str, object]:
    """The outcome of a backfill, for programs."""
    return {
        "list": done.list_id,
        "kind": done.kind,
        "since": done.since or None,
        "before": done.before or None,
        "events": sorted(done.names) if done.kind == "history" else None,
        "sent": done.sent,
        "messages": done.messages,
        "left_out": done.left_out,
        "missing": done.missing,
        "warehouse_only": bool(done.warehouse_only),
    }
