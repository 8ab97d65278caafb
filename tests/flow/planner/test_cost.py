"""What a scan costs in requests, and what it waits for that."""

from dataclasses import replace
from typing import Any

import pytest
from planner_parts import BEGAN, message_of, polled_an_hour_ago, snapshot_of

from bridge.clock import DAY, HOUR, MINUTE
from bridge.event_types import BOUNCED, CLICKED, CONVERTED, OPENED, SENT, SPAM
from bridge.flow.planner.evaluation import ScanStats, evaluate
from bridge.flow.planner.plan import plan
from bridge.flow.planner.scan_types import ESCALATION, FULL, ScanType
from bridge.flow.planner.snapshot import MessageSnapshot
from bridge.flow.planner.watermarks import ROW_DELAY


def names(snapshot: MessageSnapshot) -> list[str]:
    """The scans of its plan."""
    chosen = plan(snapshot)
    return ["whole"] if chosen.full else [scan.scan_type.name for scan in chosen.scans]


def without_filters(snapshot: MessageSnapshot) -> MessageSnapshot:
    """The same, where activityType is refused."""
    for asked in ("open", "bounce", "abuse", "unsubscribe", "conversion", "click"):
        snapshot.filters.record_filter_refusal(asked, snapshot.now)
    return snapshot


def scan_of(event: str, name: str) -> tuple[int, ScanType]:
    """A scan of a broadcast, and its number."""
    return next(pair for pair in enumerate(ESCALATION["broadcast"][event]) if pair[1].name == name)


def test_an_order_that_one_request_shows_is_asked_for_at_once() -> None:
    """However few they are, and however many rows of older orders come along."""
    snapshot = polled_an_hour_ago(CONVERTED, 10.0, seconds_per_call=1000.0)
    snapshot.watermarks.of(CONVERTED).reconciled_at = snapshot.now - MINUTE
    snapshot.watermarks.of(CONVERTED).attempt(0).rows = snapshot.page_rows
    assert names(snapshot) == ["only conversion"]


def test_the_first_order_of_a_message_is_asked_for_at_once() -> None:
    """Its revenue is no number of rows."""
    snapshot = polled_an_hour_ago(CONVERTED, 1e6, seconds_per_call=1000.0)
    snapshot.watermarks.of(CONVERTED).reconciled_at = snapshot.now - MINUTE
    assert names(snapshot) == ["only conversion"]


@pytest.mark.parametrize(("age", "waits"), [(0.5, 1), (2, 1), (8, 4), (20, 10)])
def test_a_scan_of_many_requests_waits_for_each(age: float, waits: float) -> None:
    """Each beyond the first takes its part of the budget; more, the older the message is."""
    snapshot = polled_an_hour_ago(CONVERTED, 10.0, seconds_per_call=MINUTE)
    now, active = snapshot.now, {OPENED: 90_000.0, BOUNCED: 9_995.0}
    snapshot = replace(
        snapshot,
        counted={**snapshot.counted, **active},
        seen={**snapshot.seen, **active},
        message=message_of(polled_at=now - HOUR, sent_at="", discovered_at=now - age * DAY),
    )
    for event, number in active.items():
        snapshot.watermarks.of(event).last_counted = number
    # 100,000 rows show an activity: 20 requests, 19 beyond the first.
    due = without_filters(snapshot)
    for minutes, expected in ((19 * waits - 1, []), (19 * waits, ["active"])):
        due.watermarks.of(CONVERTED).reconciled_at = now - minutes * MINUTE
        due.watermarks.of(CONVERTED).attempt(1).started_at = 0.0
        assert names(due) == expected


