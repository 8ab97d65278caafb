"""Decides what a poll is to read of a message: a pure function of what is known and of the time.

A counter that moved says how many events there are to find, and the narrowest scan that may find
them is done first. If some stay unexplained, the next wider one is done: as soon as the rows that
it reads are in proportion to what is missing, or when it has waited for its longest. Where all that
Listrak counts was seen, nothing is read at all.
"""

import math
from collections.abc import Container
from dataclasses import dataclass, field, replace
from typing import Final

from bridge.clock import DAY, MINUTE
from bridge.event_types import CLICKED, CONVERTED, SENT, SPAM, UNCOUNTED
from bridge.flow.figures import TOLERANCE
from bridge.flow.planner.scan_types import ACTIVE, ALL_CLICKS, ESCALATION, TRACKED, Scan, ScanType
from bridge.flow.planner.snapshot import MessageSnapshot
from bridge.flow.planner.spans import scan_of
from bridge.flow.planner.watermarks import ROW_DELAY, ScanAttempt, Watermarks

PAGE_SHARE_PER_EVENT: Final = 1 / 250
"""Fraction of a page that may be read again at once to find one missing event."""

RETRY_AFTER: Final = 5 * MINUTE
"""Seconds until a scan that didn't find all is done again: rows may come after counters."""

WIDER_AFTER: Final = 20 * MINUTE
"""Seconds until a wider scan than the narrowest follows, which has been done again by then."""

ROWS_WAIT: Final = 5 * MINUTE
"""Seconds that a request of all tracked rows waits for as many rows as are free, each time."""

COSTLY_AGE: Final = 2 * DAY
"""Age of a message from which on what a scan costs makes it wait longer, in proportion to it."""

COMPLAINT_AGE: Final = 3 * DAY
RARER_COMPLAINTS: Final = 4
"""Age after which few still complain, and the factor by which scans for that are fewer then."""

RECHECK_INTERVAL: Final = 7 * DAY
"""Seconds until all tracked rows of what goes on sending are read again, reconciled or not."""


@dataclass(frozen=True)
class PollPlan:
    """The plan of a poll."""

    full: bool = False
    """Tells whether it reads the full message."""
    scans: tuple[Scan, ...] = ()
    """The scans that it reads otherwise."""
    expected_rows: float = 0.0
    """Rows that it reads, as far as one can tell."""
    watermarks: Watermarks = field(default_factory=Watermarks)
    """The watermarks from now on, also where nothing is read."""

    def __bool__(self) -> bool:
        """Tells whether there is anything to read."""
        return self.full or bool(self.scans)

    def is_long(self, page_rows: int) -> bool:
        """Tells whether it takes several pages of so many rows, as far as one can tell."""
        return self.expected_rows > page_rows


def plan(snapshot: MessageSnapshot, *, full: bool = False) -> PollPlan:
    """The plan of a poll. The first that holds:

    1. Somebody wants everything (`full`), or nothing was ever read: the full message.
    2. Nothing counts, and one request reads all there is: the full message.
    3. It is the last poll, and something may still be missing: the full message.
    4. The full message is due for some event: the full message.
    5. All tracked rows are due, or nothing counts and one request reads them: these, and the clicks
       that are due, as other scans read no more.
    6. Otherwise: each scan that is due for any event. There may be none.
    """
    message = snapshot.message
    if full or message.polled_at is None or message.rescan_requested:  # 1
        return _full_poll(snapshot)
    if not snapshot.counted and snapshot.rows <= snapshot.free_rows:  # 2
        return _full_poll(snapshot)
    snapshot = replace(snapshot, watermarks=_reconciled(snapshot))
    due = {event: _due_scans(snapshot, event) for event in ESCALATION[message.kind]}
    if snapshot.clicks_left:
        due[CLICKED] = due[CLICKED] or [0]
    if snapshot.is_last:
        if _may_miss_events(snapshot):  # 3
            return _full_poll(snapshot)
        due |= {event: [0] for event in UNCOUNTED}
    due[SENT] = due[SENT] + _tracked_at_once(snapshot)  # 5
    scans: dict[str, Scan] = {}
    rows = 0.0
    for event, number in [(event, number) for event, numbers in due.items() for number in numbers]:
        scan_type = ESCALATION[message.kind][event][number]
        if scan_type.is_full:  # 4
            return _full_poll(snapshot)
        rows += snapshot.expected_rows(event, number, scan_type)
        scan = scan_of(snapshot, event, scan_type)
        scans[scan_type.name] = _wider(scan, scans.get(scan_type.name, scan))
    chosen = tuple(scan for scan in scans.values() if not _is_covered(scan.scan_type, scans))
    return PollPlan(scans=chosen, expected_rows=rows, watermarks=snapshot.watermarks)  # 6


