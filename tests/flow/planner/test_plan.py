"""Which scans a message gets: as a whole, against a model of a message under every reading."""

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planner_parts import BEGAN, message_of, polled_an_hour_ago, snapshot_of

from bridge.clock import DAY, HOUR, MINUTE
from bridge.event_types import (
    BOUNCED,
    CLICKED,
    CONVERTED,
    OPENED,
    SENT,
    SPAM,
    UNCOUNTED,
    UNSUBSCRIBED,
)
from bridge.flow.planner.evaluation import ScanStats, apply, evaluate
from bridge.flow.planner.filter_check import (
    GRACE,
    Parameter,
    record_refused_scan,
    without_filter,
)
from bridge.flow.planner.filter_support import FilterSupport
from bridge.flow.planner.plan import PollPlan, plan
from bridge.flow.planner.scan_types import ESCALATION, Scan
from bridge.flow.planner.snapshot import MessageSnapshot
from bridge.flow.planner.watermarks import Watermarks, read_watermarks
from bridge.flow.scheduling.schedule import poll_delay
from bridge.listrak import times
from bridge.state.records import Kind

NEVER = float("inf")
SHOWN_BY = {
    "open": OPENED,
    "bounce": BOUNCED,
    "abuse": SPAM,
    "unsubscribe": UNSUBSCRIBED,
    "conversion": CONVERTED,
    "click": CLICKED,
}
ROW_EVENTS = (SENT, OPENED, BOUNCED, UNSUBSCRIBED, CONVERTED, SPAM)


@dataclass
class Row:
    """A send to a contact and when what became of it happened; amounts are all 10."""

    happened: dict[str, float]

    def dated(self, by: str, until: float, reading: str) -> float:
        """The date that a filter goes by."""
        if by == "Send":
            return self.happened[SENT]
        # Complaints and orders don't count as a first activity.
        first = (OPENED, BOUNCED, UNSUBSCRIBED) if reading == "first" else ROW_EVENTS[1:]
        dates = [
            self.happened[event] for event in first if self.happened.get(event, NEVER) <= until
        ]
        if not dates:
            return float("-inf")
        return min(dates) if reading == "first" else max(dates)

    def is_strange(self, scan: Scan, until: float) -> bool:
        """Whether it tells that a scan's date was ignored."""
        if scan.scan_type.date_type == "Activity":
            return all(at > until for event, at in self.happened.items() if event != SENT)
        return scan.since is not None and self.happened[SENT] < scan.since - GRACE