def test_no_scan_waits_for_ever() -> None:
    """A budget of next to nothing: at its longest as its type says."""
    snapshot = without_filters(polled_an_hour_ago(CONVERTED, 10.0, seconds_per_call=1e9))
    number, active = scan_of(CONVERTED, "active")
    snapshot.watermarks.of(CONVERTED).reconciled_at = snapshot.now - active.max_wait
    snapshot.watermarks.of(CONVERTED).attempt(number).started_at = 0.0
    counted = {**snapshot.counted, OPENED: 50_000.0}
    snapshot = replace(snapshot, counted=counted, seen={**snapshot.seen, OPENED: 50_000.0})
    assert names(snapshot) == ["active"]


def test_links_are_requests() -> None:
    """Clicks are read link by link."""
    snapshot = polled_an_hour_ago(CLICKED, 5)
    snapshot.watermarks.link_clicks = dict.fromkeys(range(12), 3)
    number, everything = scan_of(SENT, FULL)
    assert snapshot.expected_calls(SENT, number, everything) == 1e6 / snapshot.page_rows + 13
    number, recent = scan_of(OPENED, "recent Activity")
    assert snapshot.expected_calls(OPENED, number, recent) == 1


def test_a_scan_of_all_active_rows_makes_recent_ones_needless() -> None:
    """It reads what they would, and counts as such."""
    snapshot = without_filters(polled_an_hour_ago(CONVERTED, 10.0))
    snapshot = replace(snapshot, counted={**snapshot.counted, OPENED: 1005.0})
    assert names(snapshot) == ["active"]
    (scan,) = plan(snapshot).scans
    assert scan.since is not None
    assert scan.since < snapshot.now - 30 * DAY, "it shows all rows, if it shows any"
    seen = {**snapshot.counted}
    result = evaluate(snapshot, plan(snapshot), ScanStats(), seen)
    assert result.reconciled


def test_what_waits_is_done_beside_what_never_ends() -> None:
    """Opens go on and on, and there is one that only bounces show: it is asked for all the same."""
    snapshot = polled_an_hour_ago(OPENED, 5)
    snapshot = replace(
        snapshot,
        counted={**snapshot.counted, BOUNCED: 9000.0},
        seen={**snapshot.seen, BOUNCED: 9000.0},
    )
    shown: list[str] = []
    while "only bounce" not in shown:
        shown = names(snapshot)
        assert shown[0] == "recent Activity"
        # All but one are found, and others follow.
        seen = {**snapshot.seen, OPENED: snapshot.counted[OPENED] - 1}
        watermarks = evaluate(snapshot, plan(snapshot), ScanStats(), seen).watermarks
        snapshot = replace(
            snapshot,
            seen=seen,
            counted={**snapshot.counted, OPENED: snapshot.counted[OPENED] + 5},
            watermarks=watermarks,
            now=snapshot.now + MINUTE,
        )
        assert snapshot.now < polled_an_hour_ago(OPENED, 5).now + 3 * HOUR


def test_what_was_found_forgets_no_misses() -> None:
    """Something is counted that no row shows: new events don't make it be looked for anew."""
    snapshot = polled_an_hour_ago(CONVERTED, 10.0)
    for more in (10.0, 10.0, 10.0):
        result = evaluate(snapshot, plan(snapshot), ScanStats(), snapshot.seen)
        attempt = result.watermarks.of(CONVERTED).attempt(0)
        counted = snapshot.counted[CONVERTED] + more
        snapshot = replace(
            snapshot,
            watermarks=result.watermarks,
            now=snapshot.now + MINUTE,
            counted={**snapshot.counted, CONVERTED: counted},
        )
        # The new one is found, the older one isn't.
        seen = {**snapshot.seen, CONVERTED: snapshot.seen[CONVERTED] + more}
        result = evaluate(snapshot, plan(snapshot), ScanStats(), seen)
        after = result.watermarks.of(CONVERTED).attempt(0)
        assert after.misses == attempt.misses > 0
        snapshot = replace(
            snapshot, seen=seen, watermarks=result.watermarks, now=snapshot.now + 10 * HOUR
        )