def _tracked_at_once(snapshot: MessageSnapshot) -> list[int]:
    """The number of the scan of all tracked rows, where nothing counts and it is worth it.

    It takes one request, as the scans that it stands for do, and finds what none of them may; it
    waits in proportion to the rows that it reads again.
    """
    numbers: list[int] = []
    for number, scan_type in () if snapshot.counted else snapshot.usable_scans(SENT):
        attempt = snapshot.watermarks.of(SENT).attempt(number)
        if scan_type.name == TRACKED and 0 < attempt.rows <= snapshot.page_rows:
            wait = (attempt.rows / snapshot.free_rows - 1) * ROWS_WAIT
            numbers += [number] if snapshot.now - attempt.started_at >= wait else []
    return numbers


def _is_covered(scan_type: ScanType, scans: Container[str]) -> bool:
    """Tells whether another of the scans reads all that one of this type would."""
    if TRACKED in scans:  # 5
        return scan_type.name != TRACKED and not scan_type.reads_clicks
    return ACTIVE in scans and scan_type.date_type == "Activity" and scan_type.name != ACTIVE


def _full_poll(snapshot: MessageSnapshot) -> PollPlan:
    """The plan to read the full message."""
    is_known = bool(snapshot.counted) or snapshot.message.polled_at is not None
    rows = snapshot.rows if is_known else math.inf
    return PollPlan(full=True, expected_rows=rows, watermarks=snapshot.watermarks)


def _reconciled(snapshot: MessageSnapshot) -> Watermarks:
    """A copy of the watermarks, moved to the present where all that is counted was seen.

    Not where rows of a first poll may still come: these are counted, and not known to be missing.
    """
    watermarks = snapshot.watermarks.copy()
    for event in ESCALATION[snapshot.message.kind]:
        is_seen = event in snapshot.counted and snapshot.missing(event) == 0
        is_late = watermarks.of(event).awaits_late
        if is_seen and not is_late and not snapshot.has_moved(event):
            watermarks.of(event).reconcile(snapshot.now)
    return watermarks


def _due_scans(snapshot: MessageSnapshot, event: str) -> list[int]:
    """The numbers of the scans that are due for an event. The first that holds:

    1. Nothing counts the event: as the clock says.
    2. All that is counted was seen: none, unless counters are due to be checked.
    3. As much or more was seen, and the counter moved: the narrowest, for what moved it; once it
       has waited, if it reads all there ever was of the event.
    4. More was seen, and it didn't: as the clock says. The counter lags, or counts otherwise.
    5. Something is missing: the narrowest that is worth it, and what has waited beside it.
    6. Rows of a first poll may still come: the narrowest, again and again until they must be there.
    """
    if event not in snapshot.counted:  # 1
        return _due_by_clock(snapshot, event)
    missing = snapshot.missing(event)
    if missing > 0:
        return _due_for_missing(snapshot, event, missing)  # 5
    watermark = snapshot.watermarks.of(event)
    if watermark.awaits_late:
        is_due = snapshot.now - watermark.attempt(0).started_at >= RETRY_AFTER
        return [number for number, _ in snapshot.usable_scans(event)[:1] if is_due]  # 6
    if snapshot.has_moved(event) and (narrowest := snapshot.usable_scans(event)[:1]):
        ((number, scan_type),) = narrowest
        waited = snapshot.now - watermark.attempt(number).started_at
        if missing < 0 or scan_type.from_watermark or waited >= scan_type.max_wait:
            return [number]  # 3
    return _due_by_clock(snapshot, event) if missing < 0 else _due_for_recheck(snapshot, event)


def _due_for_missing(snapshot: MessageSnapshot, event: str, missing: float) -> list[int]:
    """The numbers of scans that are worth it, narrow ones first. For each:

    1. What the next narrower one left is missing for it: if that is nothing, or was not done yet,
       neither this nor any wider.
    2. No more is missing than after its last attempt, and recent scans can't explain that: not a
       recent one.
    3. No more is missing than after its last attempt: once it has waited, for minutes at least, and
       for its longest if it reads all.
    4. More is missing since: if it reads few enough rows for that, and no narrower one is due.
    5. More is missing since: once it has waited as long as its cost says.

    What has waited comes last, beside what is done at once: that may never find what it waits for.
    """
    watermark = snapshot.watermarks.of(event)
    due: list[int] = []
    narrower: ScanAttempt | None = None
    for number, scan_type in snapshot.usable_scans(event):
        attempt = watermark.attempt(number)
        waited = snapshot.now - max(watermark.reconciled_at, attempt.started_at)
        wait = _wait(snapshot, event, number, scan_type)
        if narrower is not None:
            missing = min(missing, narrower.missing)
            if missing < TOLERANCE:  # 1
                break
            wait = max(wait, WIDER_AFTER)
        newly_missing = missing - attempt.missing
        narrower = attempt
        if newly_missing < TOLERANCE:
            if scan_type.from_watermark and missing <= watermark.unexplained:  # 2
                continue
            wait = max(scan_type.max_wait if scan_type.reads_all_tracked else wait, RETRY_AFTER)
        elif not due and snapshot.expected_rows(event, number, scan_type) <= _rows_worth(
            snapshot, event, newly_missing
        ):  # 4
            due.append(number)
            continue
        if newly_missing < TOLERANCE or scan_type.reads_all_tracked:
            wait = watermark.wait_after_misses(number, wait, snapshot.age)
        if waited >= wait:  # 3, 5
            return [*due, number]
    return due


