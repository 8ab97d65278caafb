"""Which events of a page have a date of their own."""

from typing import Any

import pytest
from flow_parts import poll_of
from planner_parts import message_of
from test_activity_rules import ACTIVITY, AFTER, RULES, SEND, ZONE, click_of, clicked, row_of, seen

from bridge.event_types import BOUNCED, CLICKED, CONVERTED, OPENED, SENT, SPAM
from bridge.flow.mapping.activity import ActivityRules
from bridge.flow.mapping.event_dates import in_several
from bridge.flow.mapping.mapped_page import MappedPage
from bridge.listrak import times
from bridge.segment.events import LARGEST_EVENT


def dates(mapped: MappedPage) -> dict[str, list[str]]:
    """The dates of a page, by event, as instants."""
    return {
        name: [times.from_seconds(one) for one in happened]
        for name, happened in mapped.dates.moments().items()
        if happened.size
    }


SENT_AT, ACTIVE_AT = (
    times.from_seconds(times.seconds(ZONE.instant(one))) for one in (SEND, ACTIVITY)
)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (row_of(), {SENT: [SENT_AT]}),
        (row_of(open=True, activity_date=ACTIVITY), {SENT: [SENT_AT], OPENED: [ACTIVE_AT]}),
        (row_of(bounce=True, activity_date=ACTIVITY), {SENT: [SENT_AT], BOUNCED: [ACTIVE_AT]}),
        # One of the two was the first activity; nobody knows which.
        (row_of(open=True, bounce=True, activity_date=ACTIVITY), {SENT: [SENT_AT]}),
        # Dated by the poll that saw it.
        (row_of(open=True), {SENT: [SENT_AT]}),
        (row_of(abuse=True, activity_date=ACTIVITY), {SENT: [SENT_AT]}),
        (row_of(order_total=5.0, activity_date=ACTIVITY), {SENT: [SENT_AT]}),
        # From before the horizon.
        (row_of(send_date="2026-04-01T08:00:00"), {}),
        (row_of(email=" "), {}),
    ],
)
@pytest.mark.parametrize("previous", ["", AFTER])
def test_rows(row: Any, expected: dict[str, list[str]], previous: str) -> None:
    """The send, and the first activity where it is certainly the event's."""
    mapped = seen(poll_of(previous=previous), row)
    assert dates(mapped) == expected
    assert {SPAM, CONVERTED}.isdisjoint(expected)


def test_several_rows() -> None:
    """The dates of those that count, whatever their neighbours."""
    both = row_of("a@example.com", open=True, bounce=True, activity_date=ACTIVITY)
    opened = [row_of(f"{n}@example.com", open=True, activity_date=ACTIVITY) for n in range(2)]
    assert dates(seen(poll_of(), both, *opened))[OPENED] == [ACTIVE_AT] * 2


def test_clicks() -> None:
    """A click has a date; one that a row only counts, or without one, hasn't."""
    assert dates(clicked(poll_of(), click_of(), click_of(None))) == {CLICKED: [ACTIVE_AT]}
    mail = poll_of(message_of("transactional"))
    counted = row_of(open=True, click_count=2, activity_date=ACTIVITY)
    assert CLICKED not in dates(seen(mail, counted))


def test_what_is_not_sent() -> None:
    """Events that nobody wants, that were seen before, or that are too large."""
    opened = row_of(open=True, activity_date=ACTIVITY)
    assert dates(seen(poll_of(), opened, rules=ActivityRules(ZONE, frozenset([OPENED])))) == {
        OPENED: [ACTIVE_AT]
    }
    poll = poll_of()
    seen(poll, opened, rules=RULES)
    assert dates(seen(poll, opened, rules=RULES)) == {}
    (event,) = seen(poll_of(message_of(properties='{"a":""}')), row_of("a")).reproducible.events
    filling = "x" * (LARGEST_EVENT - len(event))
    large = poll_of(message_of(properties=f'{{"a":"{filling}"}}'))
    mapped = seen(large, row_of("aa"), row_of("a"))
    assert len(mapped.reproducible.events) == len(mapped.reproducible.dead) == 1
    assert dates(mapped) == {SENT: [SENT_AT]}


def test_numbers_in_several_choices() -> None:
    """In two of them or more, however long."""
    assert in_several([]) == in_several([[1, 2]]) == in_several([[], [1, 2], [3]]) == set()
    assert in_several([[1, 2], [2, 3], [3, 4, 5]]) == {2, 3}
