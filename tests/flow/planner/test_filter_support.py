"""Which scans and filters an account supports."""

from planner_parts import BEGAN

from bridge.clock import DAY
from bridge.event_types import BOUNCED, OPENED, SPAM
from bridge.flow.planner.filter_support import MISSES_UNTIL_COOLDOWN, FilterSupport
from bridge.flow.planner.scan_types import ESCALATION


def test_cooldown() -> None:
    """A scan that misses again and again is left out for a while, and so is a refused filter."""
    filters, scan_type = FilterSupport(), ESCALATION["broadcast"][OPENED][0]
    for _ in range(MISSES_UNTIL_COOLDOWN - 1):
        filters.record_miss("broadcast", scan_type, BEGAN)
    filters.record_find("broadcast", scan_type)
    for _ in range(MISSES_UNTIL_COOLDOWN - 1):
        filters.record_miss("broadcast", scan_type, BEGAN)
    assert filters.is_usable("broadcast", scan_type, BEGAN)
    filters.record_miss("broadcast", scan_type, BEGAN)
    filters = FilterSupport(filters.text())
    assert not filters.is_usable("broadcast", scan_type, BEGAN + DAY - 1)
    assert filters.is_usable("broadcast", scan_type, BEGAN + DAY)
    assert filters.is_usable("conversation", scan_type, BEGAN)
    bounces, complaints = ESCALATION["broadcast"][BOUNCED][1], ESCALATION["broadcast"][SPAM][0]
    filters.record_filter_refusal("bounce", BEGAN)
    assert not filters.is_usable("conversation", bounces, BEGAN + DAY)
    assert filters.is_usable("broadcast", bounces, BEGAN + 7 * DAY)
    assert filters.is_usable("broadcast", complaints, BEGAN)
    lately = ESCALATION["conversation"][BOUNCED][0]
    assert filters.is_usable("conversation", lately, BEGAN), "it needs no filter"
    filters.record_refusal("conversation", lately, BEGAN)
    assert not filters.is_usable("conversation", lately, BEGAN + DAY)


def test_keys_in_the_state_file() -> None:
    """They are told apart by kind of message and name of the scan, or by activityType."""
    filters = FilterSupport()
    filters.record_refusal("broadcast", ESCALATION["broadcast"][OPENED][0], 0.0)
    filters.record_filter_refusal("open", DAY)
    assert filters.text() == (
        '{"broadcast, recent Activity":[0,604800.0,0.0],"activityType open":[0,691200.0,0.0]}'
    )
