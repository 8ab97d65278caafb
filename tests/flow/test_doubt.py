"""What is made of scans that Listrak doesn't go along with."""

from typing import Any

import pytest

from bridge.flow.scans.case import Scan
from bridge.flow.scans.doubt import blame, ignored, unfiltered
from bridge.flow.scans.step import LADDERS
from bridge.flow.scans.trust import Trust
from bridge.listrak.wire import Activity
from bridge.vocabulary import OPENED, SENT

NOW = 1_778_500_000.0
FLOOR = "2026-05-09T08:00:00"
RECENT = Scan(LADDERS["broadcast"][SENT][0], NOW)
ACTIVE = Scan(LADDERS["broadcast"][OPENED][0], NOW)
OPENS = Scan(LADDERS["broadcast"][OPENED][2], None, "open")
LATELY = Scan(LADDERS["conversation"][OPENED][0], NOW, "open")
TRACKED_OPENS = Scan(LADDERS["conversation"][OPENED][1], NOW, "open")


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
    assert ignored(scan, rows, floor) == parameter


@pytest.mark.parametrize(
    ("scan", "parameter", "again"),
    [
        (LATELY, None, True),
        (LATELY, "activityType", True),
        (LATELY, "startDate", False),
        (LATELY._replace(only=None), None, False),
        (OPENS, None, False),
        (TRACKED_OPENS, None, False),
        (RECENT, None, False),
    ],
)
def test_sends_of_a_day_are_read_without_a_filter(scan: Scan, parameter: Any, again: bool) -> None:
    """All others would be too many rows."""
    assert unfiltered(scan, parameter) == (scan._replace(only=None) if again else None)


@pytest.mark.parametrize(
    ("scan", "parameter", "filter_blamed"),
    [
        (OPENS, None, True),
        (OPENS, "activityType", True),
        (TRACKED_OPENS, "activityType", True),
        (TRACKED_OPENS, None, False),
        (TRACKED_OPENS, "startDate", False),
        (RECENT, None, False),
    ],
)
def test_blame(scan: Scan, parameter: Any, filter_blamed: bool) -> None:
    """A filter is left out everywhere, a date where it was refused: both for a week."""
    trust = Trust()
    blame(trust, "conversation", scan, parameter, NOW)
    assert trust.understood("open", NOW) is not filter_blamed
    assert not trust.useful("conversation", scan.step, NOW)
    assert trust.useful("broadcast", scan.step, NOW) is not filter_blamed
    assert trust.useful("conversation", scan.step, NOW + 7 * 86400)
