"""A poll of a message: one reading of all its rows and clicks, or of some scans."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import anyio

from bridge.flow.buckets import NO_BUCKET, bucket_of, floor_of
from bridge.flow.ordered_acks import OrderedAcks
from bridge.flow.page_failure import PageFailure
from bridge.flow.planner.evaluation import PollResult, ScanStats
from bridge.flow.planner.plan import PollPlan
from bridge.flow.planner.snapshot import MessageSnapshot
from bridge.listrak.times import Instant
from bridge.segment import events
from bridge.state.cursors import PollCursor
from bridge.state.keys import SeenKeys
from bridge.state.records import BackfillMessage, Message, Total
from bridge.state.store import Store

ALWAYS: Final = "9999"
"""An instant after all others."""


class PlannedPoll(NamedTuple):
    """A poll that is to be made.

    snapshot: what was known of the message when it was planned.
    plan: what is to be read.
    summary: the counters it begins with, as JSON; "" where there are none.
    cursor: where a full poll that has begun goes on; None for its first page.
    """

    snapshot: MessageSnapshot
    plan: PollPlan
    summary: str = ""
    cursor: PollCursor | None = None

    @property
    def is_long(self) -> bool:
        """Tells whether it takes many requests, as far as one can tell."""
        return self.plan.is_long(self.snapshot.page_rows)


@dataclass(frozen=True)
class PollWindow:
    """The rows and events that count in a poll.

    horizon: events before it are not sent.
    before: by event, instant from which on it is another poll's; none where there is no such.
    floor: rows of lower buckets are no longer tracked.
    ceiling: rows of this bucket or a higher one are another poll's.
    previous: start of the previous complete poll, "" if there was none.
    complete_until: by event, instant until which all were seen, as far as scans can tell.
    read_until: start of the latest complete poll that could read all rows, "" if none could; None
        where the previous one could.
    """

    horizon: Instant
    floor: int
    before: Mapping[str, Instant] = field(default_factory=dict)
    ceiling: int = NO_BUCKET
    previous: Instant = ""
    complete_until: Mapping[str, Instant] = field(default_factory=dict)
    read_until: Instant | None = None

    def end_of(self, event: str) -> Instant:
        """The instant from which on an event is another poll's."""
        return self.before.get(event, ALWAYS)

    def is_early(self, event: str, has_own_date: bool, instant: Instant) -> bool:
        """Tells whether an event's instant excludes it.

        If undated itself, only at the first poll that could read its row.
        """
        if self.previous and not has_own_date:
            return False
        return not self.horizon <= instant < self.end_of(event)


class PollEnd(Protocol):
    """The end of a poll, decided by whoever began it.

    `save` is called by the ledger in the transaction that ends the poll, after the checkpoints of
    all its pages; again where that transaction has to be repeated, so it changes nothing else.
    `committed` is called once, when the transaction is on disk.
    """

    async def save(self, poll: "MessagePoll", store: Store) -> None: ...

    def committed(self, poll: "MessagePoll") -> None: ...


@dataclass(eq=False)
class MessagePoll:
    """A poll that has begun.

    seen: keys of events seen; grows as pages are mapped.
    totals: by key, cumulative values seen; likewise.
    end: called once its last page is acknowledged.
    backfill: the message of a backfill that it reads, None for a tracked message's poll.
    namespace: see Scope.
    message: with the properties of its events, once it has them.
    has_properties: tells whether its message has the properties of its events.
    stats: numbers of what was read.
    acks: its open pages.
    changed: it found something new.
    result: its evaluation, once it is complete.
    completed: set when its end is on disk, or never will be, as `failure` tells.
    """

    planned: PlannedPoll
    window: PollWindow
    seen: SeenKeys
    totals: dict[int, Total]
    end: PollEnd
    backfill: BackfillMessage | None = None
    namespace: str = ""
    message: Message = field(init=False)
    has_properties: bool = field(init=False, default=False)
    stats: ScanStats = field(init=False, default_factory=ScanStats)
    # Items are checkpoints, None for the last page; the pages' acks save them.
    acks: OrderedAcks[Any] = field(init=False, default_factory=OrderedAcks)
    changed: bool = field(init=False, default=False)
    result: PollResult | None = field(init=False, default=None)
    completed: anyio.Event = field(init=False, default_factory=anyio.Event)
    failure: PageFailure = field(init=False, default_factory=PageFailure)

    def __post_init__(self) -> None:
        message = self.message = self.planned.snapshot.message
        self._identity = f"{message.list_id}\x1f{message.kind}\x1f{message.message_id}"
        self._buckets: dict[str, int] = {}
        if cursor := self.planned.cursor:
            self.stats.read, self.stats.unread = cursor.read, cursor.unread

    def fail(self, number: int, error: Exception) -> None:
        """Notes that one of its pages can't be turned into events, and tells who waits for it."""
        self.failure.note(error)
        self.acks.fail(number)
        self.completed.set()

    @property
    def plan(self) -> PollPlan:
        """The plan of what it reads."""
        return self.planned.plan

    @property
    def started_at(self) -> float:
        """Start of the poll, in seconds since 1970 by Listrak's clock."""
        return self.planned.snapshot.now

    @property
    def is_proof(self) -> bool:
        """Tells whether it has shown, once complete, that nothing is missing."""
        reconciled = self.result is not None and self.result.reconciled and not self.stats.skipped
        return (self.plan.full or reconciled) and not self.stats.clicks_left

    @property
    def floor_from_now_on(self) -> int:
        """The floor of its message once it is complete: only what it has looked at is forgotten."""
        if self.result is None or not self.result.complete:
            return self.window.floor
        snapshot = self.planned.snapshot
        # By a time that is confirmed: what is sent below a floor is never looked at.
        return max(self.window.floor, floor_of(self.message, snapshot.oldest_kept))

    @property
    def forgotten_below(self) -> int:
        """The bucket below which all is forgotten once it is complete."""
        kept = floor_of(self.message, self.planned.snapshot.oldest_kept)
        return min(self.floor_from_now_on, kept)

    def identity(self, event: str) -> str:
        """The head of the identity of all events of that name of this message."""
        return events.identity(self.namespace + event, self._identity, "")

    def buckets(self, dates: Sequence[str]) -> list[int]:
        """The buckets of rows by their send (or click) dates: each is forgotten as a whole."""
        if self.message.kind == "broadcast":
            return [0] * len(dates)
        return [bucket_of(date[:10], self._buckets) for date in dates]

    def best_known(
        self, event: str, activity: Instant, sent: Instant, *, first_read: bool = False
    ) -> Instant:
        """The earliest instant that fits what was seen, for what has no date of its own.

        The later of two instants: the first activity, else the row's send, else the message's; and
        the previous poll that would have shown it: not one that could not read all rows.
        But where none could, those read all that is not `first_read` now.
        """
        window = self.window
        previous = window.read_until or ("" if first_read else window.previous)
        polled = max(previous, window.complete_until.get(event, ""))
        return max(activity or sent or self.message.sent_at, polled) or window.horizon
