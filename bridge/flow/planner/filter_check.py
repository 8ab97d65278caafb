"""The filter check: detects that a filter or date was ignored, and records what was refused."""

from collections.abc import Sequence
from typing import Final, Literal

from bridge.clock import DAY
from bridge.event_types import EVENT_TYPES, event_type_asked_by
from bridge.flow.planner.filter_support import FilterSupport
from bridge.flow.planner.scan_types import Scan
from bridge.listrak import wire
from bridge.listrak.times import canonical, canonicals
from bridge.state.records import Kind

Parameter = Literal["activityType", "startDate"]

GRACE: Final = 2 * DAY
"""Seconds by which rows may be older than requested: a filter may go by days, or another zone."""

_ACTIVITY_FIELDS: Final = tuple(event.row_field for event in EVENT_TYPES if event.row_field)


def ignored_parameter(scan: Scan, rows: Sequence[wire.Activity], floor: str) -> Parameter | None:
    """The parameter of a scan that its rows show to be ignored, None for none.

    1. Rows that don't show the requested activity: activityType.
    2. Without a `floor` (the scan's beginning less the grace, as a naive time): none.
    3. By dates of activity, rows without any activity: startDate.
    4. By dates of the send, rows sent before the floor: startDate.
    """
    if scan.activity_type:
        asked = event_type_asked_by(scan.activity_type)
        if not all(map(asked.is_shown_by, rows)):  # 1
            return "activityType"
    if not floor:  # 2
        return None
    if scan.scan_type.date_type == "Activity":  # 3
        is_ignored = not all(map(_is_active, rows))
    else:  # 4
        dates = canonicals([row.send_date for row in rows])
        is_ignored = any(date and date < floor for date in dates)
    return "startDate" if is_ignored else None


def without_filter(scan: Scan, parameter: Parameter | None) -> Scan | None:
    """A copy of a refused scan without its filter; None where that isn't worth a try.

    A scan of a short lookback is, as it reads few rows. It tells whether the filter or the date was
    refused, unless the `parameter` is known to be the date.
    """
    has_lookback = scan.scan_type.lookback is not None
    if scan.activity_type and has_lookback and parameter != "startDate":
        return scan._replace(activity_type=None)
    return None


def record_refused_scan(
    filters: FilterSupport, kind: Kind, scan: Scan, parameter: Parameter | None, now: float
) -> None:
    """Starts the cooldown of what was refused: the `parameter`, where that is known.

    1. A filter that is known to be refused, or that the scan had without a date: the filter.
    2. Anything else: the scan, for messages of the kind.
    """
    if scan.activity_type and (parameter == "activityType" or scan.since is None):  # 1
        filters.record_filter_refusal(scan.activity_type, now)
    else:  # 2
        filters.record_refusal(kind, scan.scan_type, now)


def _is_active(row: wire.Activity) -> bool:
    """Tells whether a row shows anything but its send; an order total of 0 is nothing."""
    shown = any(getattr(row, name) for name in _ACTIVITY_FIELDS)
    return shown or bool(canonical(row.activity_date))
