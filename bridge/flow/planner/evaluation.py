"""Evaluates a poll whose rows are all saved: new watermarks, and feedback on the scans it did."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from bridge.event_types import CLICKED, UNCOUNTED, UNSUBSCRIBED
from bridge.flow.figures import TOLERANCE, Counts
from bridge.flow.planner.filter_support import FilterSupport
from bridge.flow.planner.plan import PollPlan
from bridge.flow.planner.scan_types import ALL_CLICKS, ESCALATION, TRACKED, ScanType
from bridge.flow.planner.snapshot import MessageSnapshot
from bridge.flow.planner.watermarks import ScanAttempt, Watermark, Watermarks

MISSES_UNTIL_NEVER_SHOWN: Final = 3
"""Full polls in a row that don't find what Listrak counts, until it counts as never shown."""


@dataclass
class ScanStats:
    """The numbers of what a poll has read so far."""

    rows: Counter[str] = field(default_factory=Counter)
    """Rows read, by the name of the scan."""
    skipped: set[str] = field(default_factory=set)
    """Names of scans that Listrak refused, or of which it ignored a parameter."""
    link_clicks: dict[int, int] = field(default_factory=dict)
    """Clicks of each link, by id, when the links were listed."""
    read: int = 0
    """Activity rows read, by scans or not."""
    unread: int = 0
    """Rows of which something can't be read."""
    clicks_left: bool = False
    """Tells whether clicks could not be read, of all links or of some: they are set aside."""


class ScanFeedback(NamedTuple):
    """The evidence of a poll about a scan."""

    outcome: Literal["found", "miss", "proof"]
    """The kind of evidence, for the rules of filter_support."""
    scan_type: ScanType
    """The scan."""


@dataclass
class PollResult:
    """The result of a poll."""

    watermarks: Watermarks
    """The watermarks from now on."""
    reconciled: bool
    """Tells whether all that Listrak counted was seen."""
    complete: bool = False
    """Tells whether every row and click that is tracked was looked at."""
    feedback: list[ScanFeedback] = field(default_factory=list)
    """Evidence about its scans."""
    newly_never_shown: dict[str, float] = field(default_factory=dict)
    """Number by event that Listrak counts and never shows, as of this poll; below 0 if it shows
    more."""


def evaluate(
    snapshot: MessageSnapshot, plan: PollPlan, stats: ScanStats, seen: Counts
) -> PollResult:
    """The result of a poll that was planned for the snapshot; `seen` is what is seen by now."""
    watermarks = plan.watermarks.copy()
    reconciled = all(
        watermarks.of(event).missing(counted, seen.get(event, 0)) == 0
        for event, counted in snapshot.counted.items()
    )
    result = PollResult(watermarks, reconciled)
    for event in ESCALATION[snapshot.message.kind]:
        _EventEvaluation(snapshot, plan, stats, event, seen.get(event, 0)).add_to(result)
    if not watermarks.of(CLICKED).pending_at:
        # Else clicks are still to come: their links must not count as read.
        watermarks.link_clicks.update(stats.link_clicks)
    if _hides_rows(plan, stats):
        if watermarks.read_until is None:
            watermarks.read_until = snapshot.message.polled_at or 0.0
    elif _reads_all_rows(plan, stats):
        watermarks.read_until = None
    if plan.full:
        watermarks.unread = stats.unread
    reads_all = plan.full or _reads_all_tracked(snapshot, plan, stats, watermarks)
    result.complete = reads_all and not stats.clicks_left
    return result


def _reads_all_rows(plan: PollPlan, stats: ScanStats) -> bool:
    """Tells whether every row of activity that is tracked was asked for."""
    names = {scan.scan_type.name for scan in plan.scans} - stats.skipped
    return plan.full or TRACKED in names


def _hides_rows(plan: PollPlan, stats: ScanStats) -> bool:
    """Tells whether there are rows that could not be read, or there may be, as none was shown."""
    return stats.unread > 0 or (_reads_all_rows(plan, stats) and not stats.read)


