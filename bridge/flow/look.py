"""A look: one reading of a message, of all its rows and clicks or of some."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Generic, TypeVar

import anyio

from bridge.flow.scans.survey import Survey
from bridge.listrak import times
from bridge.listrak.times import Instant
from bridge.segment import events
from bridge.state.keys import KnownKeys
from bridge.state.records import Message, Past, Total

Item = TypeVar("Item")

MOST_OPEN_PAGES: Final = 64
"""Pages of one look that may be on their way at once: what a stuck page can hold back."""

NO_BUCKET: Final = 2**31
"""Above all buckets."""

NO_DATE: Final = 2**30
"""Bucket of rows without a send date: never dropped while the message is tracked."""


class Prefix(Generic[Item]):
    """Closes what was opened in the order of opening: a later one that closes first waits."""

    def __init__(self) -> None:
        self._opened = 0
        self._closed = 0
        self._waiting: dict[int, Item] = {}

    @property
    def open(self) -> int:
        """How many are opened and not closed for good."""
        return self._opened - self._closed

    def enter(self) -> int:
        """Opens the next; returns its number."""
        self._opened += 1
        return self._opened - 1

    def close(self, number: int, item: Item) -> list[Item]:
        """Closes one; returns what is closed for good by that, in order."""
        self._waiting[number] = item
        ready: list[Item] = []
        while self._closed in self._waiting:
            ready.append(self._waiting.pop(self._closed))
            self._closed += 1
        return ready


@dataclass(eq=False)
class Look:
    """A look that has begun. `known` and `totals` grow as its pages are mapped.

    `previous` is the start of the previous complete look ("" if there was none), `horizon` the
    start horizon; rows of buckets below `floor` are no longer tracked.
    A look into the `past`, for a backfill, is for events `before` an instant, of rows of buckets
    below `ceiling`. `settled`: by event, until when all of them were seen, as far as could be told
    without reading everything.
    """

    message: Message
    survey: Survey
    started_at: float
    known: KnownKeys
    totals: dict[int, Total]
    previous: Instant
    horizon: Instant
    floor: int
    ceiling: int = NO_BUCKET
    before: Instant = "9999"
    past: Past | None = None
    settled: Mapping[str, Instant] = field(default_factory=dict)
    pages: Prefix[Any] = field(default_factory=Prefix)
    found: bool = False
    completed: anyio.Event = field(default_factory=anyio.Event)
    moved: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        message = self.message
        self._identity = f"{message.list_id}\x1f{message.kind}\x1f{message.message_id}"
        self._buckets: dict[str, int] = {}

    def is_early(self, event_has_own_date: bool, instant: Instant) -> bool:
        """Whether an event is left out for when it happened; only a first look can tell of most."""
        if self.previous and not event_has_own_date:
            return False
        return not self.horizon <= instant < self.before

    @property
    def is_proof(self) -> bool:
        """Whether, once complete, it has shown that nothing is missing."""
        survey, outcome = self.survey, self.survey.outcome
        agrees = outcome is not None and outcome.agrees and not survey.undone
        return survey.plan.whole or agrees

    def identity(self, event: str) -> str:
        """The head of the identity of all events of that name of this message."""
        return events.identity(event, self._identity, "")

    def buckets(self, dates: Sequence[str]) -> list[int]:
        """The buckets of rows by their send (or click) dates: what can be forgotten together."""
        if self.message.kind == "broadcast":
            return [0] * len(dates)
        return [bucket_of(date[:10], self._buckets) for date in dates]

    def best_known(self, event: str, activity: Instant, sent: Instant) -> Instant:
        """The earliest instant that fits what was seen, for what has no date of its own.

        The later of the first activity (or, where there is none, the send) and the previous look
        that would have shown it.
        """
        looked = max(self.previous, self.settled.get(event, ""))
        return max(activity or sent, looked) or self.message.sent_at or self.horizon

    async def room(self) -> None:
        """Waits until another page may be opened."""
        while self.pages.open >= MOST_OPEN_PAGES:
            self.moved = anyio.Event()
            await self.moved.wait()

    async def idle(self) -> None:
        """Waits until nothing of it is on its way."""
        while self.pages.open:
            self.moved = anyio.Event()
            await self.moved.wait()


def bucket_of(day: str, remembered: dict[str, int]) -> int:
    """The week of a day as YYYY-MM-DD; NO_DATE for what isn't one."""
    try:
        return remembered[day]
    except KeyError:
        try:
            found = date.fromisoformat(day).toordinal() // 7
        except ValueError:
            found = NO_DATE
        remembered[day] = found
        return found


def floor_of(message: Message, oldest: float) -> int:
    """The lowest bucket still tracked, given the oldest send of interest (seconds since 1970)."""
    if message.kind == "broadcast":
        return 0
    # A day earlier: buckets are weeks of naive local dates.
    return bucket_of(times.from_seconds(oldest - 86400)[:10], {})
