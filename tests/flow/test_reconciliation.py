"""Listrak's numbers beside what was seen: what a difference is put down to."""

from typing import Any

import msgspec
import pytest
from planner_parts import message_of
from prometheus_client import generate_latest

from bridge.event_types import CLICKED, CONVERTED, OPENED, SENT, UNSUBSCRIBED
from bridge.flow.figures import REVENUE, Figures, counted_of
from bridge.flow.reconciliation import (
    LESS,
    NEVER_SHOWN,
    NOT_READ,
    ORDERS,
    READING,
    REQUESTED,
    UNEXPLAINED,
    UNTRACKED,
    OwnNumbers,
    compare,
)
from bridge.flow.summary_metrics import SummaryMetrics
from bridge.listrak.wire import Summary
from bridge.metrics import Metrics
from bridge.state.records import EventCount, Kind, Message

LOOKED_AT = 1_778_500_000.0


def own_numbers(revenue: float = 0.0, **changes: Any) -> OwnNumbers:
    values: dict[str, Any] = {
        "counts": {
            SENT: EventCount(100, 10, 1),
            OPENED: EventCount(40),
            CONVERTED: EventCount(amount=revenue),
        },
        "reading": False,
    }
    return OwnNumbers(**values | changes)


def polled(summary: Summary, kind: Kind = "broadcast", **changes: Any) -> Message:
    """A message whose counters were the same when it was polled."""
    text = msgspec.json.encode(summary).decode()
    return message_of(kind, **{"polled_at": LOOKED_AT, "summary": text, **changes})


def test_what_agrees_has_no_reason() -> None:
    """Seen is what Listrak counts; sent is what is left of it for Segment."""
    summary = Summary(sent_count=100, open_count=40, conversion_count=0, revenue=0.0)
    lines = {line.event: line for line in compare(polled(summary), summary, own_numbers())}
    assert set(lines) == {SENT, OPENED, CONVERTED, REVENUE}, "what Listrak leaves out is left out"
    assert all(line.difference == 0 and line.reason == "" for line in lines.values())
    assert not any(line.repairable for line in lines.values())
    assert lines[SENT].figures == Figures(listrak=100, seen=100, sent=89, dead=1)


@pytest.mark.parametrize(
    ("event", "summary", "message", "own", "reason"),
    [
        (SENT, Summary(sent_count=103), {"polled_at": None}, {}, NOT_READ),
        (SENT, Summary(sent_count=103), {}, {"reading": True}, READING),
        (SENT, Summary(sent_count=103), {"rescan_requested": 1}, {}, REQUESTED),
        (SENT, Summary(sent_count=97), {}, {}, LESS),
        (SENT, Summary(sent_count=103), {}, {}, UNEXPLAINED),
        (SENT, Summary(sent_count=103), {"kind": "conversation"}, {}, UNTRACKED),
        (CLICKED, Summary(click_count=3), {}, {}, UNEXPLAINED),
        (CONVERTED, Summary(conversion_count=3), {}, {}, ORDERS),
        (SENT, Summary(sent_count=103), {}, {"never_shown": {SENT: 3.0}}, NEVER_SHOWN),
        (SENT, Summary(sent_count=103), {}, {"never_shown": {SENT: 2.0}}, UNEXPLAINED),
        (
            REVENUE,
            Summary(revenue=30.5),
            {},
            {"revenue": 20.25, "never_shown": {SENT: 3}},
            UNEXPLAINED,
        ),
        (REVENUE, Summary(revenue=30.5), {}, {"never_shown": {CONVERTED: 30.5}}, NEVER_SHOWN),
        (REVENUE, Summary(revenue=30.5), {}, {"revenue": 30.501}, ""),
    ],
)
def test_likely_reasons(
    event: str,
    summary: Summary,
    message: dict[str, Any],
    own: dict[str, Any],
    reason: str,
) -> None:
    """The nearest explanation is given; only what has none is worth another poll."""
    lines = compare(polled(summary, **message), summary, own_numbers(**own))
    (line,) = [line for line in lines if line.event == event]
    assert line.reason == reason
    assert line.repairable == (reason in (UNEXPLAINED, UNTRACKED))


def test_what_moved_since_is_found_by_the_next_look() -> None:
    """A counter that moved after the poll proves nothing against it."""
    message = polled(Summary(sent_count=100))
    (line,) = compare(message, Summary(sent_count=103), own_numbers())
    assert "since it was read last (2026-05-11T11:46Z)" in line.reason
    assert line.difference == 3
    assert not line.repairable


def test_who_unsubscribed_is_told_elsewhere() -> None:
    """A message's rows only say through which email contacts left."""
    summary = Summary(unsubscribe_count=2)
    counts = {UNSUBSCRIBED: EventCount(2)}
    (line,) = compare(polled(summary), summary, own_numbers(counts=counts))
    assert (line.figures, line.reason) == (Figures(2, 2, None, 0), "")


def test_no_orders_are_no_revenue() -> None:
    """A Summary may leave the revenue out where there is none: that is a number, not a gap."""
    assert counted_of(Summary(conversion_count=0)) == {CONVERTED: 0.0}
    assert counted_of(Summary(conversion_count=2)) == {}
    assert counted_of(Summary(conversion_count=2, revenue=30.5)) == {CONVERTED: 30.5}


def test_metrics_have_the_sums_of_tracked_messages() -> None:
    """Each message counts as it was polled last; one no longer tracked doesn't count."""
    metrics = Metrics()
    comparison = SummaryMetrics(metrics)
    one, two = message_of(), message_of(id=2, message_id=8)
    comparison.note(one, Summary(sent_count=5, open_count=1), {SENT: EventCount(4)})
    comparison.note(two, Summary(sent_count=10), {SENT: EventCount(10)})
    later = Summary(sent_count=7, open_count=1, revenue=30.5)
    comparison.note(one, later, {SENT: EventCount(6, 2, 1), CONVERTED: EventCount(amount=20.25)})

    def figures() -> set[str]:
        lines = generate_latest(metrics.registry).decode().splitlines()
        names = ("bridge_listrak_counted{", "bridge_seen{", "bridge_sent{")
        return {line for line in lines if line.startswith(names)}

    assert figures() == {
        'bridge_listrak_counted{event="Email Sent",list="5"} 17.0',
        'bridge_seen{event="Email Sent",list="5"} 16.0',
        'bridge_sent{event="Email Sent",list="5"} 13.0',
        'bridge_listrak_counted{event="Email Opened",list="5"} 1.0',
        'bridge_seen{event="Email Opened",list="5"} 0.0',
        'bridge_sent{event="Email Opened",list="5"} 0.0',
        'bridge_listrak_counted{event="revenue",list="5"} 30.5',
        'bridge_seen{event="revenue",list="5"} 20.25',
        'bridge_sent{event="revenue",list="5"} 20.25',
    }
    comparison.forget(two)
    assert 'bridge_listrak_counted{event="Email Sent",list="5"} 7.0' in figures()
    assert 'bridge_seen{event="Email Sent",list="5"} 6.0' in figures()
    # A pipeline that starts again notes them anew.
    SummaryMetrics(metrics)
    assert figures() == set()