@pytest.mark.parametrize(
    ("ago", "asked"), [(2 * MINUTE, True), (50 * MINUTE, True), (2 * HOUR, False), (None, False)]
)
def test_who_leaves_may_have_complained(ago: float | None, asked: bool) -> None:
    """Complaints are asked for once somebody left since, or so lately that rows may be behind."""
    snapshot = polled_an_hour_ago(OPENED, 0)
    at = 0.0 if ago is None else snapshot.now - ago
    snapshot = replace(snapshot, unsubscribed_at=at)
    assert names(snapshot) == (["only abuse"] if asked else [])
    # The last time was a minute ago: not yet again.
    snapshot.watermarks.of(SPAM).attempt(0).started_at = snapshot.now - MINUTE
    assert names(snapshot) == []
    snapshot.watermarks.of(SPAM).attempt(0).started_at = snapshot.now - 5 * MINUTE
    assert names(snapshot) == (["only abuse"] if ago and ago < 5 * MINUTE + ROW_DELAY else [])


def test_old_messages_are_asked_less_often_for_complaints() -> None:
    """Somebody always leaves a large list."""
    snapshot = polled_an_hour_ago(OPENED, 0)
    snapshot = replace(
        snapshot,
        unsubscribed_at=snapshot.now,
        message=message_of(sent_at="", discovered_at=snapshot.now - 8 * DAY, polled_at=1.0),
    )
    for minutes, expected in ((79, []), (80, ["only abuse"])):
        snapshot.watermarks.of(SPAM).attempt(0).started_at = snapshot.now - minutes * MINUTE
        assert names(snapshot) == expected


@pytest.mark.parametrize("event", [SENT, OPENED, BOUNCED, CLICKED])
def test_as_much_is_seen_as_counted_since_the_counter_moved(event: str) -> None:
    """More had been seen than is counted: what moved the counter is looked for all the same."""
    snapshot = polled_an_hour_ago(event, 0)
    assert names(snapshot) == []
    snapshot.watermarks.of(event).last_counted -= 2
    chosen = plan(snapshot)
    assert [scan.scan_type for scan in chosen.scans] == [ESCALATION["broadcast"][event][0]]
    assert chosen.watermarks.of(event).reconciled_at < snapshot.now, "nothing is known of it yet"
    result = evaluate(snapshot, chosen, ScanStats(), snapshot.seen)
    assert names(replace(snapshot, watermarks=result.watermarks)) == []


def test_a_message_is_not_given_up_while_a_counter_has_moved() -> None:
    """Of orders all are asked for each time: not for what was perhaps seen, but before the end."""
    snapshot = polled_an_hour_ago(CONVERTED, 0)
    snapshot.watermarks.of(CONVERTED).last_counted -= 10
    complaints = ESCALATION["broadcast"][SPAM][0]
    snapshot.filters.record_proof("broadcast", complaints, snapshot.now)
    assert names(snapshot) == []
    assert names(replace(snapshot, now=snapshot.now + 2 * HOUR)) == ["only conversion"]
    assert plan(replace(snapshot, is_last=True)).full


def sending(missing: float, *, before: float = 1000.0, **changes: Any) -> MessageSnapshot:
    """An email of which so many are known to have gone out in the last hour, and in 11 before."""
    snapshot = polled_an_hour_ago(SENT, missing, most_sends=1000.0, **changes)
    counted = {**snapshot.counted, SENT: before + missing}
    return replace(snapshot, counted=counted, seen={**snapshot.seen, SENT: before})


def test_new_sends_are_read_part_by_part() -> None:
    """One part after the other, at once, up to the present; nothing is known of later ones."""
    snapshot = sending(4000.0)
    for part in range(1, 4):
        (scan,) = plan(snapshot).scans
        assert scan.scan_type.name == "recent Send"
        assert scan.until is not None
        seen = {**snapshot.seen, SENT: snapshot.seen[SENT] + 1000.0}
        result = evaluate(snapshot, plan(snapshot), ScanStats(), seen)
        watermark = result.watermarks.of(SENT)
        assert watermark.complete_until == scan.until < snapshot.now
        assert watermark.reconciled_at < snapshot.now
        assert not result.reconciled
        expected = snapshot.now - HOUR + part * 15 * MINUTE
        assert scan.until == pytest.approx(expected, abs=MINUTE)
        snapshot = replace(snapshot, seen=seen, watermarks=result.watermarks)
    (scan,) = plan(snapshot).scans
    assert scan.until is None
    seen = {**snapshot.seen, SENT: snapshot.counted[SENT]}
    assert evaluate(snapshot, plan(snapshot), ScanStats(), seen).reconciled


