"""What is made of scans that Listrak refuses, or whose parameters it ignores."""

from typing import Any

import pytest

from bridge.event_types import OPENED, SENT
from bridge.flow.planner.filter_check import (
    ignored_parameter,
    record_refused_scan,
    without_filter,
)
from bridge.flow.planner.filter_support import FilterSupport
from bridge.flow.planner.scan_types import ESCALATION, Scan
from bridge.listrak.wire import Activity

NOW = 1_778_500_000.0
FLOOR = "2026-05-09T08:00:00"
RECENT = Scan(ESCALATION["broadcast"][SENT][0], NOW)
ACTIVE = Scan(ESCALATION["broadcast"][OPENED][0], NOW)
OPENS = Scan(ESCALATION["broadcast"][OPENED][3], None, "open")
LATELY = Scan(ESCALATION["conversation"][OPENED][0], NOW, "open")
TRACKED_OPENS = Scan(ESCALATION["conversation"][OPENED][1], NOW, "open")


def row(send_date: str | None = "2026-05-10T08:00:00", **shown: Any) -> Activity:
    return Activity("a@x.example", send_date, **shown)


@pytest.mark.parametrize(
    ("scan", "floor", "rows", "parameter"),
    [
        (OPENS, "", [row(open=True), row(open=True)], None),
        (OPENS, "", [row(open=True), row()], "activityType"),
        (OPENS, "", [], None),
        (RECENT, FLOOR, [row(), row(None), row("0001-01-01T00:00:00")], None),
        (RECENT, FLOOR, [row(), row("2026-05-09T07:59:59.99")], "startDate"),
        (RECENT, "", [row("2001-01-01T00:00:00")], None),
        (ACTIVE, FLOOR, [row("2026-05-01T00:00:00", open=True)], None),
        (ACTIVE, FLOOR, [row(activity_date="2026-05-01T00:00:00")], None),
        (ACTIVE, FLOOR, [row(bounce=True), row()], "startDate"),
        (ACTIVE, FLOOR, [row(activity_date="0001-01-01T00:00:00")], "startDate"),
        (LATELY, FLOOR, [row("2026-05-01T00:00:00", open=True)], "startDate"),
        (LATELY, FLOOR, [row("2026-05-01T00:00:00")], "activityType"),
    ],
)
def test_rows_tell_what_is_ignored(
    scan: Scan, floor: str, rows: list[Activity], parameter: str | None
) -> None:
    """Rows that a filter should have kept back, by more than days and zones can explain."""
    assert ignored_parameter(scan, rows, floor) == parameter


@pytest.mark.parametrize(
    ("scan", "parameter", "again"),
    [
        (LATELY, None, True),
        (LATELY, "activityType", True),
        (LATELY, "startDate", False),
        (LATELY._replace(activity_type=None), None, False),
        (OPENS, None, False),
        (TRACKED_OPENS, None, False),
        (RECENT, None, False),
    ],
)
def test_sends_of_a_day_are_read_without_a_filter(scan: Scan, parameter: Any, again: bool) -> None:
    """All others would be too many rows."""
    assert without_filter(scan, parameter) == (scan._replace(activity_type=None) if again else None)


@pytest.mark.parametrize(
    ("scan", "parameter", "filter_refused"),
    [
        (OPENS, None, True),
        (OPENS, "activityType", True),
        (TRACKED_OPENS, "activityType", True),
        (TRACKED_OPENS, None, False),
        (TRACKED_OPENS, "startDate", False),
        (RECENT, None, False),
    ],
)
def test_what_a_refusal_puts_in_cooldown(scan: Scan, parameter: Any, filter_refused: bool) -> None:
    """A filter is left out everywhere, a date where it was refused: both for a week."""
    filters = FilterSupport()
    record_refused_scan(filters, "conversation", scan, parameter, NOW)
    assert filters.accepts("open", NOW) is not filter_refused
    assert not filters.is_usable("conversation", scan.scan_type, NOW)
    assert filters.is_usable("broadcast", scan.scan_type, NOW) is not filter_refused
    assert filters.is_usable("conversation", scan.scan_type, NOW + 7 * 86400)