@dataclass
class Model:
    """A message, its rows, and Listrak as it reads the parameters; `run` lives through its time.

    `late`: seconds until what happened shows in rows; `lag`: until it is counted; `extra`: counted
    and never shown.
    """

    rows: list[Row]
    clicks: list[float]
    kind: Kind = "broadcast"
    activity_type: Literal["filters", "ignored", "refused"] = "filters"
    date_type: Literal["first", "latest", "none"] = "first"
    dates: Literal["go", "ignored", "refused"] = "go"
    ends: Literal["go", "ignored", "days"] = "go"
    most_sends: float = float("inf")
    late: float = 0.0
    lag: float = 0.0
    extra: dict[str, int] = field(default_factory=dict)
    filters: FilterSupport = field(default_factory=FilterSupport)
    found: dict[str, dict[int, float]] = field(default_factory=dict)
    read: Counter[str] = field(default_factory=Counter)
    calls: Counter[int] = field(default_factory=Counter)
    retired: bool = False
    never_shown: Counter[str] = field(default_factory=Counter)

    def happened(self, event: str, until: float) -> dict[int, float]:
        """By number, the events of a name until a time."""
        if event == CLICKED:
            return {n: at for n, at in enumerate(self.clicks) if at <= until}
        return {
            number: row.happened[event]
            for number, row in enumerate(self.rows)
            if row.happened.get(event, NEVER) <= until
        }

    @cached_property
    def instants(self) -> dict[str, list[float]]:
        """By name, when events happen, in order: what is counted at any time is found quickly."""
        of_rows = {
            event: sorted(row.happened[event] for row in self.rows if event in row.happened)
            for event in ROW_EVENTS
        }
        return {**of_rows, CLICKED: sorted(self.clicks)}

    def counted(self, now: float) -> dict[str, float]:
        """The Summary, in the terms of the scans."""
        found = {
            event: float(bisect_right(self.instants[event], now - self.lag))
            for event in (SENT, OPENED, BOUNCED, UNSUBSCRIBED, CLICKED)
        }
        found[CONVERTED] = 10.0 * bisect_right(self.instants[CONVERTED], now - self.lag)
        return {event: number + self.extra.get(event, 0) for event, number in found.items()}

    def left(self, now: float) -> float:
        """When contacts last showed somebody who had left the list, read once a minute."""
        who = (*self.instants[UNSUBSCRIBED], *self.instants[SPAM])
        return max((at + MINUTE for at in who if at + MINUTE <= now - self.late), default=0.0)

    def seen(self) -> dict[str, float]:
        """What was found so far, likewise."""
        return {
            event: len(found) * (10.0 if event == CONVERTED else 1.0)
            for event, found in self.found.items()
        }

    def scan(self, scan: Scan | None, now: float) -> tuple[int, Parameter | str]:
        """Reads rows; returns how many, and what Listrak refused or ignored ("" if nothing)."""
        visible = now - self.late
        rows = {n: row for n, row in enumerate(self.rows) if row.happened[SENT] <= visible}
        if scan is not None:
            if scan.activity_type and self.activity_type == "refused":
                return 0, "refused"
            if scan.since is not None and self.dates == "refused":
                return 0, "refused"
            rows = {n: row for n, row in rows.items() if self.lets_through(row, scan, visible)}
            if self.activity_type == "ignored" and scan.activity_type:
                shown = SHOWN_BY[scan.activity_type]
                if any(row.happened.get(shown, NEVER) > visible for row in rows.values()):
                    return min(len(rows), 100), "activityType"
            is_ignored = self.dates == "ignored" and scan.since is not None
            if is_ignored and any(row.is_strange(scan, visible) for row in rows.values()):
                return min(len(rows), 100), "startDate"
        for number, row in rows.items():
            for event in ROW_EVENTS:
                if row.happened.get(event, NEVER) <= visible:
                    self.found.setdefault(event, {}).setdefault(number, now)
        return len(rows), ""

    def lets_through(self, row: Row, scan: Scan, visible: float) -> bool:
        """Whether a row passes the filters."""
        shown = (
            scan.activity_type is None
            or row.happened.get(SHOWN_BY[scan.activity_type], NEVER) <= visible
        )
        if self.activity_type == "filters" and not shown:
            return False
        if scan.since is None or self.dates == "ignored":
            return True
        dated = (
            scan.scan_type.date_type
            if scan.scan_type.date_type and self.kind != "conversation"
            else "Send"
        )
        if self.date_type == "none" and dated == "Activity":
            return False
        end = float("inf") if scan.until is None or self.ends == "ignored" else scan.until
        if self.ends == "days" and scan.until is not None:
            end -= end % DAY
        return scan.since <= row.dated(dated, visible, self.date_type) <= end

    def click_scan(self, scan: Scan | None, now: float) -> int:
        """Reads clicks, of a single link."""
        since = scan.since if scan is not None and scan.since is not None else 0.0
        seen = [n for n, at in enumerate(self.clicks) if since <= at <= now - self.late]
        for number in seen:
            self.found.setdefault(CLICKED, {}).setdefault(number, now)
        return len(seen)

    def run(self, until: float, *, track: float = 30 * DAY) -> None:
        """Checks at the times that the scheduler says, to the message's end if that comes."""
        message = message_of(self.kind, sent_at=times.from_seconds(BEGAN), discovered_at=BEGAN)
        watermarks, now = Watermarks(), BEGAN + 30
        while now < until and not self.retired:
            last = self.kind == "broadcast" and now >= BEGAN + track
            if random.Random(now).random() < 0.1:
                watermarks = read_watermarks(message.watermarks)
            snapshot = MessageSnapshot(
                message=message,
                counted={} if self.kind == "transactional" else self.counted(now),
                seen=self.seen(),
                watermarks=watermarks,
                filters=self.filters,
                now=now,
                track=track,
                seconds_per_call=MINUTE,
                most_sends=self.most_sends,
                unsubscribed_at=self.left(now),
                is_last=last,
            )
            chosen = plan(snapshot)
            watermarks = chosen.watermarks
            day = int((now - BEGAN) // DAY)
            self.calls[day] += 1
            if chosen:
                stats = ScanStats()
                self._read(chosen, stats, now, day)
                result = evaluate(snapshot, chosen, stats, self.seen())
                apply(self.filters, snapshot, result.feedback)
                self.never_shown.update(result.newly_never_shown.keys())
                watermarks = result.watermarks
                is_news = self.seen() != snapshot.seen and message.polled_at is not None
                moved = now if is_news else message.changed_at
                message = replace(message, watermarks=watermarks.text(), changed_at=moved)
                if chosen.full:
                    message = replace(message, polled_at=now)
                self.retired = last and (chosen.full or result.reconciled)
            now += poll_delay(message, now, MINUTE)

    def _read(self, chosen: PollPlan, stats: ScanStats, now: float, day: int) -> None:
        if chosen.full:
            self.read["whole"] += self.scan(None, now)[0] + self.click_scan(None, now)
            self.calls[day] += 1
        for scan in chosen.scans:
            if scan.scan_type.reads_clicks:
                self.calls[day] += 1
                number = self.click_scan(scan, now)
                stats.rows[scan.scan_type.name] += number
                self.read[scan.scan_type.name] += number
            else:
                self._read_scan(stats, scan, now, day)

    def _read_scan(self, stats: ScanStats, scan: Scan, now: float, day: int) -> None:
        """As the reader of rows does it."""
        self.calls[day] += 1
        number, refusal = self.scan(scan, now)
        stats.rows[scan.scan_type.name] += number
        self.read[scan.scan_type.name] += number
        if not refusal:
            return
        parameter: Any = None if refusal == "refused" else refusal
        other = without_filter(scan, parameter)
        if other is None:
            stats.skipped.add(scan.scan_type.name)
        else:
            self._read_scan(stats, other, now, day)
            if scan.scan_type.name in stats.skipped:
                return
            parameter = "activityType"
        record_refused_scan(self.filters, self.kind, scan, parameter, now)


MANY: dict[str, tuple[float, float]] = {
    BOUNCED: (0.05, 600),
    OPENED: (0.3, DAY),
    UNSUBSCRIBED: (0.03, DAY),
    CONVERTED: (0.03, 3 * DAY),
    SPAM: (0.02, 2 * DAY),
}
"""By event: the share of sends that it happens to, and its mean delay in seconds."""

USUAL = MANY | {
    BOUNCED: (0.01, 600),
    UNSUBSCRIBED: (0.001, DAY),
    CONVERTED: (0.001, 2 * DAY),
    SPAM: (0.0004, DAY),
}


def people(
    rng: random.Random,
    number: int,
    days: float,
    spread: float,
    fates: dict[str, tuple[float, float]],
) -> list[Row]:
    """Sends within `spread` seconds, and what becomes of them within so many days."""
    rows = []
    for _ in range(number):
        sent = BEGAN + rng.uniform(0, spread)
        happened = {SENT: sent}
        for event, (share, mean) in fates.items():
            at = sent + rng.expovariate(1 / mean)
            if rng.random() < share and at < BEGAN + days * DAY:
                happened[event] = at
        rows.append(Row(happened))
    return rows


def model_of(
    seed: int,
    number: int = 300,
    days: float = 25,
    fates: dict[str, tuple[float, float]] = MANY,
    **options: Any,
) -> Model:
    """A message whose people are the same for the same seed."""
    rng = random.Random(seed)
    spread = 20 * MINUTE if options.get("kind", "broadcast") == "broadcast" else days * DAY
    rows = people(rng, number, days, spread, fates)
    clicks = [BEGAN + rng.expovariate(1 / DAY) for _ in range(number // 10)]
    if options.get("kind") == "transactional":
        clicks = []
    return Model(rows, clicks, **options)


def missing(model: Model, until: float) -> Iterator[str]:
    """What happened by then and was not found."""
    for event in (*ROW_EVENTS, CLICKED):
        lost = model.happened(event, until).keys() - model.found.get(event, {}).keys()
        if lost:
            yield f"{len(lost)} x {event}"


READINGS = list(product(("filters", "ignored", "refused"), ("first", "latest", "none")))


@pytest.mark.parametrize(("activity_type", "date_type"), READINGS)
@pytest.mark.parametrize(
    "trouble",
    [{}, {"late": 200.0}, {"lag": 200.0}, {"extra": {SENT: 3, OPENED: 2, CLICKED: 1}}],
    ids=lambda trouble: next(iter(trouble), "none"),
)
def test_everything_is_found_before_a_message_is_given_up(
    activity_type: Any, date_type: Any, trouble: dict[str, Any]
) -> None:
    """Whatever the parameters mean, and however late rows or counters are."""
    model = model_of(5, activity_type=activity_type, date_type=date_type, **trouble)
    model.run(BEGAN + 32 * DAY)
    assert model.retired
    assert not list(missing(model, BEGAN + 32 * DAY))


@pytest.mark.parametrize("ends", ["go", "ignored", "days"])
@pytest.mark.parametrize("late", [0.0, 100.0])
def test_new_sends_are_read_part_by_part(ends: Any, late: float) -> None:
    """Whatever Listrak makes of the end of a part; what else happens doesn't wait for all."""
    model = model_of(6, ends=ends, late=late, most_sends=5.0)
    model.run(BEGAN + 32 * DAY)
    assert not list(missing(model, BEGAN + 32 * DAY))
    if ends == "go" and not late:
        fresh = ages(model, SENT, lambda age: age >= 0)
        assert fresh[-1] > 5 * MINUTE, "they come in parts"
        assert model.read["recent Send"] < 3 * 300


@settings(max_examples=30)
@given(
    st.integers(0, 10**6),
    st.sampled_from(READINGS),
    st.sampled_from(("broadcast", "conversation", "transactional")),
    st.sampled_from(("go", "ignored", "refused")),
    st.sampled_from((0.0, 100.0, 2000.0)),
    st.sampled_from((0.0, 100.0, 2000.0)),
)
def test_everything_is_found_in_the_end(
    seed: int, reading: Any, kind: Kind, dates: Any, late: float, lag: float
) -> None:
    """Also of messages that go on sending, within days of the last event."""
    activity_type, date_type = reading
    model = model_of(
        seed,
        number=150,
        days=6,
        kind=kind,
        activity_type=activity_type,
        date_type=date_type,
        dates=dates,
        late=late,
        lag=lag,
    )
    model.run(BEGAN + (32 if kind == "broadcast" else 25) * DAY)
    assert not list(missing(model, BEGAN + 20 * DAY))


def ages(model: Model, event: str, chosen: Callable[[float], bool]) -> list[float]:
    """Seconds from happening to being found, of events at those seconds after the send, sorted."""
    happened = model.happened(event, BEGAN + 99 * DAY)
    return sorted(
        found - happened[number]
        for number, found in model.found[event].items()
        if chosen(happened[number] - BEGAN)
    )


def test_likely_reading_is_quick_and_cheap() -> None:
    """Filters work: hardly a row is read twice, and what happened is seen within minutes."""
    model = model_of(7, number=2500, fates=USUAL)
    model.run(BEGAN + 31 * DAY)
    events = sum(len(found) for found in model.found.values())
    # One whole poll was to prove that complaints can be asked for.
    assert sum(model.read.values()) - 2500 <= 2 * events
    for event in (OPENED, BOUNCED, CLICKED):
        fresh = ages(model, event, lambda age: age < DAY)
        assert fresh[int(len(fresh) * 0.95)] <= 2 * MINUTE
        week = ages(model, event, lambda age: DAY <= age < 7 * DAY)
        assert not week or week[int(len(week) * 0.95)] <= HOUR
    for event in (CONVERTED, SPAM):
        late = ages(model, event, lambda age: age >= 0)
        assert late[int(len(late) * 0.95)] <= 6 * HOUR


@pytest.mark.parametrize("activity_type", ["ignored", "refused"])
def test_worst_reading_is_complete_within_a_day(activity_type: Any) -> None:
    """Nothing filters by type: orders are seen within a day, at far fewer rows than re-reading."""
    model = model_of(8, number=1500, fates=USUAL, activity_type=activity_type)
    model.run(BEGAN + 31 * DAY)
    assert not list(missing(model, BEGAN + 31 * DAY))
    orders = ages(model, CONVERTED, lambda age: age >= 0)
    assert orders
    assert orders[-1] <= DAY
    hourly_for_a_week = 7 * 24 * 1500
    assert sum(model.read.values()) * 5 <= hourly_for_a_week


@pytest.mark.parametrize(
    "extra",
    [{SENT: 40}, {OPENED: 7, CLICKED: 3}, {CONVERTED: 5}, {SENT: -3, OPENED: -2}, {CLICKED: -2}],
)
def test_a_summary_that_never_adds_up_is_given_up_upon(extra: dict[str, int]) -> None:
    """What is counted and never shown, or shown and never counted, costs little, and is told."""
    plain, odd = model_of(9, number=800), model_of(9, number=800, extra=extra)
    for model in (plain, odd):
        model.run(BEGAN + 31 * DAY)
    assert not list(missing(odd, BEGAN + 31 * DAY))
    assert odd.never_shown.keys() == extra.keys()
    assert not plain.never_shown
    assert max(odd.calls[day] - plain.calls[day] for day in odd.calls) < 10
    assert odd.read["whole"] <= plain.read["whole"] + 15 * 800


def test_a_quiet_message_is_hardly_asked() -> None:
    """Nothing happens: no row is read again, and calls become fewer with age."""
    model = model_of(3, number=50, days=0.001)
    model.clicks.clear()
    model.run(BEGAN + 30 * DAY)
    assert sum(model.calls.values()) < 30 * 24 * 12
    assert model.calls[0] > model.calls[2] > model.calls[5] > 0
    assert model.calls[1] <= 24 * 12


# Details


def test_first_poll_is_full() -> None:
    """Of a message that was never read nothing is known; the same if somebody asked for it."""
    assert plan(snapshot_of()).full
    assert plan(snapshot_of(message_of(polled_at=BEGAN, rescan_requested=1))).full


@pytest.mark.parametrize(
    ("event", "scans"),
    [
        (SENT, ["recent Send"]),
        (OPENED, ["recent Activity"]),
        (BOUNCED, ["recent Activity"]),
        (CLICKED, ["recent clicks"]),
        (UNSUBSCRIBED, ["only unsubscribe"]),
        (CONVERTED, ["only conversion"]),
    ],
)
def test_the_narrowest_scan_comes_first(event: str, scans: list[str]) -> None:
    """Each counter has its own; a recent one begins a little before the watermark."""
    chosen = plan(polled_an_hour_ago(event, 5))
    assert [scan.scan_type.name for scan in chosen.scans] == scans
    for scan in chosen.scans:
        assert scan.since is None or scan.since == BEGAN + 11 * HOUR - 15


def test_what_is_reconciled_is_not_read() -> None:
    """All that is counted was seen: nothing is read, and the watermark is at the present."""
    snapshot = polled_an_hour_ago(OPENED, 0)
    before = snapshot.watermarks.text()
    chosen = plan(snapshot)
    assert not chosen
    assert chosen.watermarks.of(OPENED).complete_until == snapshot.now
    assert snapshot.watermarks.text() == before, "a plan changes nothing"


def test_links_whose_clicks_are_late_are_read_again() -> None:
    """How many clicks a link has is remembered once these were seen."""
    snapshot = polled_an_hour_ago(CLICKED, 5)
    recent = plan(snapshot)
    assert [scan.scan_type.name for scan in recent.scans] == ["recent clicks"]
    for number, links in ((40.0, {}), (43.0, {}), (45.0, {7: 45})):
        seen = {**snapshot.seen, CLICKED: number}
        watermarks = evaluate(snapshot, recent, ScanStats(link_clicks={7: 45}), seen).watermarks
        assert watermarks.link_clicks == links
        recent = replace(recent, watermarks=watermarks)
        snapshot = replace(snapshot, seen=seen, now=snapshot.now + 6 * MINUTE)


def test_clicks_that_cant_be_read() -> None:
    """They are no proof of anything: nothing is complete, reconciled or never shown by that."""
    snapshot = polled_an_hour_ago(CLICKED, 5)
    left = ScanStats(clicks_left=True)
    for chosen in (plan(snapshot), plan(snapshot, full=True)):
        result = evaluate(snapshot, chosen, left, snapshot.seen)
        before, after = chosen.watermarks.of(CLICKED), result.watermarks.of(CLICKED)
        assert after.reconciled_at == before.reconciled_at
        assert after.never_shown == 0
        assert not result.complete
        assert not result.newly_never_shown
    again = plan(replace(polled_an_hour_ago(CLICKED, 0), clicks_left=True))
    assert [scan.scan_type.name for scan in again.scans] == ["recent clicks"]


def test_what_goes_on_sending_is_checked_now_and_then() -> None:
    """Reconciled counters may be off: all tracked rows are read once a week, in full if need be."""
    message = message_of("conversation", polled_at=BEGAN, changed_at=BEGAN)
    counted = {**dict.fromkeys(ESCALATION["conversation"].keys() - UNCOUNTED, 0.0), SENT: 1e6}
    snapshot = snapshot_of(message, counted=counted, seen={SENT: 1e6}, now=BEGAN + 7 * DAY - 1)
    for events, scan_types in ESCALATION["conversation"].items():
        for number in range(len(scan_types)):
            # All else was asked for lately.
            ago = 0 if events == SENT else 20 * DAY
            snapshot.watermarks.of(events).attempt(number).started_at = BEGAN + ago
    snapshot.watermarks.of(SENT).last_counted = 1e6
    assert not plan(snapshot)
    week = replace(snapshot, now=BEGAN + 7 * DAY)
    assert [scan.scan_type.name for scan in plan(week).scans] == ["tracked"]
    tracked = ESCALATION["conversation"][SENT][1]
    snapshot.filters.record_refusal("conversation", tracked, week.now)
    assert plan(week).full
    watermarks = evaluate(week, plan(week), ScanStats(), week.seen).watermarks
    assert not plan(replace(week, watermarks=watermarks, now=week.now + HOUR))
    broadcast = message_of(polled_at=BEGAN, changed_at=BEGAN)
    assert not plan(replace(snapshot, message=broadcast, now=BEGAN + 20 * DAY))


def test_scans_for_two_counters_are_one() -> None:
    """Opens and bounces are in the same rows: the earlier beginning serves both."""
    snapshot = polled_an_hour_ago(OPENED, 5)
    snapshot = replace(snapshot, counted={**snapshot.counted, BOUNCED: 12.0})
    snapshot.watermarks.of(BOUNCED).complete_until -= HOUR
    (scan,) = plan(snapshot).scans
    assert scan.since == BEGAN + 10 * HOUR - 15


def test_what_a_scan_misses_has_wider_scans_follow() -> None:
    """A dear scan waits until enough is missing, or long enough."""

    def after(snapshot: MessageSnapshot, rows: int = 0) -> MessageSnapshot:
        """A minute after a poll that found opens up to 1380."""
        stats = ScanStats(Counter({"only bounce": rows} if rows else {}))
        result = evaluate(snapshot, plan(snapshot), stats, seen)
        now = snapshot.now + MINUTE
        return replace(snapshot, seen=seen, watermarks=result.watermarks, now=now)

    def names(snapshot: MessageSnapshot) -> list[str]:
        return [scan.scan_type.name for scan in plan(snapshot).scans]

    snapshot = polled_an_hour_ago(OPENED, 400)
    seen = {**snapshot.seen, OPENED: 1000.0 + 380}
    first = after(snapshot)
    # 20 are missing: worth the 10 rows of bounces, not the opens or the whole million.
    assert names(first) == ["only bounce"]
    later = after(first, rows=10)
    assert not plan(later)
    # As much again moves, none of which recent scans find: that is worth all opens there are.
    many = replace(later, counted={**later.counted, OPENED: 1400.0 + 80})
    assert names(many) == ["recent Activity"]
    still = after(many)
    assert names(still) == ["only bounce"]
    still = after(still)
    assert names(still) == ["active"]
    still = after(still)
    assert names(still) == ["only open"]


def test_complaints_have_a_cadence() -> None:
    """No counter moves for them: they are asked for by the clock."""
    snapshot = polled_an_hour_ago(OPENED, 0)
    assert not plan(replace(snapshot, now=snapshot.now + 2 * HOUR)).scans
    (scan,) = plan(replace(snapshot, now=snapshot.now + 3 * HOUR)).scans
    assert scan.activity_type == "abuse"


def test_a_proof_before_the_end() -> None:
    """A message is given up when all counters are reconciled and complaints were asked for."""
    snapshot = replace(polled_an_hour_ago(OPENED, 0), is_last=True)
    assert plan(snapshot).full, "nothing has shown yet that complaints can be asked for"
    complaints = ESCALATION["broadcast"][SPAM][0]
    snapshot.filters.record_proof("broadcast", complaints, snapshot.now)
    assert [scan.activity_type for scan in plan(snapshot).scans] == ["abuse"]
    behind = replace(polled_an_hour_ago(OPENED, 1), is_last=True, filters=snapshot.filters)
    assert plan(behind).full
    uncounted = {event: number for event, number in snapshot.counted.items() if event != BOUNCED}
    assert plan(replace(snapshot, counted=uncounted)).full, "nothing tells of bounces"
    snapshot.watermarks.unread = 1
    assert plan(snapshot).full, "rows that couldn't be read may have been mended"


def test_no_scan_is_usable() -> None:
    """Where all scans for an event are in cooldown, none is due for it."""
    snapshot = polled_an_hour_ago(CLICKED, -5)
    snapshot.watermarks.of(CLICKED).last_counted = 30.0
    assert [scan.scan_type.name for scan in plan(snapshot).scans] == ["recent clicks"]
    for scan_type in ESCALATION["broadcast"][CLICKED]:
        snapshot.filters.record_refusal("broadcast", scan_type, snapshot.now)
    assert not plan(snapshot)


def test_what_is_long() -> None:
    """A poll of more rows than a page, or of nobody knows how many, takes long."""
    snapshot = polled_an_hour_ago(OPENED, 5)
    assert not plan(snapshot).is_long(snapshot.page_rows)
    assert plan(snapshot, full=True).is_long(snapshot.page_rows)
    few = replace(snapshot, counted={SENT: 5000.0}, seen={SENT: 5000.0})
    assert not plan(few, full=True).is_long(few.page_rows)
    assert plan(snapshot_of()).is_long(snapshot.page_rows)


def test_plans_are_empty_or_not() -> None:
    """A plan without anything to read is none."""
    assert not PollPlan()
    assert PollPlan(full=True)