@pytest.mark.parametrize(
    ("before", "seconds"), [(1000.0, 15 * MINUTE), (11 * 36_000.0, 100), (1e6, 40), (1e7, 30)]
)
def test_a_part_is_short_where_many_go_out_at_once(before: float, seconds: float) -> None:
    """What is missing comes as fast as those before, if that is faster; half a minute at least."""
    snapshot = sending(4000.0, before=before)
    (scan,) = plan(snapshot).scans
    assert scan.until == pytest.approx(snapshot.now - HOUR + seconds, abs=5)


@pytest.mark.parametrize(
    "snapshot",
    [
        sending(1000.0),
        sending(4000.0, now=BEGAN + 11 * HOUR + 30),
        replace(sending(4000.0), message=message_of("conversation", polled_at=1.0)),
    ],
    ids=["few", "lately", "of a conversation"],
)
def test_sends_that_are_read_at_once(snapshot: MessageSnapshot) -> None:
    """Few, in a short time, or without a date to go by."""
    scans = [scan for scan in plan(snapshot).scans if scan.scan_type.name == "recent Send"]
    assert [scan.until for scan in scans] == [None]


def test_a_part_that_shows_nothing() -> None:
    """The end may be read as another time: all is asked for the next time."""
    snapshot = sending(4000.0)
    result = evaluate(snapshot, plan(snapshot), ScanStats(), snapshot.seen)
    assert result.watermarks.of(SENT).complete_until < snapshot.now - 50 * MINUTE
    later = replace(snapshot, watermarks=result.watermarks, now=snapshot.now + 6 * MINUTE)
    assert [scan.until for scan in plan(later).scans] == [None]


@pytest.mark.parametrize(
    ("rows", "minutes"), [(1, 0), (100, 0), (200, 5), (1000, 45), (5000, 245), (5001, 20 * 60)]
)
def test_what_nothing_counts_is_read_as_a_whole(rows: int, minutes: float) -> None:
    """One request shows clicks and orders as well, whatever the account makes of activityType."""
    snapshot = counted_by_nothing(rows)
    assert names(replace(snapshot, now=snapshot.now + minutes * MINUTE)) == ["tracked"]
    if minutes:
        sooner = names(replace(snapshot, now=snapshot.now + minutes * MINUTE - 1))
        assert "tracked" not in sooner


def test_the_whole_is_read_first_by_the_clock() -> None:
    """Once a day, so that the number of its rows is known; once a week the full message."""
    snapshot = counted_by_nothing(0)
    assert "tracked" not in names(snapshot)
    a_day_later = replace(snapshot, now=snapshot.now + DAY)
    assert names(a_day_later) == ["tracked"]
    assert plan(replace(counted_by_nothing(50), now=snapshot.now + 7 * DAY)).full


def counted_by_nothing(rows: int) -> MessageSnapshot:
    """A transactional message of long ago, of which so many rows are tracked, read just now."""
    message = message_of("transactional", polled_at=1.0)
    snapshot = snapshot_of(message, seen={SENT: 1e6, CLICKED: 1e4})
    for event, scan_types in ESCALATION["transactional"].items():
        watermark = snapshot.watermarks.of(event)
        watermark.complete_until = snapshot.now
        for number, scan_type in enumerate(scan_types):
            attempt = watermark.attempt(number)
            attempt.started_at = snapshot.now
            attempt.rows = rows if scan_type.name == "tracked" else 10
    return snapshot
