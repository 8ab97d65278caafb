"""What to make of a scan that Listrak refuses, or whose rows show that it was not understood."""

from collections.abc import Sequence
from typing import Final, Literal

from bridge.flow.scans.case import Scan
from bridge.flow.scans.step import DAY
from bridge.flow.scans.trust import Trust
from bridge.listrak import wire
from bridge.listrak.times import canonical
from bridge.state.records import Kind

Parameter = Literal["activityType", "startDate"]

GRACE: Final = 2 * DAY
"""Seconds by which rows may be older than asked for: a filter may go by days, or another zone."""


def ignored(scan: Scan, rows: Sequence[wire.Activity], floor: str) -> Parameter | None:
    """Which parameter of the scan its rows show to be ignored.

    `floor`: the scan's beginning less the grace, as a naive time; "" where it has none.
    """
    if scan.only and not all(wire.shows(row, scan.only) for row in rows):
        return "activityType"
    if not floor:
        return None
    if scan.step.by == "Activity":
        strange = not all(map(_is_active, rows))
    else:
        dates = [canonical(row.send_date) for row in rows]
        strange = any(date and date < floor for date in dates)
    return "startDate" if strange else None


def unfiltered(scan: Scan, parameter: Parameter | None) -> Scan | None:
    """The same scan without its filter, where that is worth to be tried once one was refused.

    The sends of a day are few enough, and it tells which of both is to blame, filter or date.
    """
    if scan.only and scan.step.within is not None and parameter != "startDate":
        return scan._replace(only=None)
    return None


def blame(trust: Trust, kind: Kind, scan: Scan, parameter: Parameter | None, now: float) -> None:
    """Has what was refused (the `parameter`, if that is known) not asked for again for a while."""
    if scan.only and (parameter == "activityType" or scan.since is None):
        trust.refuse_filter(scan.only, now)
    else:
        trust.refuse(kind, scan.step, now)


def _is_active(row: wire.Activity) -> bool:
    """Whether a row shows anything but its send."""
    shown = (row.open, row.bounce, row.abuse, row.unsubscribe, row.click_count, row.order_total)
    return any(shown) or bool(canonical(row.activity_date))