def _reads_all_tracked(
    snapshot: MessageSnapshot, plan: PollPlan, stats: ScanStats, watermarks: Watermarks
) -> bool:
    """Tells whether scans have read all tracked rows, and all clicks by a scan or by their count.

    Rows of transactional messages count their clicks themselves.
    """
    names = {scan.scan_type.name for scan in plan.scans} - stats.skipped
    has_links = snapshot.message.kind != "transactional"
    knows_clicks = ALL_CLICKS in names or watermarks.of(CLICKED).reconciled_at >= snapshot.now
    return TRACKED in names and (not has_links or knows_clicks)


def apply(filters: FilterSupport, snapshot: MessageSnapshot, feedback: list[ScanFeedback]) -> None:
    """Records feedback in what is known of the account's filters."""
    kind = snapshot.message.kind
    for outcome, scan_type in feedback:
        if outcome == "found":
            filters.record_find(kind, scan_type)
        elif outcome == "miss":
            filters.record_miss(kind, scan_type, snapshot.now)
        else:
            filters.record_proof(kind, scan_type, snapshot.now)


@dataclass(frozen=True)
class _EventEvaluation:
    """The evaluation of a poll for one kind of event."""

    snapshot: MessageSnapshot
    plan: PollPlan
    stats: ScanStats
    event: str
    seen: float

    def add_to(self, result: PollResult) -> None:
        """Adds to the result what the poll showed of the event, if it read anything of it."""
        done = self._done_scans()
        if not done:
            return
        watermark = result.watermarks.of(self.event)
        if not self._is_first and not self._is_partial:
            result.feedback.extend(self._feedback(watermark, widest=done[-1]))
        counted = self.snapshot.counted.get(self.event)
        missing = 0.0 if counted is None else watermark.missing(counted, self.seen)
        watermark.last_counted = -1.0 if counted is None else counted
        if missing > 0 and (until := self._read_until()) is not None:
            # All up to then was asked for: the next poll goes on from there, at once.
            watermark.advance(until)
            self._note_attempt(watermark.attempt(0), 0, 0.0)
            return
        for number in done:
            self._note_attempt(watermark.attempt(number), number, missing)
        if counted is None:
            self._note_uncounted(watermark, done)
            return
        full = self.plan.full and not self._is_partial
        if full:
            missing = self._note_never_shown(result, missing, widest=done[-1])
        now = self.snapshot.now
        if missing > 0:
            watermark.note_pending(now, counted, self.seen, full=full)
        elif not watermark.is_too_early(now):
            watermark.reconcile(now)
            if self._is_first and watermark.never_shown > 0:
                watermark.await_late(now)
        if watermark.never_shown > 0:
            # Rows show now what they never showed before, or a part of it.
            watermark.never_shown = max(0.0, min(watermark.never_shown, counted - self.seen))

    def _read_until(self) -> float | None:
        """The end of a scan that asked for a part of the event's rows, and found some."""
        if self.plan.full or self._found < TOLERANCE:
            return None
        narrowest = self._scan_types[0].name
        ends = (scan.until for scan in self.plan.scans if scan.scan_type.name == narrowest)
        return None if narrowest in self.stats.skipped else next(ends, None)

    @property
    def _scan_types(self) -> tuple[ScanType, ...]:
        return ESCALATION[self.snapshot.message.kind][self.event]

    @property
    def _is_partial(self) -> bool:
        """Tells whether some of the event's rows could not be read: no find proves anything."""
        return self.event == CLICKED and self.stats.clicks_left

    @property
    def _is_first(self) -> bool:
        """Tells whether nothing of the message had been read before."""
        return self.snapshot.message.polled_at is None

    @property
    def _found(self) -> float:
        """The number that the poll found."""
        return self.seen - self.snapshot.seen.get(self.event, 0)

    def _done_scans(self) -> list[int]:
        """The numbers of the event's scans that were done, narrow ones first.

        1. A full poll did them all.
        2. A scan of all tracked rows did all but the full one; it read no clicks of links.
        3. Otherwise those that were done by name.
        """
        names = {scan.scan_type.name for scan in self.plan.scans} - self.stats.skipped
        has_links = self.event == CLICKED and self.snapshot.message.kind != "transactional"
        all_tracked = TRACKED in names and not has_links
        return [
            number
            for number, scan_type in enumerate(self._scan_types)
            if self.plan.full  # 1
            or (all_tracked and not scan_type.is_full)  # 2
            or scan_type.name in names  # 3
        ]

    def _note_attempt(self, attempt: ScanAttempt, number: int, missing: float) -> None:
        before = attempt.missing
        attempt.started_at = self.snapshot.now
        attempt.missing = max(missing, 0.0)
        attempt.rows = self.stats.rows.get(self._scan_types[number].name, attempt.rows)
        if missing > 0 and self._found < TOLERANCE:
            attempt.misses += 1
        elif not 0 < before <= missing:
            # Else it found what is new, and nothing of what it had missed before.
            attempt.misses = 0

    def _note_uncounted(self, watermark: Watermark, done: list[int]) -> None:
        """Moves the watermark of an event that nothing counts, as far as the scans go.

        What rows that can't be read may show isn't complete; unsubscribes don't wait for those.
        """
        scans, widest, now = self._scan_types, self._scan_types[done[-1]], self.snapshot.now
        if any(scans[number].from_watermark or not scans[number].activity_type for number in done):
            watermark.complete_until = now
        reads_all = self.plan.full or widest.activity_type or widest.name == TRACKED
        hidden = self.event != UNSUBSCRIBED and _hides_rows(self.plan, self.stats)
        if reads_all and not hidden:
            watermark.reconciled_at = now

    def _note_never_shown(self, result: PollResult, missing: float, widest: int) -> float:
        """The number missing after a full poll, without what counts as never shown from now on.

        1. Counts as never shown: told, but for what was missing at a first poll already.
        2. Still missing at the last poll: told, as nobody will find it any more.
        3. More seen than counted at the last poll: told.
        """
        watermark, told = result.watermarks.of(self.event), result.newly_never_shown
        is_last = self.snapshot.is_last
        if missing > 0:
            is_taken = self._is_never_shown(watermark.attempt(widest))
            if is_taken:
                watermark.never_shown += missing
                missing = 0.0
            if not self._is_first and (is_taken or is_last):  # 1, 2
                told[self.event] = watermark.never_shown + missing
        elif missing < 0 and is_last:  # 3
            told[self.event] = missing
        return missing

    def _is_never_shown(self, attempt: ScanAttempt) -> bool:
        """Tells whether what full polls didn't find counts as what rows never show."""
        if self._is_first:
            # A message that goes on sending is counted with all sends there ever were.
            return self.snapshot.message.kind != "broadcast"
        return attempt.misses >= MISSES_UNTIL_NEVER_SHOWN

    def _feedback(self, watermark: Watermark, widest: int) -> list[ScanFeedback]:
        """The feedback of the poll on scans, by the watermark from before it.

        1. It found something, and more than was counted since narrower scans had missed some: a
           miss of these. Not of those with a lookback, which are not to find older sends.
        2. It found something: the widest scan found.
        3. Of what nothing counts, it found something that the narrowest scan alone should have
           found before it: a miss of that scan.
        4. Otherwise, where any was seen before: a proof of that scan.
        """
        scans, found = self._scan_types, self._found
        feedback: list[ScanFeedback] = []
        if found >= TOLERANCE:
            counted = self.snapshot.counted.get(self.event, 0.0)
            counted_since = counted - max(watermark.last_counted, 0.0)
            if found - counted_since >= TOLERANCE:  # 1
                feedback = [
                    ScanFeedback("miss", scans[number])
                    for number in range(widest)
                    if watermark.attempt(number).misses and not scans[number].lookback
                ]
            feedback.append(ScanFeedback("found", scans[widest]))  # 2
        if widest and self.event in UNCOUNTED and watermark.attempt(0).started_at:
            narrowest, wider = watermark.attempt(0), watermark.attempt(1)
            if found >= TOLERANCE and narrowest.started_at > wider.started_at:  # 3
                feedback.append(ScanFeedback("miss", scans[0]))
            elif self.snapshot.seen.get(self.event, 0) > 0:  # 4
                feedback.append(ScanFeedback("proof", scans[0]))
        return feedback
