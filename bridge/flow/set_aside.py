"""Parts of lists that are set aside: they fail by themselves, and the rest goes on."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar

from bridge import clock
from bridge.errors import PageError, TemporaryError, cause, is_isolated, is_unexpected
from bridge.flow.ledger import Ledger
from bridge.flow.scheduling import schedule
from bridge.metrics import Metrics
from bridge.output.logs import log
from bridge.output.texts import line_of
from bridge.state.set_aside import (
    LISTING_KINDS,
    MESSAGE_KINDS,
    Part,
    PartKind,
    PartSetAside,
)
from bridge.state.store import Store

Answer = TypeVar("Answer")

NOTE: Final = "the rest goes on; it is tried again by itself, and told when it is read"


@dataclass
class _Entry:
    """A part that is set aside.

    failures: number in a row, in this run.
    due_at: when it is tried again, by the monotonic clock.
    traced: reasons of which this run has logged the traceback.
    """

    record: PartSetAside
    failures: int = 0
    due_at: float = 0.0
    traced: set[str] = field(default_factory=set)


class SetAside:
    """The parts that are set aside, in memory and in the state file.

    Each is tried again after growing delays; it is told once when it begins, when its reason
    changes, and when it is over. What fails unexpectedly is set aside as what Listrak refuses is,
    in other words and with its traceback in the log.

    now: Listrak's clock.
    interval: seconds between two polls of what is fresh.
    """

    def __init__(
        self, ledger: Ledger, metrics: Metrics, now: Callable[[], float], *, interval: float
    ) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._now = now
        self._interval = interval
        self._entries: dict[Part, _Entry] = {}

    def __contains__(self, part: Part) -> bool:
        entry = self._entries.get(part)
        return entry is not None and bool(entry.record.reason)

    async def load(self, lists: Collection[int]) -> None:
        """Takes up what the state file has of the configured lists; each is due at once."""
        records = await self._ledger.store.set_aside.all()
        self._entries = {
            record.part: _Entry(record) for record in records if record.part.list_id in lists
        }
        self._count()
        if told := [one.part for one in self.records()]:
            names = [f"{part.name} of list {part.list_id}" for part in told[:20]]
            log.warning("set_aside.known", number=len(told), parts=names)

    def records(
        self, list_id: int | None = None, kinds: Collection[PartKind] = ()
    ) -> list[PartSetAside]:
        """The parts that are set aside, of one list or all, and of some kinds or all."""
        return [
            entry.record
            for part, entry in self._entries.items()
            if entry.record.reason
            and list_id in (None, part.list_id)
            and (not kinds or part.kind in kinds)
        ]

    def is_due(self, part: Part) -> bool:
        """Tells whether a part may be read: it isn't set aside, or its time has come."""
        entry = self._entries.get(part)
        return entry is None or clock.monotonic() >= entry.due_at

    def is_listing_due(self, list_id: int) -> bool:
        """Tells whether the time of any listing of a list has come that is set aside."""
        return any(self.is_due(record.part) for record in self.records(list_id, LISTING_KINDS))

    def is_unread(self, list_id: int, path: str) -> bool:
        """Tells whether rows or clicks of a message are set aside."""
        return any(
            _is_of(record.part, path)
            for record in self.records(list_id, ("message", "links", "link"))
        )

    def is_behind(self, list_id: int, path: str) -> bool:
        """Tells whether anything of a message is set aside that events are found by."""
        return any(_is_of(one.part, path) for one in self.records(list_id, MESSAGE_KINDS))

    def is_click_due(self, list_id: int, path: str) -> bool:
        """Tells whether the time of any clicks of a message has come that are set aside."""
        return any(
            _is_of(record.part, path) and self.is_due(record.part)
            for record in self.records(list_id, ("links", "link"))
        )

    def seconds(self, part: Part) -> float:
        """Seconds since a part was set aside, 0 where it isn't."""
        entry = self._entries.get(part)
        return 0.0 if entry is None else max(0.0, self._now() - entry.record.since)

    def reason(self, part: Part) -> str:
        """The reason for which a part is set aside, "" where it isn't."""
        entry = self._entries.get(part)
        return "" if entry is None else entry.record.reason

    def complete_until(self, part: Part, otherwise: float | None) -> float | None:
        """The start of the latest complete reading of a part; `otherwise` if it isn't set aside."""
        entry = self._entries.get(part)
        return otherwise if entry is None else entry.record.complete_until

    def failed(self, part: Part, error: Exception, complete_until: float | None = None) -> float:
        """Sets a part aside after a failure; returns the seconds until it is to be tried again.

        complete_until: start of its latest complete reading; of one that is set aside it stays.
        """
        reason, entry = _reason_of(error), self._entries.get(part)
        unexpected = error if is_unexpected(error) else None
        if entry is None or not entry.record.reason:
            if entry is not None:
                complete_until = entry.record.complete_until
            entry = _Entry(PartSetAside(part, self._now(), reason, complete_until))
            self._entries[part] = entry
            self._tell("set_aside.begun", entry, unexpected)
        elif entry.record.reason != reason:
            entry.record = replace(entry.record, reason=reason)
            self._tell("set_aside.changed", entry, unexpected)
        elif unexpected is not None and reason not in entry.traced:
            # An earlier run set it aside: its traceback may be in no log any more.
            self._tell("set_aside.again", entry, unexpected)
        entry.failures += 1
        delay = schedule.set_aside_delay(entry.failures, self._interval)
        if isinstance(error, TemporaryError) and error.retry_after is not None:
            delay = max(delay, error.retry_after)
        entry.due_at = clock.monotonic() + delay
        return delay

    def miss(self, part: Part, complete_until: float | None) -> None:
        """Notes that Listrak has no such part: it isn't set aside, nor read.

        Should it have one later, that goes on from its latest complete reading.
        """
        if part not in self._entries:
            record = PartSetAside(part, self._now(), "", complete_until)
            self._entries[part] = _Entry(record)
            self._ledger.enqueue(partial(_put, record))

    def lack(self, part: Part) -> None:
        """Notes that Listrak says it doesn't have a part, whatever it has failed with before."""
        if part in self:
            self.recovered(part)
        self.miss(part, None)

    def may_return(self, part: Part) -> bool:
        """Tells whether Listrak has said of a part that it doesn't have it, and not for long."""
        entry = self._entries.get(part)
        is_missed = entry is not None and not entry.record.reason
        return is_missed and self.seconds(part) < schedule.GONE_AFTER

    def recovered(self, part: Part) -> None:
        """Notes that a part was read: it is no longer set aside."""
        if part in self:
            log.info("set_aside.ended", list=part.list_id, part=part.name)
        if part in self._entries:
            self._remove([part])

    def keep_only(self, list_id: int, kind: PartKind, subjects: Collection[str]) -> None:
        """Forgets the parts of a kind that Listrak doesn't have any more."""
        gone = [
            part
            for part in self._entries
            if part[:2] == (list_id, kind) and part.subject not in subjects
        ]
        for part in gone:
            log.info("set_aside.gone", list=list_id, part=part.name)
        self._remove(gone)

    def forget_message(self, list_id: int, path: str) -> None:
        """Forgets what is set aside of a message that is no longer tracked."""
        self._remove(
            [part for part in self._entries if part.list_id == list_id and _is_of(part, path)]
        )

    async def attempt(self, part: Part, reading: Callable[[], Awaitable[Answer]]) -> Answer | None:
        """The answer of a reading; None while it is set aside.

        Raises what fails for another reason than the part's own.
        """
        if not self.is_due(part):
            return None
        try:
            answer = await reading()
        except Exception as error:
            if isinstance(error, PageError) or not is_isolated(error):
                raise
            self.failed(part, error)
            return None
        self.recovered(part)
        return answer

    def _remove(self, parts: Sequence[Part]) -> None:
        if not parts:
            return
        for part in parts:
            del self._entries[part]
        self._count()
        self._ledger.enqueue(partial(_removed, list(parts)))

    def _tell(self, event: str, entry: _Entry, unexpected: Exception | None) -> None:
        """Logs it, and saves it; of an unexpected error with its traceback, once a reason."""
        record = entry.record
        part, reason = record.part, record.reason
        trace = None if reason in entry.traced else unexpected
        if unexpected is not None:
            entry.traced.add(reason)
        say = log.warning if unexpected is None else log.error
        say(event, list=part.list_id, part=part.name, reason=reason, note=NOTE, exc_info=trace)
        self._count()
        self._ledger.enqueue(partial(_put, record))

    def _count(self) -> None:
        self._metrics.set_aside.clear()
        numbers = Counter((str(one.part.list_id), one.part.kind) for one in self.records())
        for labels, number in numbers.items():
            self._metrics.set_aside.labels(*labels).set(number)


def _reason_of(error: Exception) -> str:
    """The reason of a failure, for people; of an unexpected one without its text, which is data."""
    if not is_unexpected(error):
        return line_of(str(error))
    fault = cause(error)
    name = type(fault.__cause__ if isinstance(fault, PageError) else fault).__name__
    return (
        f"an unexpected error ({name}), most likely a mistake of this program; the traceback is in "
        "the log"
    )


def _is_of(part: Part, path: str) -> bool:
    """Tells whether a part is of a message, or of something below it."""
    return part.subject == path or part.subject.startswith(f"{path}/")


async def _put(record: PartSetAside, store: Store) -> None:
    await store.set_aside.put(record)


async def _removed(parts: Sequence[Part], store: Store) -> None:
    await store.set_aside.remove(parts)