def _rows_worth(snapshot: MessageSnapshot, event: str, missing: float) -> float:
    """Rows that may be read at once to find what is missing."""
    # The missing revenue doesn't tell the number of orders: one at least.
    events = 1 if event == CONVERTED else missing
    return snapshot.free_rows + snapshot.page_rows * PAGE_SHARE_PER_EVENT * events


def _wait(snapshot: MessageSnapshot, event: str, number: int, scan_type: ScanType) -> float:
    """Seconds until a scan is worth its requests, at most what its type says.

    What takes one request is done at once, or as soon as what it reads again is worth it. Each
    further one costs a part of what the account may be asked. Of older messages less is expected.
    """
    further = snapshot.expected_calls(event, number, scan_type) - 1
    cost = max(scan_type.wait, further * snapshot.seconds_per_call)
    return min(cost * max(1.0, snapshot.age / COSTLY_AGE), scan_type.max_wait)


def _due_for_recheck(snapshot: MessageSnapshot, event: str) -> list[int]:
    """The number of the scan that checks whether reconciled counters are right, if it is due.

    A counter that is wrong may hide missing events. A broadcast is checked at its last poll; a
    message that goes on sending has none, so that all its tracked rows are read now and then.
    """
    if snapshot.message.kind == "broadcast" or event != SENT:
        return []
    watermark = snapshot.watermarks.of(event)
    numbers = [number for number, scan in snapshot.usable_scans(event) if scan.reads_all_tracked]
    checked_at = max(watermark.attempt(number).started_at for number in numbers)
    return numbers[:1] if snapshot.now - checked_at >= RECHECK_INTERVAL else []


def _due_by_clock(snapshot: MessageSnapshot, event: str) -> list[int]:
    """The number of the widest scan whose time has come, if there is one. For each:

    1. A recent one, of what is counted: never. What happens next will move the counter.
    2. A recent one, of what nothing counts: at every poll.
    3. One that filters: each time it has waited; where there is a sign of such an event, sooner.
    4. A wide one, while the narrowest of all is proven to miss nothing: never.
    5. A wide one: each time it has waited, and for a quarter of the message's age at least.
    """
    watermark = snapshot.watermarks.of(event)
    usable = snapshot.usable_scans(event)
    kind, now = snapshot.message.kind, snapshot.now
    due: list[int] = []
    for place, (number, scan_type) in enumerate(usable):
        attempt = watermark.attempt(number)
        waited = now - attempt.started_at
        wait = scan_type.max_wait  # 3
        if event == SPAM and scan_type.activity_type:
            if _has_sign(snapshot, attempt):
                wait = _wait(snapshot, event, number, scan_type)
            if snapshot.age >= COMPLAINT_AGE:
                wait *= RARER_COMPLAINTS
        if scan_type.from_watermark:
            if event in snapshot.counted:  # 1
                continue
            wait = 0.0  # 2
        elif scan_type.reads_all_tracked or scan_type.name == ALL_CLICKS:
            if place and snapshot.filters.is_proven(kind, usable[0][1], now):  # 4
                continue
            wait = max(wait, snapshot.age / 4)  # 5
        if waited >= wait:
            due = [number]
    return due


def _has_sign(snapshot: MessageSnapshot, attempt: ScanAttempt) -> bool:
    """Tells whether there may be a complaint that a scan has not shown: somebody left the list.

    A complaint unsubscribes by itself (bridge/listrak/FACTS.md: Meaning). Its row may come later.
    """
    return attempt.started_at < snapshot.unsubscribed_at + ROW_DELAY


def _may_miss_events(snapshot: MessageSnapshot) -> bool:
    """Tells whether anything may be missing of a message that is about to be untracked. Any of:

    1. A counter isn't reconciled, or has moved since.
    2. The Summary leaves out a counter.
    3. What nothing counts can't be filtered for, or no full poll has proven lately that its scan
       finds all.
    4. Rows couldn't be read, and may have been mended.
    """
    kind, now, filters = snapshot.message.kind, snapshot.now, snapshot.filters
    counted = ESCALATION[kind].keys() - UNCOUNTED
    scans = [ESCALATION[kind][event][0] for event in UNCOUNTED]
    return (
        any(snapshot.missing(event) != 0 or snapshot.has_moved(event) for event in counted)  # 1
        or not counted <= snapshot.counted.keys()  # 2
        or not all(filters.is_usable(kind, scan, now) for scan in scans)  # 3
        or not all(filters.is_proven(kind, scan, now) for scan in scans)
        or snapshot.watermarks.unread > 0  # 4
    )


def _wider(scan: Scan, other: Scan) -> Scan:
    """The one of two scans of the same type that begins earlier, `other` if neither does."""
    if other.since is not None and (scan.since is None or scan.since < other.since):
        return scan
    return other
