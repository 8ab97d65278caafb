"""Rows that come after their counters, where a full poll was made between the two."""

from dataclasses import replace

import pytest
from planner_parts import BEGAN, message_of, snapshot_of

from bridge.clock import DAY, HOUR, MINUTE
from bridge.event_types import BOUNCED, CLICKED, CONVERTED, OPENED, SENT, UNSUBSCRIBED
from bridge.flow.planner.evaluation import ScanStats, evaluate
from bridge.flow.planner.plan import PollPlan, plan
from bridge.flow.planner.scan_types import ESCALATION
from bridge.flow.planner.snapshot import MessageSnapshot
from bridge.flow.planner.watermarks import ROW_DELAY
from bridge.state.records import Kind

KINDS: tuple[Kind, ...] = ("broadcast", "conversation")
POLLED = BEGAN + HOUR
EVENTS = (SENT, OPENED, CLICKED, BOUNCED)
COUNTED = {SENT: 5.0, OPENED: 4.0, CLICKED: 7.0, BOUNCED: 1.0, UNSUBSCRIBED: 0.0, CONVERTED: 0.0}


def polled_too_early(kind: Kind, event: str) -> MessageSnapshot:
    """A message whose first poll, at `POLLED`, was shown all that is counted but one event."""
    seen = {**COUNTED, event: COUNTED[event] - 1}
    first = snapshot_of(message_of(kind), counted=COUNTED, seen={}, now=POLLED)
    stats = ScanStats(link_clicks={70: 7})
    watermarks = evaluate(first, PollPlan(full=True), stats, seen).watermarks
    polled = replace(first.message, polled_at=POLLED, changed_at=POLLED)
    return replace(first, message=polled, seen=seen, watermarks=watermarks)


def scans_of(snapshot: MessageSnapshot, after: float) -> list[str]:
    """The names of the scans that are due so many seconds after the first poll."""
    chosen = plan(replace(snapshot, now=POLLED + after))
    assert not chosen.full
    return [scan.scan_type.name for scan in chosen.scans]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("event", EVENTS)
def test_late_rows_are_looked_for(kind: Kind, event: str) -> None:
    """Within minutes, by the narrowest scan, from before the poll on."""
    snapshot = polled_too_early(kind, event)
    narrowest = ESCALATION[kind][event][0]
    assert scans_of(snapshot, 6 * MINUTE) == [narrowest.name]
    chosen = plan(replace(snapshot, now=POLLED + 6 * MINUTE))
    (scan,) = chosen.scans
    assert scan.since is not None
    assert scan.since <= POLLED - ROW_DELAY
    if event == CLICKED:
        assert chosen.watermarks.link_clicks == {}, "all links are read"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("event", EVENTS)
def test_what_comes_is_found(kind: Kind, event: str) -> None:
    """And then nothing is missing, nor taken for what rows never show."""
    snapshot = replace(polled_too_early(kind, event), now=POLLED + ROW_DELAY)
    watermarks = evaluate(snapshot, plan(snapshot), ScanStats(), COUNTED).watermarks
    assert watermarks.of(event).never_shown == 0
    found = replace(snapshot, seen=COUNTED, watermarks=watermarks)
    assert scans_of(found, 30 * MINUTE) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("event", EVENTS)
def test_what_never_comes_costs_little(kind: Kind, event: str) -> None:
    """Rows that are overdue are no longer waited for: two or three requests were made."""
    snapshot = polled_too_early(kind, event)
    narrow = 0
    for minute in range(1, 60):
        snapshot = replace(snapshot, now=POLLED + minute * MINUTE)
        chosen = plan(snapshot)
        narrow += len(chosen.scans)
        stats = ScanStats(link_clicks={70: 7})
        result = evaluate(snapshot, chosen, stats, snapshot.seen)
        snapshot = replace(snapshot, watermarks=result.watermarks)
    assert 2 <= narrow <= 3
    if kind == "conversation":
        # It is counted with all sends there ever were: nothing more is done about it.
        assert snapshot.watermarks.of(event).never_shown == 1
        assert not plan(replace(snapshot, now=POLLED + DAY / 8)).full
