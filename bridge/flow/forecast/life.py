"""The life of a message: the service's own planner and schedule, over a synthetic message.

So there is no second model of what is read when: what the planner does, this does.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from bridge.event_types import BOUNCED, CLICKED, EVENT_TYPES, OPENED, UNCOUNTED, event_type
from bridge.flow.forecast.figures import Cost, Terms
from bridge.flow.forecast.spread import Times
from bridge.flow.forecast.synthetic import Places, SyntheticMessage
from bridge.flow.planner.evaluation import ScanStats, evaluate
from bridge.flow.planner.filter_support import FilterSupport
from bridge.flow.planner.plan import PollPlan, plan
from bridge.flow.planner.scan_types import ESCALATION, FULL, Scan, ScanType
from bridge.flow.planner.snapshot import MessageSnapshot
from bridge.flow.planner.watermarks import Watermarks
from bridge.flow.scheduling import schedule
from bridge.listrak import times
from bridge.state.records import MessageRef

EPOCH: Final = 1e9
"""Time at which every synthetic message begins, in seconds since 1970; any would do."""

CLICKS: Final = "clickers"
"""The resource of clicks."""


@dataclass(frozen=True)
class Course:
    """The circumstances of a life.

    terms: the settings.
    filters: values of activityType that the account filters by.
    is_proven: tells whether full polls have shown that the scans for complaints miss none.
    seconds_per_call: see MessageSnapshot.
    departures: seconds after the message's beginning at which contacts showed a new unsubscribe of
        its list, in order.
    """

    terms: Terms
    filters: frozenset[str]
    is_proven: bool
    seconds_per_call: float = 0.0
    departures: Times = field(default_factory=lambda: np.zeros(0))

    def departed_at(self, now: float) -> float:
        """The latest of the departures by then, in seconds since 1970; 0 for none."""
        number = int(np.searchsorted(self.departures, now - EPOCH, "right"))
        return EPOCH + float(self.departures[number - 1]) if number else 0.0


@dataclass
class Delays:
    """The delays of the events of one kind, and how old their emails were by then, in seconds."""

    waited: list[Times] = field(default_factory=list)
    ages: list[Times] = field(default_factory=list)


@dataclass
class Life:
    """A stretch of the life of a message.

    cost: of all its polls.
    polls: number of polls.
    delays: from happening to being read, by event.
    """

    cost: Cost = field(default_factory=Cost)
    polls: int = 0
    delays: dict[str, Delays] = field(default_factory=dict)


class _Unseen:
    """The events of one kind that are not seen yet: `left` behind, and all from `next` on."""

    def __init__(self) -> None:
        self.left: Places = np.zeros(0, dtype=np.int64)
        self.next = 0
        self.seen = 0


class LifeReader:
    """Polls a synthetic message when it is due, as the service would.

    discovered: seconds after the message's beginning at which it is discovered.
    is_draft: tells whether it has no date of a send yet.
    """

    def __init__(
        self,
        synthetic: SyntheticMessage,
        course: Course,
        discovered: float = 0.0,
        *,
        is_draft: bool = False,
    ) -> None:
        self._synthetic = synthetic
        self._course = course
        sent_at = "" if is_draft or synthetic.kind != "broadcast" else times.from_seconds(EPOCH)
        conversation = int(synthetic.kind == "conversation")
        ref = MessageRef(1, synthetic.kind, 1, conversation, sent_at=sent_at)
        self._message = ref.never_polled(1, discovered_at=EPOCH + discovered)
        self._now = EPOCH + discovered
        self._is_over = False
        self._watermarks = Watermarks()
        self._filters = FilterSupport()
        self._unseen = {one.name: _Unseen() for one in EVENT_TYPES}
        self._described_at: float | None = None
        self._cost = Cost()
        self.life = Life()

    def live(self, end: float) -> Life:
        """The polls from the present up to the last one, or to `end`.

        end: seconds after the message's beginning.
        """
        self.life = Life()
        while not self._is_over and self._now < EPOCH + end:
            self._is_over = self._poll(self._now)
            self.life.polls += 1
            self._now += schedule.poll_delay(self._message, self._now, self._course.terms.interval)
        return self.life

    def _poll(self, now: float) -> bool:
        """Makes a poll; tells whether it was the last one."""
        self._cost = Cost()
        over = schedule.is_over(self._message, self._course.terms.track, now)
        done = self._planned(now, is_last=over)
        self.life.cost.add(self._cost)
        return over and done

    def _planned(self, now: float, *, is_last: bool) -> bool:
        """Plans a poll and reads it; tells whether it has shown that nothing is missing."""
        course, synthetic = self._course, self._synthetic
        if synthetic.kind != "transactional":
            self._cost.note("summary", 1)
        self._know_filters(now)
        snapshot = MessageSnapshot(
            message=self._message,
            counted=synthetic.counted(now - EPOCH),
            seen=self._seen(),
            watermarks=self._watermarks,
            filters=self._filters,
            now=now,
            track=course.terms.track,
            page_rows=course.terms.page_rows,
            seconds_per_call=course.seconds_per_call,
            unsubscribed_at=course.departed_at(now),
            is_last=is_last,
        )
        chosen = plan(snapshot)
        self._watermarks = chosen.watermarks
        if not chosen:
            return False
        stats = ScanStats()
        found = self._read(chosen, now, stats)
        result = evaluate(snapshot, chosen, stats, self._seen())
        self._watermarks = result.watermarks
        self._note(chosen, now, found=found)
        return chosen.full or result.reconciled

    def _know_filters(self, now: float) -> None:
        """Takes what the account filters by as known, and the scans by it as proven."""
        kind, filters = self._message.kind, self._filters
        for event, scans in ESCALATION[kind].items():
            for scan_type in scans:
                asked = scan_type.activity_type
                if asked and asked not in self._course.filters and filters.accepts(asked, now):
                    filters.record_filter_refusal(asked, now)
            narrowest = scans[0]
            may_prove = event in UNCOUNTED and self._course.is_proven
            if may_prove and not filters.is_proven(kind, narrowest, now):
                filters.record_proof(kind, narrowest, now)

    def _seen(self) -> dict[str, float]:
        return {
            name: self._synthetic.amount(name, unseen.seen) for name, unseen in self._unseen.items()
        }

    def _note(self, chosen: PollPlan, now: float, *, found: bool) -> None:
        """Notes a poll that was read in the message."""
        message = self._message
        rows = self._cost.rows["activity"] + self._cost.rows[CLICKS]
        if rows and message.kind != "transactional":
            due = self._described_at is None or chosen.full
            if due or now >= (self._described_at or 0.0) + schedule.DETAILS_INTERVAL:
                self._cost.note("message", 1)
                self._described_at = now
        self._message = replace(
            message,
            polled_at=now if chosen.full else message.polled_at,
            # What a first poll finds was there before.
            changed_at=now if found and message.polled_at is not None else message.changed_at,
            properties="{}" if rows else message.properties,
        )

    def _read(self, chosen: PollPlan, now: float, stats: ScanStats) -> bool:
        """Reads what is planned; tells whether anything was found."""
        scans = chosen.scans or ((Scan(ScanType(FULL, 0.0)),) if chosen.full else ())
        found = 0
        for scan in scans:
            since = -math.inf if scan.since is None else scan.since - EPOCH
            if scan.scan_type.reads_clicks:
                rows = self._read_clicks(scan, since, now, stats)
                found += self._find(CLICKED, since, now)
            else:
                rows = self._rows_of(scan, since, now)
                self._cost.note("activity", self._course.terms.pages(rows), rows)
                stats.read += rows
                for event in self._shown_by(scan):
                    found += self._find(event, since, now, scan)
            if chosen.full and self._message.kind != "transactional":
                self._read_clicks(None, -math.inf, now, stats)
                found += self._find(CLICKED, -math.inf, now)
            stats.rows[scan.scan_type.name] += rows
        return found > 0

    def _rows_of(self, scan: Scan, since: float, now: float) -> int:
        """The number of activity rows that a scan reads."""
        synthetic, at = self._synthetic, now - EPOCH
        if scan.activity_type:
            return synthetic.rows_showing(scan.activity_type, at, since)
        if self._is_by_activity(scan):
            return synthetic.active_rows(at, since)
        return synthetic.rows(at, since)

    def _is_by_activity(self, scan: Scan) -> bool:
        """Tells whether a scan goes by the date of the first activity."""
        return scan.scan_type.date_type == "Activity" and scan.since is not None

    def _shown_by(self, scan: Scan) -> Iterator[str]:
        """The events that the rows of a scan show.

        Of bounced rows also opens, which have no date of their own there.
        """
        asked = scan.activity_type
        for one in EVENT_TYPES:
            if one.name == CLICKED and self._message.kind != "transactional":
                continue
            is_of_bounced = one.name == OPENED and asked == event_type(BOUNCED).activity_type
            if asked in (None, one.activity_type) or is_of_bounced:
                yield one.name

    def _find(self, event: str, since: float, now: float, scan: Scan | None = None) -> int:
        """Takes as seen what a reading shows of an event; returns how many are new."""
        happened, unseen = self._synthetic.events[event], self._unseen[event]
        end = happened.until(now - EPOCH)
        candidates = np.concatenate((unseen.left, np.arange(unseen.next, end)))
        unseen.next = max(unseen.next, end)
        if scan is not None and self._is_by_activity(scan):
            shown = happened.begun[candidates] >= since
        elif scan is None:
            shown = happened.at[candidates] >= since
        elif scan.activity_type not in (None, event_type(event).activity_type):
            is_first = happened.begun[candidates] == happened.at[candidates]
            shown = ~is_first & (happened.sent[candidates] >= since)
        else:
            shown = happened.sent[candidates] >= since
        unseen.left = candidates[~shown]
        new = candidates[shown]
        unseen.seen += len(new)
        if len(new) and self._message.polled_at is not None:
            delays = self.life.delays.setdefault(event, Delays())
            delays.waited.append(now - EPOCH - happened.at[new])
            delays.ages.append(happened.at[new] - happened.sent[new])
        return len(new)

    def _read_clicks(self, scan: Scan | None, since: float, now: float, stats: ScanStats) -> int:
        """Reads the links, and the clicks of those that a scan is to read; returns the rows."""
        synthetic, at = self._synthetic, now - EPOCH
        clicks = synthetic.clicks_of_links(at)
        recent = scan is not None and scan.scan_type.from_watermark
        before = self._watermarks.link_clicks if recent else {}
        self._cost.note("links", 1, synthetic.links)
        stats.link_clicks = clicks
        of_links = synthetic.clicks_since(since, at)
        rows = 0
        for link, number in clicks.items():
            if number != before.get(link, 0):
                of_link = of_links.get(link, 0)
                self._cost.note(CLICKS, self._course.terms.pages(of_link), of_link)
                rows += of_link
        return rows
